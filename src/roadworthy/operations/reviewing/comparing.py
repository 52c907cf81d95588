"""One period beside the one before it: what moved by more than chance, and what most likely moved it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Final

import msgspec

from roadworthy.cost import causes
from roadworthy.cost.causes import Group, Spent
from roadworthy.inference_log.model import ASKED, Filter, StatsRow
from roadworthy.operations.reviewing.sources import LogReader, Sources
from roadworthy.people.review.model import Change, Series, Unit
from roadworthy.people.review.rules import Period
from roadworthy.workflow import words

ANSWERED: Final = ("answered", "recovered", "cached")
"""By the AI."""
NOT_JUDGED: Final = ("abandoned", "limited", "bypassed")
"""Outcomes that say nothing of the AI."""
PAID: Final = "live,tester,load,eval,shadow"
FEWEST: Final = 30
"""Calls under which a share that moved says nothing."""
SURE: Final = 2.58
"""Standard errors between two shares from which on they differ (99 %)."""
MUCH: Final = 0.2
"""Part by which a count, a duration or a sum must differ to be worth a line."""
SAMPLED: Final = 2000


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow's live calls in a period."""

    calls: int = 0
    outcomes: dict[str, int] = {}
    p95: float | None = None
    """Of the calls in which the AI was asked."""
    usd: float | None = None
    """Of all classes that somebody is billed for; ``None``: no cost is known."""
    unpriced: int = 0

    def judged(self) -> int:
        return self.calls - sum(self.outcomes.get(name, 0) for name in NOT_JUDGED)

    def share(self, *names: str) -> float | None:
        """Of the judged calls; ``None``: there was none."""
        judged = self.judged()
        return sum(self.outcomes.get(name, 0) for name in names) / judged if judged else None


def totals(log: LogReader, workflow: str, since: float, until: float) -> Totals:
    where = Filter(workflow=workflow, traffic="live", since=since, until=until)
    live = log.stats("workflow", where).rows
    asked = log.stats("workflow", msgspec.structs.replace(where, route=ASKED)).rows
    paid = log.stats("traffic", Filter(workflow=workflow, traffic=PAID, since=since, until=until)).rows
    known = [row.cost_usd for row in paid if row.cost_usd is not None]
    outcomes: Counter[str] = Counter()
    for row in live:
        outcomes.update(row.outcomes)
    return Totals(
        calls=sum(row.count for row in live), outcomes=dict(outcomes), p95=asked[0].p95 if asked else None,
        usd=sum(known) if known else None, unpriced=sum(row.cost_unknown for row in paid),
    )  # fmt: skip


def daily(sources: Sources, workflow: str, period: Period) -> list[StatsRow]:
    where = Filter(workflow=workflow, traffic="live", since=period.since, until=period.until)
    return list(sources.log.stats("day", where, sources.zone()).rows)


def series(rows: Sequence[StatsRow], name: str, unit: Unit, limit: float | None = None) -> Series:
    """``name``: Calls, 95 % are answered within, Errors or Cost."""
    values: list[float | None] = []
    for row in rows:
        judged = row.count - sum(row.outcomes.get(each, 0) for each in NOT_JUDGED)
        match unit:
            case "seconds":
                values.append(row.p95)
            case "share":
                values.append(row.outcomes.get("error", 0) / judged if judged else None)
            case "usd":
                values.append(row.cost_usd)
            case _:
                values.append(float(row.count))
    return Series(name, unit, [(row.group["day"] or "")[:10] for row in rows], values, limit)


# --- what moved


def share_moved(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """(bad, of how many) before and now: do the two shares differ by more than chance?  Two-proportion z, 99 %."""
    (a, n), (b, m) = one, other
    if n < FEWEST or m < FEWEST:
        return False
    pooled = (a + b) / (n + m)
    error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return error > 0 and abs(b / m - a / n) > SURE * error


def much(before: float | None, now: float | None) -> bool:
    """Is it worth a line?"""
    if before is None or now is None:
        return False
    return abs(now - before) > MUCH * max(abs(before), 1e-12)


def moved(what: str, before: str, now: str, more: bool) -> str:
    return f"{what} {'rose' if more else 'fell'} from {before} to {now}"


# --- why


def failing(log: LogReader, workflow: str, since: float, until: float, calls: int) -> Counter[tuple[str, str]]:
    """(failure, target) → attempts that failed so, of a sample brought to the whole."""
    if not calls:
        return Counter()
    where = Filter(workflow=workflow, traffic="live", since=since, until=until)
    share = min(1.0, SAMPLED / calls)
    found: Counter[tuple[str, str]] = Counter()
    for call in log.sample(where, share):
        for attempt in call.attempts:
            if attempt.failure is not None:
                found[attempt.failure, attempt.target] += 1
    return Counter({key: round(count / share) for key, count in found.items()})


def why_failing(before: Counter[tuple[str, str]], now: Counter[tuple[str, str]]) -> str:
    """What there is most more (or less) of."""
    keys = {*before, *now}
    if not keys:
        return ""
    differences = {key: now[key] - before[key] for key in keys}
    (failure, target), most = max(differences.items(), key=lambda each: (abs(each[1]), each[0]))
    if most == 0:
        return ""
    word = "more" if most > 0 else "fewer"
    return f"about {abs(most):,} {word} attempts at {target} failed: {failure.replace('_', ' ')}"


def why_dearer(sources: Sources, workflow: str, before: Period, now: Period) -> list[Change]:
    """The whole difference in spend, split over its causes (``cost.causes``)."""
    one, other = (_spent(sources.log, workflow, each) for each in (before, now))
    if not one or not other:
        return []
    found = causes.split(one, other, sources.listed)
    if not much(found.before, found.after):
        return []
    told = [f"{causes.signed(each.usd)} {causes.in_words(each)}" for each in found.largest()]
    more = found.after > found.before
    line = moved("The cost", words.dollars(found.before), words.dollars(found.after), more)
    return [Change(line, "; ".join(told))]


def _spent(log: LogReader, workflow: str, period: Period) -> dict[Group, Spent]:
    where = Filter(workflow=workflow, traffic=PAID, since=period.since, until=period.until)
    rows = log.stats("traffic,target", where).rows
    return {
        (row.group["traffic"] or "", row.group["target"] or ""): Spent.of(
            row.count, row.count, row.tokens, row.cost_usd or 0.0
        )
        for row in rows
    }


def events(sources: Sources, workflow: str, period: Period) -> list[tuple[float, str]]:
    """What people and the engine did to it in this time, oldest first: what a change may come from."""
    found = [
        (each.time, f"{_MOVES.get(each.action, each.action)} {(each.after or {}).get('stage', '')}".strip())
        for each in sources.moves(workflow)
        if each.outcome == "done" and each.action in _MOVES and period.since <= each.time < period.until
    ]
    found += [
        (each.at, f"the kill switch went {each.before} → {each.after}, by {each.by}")
        for each in sources.stops()
        if each.workflow in (workflow, "*") and not each.denied and each.before != each.after
        and period.since <= each.at < period.until
    ]  # fmt: skip
    applied = list(sources.applied())
    for newer, older in pairwise(applied):
        one, other = (each.configuration.workflows.get(workflow) for each in (older, newer))
        if period.since <= newer.at < period.until and one != other:
            found.append((newer.at, f"{newer.by} changed its configuration"))
    return sorted(found)


_MOVES: Final = {
    "start": "its ramp began at", "approve": "its ramp went to", "widen": "its ramp went to",
    "roll_back": "it was rolled back to", "step_back": "its ramp went back to", "hold": "its ramp was held at",
    "lower": "evidence lowered its share at", "raise": "evidence raised its share at", "complete": "its ramp ended at",
}  # fmt: skip
