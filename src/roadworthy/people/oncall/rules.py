"""From a rotation, what calendars say and overrides to who is on call when.  Pure.

A hand-off is a time on the wall.  When the clock skips it in spring it is at the first instant after the skip; when it
comes twice in autumn, at the first of the two.  So a week may have 167 or 169 hours, and no hour has nobody or two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.people.oncall.model import Gap, How, Override, Shift
from roadworthy.workflow.calendars import Entry
from roadworthy.workflow.model import Person
from roadworthy.workflow.rotation import Rotation

DAY: Final = 86_400.0
AHEAD: Final = 14 * DAY
"""Seconds ahead in which there may be no gap (item 8 of readiness)."""
LONGEST_HORIZON: Final = 44 * DAY
"""Seconds ahead that a check looks: two weeks beyond the thirty days that its evidence lives."""
LONGEST: Final = 400 * DAY
"""Of one question."""
LONGEST_OVERRIDE: Final = 92 * DAY

NOBODY: Final[frozenset[str]] = frozenset()


class SpanRefused(ValueError):
    """It ends before it begins, or is longer than anybody needs; the message says which."""


# --- the clock on the wall


def instant(day: date, minute: int, zone: ZoneInfo) -> float:
    """Unix seconds of a time on the wall: of two such instants the first, of none the first one after."""
    local = datetime(day.year, day.month, day.day, minute // 60, minute % 60)
    after, before = (local.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    if datetime.fromtimestamp(after, zone).replace(tzinfo=None) == local:
        return after
    low, high = int(before), int(after)  # the clock was set forward between the two: find when
    offset = _offset(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(middle, zone) == offset else (middle, high)
    return float(high)


def _offset(at: float, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(at, zone).utcoffset()


def handoffs(rotation: Rotation, start: float, end: float) -> Iterator[tuple[float, int]]:
    """(instant, how many came before) of each hand-off in ``[start, end)``, and of the last one before ``start``."""
    zone = ZoneInfo(rotation.zone)
    first = _first_day(rotation)
    began = datetime.fromtimestamp(start, zone).date()
    number = max(0, (began - first).days // 7 - 1)
    found = instant(first + timedelta(weeks=number), rotation.minute, zone)
    while True:
        following = instant(first + timedelta(weeks=number + 1), rotation.minute, zone)
        if following > start:
            break
        found, number = following, number + 1
    while found < end:
        yield found, number
        number += 1
        found = instant(first + timedelta(weeks=number), rotation.minute, zone)


def _first_day(rotation: Rotation) -> date:
    """Of the first hand-off: the last one that is not after the day of the start."""
    day = date.fromisoformat(rotation.start)
    return day - timedelta(days=(day.weekday() - rotation.weekday) % 7)


# --- what a rotation or a calendar says


def turns(rotation: Rotation, start: float, end: float) -> list[Shift]:
    """Who of the members is on call, without gap or overlap from ``start`` to ``end``."""
    marks = list(handoffs(rotation, start, end))
    out = []
    if not marks or marks[0][0] > start:
        why = f"the rotation {rotation.name} begins on {_first_day(rotation).isoformat()}"
        out.append(Shift(start, min(end, marks[0][0]) if marks else end, (), why=why))
    for (at, number), (until, _) in pairwise([*marks, (end, 0)]):
        member = rotation.members[number % len(rotation.members)]
        out.append(Shift(max(at, start), min(until, end), (member,)))
    return out


def told(
    entries: Sequence[Entry], who: Callable[[Entry], tuple[tuple[str, ...], str]], how: How, start: float, end: float,
    *, known: tuple[float, float] | None = None,
) -> list[Shift]:  # fmt: skip
    """What a calendar or a schedule says, without overlap.  ``who``: people of an entry, and why somebody in it is
    nobody; ``known``: the span that was read."""
    spans = [each for each in entries if each.start < end and each.end > start]
    marks = {start, end, *(max(each.start, start) for each in spans), *(min(each.end, end) for each in spans)}
    low_known, high_known = known or (start, end)
    marks |= {at for at in (low_known, high_known) if start < at < end}
    named = [(each, *who(each)) for each in sorted(spans, key=lambda each: (each.start, each.end, each.words))]
    out: list[Shift] = []
    for low, high in pairwise(sorted(marks)):
        here = [(people, why) for each, people, why in named if each.start <= low and each.end >= high]
        people = tuple(dict.fromkeys(person for found, _ in here for person in found))
        nobody = "no entry" if low_known <= low < high_known else "nothing was read of that time"
        why = "" if people else "; ".join(dict.fromkeys(why for _, why in here if why)) or nobody
        out.append(Shift(low, high, people, how, why))
    return _joined(out)


def matched(people: Mapping[str, Person]) -> Callable[[Entry], tuple[tuple[str, ...], str]]:
    """Whom an entry means: by mail address, id or full name, whatever the case; else by its title, which may have other
    words around a full name or a mail address."""
    known: dict[str, str] = {}
    within: dict[str, re.Pattern[str]] = {}
    for person in people.values():
        for word in filter(None, (person.name, person.id, person.email)):
            known[_plain(word)] = person.id
        names = "|".join(re.escape(_plain(word)) for word in (person.name, person.email) if word)
        within[person.id] = re.compile(rf"(?<!\w)(?:{names})(?!\w)")

    def who(entry: Entry) -> tuple[tuple[str, ...], str]:
        found = tuple(dict.fromkeys(known[_plain(word)] for word in entry.words if _plain(word) in known))
        if not found and _plain(entry.title) in known:
            return (known[_plain(entry.title)],), ""
        if not found and not entry.words:  # "On call: Ada Berg"
            title = _plain(entry.title)
            found = tuple(person for person, pattern in within.items() if pattern.search(title))
            if found:
                return found, ""
        strangers = [word for word in entry.words if _plain(word) not in known] or [entry.title]
        names = " and ".join(f"'{each}'" for each in strangers if each)
        return found, f"people.yaml knows nobody called {names or 'anything: the entry names nobody'}"

    return who


def _plain(word: str) -> str:
    return " ".join(word.casefold().removeprefix("mailto:").split())


# --- overrides, and people who have left


def laid_over(shifts: Sequence[Shift], overrides: Sequence[Override], gone: Collection[str]) -> list[Shift]:
    """``shifts`` with the overrides on top; whoever has left is on no shift."""
    live = sorted(
        (each for each in overrides if each.person not in gone and each.holds_until > each.start),
        key=lambda each: (each.made_at, each.id),
    )
    out: list[Shift] = []
    for shift in shifts:
        ends = {shift.start, shift.end}
        ends |= {at for each in live for at in (each.start, each.holds_until) if shift.start < at < shift.end}
        for low, high in pairwise(sorted(ends)):
            over = next((each for each in reversed(live) if each.start <= low and each.holds_until >= high), None)
            if over is not None:
                out.append(Shift(low, high, (over.person,), "override", over.why, over.id))
            else:
                out.append(_without(msgspec.structs.replace(shift, start=low, end=high), gone))
    return _joined(out)


def _without(shift: Shift, gone: Collection[str]) -> Shift:
    left = [person for person in shift.people if person in gone]
    if not left:
        return shift
    staying = tuple(person for person in shift.people if person not in gone)
    why = shift.why if staying else f"{' and '.join(left)} has left"
    return msgspec.structs.replace(shift, people=staying, why=why)


def _joined(shifts: Sequence[Shift]) -> list[Shift]:
    """Neighbours that one override or one reason explains become one; turns of a rotation stay apart."""
    out: list[Shift] = []
    for each in shifts:
        last = out[-1] if out else None
        same = last is not None and (last.people, last.how, last.why, last.override) == (
            each.people, each.how, each.why, each.override,
        )  # fmt: skip
        if last is not None and same and last.end == each.start and (each.how != "rotation" or not each.people):
            out[-1] = msgspec.structs.replace(last, end=each.end)
        else:
            out.append(each)
    return out


# --- questions


def shifts(
    rotation: Rotation, overrides: Sequence[Override], start: float, end: float, gone: Collection[str] = NOBODY
) -> list[Shift]:
    """Who is on call from ``start`` to ``end`` by a rotation of members: every instant in exactly one shift, those
    without anybody included."""
    check_span(start, end)
    return laid_over(turns(rotation, start, end), overrides, gone)


def on_call_at(rotation: Rotation, overrides: Sequence[Override], at: float, gone: Collection[str] = NOBODY) -> Shift:
    """The shift at an instant, cut to a second."""
    return shifts(rotation, overrides, at, at + 1.0, gone)[0]


def gaps(found: Sequence[Shift]) -> list[Gap]:
    """The spans without anybody; those that touch for the same reason are one."""
    out: list[Gap] = []
    for each in found:
        if each.people:
            continue
        if out and out[-1].end == each.start and out[-1].reason == each.why:
            out[-1] = Gap(out[-1].start, each.end, each.why)
        else:
            out.append(Gap(each.start, each.end, each.why))
    return out


def check_span(start: float, end: float) -> None:
    """Raises ``SpanRefused``."""
    if not start < end:
        raise SpanRefused(f"it ends at {_shown(end)}, not after it begins at {_shown(start)}")
    if end - start > LONGEST:
        raise SpanRefused(f"{(end - start) / DAY:,.0f} days; expected at most {LONGEST / DAY:.0f}")


def _shown(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
