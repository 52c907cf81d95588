"""iCalendar files (RFC 5545) that say who is on call: read, repetitions unfolded.

Times without a zone are wall-clock times of the rotation's zone, and a day-long event lasts from midnight to midnight
there.  Cancelled events are left out.  Only control reads calendars, so the libraries are imported here and lazily.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

DAY: Final = 86_400.0
CHECKED: Final = 370 * DAY
"""Seconds ahead that a calendar is unfolded when it is checked."""
MOST_EVENTS: Final = 20_000
_TOO_OFTEN: Final = ("SECONDLY", "MINUTELY")


class CalendarUnreadable(ValueError):
    """The message says what is wrong with it."""


class Entry(msgspec.Struct, frozen=True):
    """What a calendar or a schedule says: these people, in their words there, from then until then."""

    start: float
    end: float
    words: tuple[str, ...]
    """Of one person each: a mail address, an id or a name."""
    title: str = ""
    """Of the event, for messages; itself a word when it names somebody."""


def entries(text: str, zone: str, start: float, end: float) -> list[Entry]:
    """Those that touch ``[start, end)``, in their order.  Raises ``CalendarUnreadable``."""
    low, high = start // DAY * DAY, -(-end // DAY) * DAY  # whole days: the same question is asked every second
    return [each for each in _unfolded(text, zone, low, high) if each.start < end and each.end > start]


def check(text: str, zone: str, now: float) -> None:
    """Raises ``CalendarUnreadable`` when it cannot be read, says nothing, or says so much that it must be a mistake."""
    _unfolded(text, zone, now, now + CHECKED)


@lru_cache(maxsize=32)
def _unfolded(text: str, zone: str, start: float, end: float) -> Sequence[Entry]:
    import recurring_ical_events
    from icalendar import Calendar

    try:
        calendar = Calendar.from_ical(text)
        _vet(calendar)
        span = (datetime.fromtimestamp(start - DAY, UTC), datetime.fromtimestamp(end + DAY, UTC))
        events = recurring_ical_events.of(calendar).between(*span)
        found = [entry for event in events for entry in _entry(event, ZoneInfo(zone))]
    except CalendarUnreadable:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        # what the two libraries raise for lines that no standard allows
        raise CalendarUnreadable(f"it cannot be read: {str(error)[:160] or type(error).__name__}") from error
    return tuple(sorted(found, key=lambda each: (each.start, each.end, each.words, each.title)))


def _vet(calendar: Any) -> None:
    events = calendar.walk("VEVENT")
    if not events:
        raise CalendarUnreadable("it has no event")
    if len(events) > MOST_EVENTS:
        raise CalendarUnreadable(f"it has {len(events):,} events; expected at most {MOST_EVENTS:,}")
    for event in events:
        if "DTSTART" not in event:
            raise CalendarUnreadable(f"the event '{event.get('SUMMARY', event.get('UID', '?'))}' has no DTSTART")
        rules = event.get("RRULE") or []
        for rule in rules if isinstance(rules, list) else [rules]:
            often = str((rule.get("FREQ") or [""])[0]).upper() in _TOO_OFTEN
            if often or "BYSECOND" in rule or "BYMINUTE" in rule:
                raise CalendarUnreadable("an event repeats more often than hourly, which no shift does")


def _entry(event: Any, zone: ZoneInfo) -> Iterator[Entry]:
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return
    start, end = _instant(event.start, zone), _instant(event.end, zone)
    if start < end:
        yield Entry(start, end, tuple(_words(event)), str(event.get("SUMMARY", "")).strip())


def _instant(when: date | datetime, zone: ZoneInfo) -> float:
    if not isinstance(when, datetime):
        when = datetime.combine(when, time())
    return (when if when.tzinfo is not None else when.replace(tzinfo=zone)).timestamp()


def _words(event: Any) -> Iterator[str]:
    """Of each attendee who has not declined: the mail address, else the name."""
    attendees = event.get("ATTENDEE") or []
    for each in attendees if isinstance(attendees, list) else [attendees]:
        if str(each.params.get("PARTSTAT", "")).upper() == "DECLINED":
            continue
        address = str(each)
        mail = address[7:] if address.lower().startswith("mailto:") else ""
        word = mail or str(each.params.get("CN", "")) or address
        if word.strip():
            yield word.strip()


def written(events: Sequence[tuple[str, float, float, str, str]], name: str, now: float) -> str:
    """A calendar of ``(uid, start, end, title, mail)``, in UTC, which every calendar program shows in its own zone."""
    from icalendar import Calendar, Event, vCalAddress

    calendar = Calendar()
    calendar.add("prodid", "-//Roadworthy//on call//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", name)
    for uid, start, end, title, mail in events:
        event = Event()
        event.add("uid", uid)
        event.add("dtstamp", datetime.fromtimestamp(int(now), UTC))
        event.add("dtstart", datetime.fromtimestamp(int(start), UTC))
        event.add("dtend", datetime.fromtimestamp(int(end), UTC))
        event.add("summary", title)
        event.add("transp", "TRANSPARENT")  # being on call is not being busy
        if mail:
            event.add("attendee", vCalAddress(f"mailto:{mail}"))
        calendar.add_component(event)
    return str(calendar.to_ical().decode())
