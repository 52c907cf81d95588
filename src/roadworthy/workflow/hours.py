"""Working hours as a person writes them: ``Mon-Fri 09:00-17:00``, ``Mon-Thu 09:00-17:00, Fri 09:00-15:00``.

In wall-clock time of the person's zone, so that nine in the morning stays nine across a change of the clocks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from roadworthy.workflow.fields import At
from roadworthy.workflow.problems import show
from roadworthy.workflow.source import Value

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY: Final = "(?:" + "|".join(DAYS) + ")"
_TIME: Final = r"(?:[01]\d|2[0-3]):[0-5]\d"
_SPAN: Final = rf"({_DAY})(?:-({_DAY}))? ({_TIME})-({_TIME}|24:00)"
PATTERN: Final = rf"^{_SPAN}(, ?{_SPAN})*$"


@dataclass(frozen=True)
class Span:
    days: frozenset[int]
    """0 is Monday."""
    start: int
    """Minutes after midnight."""
    end: int


def parse(text: str) -> list[Span] | None:
    """``None``: these are no working hours."""
    spans = []
    for part in re.split(r", ?", text):
        found = re.fullmatch(_SPAN, part)
        if found is None:
            return None
        first, last = DAYS.index(found[1]), DAYS.index(found[2] or found[1])
        days = frozenset((first + step) % 7 for step in range((last - first) % 7 + 1))
        start, end = _minutes(found[3]), _minutes(found[4])
        if end <= start:
            return None
        spans.append(Span(days, start, end))
    return spans


def within(spans: Sequence[Span], now: float, zone: ZoneInfo) -> bool:
    """Is this instant (Unix seconds) in working hours?  Without any hours, always."""
    local = datetime.fromtimestamp(now, zone)
    minute = local.hour * 60 + local.minute
    return not spans or any(local.weekday() in span.days and span.start <= minute < span.end for span in spans)


def next_start(spans: Sequence[Span], now: float, zone: ZoneInfo) -> float:
    """The next instant of working hours: now, when it is in them."""
    if within(spans, now, zone):
        return now
    local = datetime.fromtimestamp(now, zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    instants: list[float] = []
    for ahead in range(16):  # a span may fall into an hour that a change of the clocks leaves out
        day = midnight + timedelta(days=ahead)
        for span in spans:
            if day.weekday() in span.days:
                begins = _begins(day.replace(hour=span.start // 60, minute=span.start % 60))
                instants += [begin for begin in begins if begin > now and within([span], begin, zone)]
    return min(instants)


def _begins(wall: datetime) -> list[float]:
    """Instants at which a wall clock shows this or, where it never does, the minutes in which it jumps past it."""
    first, second = wall.replace(fold=0).timestamp(), wall.replace(fold=1).timestamp()
    if first <= second:  # once, or twice
        return [first, second]
    return [second + 60.0 * minute for minute in range(int(first - second) // 60 + 1)]


def _minutes(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


@dataclass(frozen=True)
class Hours:
    """The kind of a configuration field."""

    says: str = "working hours"

    def read(self, value: Value, at: At) -> Any:
        if not isinstance(value.data, str) or parse(value.data) is None:
            return at.problem(
                value.line,
                show(value.data),
                self.says,
                "write for example Mon-Fri 09:00-17:00; the end is after the start",
            )
        return value.data

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": PATTERN}
