"""Wall-clock arithmetic: units of the calendar, and the instants that clock times stand for when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

Grain = Literal["second", "minute", "hour", "part", "day", "week", "month", "year", "span"]
"""How wide a reading is; ``part`` is a part of a day (morning), ``span`` a window with exact ends."""


def back(now: datetime, count: float, unit: str) -> datetime:
    """``count`` units before ``now``: elapsed time up to hours, wall-clock days and more above."""
    if unit in ("second", "minute", "hour"):
        seconds = count * {"second": 1, "minute": 60, "hour": 3600}[unit]
        return (now.astimezone(UTC) - timedelta(seconds=seconds)).astimezone(now.tzinfo)
    if unit in ("day", "week"):
        return now - timedelta(days=count * (7 if unit == "week" else 1))
    months = now.year * 12 + now.month - 1 - round(count * (12 if unit == "year" else 1))
    year, month = divmod(months, 12)
    last_day = (after(datetime(year, month + 1, 1), "month") - timedelta(days=1)).day
    return now.replace(year=year, month=month + 1, day=min(now.day, last_day))


def floor(moment: datetime, grain: Grain) -> datetime:
    floors = {"second": 0, "minute": 1, "hour": 2, "day": 3, "week": 3, "month": 4, "year": 5}
    level = floors[grain]
    start = moment.replace(microsecond=0)
    if level >= 1:
        start = start.replace(second=0)
    if level >= 2:
        start = start.replace(minute=0)
    if level >= 3:
        start = start.replace(hour=0)
    if grain == "week":
        start -= timedelta(days=start.weekday())
    if level >= 4:
        start = start.replace(day=1)
    return start.replace(month=1) if level >= 5 else start


def after(start: datetime, grain: Grain) -> datetime:
    """The end of the unit that begins at ``start``, in wall-clock arithmetic."""
    if grain == "month":
        return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    if grain == "year":
        return start.replace(year=start.year + 1)
    steps = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}
    return start + timedelta(seconds=steps[grain])


def elapsed(start: datetime, grain: Grain) -> datetime:
    return start.astimezone(UTC) + timedelta(seconds={"second": 1, "minute": 60, "hour": 3600}[grain])


def instant(moment: datetime, zone: tzinfo, exact: bool, *, end: bool = False) -> datetime:
    """The instant of a wall-clock time: of a repeated one the first (as an end: the last); of a missing one
    the moment at which the clocks were moved."""
    if exact:
        return moment
    tick = timedelta(microseconds=1) if end else timedelta()
    aware = (moment - tick).replace(tzinfo=zone, fold=1 if end else 0)
    early, late = aware.replace(fold=0).astimezone(UTC), aware.replace(fold=1).astimezone(UTC)
    if late < early:
        return transition(late, early, zone)
    return aware.astimezone(UTC) + tick


def transition(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """The second in (low, high] at which the zone's offset changes."""
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle <= low:
            break
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
