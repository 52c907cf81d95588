"""The weeks of a rotation as a calendar shows them: days from Monday to Sunday, each with whoever is on call in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.people.oncall.model import Shift
from roadworthy.people.oncall.rules import instant
from roadworthy.workflow.model import Person

COLOURS = 6
"""Kinds of marks by which people are told apart; words say who it is as well."""


class Part(msgspec.Struct, frozen=True):
    """Somebody within a day, or nobody."""

    start: float
    people: tuple[str, ...]
    names: str
    why: str
    how: str
    begins: bool
    """Does it begin within the day?  Then its time is shown."""
    mark: int
    """1 to ``COLOURS``; 0: nobody."""


class RotaDay(msgspec.Struct, frozen=True):
    start: float
    today: bool
    past: bool
    parts: list[Part]


class RotaWeek(msgspec.Struct, frozen=True):
    start: float
    days: list[RotaDay]


def first_day(now: float, zone: ZoneInfo) -> float:
    """The Monday of the week that runs, at midnight."""
    today = datetime.fromtimestamp(now, zone).date()
    return instant(today - timedelta(days=today.weekday()), 0, zone)


def weeks(
    shifts: Sequence[Shift], people: Mapping[str, Person], now: float, zone: ZoneInfo, number: int
) -> list[RotaWeek]:
    """``shifts`` cover ``number`` weeks from ``first_day`` on."""
    monday = datetime.fromtimestamp(first_day(now, zone), zone).date()
    marks: dict[str, int] = {}
    for shift in shifts:
        for person in shift.people[:1]:
            marks.setdefault(person, len(marks) % COLOURS + 1)
    return [
        RotaWeek(
            instant(monday + timedelta(weeks=week), 0, zone),
            [_day(shifts, people, marks, monday + timedelta(weeks=week, days=day), now, zone) for day in range(7)],
        )
        for week in range(number)
    ]


def _day(
    shifts: Sequence[Shift], people: Mapping[str, Person], marks: Mapping[str, int], day: date, now: float,
    zone: ZoneInfo,
) -> RotaDay:  # fmt: skip
    start, end = instant(day, 0, zone), instant(day + timedelta(days=1), 0, zone)
    parts = [
        Part(
            max(shift.start, start), shift.people, named(shift.people, people), shift.why, shift.how,
            shift.start > start, marks.get(shift.person, 0),
        )
        for shift in shifts if shift.start < end and shift.end > start
    ]  # fmt: skip
    return RotaDay(start, start <= now < end, end <= now, parts)


def named(ids: Sequence[str], people: Mapping[str, Person]) -> str:
    return " and ".join(people[each].name if each in people else each for each in ids)
