"""Budgets in calendar days and months of one time zone, in whole nanodollars.

Rule: what is reserved and settled must add up to nothing, whatever the order, so amounts are integers: a billionth of
a dollar, 9.2 billion dollars at most.  An amount is rounded up once, where it is made.

A *scope* is what a budget is about: a team, a workflow, a key on a workflow, a user of a workflow, a tester's key.
What is spent is booked in the period in which the call was admitted, and every period has a budget of its own.  So a
clock that jumps only books elsewhere: going back a day goes on with what that day has spent already.
"""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

PeriodKind = Literal["day", "month"]
ScopeKind = Literal["team", "workflow", "key", "user", "tester"]

NANO = 1_000_000_000
"""Nanodollars of a dollar."""
MOST_DOLLARS = 1e9

_KIND: dict[PeriodKind, int] = {"day": 0, "month": 1}
_KINDS = 4
RATE = 3
"""Stamp of what has no period: a limit per minute."""


def nano(dollars: float) -> int:
    """Whole nanodollars, rounded up; what is negative, no number or beyond ``MOST_DOLLARS`` is nothing."""
    return math.ceil(dollars * NANO) if 0.0 < dollars < MOST_DOLLARS else 0


class Period(msgspec.Struct, frozen=True, gc=False):
    """One calendar day or month."""

    kind: PeriodKind
    number: int
    """Proleptic ordinal of the day, or 12 × year + month: rises by one with each period."""
    begin: float
    """Unix seconds, inclusive."""
    end: float
    """Unix seconds, exclusive."""

    @property
    def stamp(self) -> int:
        """The period as one number, never 0: later ones of a kind are larger."""
        return self.number * _KINDS + _KIND[self.kind]


def period_at(kind: PeriodKind, now: float, zone: ZoneInfo) -> Period:
    """The period that holds ``now``.  A day of a clock change has 23 or 25 hours."""
    today = datetime.fromtimestamp(now, zone).date()
    if kind == "day":
        return Period(kind, today.toordinal(), _midnight(today, zone), _midnight(today + timedelta(days=1), zone))
    first = today.replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return Period(kind, 12 * first.year + first.month, _midnight(first, zone), _midnight(following, zone))


def _midnight(day: date, zone: ZoneInfo) -> float:
    """When ``day`` begins: where its midnight does not exist (clocks go forward at 0:00) or exists twice, its first
    instant."""
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    begin = local.timestamp()
    while datetime.fromtimestamp(begin, zone).date() < day:  # a gap: what Python takes for it is the day before
        begin += 1800.0
    return begin


class Calendar:
    """The periods of now, looked up only when one ends (or the clock jumps)."""

    __slots__ = ("_day", "_month", "zone")

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._day = self._month = Period("day", 0, 0.0, 0.0)

    def day(self, now: float) -> Period:
        if not self._day.begin <= now < self._day.end:
            self._day = period_at("day", now, self.zone)
        return self._day

    def month(self, now: float) -> Period:
        if not self._month.begin <= now < self._month.end:
            self._month = period_at("month", now, self.zone)
        return self._month

    def at(self, kind: PeriodKind, now: float) -> Period:
        return self.day(now) if kind == "day" else self.month(now)


_FARTHEST = 14 * 3600.0
"""Seconds that the clocks of any zone are ahead of UTC at most."""
_UNIX_DAY = date(1970, 1, 1).toordinal()


def begin_before(stamp: int) -> float:
    """An instant at which, or before which, the period began in whatever zone; of what has no period, ``inf``.

    The same at every worker, whoever it is told the zone by: that is what the split of budgets needs.
    """
    number, kind = divmod(stamp, _KINDS)
    if kind == RATE:
        return math.inf
    if kind == _KIND["month"]:
        year, month = divmod(number - 1, 12)
        number = date(year, month + 1, 1).toordinal()
    return (number - _UNIX_DAY) * 86_400.0 - _FARTHEST


def kind_of(stamp: int) -> int:
    """What a stamp is of: ``RATE``, or a kind of period."""
    return stamp % _KINDS


def stale(stamp: int, now: int) -> bool:
    """May what was booked under ``stamp`` be forgotten, the period now being ``now`` (of any kind)?

    Not yesterday's: a call that began then settles there, and a clock may go back.  Stamps of different kinds tell
    nothing of one another.
    """
    return stamp % _KINDS == now % _KINDS != RATE and stamp < now - _KINDS
