"""What is unusual: pure rules over hourly sums.

Which reference a workflow is held against depends on how long it has been seen, and every finding names it:

- under 3 days: the *forecast bound*, that is what its policy declares (projected peak, objectives);
- from 3 days: median and MAD of the same *hour block* (four hours of the day) on earlier days;
- from 3 weeks: the same hour block on the same weekday (*seasonal*).

Persistence: one odd hour is no finding.  The newest complete hour and at least one of the two before it must be
odd in the same direction.  Fast trouble is the business of the burn rules (Google SRE Workbook, ch. 5, table 5-8),
which look at minutes and are bound to a minimum number of bad calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import sqrt
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.inference_log.model import StatsRow
from roadworthy.statistics.rates import wilson_interval, wilson_lower
from roadworthy.statistics.robust import OUTLIER_SCORE, median, robust_score

HOUR = 3600.0
DAY = 86_400.0
HISTORY = 35 * DAY
"""How far back references reach."""

BLOCK_HOURS = 4
BLOCKS_FROM = 3 * DAY
SEASONS_FROM = 21 * DAY
LEAST_REFERENCE = 6
"""Fewer reference hours than this say nothing; the regime before is used."""

LEAST_BAD = 3
"""Fewer bad calls than this are never a finding."""
LEAST_CALLS = 5
LEAST_SHARE = 0.01
"""Spread that shares are given at least: a rise by less than 3.5 points is not worth a person's time."""
SURE = 0.999
"""One-sided confidence with which the pooled share of the odd hours must lie above the reference."""
LEAST_VOLUME = 10

PERSISTENCE = 3
"""Hours looked at."""
PERSISTENT = 2
"""How many of them must be odd, the newest among them."""

Regime = Literal["forecast bound", "median + MAD by hour block", "seasonal", "burn rate"]
Metric = Literal["errors", "fallbacks", "latency", "volume", "cost"]
Severity = Literal["page", "ticket", "notice"]

BURN_RULES: tuple[tuple[float, float, float, Severity, str], ...] = (
    (HOUR, 300.0, 14.4, "page", "2 % of the 30-day budget in 1 h"),
    (6 * HOUR, 1800.0, 6.0, "page", "5 % of the 30-day budget in 6 h"),
    (DAY, 2 * HOUR, 3.0, "ticket", "10 % of the 30-day budget in 1 d"),
    (3 * DAY, 6 * HOUR, 1.0, "ticket", "10 % of the 30-day budget in 3 d"),
)
"""(long window, short window, burn rate, severity, meaning)."""

BURN_LENGTHS: tuple[float, ...] = tuple(sorted({length for rule in BURN_RULES for length in rule[:2]}))
BURN_LEAST_BAD = 5
"""Bad calls in the long window below which a burn rate means nothing."""

_FALLBACKS = ("recovered", "cached", "canned", "escalated", "blocked")


class Bounds(msgspec.Struct, frozen=True):
    """What a policy declares.  ``None``: nothing declared."""

    calls_per_second: float | None = None
    error_share: float | None = None
    latency_p95: float | None = None


class Counts(msgspec.Struct, frozen=True):
    """Bad calls and the calls that could have been bad (a bypassed call is never an error)."""

    bad: int = 0
    calls: int = 0

    @classmethod
    def of(cls, outcomes: Mapping[str, int]) -> Counts:
        return cls(outcomes.get("error", 0), sum(outcomes.values()) - outcomes.get("bypassed", 0))

    def __str__(self) -> str:
        return f"{self.bad} of {self.calls} calls"


class Hour(msgspec.Struct, frozen=True):
    """Sums of one hour of one workflow's live traffic."""

    start: float
    calls: int = 0
    errors: int = 0
    fallbacks: int = 0
    p95: float | None = None
    """Seconds."""
    cost_per_call: float | None = None
    """US dollars, over the calls whose cost is known."""


class Finding(msgspec.Struct, frozen=True):
    """Something unusual, with the regime that says so and the counts behind it."""

    workflow: str
    metric: Metric
    severity: Severity
    regime: Regime
    since: float
    """Start of the oldest odd hour, or of the long window."""
    bad: int
    calls: int
    observed: float
    expected: float
    text: str
    """One sentence for a person."""


def hours_by_workflow(rows: Sequence[StatsRow]) -> dict[str, list[Hour]]:
    """Sums by (workflow, hour) → each workflow's hours, sorted; rows of the same hour must not repeat."""
    found: dict[str, list[Hour]] = {}
    for row in rows:
        counts = Counts.of(row.outcomes)
        priced = row.count - row.cost_unknown
        hour = Hour(
            start=datetime.fromisoformat(row.group["hour"] or "").timestamp(),
            calls=counts.calls,
            errors=counts.bad,
            fallbacks=sum(row.outcomes.get(outcome, 0) for outcome in _FALLBACKS),
            p95=row.p95,
            cost_per_call=row.cost_usd / priced if row.cost_usd is not None and priced else None,
        )
        found.setdefault(row.group["workflow"] or "", []).append(hour)
    return {name: sorted(hours, key=lambda hour: hour.start) for name, hours in found.items()}


class _Reading(msgspec.Struct, frozen=True):
    """One metric of one hour, comparable with the same metric of other hours."""

    value: float
    counts: Counts


class _Verdict(msgspec.Struct, frozen=True):
    """One metric of one hour, judged."""

    direction: int
    """0 is usual."""
    observed: float
    expected: float
    limit: float
    """For shares: what the reference may itself be, at most (Wilson, 95 %); else as expected."""
    regime: Regime


def unusual(workflow: str, hours: Sequence[Hour], bounds: Bounds, now: float, zone: ZoneInfo) -> list[Finding]:
    """The findings of one workflow.  ``hours``: those with calls, oldest first; empty hours are filled in."""
    if not hours:
        return []
    first = hours[0].start
    by_start = {hour.start: hour for hour in hours}
    newest = now // HOUR * HOUR - HOUR
    grid = [by_start.get(first + n * HOUR, Hour(first + n * HOUR)) for n in range(int((newest - first) // HOUR) + 1)]
    history = now - first
    found = []
    for metric in ("errors", "fallbacks", "latency", "volume", "cost"):
        finding = _judge(workflow, metric, grid, history, bounds, zone)
        if finding is not None:
            found.append(finding)
    return found


def _judge(
    workflow: str, metric: Metric, grid: Sequence[Hour], history: float, bounds: Bounds, zone: ZoneInfo
) -> Finding | None:
    recent = grid[-PERSISTENCE:]
    past = grid[:-PERSISTENCE]
    verdicts = [_odd(metric, hour, past, history, bounds, zone) for hour in recent]
    newest = verdicts[-1] if verdicts else None
    if newest is None or newest.direction == 0:
        return None
    direction, regime = newest.direction, newest.regime
    pairs = zip(recent, verdicts, strict=True)
    odd = [hour for hour, verdict in pairs if verdict is not None and verdict.direction == direction]
    bad = sum(_reading(metric, hour).counts.bad for hour in odd)
    calls = sum(hour.calls for hour in odd)
    observed, expected = newest.observed, newest.expected
    if len(odd) < PERSISTENT:
        return None
    if metric in ("errors", "fallbacks"):
        # hours may hold few calls: what they show together must be beyond chance
        if bad < LEAST_BAD or wilson_lower(bad, calls, SURE) <= newest.limit:
            return None
        observed = bad / calls
    text = (
        f"{workflow}: {_say(metric, observed, direction)}, expected about {_amount(metric, expected)} "
        f"({_counts(metric, bad, calls)} in {len(odd)} of the last {len(recent)} hours; "
        f"{regime}, {history / DAY:.1f} days of history)"
    )
    return Finding(workflow, metric, "notice", regime, odd[0].start, bad, calls, observed, expected, text)


def _odd(
    metric: Metric, hour: Hour, past: Sequence[Hour], history: float, bounds: Bounds, zone: ZoneInfo
) -> _Verdict | None:
    """``None``: nothing to hold it against."""
    if metric != "volume" and hour.calls < LEAST_CALLS and not (metric == "errors" and hour.errors):
        return None
    reading = _reading(metric, hour)
    reference, regime = _reference(metric, hour, past, history, zone)
    if regime == "forecast bound":
        return _beyond(metric, hour, reading, bounds)
    earlier = [_reading(metric, other) for other in reference]
    values = [other.value for other in earlier]
    score, expected, _ = robust_score(reading.value, values, _least_spread(metric, median(values)))
    limit = expected
    if metric in ("errors", "fallbacks"):
        # of hours with few calls most have no bad one: the median alone would expect none
        bad, calls = sum(other.counts.bad for other in earlier), sum(other.calls for other in reference)
        expected = max(expected, bad / calls)
        limit = max(expected, wilson_interval(bad, calls)[1])
    direction = 0
    if score > OUTLIER_SCORE and (metric != "volume" or hour.calls >= LEAST_VOLUME):
        direction = 1
    elif score < -OUTLIER_SCORE and metric == "volume" and expected >= LEAST_VOLUME:
        direction = -1
    return _Verdict(direction, reading.value, expected, limit, regime)


def _beyond(metric: Metric, hour: Hour, reading: _Reading, bounds: Bounds) -> _Verdict | None:
    """Day 0: is the declared bound passed beyond what chance explains?"""
    bound: float | None = None
    beyond = False
    if metric == "errors" and bounds.error_share is not None:
        bound = bounds.error_share
        beyond = wilson_lower(hour.errors, hour.calls) > bound
    elif metric == "latency" and bounds.latency_p95 is not None:
        bound = bounds.latency_p95
        beyond = reading.value > bound
    elif metric == "volume" and bounds.calls_per_second is not None:
        bound = bounds.calls_per_second * HOUR
        beyond = reading.value > bound + 3 * sqrt(bound)
    return None if bound is None else _Verdict(int(beyond), reading.value, bound, bound, "forecast bound")


def _reference(
    metric: Metric, hour: Hour, past: Sequence[Hour], history: float, zone: ZoneInfo
) -> tuple[list[Hour], Regime]:
    usable = past if metric == "volume" else [other for other in past if other.calls >= LEAST_CALLS]
    weekday, block = _slot(hour.start, zone)
    if history >= SEASONS_FROM:
        same = [other for other in usable if _slot(other.start, zone) == (weekday, block)]
        if len(same) >= LEAST_REFERENCE:
            return same, "seasonal"
    if history >= BLOCKS_FROM:
        same = [other for other in usable if _slot(other.start, zone)[1] == block]
        if len(same) >= LEAST_REFERENCE:
            return same, "median + MAD by hour block"
    return [], "forecast bound"


def _slot(start: float, zone: ZoneInfo) -> tuple[int, int]:
    local = datetime.fromtimestamp(start, zone)
    return local.weekday(), local.hour // BLOCK_HOURS


def _reading(metric: Metric, hour: Hour) -> _Reading:
    calls = hour.calls
    match metric:
        case "errors":
            return _Reading(hour.errors / calls if calls else 0.0, Counts(hour.errors, calls))
        case "fallbacks":
            return _Reading(hour.fallbacks / calls if calls else 0.0, Counts(hour.fallbacks, calls))
        case "latency":
            return _Reading(hour.p95 or 0.0, Counts(0, calls))
        case "volume":
            return _Reading(float(calls), Counts(0, calls))
        case "cost":
            return _Reading(hour.cost_per_call or 0.0, Counts(0, calls))


def _least_spread(metric: Metric, level: float) -> float:
    """Spread below which a difference is chance or not worth a person's time."""
    match metric:
        case "errors" | "fallbacks":
            return LEAST_SHARE
        case "volume":
            return max(1.0, sqrt(level), 0.1 * level)
        case "latency" | "cost":
            return 0.1 * level


def _amount(metric: Metric, value: float) -> str:
    match metric:
        case "errors" | "fallbacks":
            return f"{100 * value:.1f} %"
        case "latency":
            return f"{value:.2f} s"
        case "volume":
            return f"{value:.0f} calls an hour"
        case "cost":
            return f"${value:.5f} a call"


def _say(metric: Metric, value: float, direction: int) -> str:
    words = {
        "errors": "error share",
        "fallbacks": "fallback share",
        "latency": "p95 latency",
        "volume": "high traffic of" if direction > 0 else "low traffic of",
        "cost": "cost of",
    }
    return f"{words[metric]} {_amount(metric, value)}"


def _counts(metric: Metric, bad: int, calls: int) -> str:
    return str(Counts(bad, calls)) if metric in ("errors", "fallbacks") else f"{calls} calls"


def burning(workflow: str, windows: Mapping[float, Counts], budget: float | None, now: float) -> list[Finding]:
    """The most severe burn rule that fires, if any.

    ``windows``: window length in seconds → counts until now.  ``budget``: the error share that the objective
    allows; without one there is no budget to burn.
    """
    if budget is None or not 0 < budget < 1:
        return []
    for long, short, rate, severity, meaning in BURN_RULES:
        of_long, of_short = windows.get(long, Counts()), windows.get(short, Counts())
        if of_long.bad < BURN_LEAST_BAD or not of_short.bad:
            continue
        burn = of_long.bad / of_long.calls / budget
        if burn >= rate and of_short.bad / of_short.calls / budget >= rate:
            text = (
                f"{workflow}: burns its error budget of {100 * budget:.2f} % at {burn:.1f}x "
                f"({of_long} in {_span(long)}, "
                f"{of_short} in the last {_span(short)}; burn rate, {meaning} is {rate:g}x)"
            )
            bad, calls = of_long.bad, of_long.calls
            return [
                Finding(workflow, "errors", severity, "burn rate", now - long, bad, calls, bad / calls, budget, text)
            ]
    return []


def _span(seconds: float) -> str:
    if seconds < HOUR:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / HOUR:.0f} h" if seconds < DAY else f"{seconds / DAY:.0f} d"
