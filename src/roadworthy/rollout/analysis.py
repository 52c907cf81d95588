"""From counts to verdicts, and from today's volume to a calendar.  Pure.

Each guardrail has two tests that may be looked at as often as one likes: one against its budget (FAIL), one against its
limit (PASS).  Shares are tested exactly (mixture e-processes), means and comparisons by confidence sequences.  While
neither decides the verdict is INSUFFICIENT, with the number of calls that would decide if all stayed as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, inf, isfinite, log
from typing import NamedTuple

from msgspec.structs import replace

from roadworthy.evidence.kinds import Verdict
from roadworthy.rollout.model import DAY, Analysis, Arms, Due, Finding, Guardrail, Observed, Plan, Stage, Tally
from roadworthy.statistics.eprocess import calls_to_prove, log_above, log_below, share_bounds
from roadworthy.statistics.sample_ratio import log_healthy, log_mismatch
from roadworthy.statistics.sequences import mean_bounds

SAMPLE_RATIO = "sample_ratio"
FARTHEST = 2.0**16
"""A decision that needs this many times what was seen is not foretold."""
PLANNED_SURE = 0.9
"""A calendar's evidence comes in time with this probability."""
ASSUMED = 0.5
"""Where nothing is known a healthy release is assumed to use half of each budget."""


class _Levels(NamedTuple):
    fails: float
    passes: float
    expected: float
    """Calls for which bounds of means are narrow."""
    share: float


def analyse(plan: Plan, stage: Stage, observed: Observed, *, foretell: bool = True) -> Analysis:
    """The verdicts on one stage, of which ``observed`` must be.

    ``foretell``: say when what is INSUFFICIENT will be decided; a millisecond for each guardrail, the verdicts a
    hundredth of it.
    """
    share = stage.share if observed.share is None else observed.share
    levels = _Levels(plan.alpha_each, plan.beta, stage.calls, share)
    return Analysis(
        stage=stage.name,
        since=observed.since,
        until=observed.until,
        calls=observed.calls,
        findings=tuple(_finding(guardrail, observed, levels, foretell) for guardrail in applying(plan, observed)),
        sample_ratio=_sample_ratio(observed, levels, foretell),
        last_call=observed.last_call,
    )


def applying(plan: Plan, observed: Observed) -> list[Guardrail]:
    """Guardrails that can be judged: comparisons need a release on the other side."""
    return [guardrail for guardrail in plan.guardrails if guardrail.against == "fixed" or observed.compared]


def judge(guardrail: Guardrail, arms: Arms, fails: float, passes: float, expected: float, share: float) -> Verdict:
    """One guardrail at the levels ``fails`` (against its budget) and ``passes`` (against its limit).

    A comparison bounds both sides at half of the level.  ``expected``: calls of the release for which bounds of means
    are tuned; ``share``: of the traffic on its side.
    """
    if guardrail.measure == "share" and guardrail.against == "fixed":
        n, bad = arms.treated.counting
        if log_above(bad, n, guardrail.budget) >= log(1 / fails):
            return "FAIL"
        return (
            "PASS"
            if log_below(arms.treated.at_worst(arms.treated.total), n, guardrail.limit) >= log(1 / passes)
            else "INSUFFICIENT"
        )
    if guardrail.measure == "quantile":
        own = arms.treated
        n, above = own.counting
        if log_above(above, n, guardrail.beyond) >= log(1 / fails):
            return "FAIL"
        below = log_below(own.at_worst(own.over), n, guardrail.beyond)
        return "PASS" if below >= log(1 / passes) else "INSUFFICIENT"
    levels = _Levels(fails, passes, expected, share)
    if _bounds(guardrail, arms, fails, guardrail.budget, levels)[0] > 0:
        return "FAIL"
    return "PASS" if _bounds(guardrail, arms, passes, guardrail.limit, levels)[1] < 0 else "INSUFFICIENT"


def calendar(
    plan: Plan,
    now: float,
    calls_per_day: float,
    *,
    users_per_day: float | None = None,
    tester_calls_per_day: float | None = None,
    history: Mapping[str, Tally] | None = None,
    first: int = 0,
) -> list[Due]:
    """When each stage is entered and left if ``calls_per_day`` go on and the release is healthy.

    ``history``: what the guardrails showed before (of the release before); without it a release is assumed to use half
    of each budget, and a mean of which nothing is known is not planned for, nor is a comparison.  Approvals are taken
    to be at once.
    """
    at: float | None = now
    found: list[Due] = []
    for stage in plan.stages[first:]:
        rate = calls_per_day * stage.share if stage.share else tester_calls_per_day
        days, bound = _stage_days(plan, stage, rate, users_per_day, history or {})
        leaves = at + days * DAY if at is not None and isfinite(days) else None
        calls = None if leaves is None or rate is None else rate * days
        found.append(Due(stage.name, stage.share, at, leaves, calls, bound, stage.approval))
        at = leaves
    return found


def _stage_days(
    plan: Plan, stage: Stage, rate: float | None, users_per_day: float | None, history: Mapping[str, Tally]
) -> tuple[float, str]:
    """``rate``: calls of the release a day, unknown for testers unless somebody says."""
    bounds = [(stage.dwell / DAY, "time floor")]
    if rate is not None:
        bounds.append((_over(stage.calls, rate), "evidence floor"))
    if stage.proves and rate is not None:
        for guardrail in plan.guardrails:
            calls = _planned_calls(guardrail, plan.beta, history.get(guardrail.name), stage)
            bounds.append((_over(calls, rate), guardrail.name))
        if users_per_day is not None and 0 < stage.share < 1:
            bounds.append((_over(_planned_users(stage.share, plan.beta), users_per_day), SAMPLE_RATIO))
    return max(bounds, key=lambda bound: bound[0])


def _planned_calls(guardrail: Guardrail, level: float, history: Tally | None, stage: Stage) -> float:
    """Calls that prove it with ``PLANNED_SURE``; 0 where it need not be proven, or nobody can tell."""
    if not guardrail.proves or guardrail.against != "fixed":
        return 0
    if guardrail.measure != "mean":
        quantile = guardrail.measure == "quantile"
        healthy, limit = (
            (guardrail.beyond * ASSUMED, guardrail.beyond) if quantile else (guardrail.budget, guardrail.limit)
        )
        share = healthy * ASSUMED
        if history is not None and history.n > 0:
            share = (history.over if quantile else history.total) / history.n
        calls = calls_to_prove(min(share, healthy), limit, level, PLANNED_SURE)
        return inf if calls is None else calls * (history.design if history is not None else 1)
    if history is None or history.n < 2:
        return 0
    factor = _decided_at(guardrail, Arms(history), _Levels(level, level, stage.calls, 1.0))
    return 0 if factor is None else history.n * factor


def _planned_users(share: float, level: float) -> float:
    users = 16
    while log_healthy(round(users * share), users - round(users * share), share) < log(1 / level):
        users = ceil(users * 1.1)
    return users * 1.5  # what arrives is not exactly the share


def _over(calls: float, rate: float) -> float:
    return 0.0 if calls == 0 else inf if rate <= 0 else calls / rate


def _finding(guardrail: Guardrail, observed: Observed, levels: _Levels, foretell: bool) -> Finding:
    arms = observed.arms.get(guardrail.name, Arms(Tally()))
    verdict = judge(guardrail, arms, levels.fails, levels.passes, levels.expected, levels.share)
    seen = _seen(guardrail, arms)
    n = arms.treated.n
    if verdict != "INSUFFICIENT":
        said = f"proven above {_figure(guardrail, guardrail.budget)}"
        if verdict == "PASS":
            said = f"proven below {_figure(guardrail, guardrail.limit)}"
        return Finding(guardrail.name, verdict, f"{_counted(guardrail, arms, seen)}: {said}", seen, n)
    factor = None if n == 0 or not foretell else _decided_at(guardrail, arms, levels)
    needs = None if factor is None else max(1, ceil(n * (factor - 1)))
    days = _days(needs, n, observed)
    text = f"{_counted(guardrail, arms, seen)}: {_waits(needs, days, 'calls')}"
    return Finding(guardrail.name, verdict, text, seen, n, needs, days)


def _sample_ratio(observed: Observed, levels: _Levels, foretell: bool) -> Finding | None:
    if observed.users is None or not 0 < levels.share < 1:
        return None
    treated, control = observed.users
    n = treated + control
    seen = treated / n if n else None
    said = f"{treated:,} of {n:,} users, {100 * levels.share:.0f} % intended" if n else "no users yet"
    if log_mismatch(treated, control, levels.share) >= log(1 / levels.fails):
        text = f"{said}: the sides are not divided as intended, so nothing else can be trusted"
        return Finding(SAMPLE_RATIO, "FAIL", text, seen, n)

    def proven(factor: float) -> bool:
        sides = round(treated * factor), round(control * factor)
        return log_healthy(*sides, levels.share) >= log(1 / levels.passes)

    if proven(1.0):
        return Finding(SAMPLE_RATIO, "PASS", f"{said}: as intended", seen, n)
    factor = _first_factor(proven) if n and foretell else None
    needs = None if factor is None else max(1, ceil(n * (factor - 1)))
    days = _days(needs, n, observed)
    return Finding(SAMPLE_RATIO, "INSUFFICIENT", f"{said}: {_waits(needs, days, 'users')}", seen, n, needs, days)


def _bounds(guardrail: Guardrail, arms: Arms, alpha: float, line: float, levels: _Levels) -> tuple[float, float]:
    """One-sided bounds, each at ``alpha``, of how far the release is above ``line``."""
    if guardrail.against == "fixed":
        lower, upper = _side(guardrail.measure, arms.treated, alpha, levels.expected)
        return lower - line, upper - line
    others = levels.expected * (1 - levels.share) / levels.share if 0 < levels.share < 1 else levels.expected
    lower, upper = _side(guardrail.measure, arms.treated, alpha / 2, levels.expected)
    other_lower, other_upper = _side(guardrail.measure, arms.control, alpha / 2, others)
    if guardrail.against == "difference":
        return lower - other_upper - line, upper - other_lower - line
    return lower - line * other_upper, upper - line * other_lower


def _side(measure: str, tally: Tally, alpha: float, expected: float) -> tuple[float, float]:
    n = tally.n / tally.design
    if measure == "share":
        return share_bounds(tally.counting[1], n, alpha)
    if n == 0:
        return -inf, inf
    mean = tally.total / tally.n
    return mean_bounds(n, mean, max(tally.squares / tally.n - mean**2, 0.0), alpha, expected)


def _decided_at(guardrail: Guardrail, arms: Arms, levels: _Levels) -> float | None:
    """How many times what was seen decides, if all stays as it was; ``None``: farther than is foretold."""

    def decided(factor: float) -> bool:
        more = Arms(_times(arms.treated, factor), _times(arms.control, factor))
        return judge(guardrail, more, *levels) != "INSUFFICIENT"

    return _first_factor(decided)


def _first_factor(holds: Callable[[float], bool]) -> float | None:
    high = 1.0
    while not holds(high):
        high *= 2
        if high > FARTHEST:
            return None
    low = high / 2
    while high - low > 0.01 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _times(tally: Tally, factor: float) -> Tally:
    return replace(
        tally,
        n=tally.n * factor,
        total=tally.total * factor,
        squares=tally.squares * factor,
        over=tally.over * factor,
    )


def _seen(guardrail: Guardrail, arms: Arms) -> float | None:
    own = arms.treated
    if own.n == 0:
        return None
    mean = own.total / own.n
    if guardrail.against == "fixed":
        return mean
    other = arms.control
    if other.n == 0:
        return None
    base = other.total / other.n
    if guardrail.against == "difference":
        return mean - base
    return mean / base if base else None


def _counted(guardrail: Guardrail, arms: Arms, seen: float | None) -> str:
    own = arms.treated
    if own.n == 0:
        return "no calls yet"
    if guardrail.measure == "quantile":
        slower = f"{own.total:,.0f} of {own.n:,.0f} calls ({100 * own.total / own.n:.2f} %)"
        return f"{slower} above {_figure(guardrail, guardrail.budget)}, {100 * guardrail.beyond:.2f} % allowed"
    if guardrail.measure == "share" and guardrail.against == "fixed":
        return f"{own.total:,.0f} of {own.n:,.0f} calls ({100 * own.total / own.n:.2f} %)"
    return f"{'unknown' if seen is None else _figure(guardrail, seen)} over {own.n:,.0f} calls"


def _figure(guardrail: Guardrail, value: float) -> str:
    if guardrail.measure == "quantile":
        return f"{value:g} s"
    if guardrail.against == "ratio":
        return f"{value:.2f}×"
    if guardrail.measure == "share":
        return f"{value * 100:+.2g} points" if guardrail.against == "difference" else f"{100 * value:.2f} %"
    return f"{value:+.4g}" if guardrail.against == "difference" else f"{value:.4g}"


def _days(needs: int | None, n: float, observed: Observed) -> float | None:
    seconds = observed.until - observed.since
    return None if needs is None or n <= 0 or seconds <= 0 else needs / n * seconds / DAY


def _waits(needs: int | None, days: float | None, what: str) -> str:
    if needs is None or days is None:
        return "no decision can be foretold yet"
    return f"at this rate, decision in {max(days, 0.1):.1f} days ({needs:,} more {what})"
