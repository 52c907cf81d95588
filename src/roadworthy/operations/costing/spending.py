"""What was spent in some time, and in the same time before it, as ``cost.causes`` wants it: read from the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from roadworthy.cost.budgets import period_at
from roadworthy.cost.causes import Group, Spent
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.service import Log

DAYS = 7
"""Earlier days that a day is compared with."""
PAID = "live,tester,load,eval,shadow"
"""Classes of traffic that somebody is billed for: drills are priced as live calls are, but reach no provider."""
SAMPLED = 1000
"""Calls of a window of which attempts are counted, about."""

Spends = dict[Group, Spent]
Window = tuple[float, float]


class Usual(msgspec.Struct, frozen=True):
    """What came before, brought to the length of one window."""

    spent: Spends
    words: str
    """What it is: "the same hours of the last 7 days"; empty: there is nothing to compare with."""


def spent(log: Log, where: Filter, window: Window) -> Spends:
    """By class of traffic and target that answered.  Of attempts a sample is counted."""
    since, until = window
    narrowed = replace(where, traffic=PAID, since=since, until=until)
    rows = log.stats("traffic,target", narrowed).rows
    calls = sum(row.count for row in rows)
    if not calls:
        return {}
    tried: dict[Group, tuple[int, int]] = {}
    for call in log.sample(narrowed, min(1.0, SAMPLED / calls)):
        of_call: Group = call.traffic, call.target or ""
        seen, attempts = tried.get(of_call, (0, 0))
        tried[of_call] = seen + 1, attempts + len(call.attempts)
    found: Spends = {}
    for row in rows:
        group = row.group["traffic"] or "", row.group["target"] or ""
        seen, attempts = tried.get(group, (0, 0))
        ratio = attempts / seen if seen else 1.0
        found[group] = Spent.of(row.count, row.count * ratio, row.tokens, row.cost_usd or 0.0)
    return found


def mean(log: Log, where: Filter, windows: Sequence[Window]) -> tuple[Spends, int]:
    """The mean of the windows that had calls, and how many these are."""
    total: Spends = {}
    count = 0
    for window in windows:
        found = spent(log, where, window)
        count += bool(found)
        for group, each in found.items():
            total[group] = total[group] + each if group in total else each
    return {group: each.scaled(1.0 / count) for group, each in total.items()}, count


def usual(log: Log, where: Filter, period: str, begin: float, now: float, zone: ZoneInfo) -> Usual:
    """The same part of earlier periods: of the last seven days for a day or an hour, of last month for a month."""
    if period == "month":
        before = period_at("month", begin - 1.0, zone)
        found, count = mean(log, where, [(before.begin, min(before.begin + (now - begin), before.end))])
        return Usual(found, "the same days of last month" if count else "")
    local_begin, local_now = (datetime.fromtimestamp(at, zone) for at in (begin, now))
    windows = [(_earlier(local_begin, days), _earlier(local_now, days)) for days in range(1, DAYS + 1)]
    found, count = mean(log, where, windows)
    if not count:
        return Usual({}, "")
    return Usual(found, "the same hours of yesterday" if count == 1 else f"the same hours of {count} earlier days")


def _earlier(local: datetime, days: int) -> float:
    """The same time on the clock of an earlier day."""
    day: date = local.date() - timedelta(days=days)
    return datetime.combine(day, local.timetz().replace(tzinfo=None), tzinfo=local.tzinfo).timestamp()
