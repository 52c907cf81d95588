"""Instants around now as people type them for on-call: ``now``, ``+4h``, ``tomorrow 09:00``, ``friday 18:00``,
``18:00``, ``2026-11-02 09:00``, ``2026-11-02T09:00:00Z``.

What could be past or to come is to come: ``friday 18:00`` is the next one.  (Questions to the log read the same words
backwards: ``inference_log.when``.)  Pure.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from roadworthy.people.oncall.rules import instant
from roadworthy.workflow.rotation import WEEKDAYS

EXAMPLES: Final = "now, +4h, tomorrow 09:00, friday 18:00, 18:00, 2026-11-02 09:00"
_UNITS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
_SPAN: Final = re.compile(r"(?:\+|in )\s*(\d{1,4})\s*(m|h|d|w)\w*")
_CLOCK: Final = r"(\d{1,2}):(\d{2})"
_DAY: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[t ]" + _CLOCK + r"(?::\d{2})?\s*(z|utc|[+-]\d{2}:?\d{2})?)?")
_NAMED: Final = re.compile(r"(?:(today|tomorrow|yesterday|[a-z]{3,9})\s*)?(?:at\s+)?(?:" + _CLOCK + ")?")


class NoMoment(ValueError):
    """The text is no such instant; the message says what is."""


def moment(text: str, now: float, zone: ZoneInfo) -> float:
    """Unix seconds.  Raises ``NoMoment``."""
    words = " ".join(text.casefold().split())
    if words == "now":
        return now
    if span := _SPAN.fullmatch(words):
        return now + float(span[1]) * _UNITS[span[2]]
    try:
        if dated := _DAY.fullmatch(words):
            return _dated(dated, zone)
        if words and (named := _NAMED.fullmatch(words)):
            return _named(named, now, zone, text)
    except ValueError as error:
        raise _sorry(text) from error
    raise _sorry(text)


def _dated(found: re.Match[str], zone: ZoneInfo) -> float:
    day, minute = date.fromisoformat(found[1]), _minute(found[2], found[3])
    if found[4] is None:
        return instant(day, minute, zone)
    offset = timedelta()
    if found[4] not in ("z", "utc"):
        sign = -1 if found[4][0] == "-" else 1
        digits = found[4][1:].replace(":", "")
        offset = sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minute) - offset).timestamp()


def _named(found: re.Match[str], now: float, zone: ZoneInfo, text: str) -> float:
    today = datetime.fromtimestamp(now, zone).date()
    word, minute = found[1], _minute(found[2], found[3])
    if word in ("today", "tomorrow", "yesterday"):
        return instant(today + timedelta(days={"today": 0, "tomorrow": 1, "yesterday": -1}[word]), minute, zone)
    if word is None:
        same = instant(today, minute, zone)
        return same if same > now else instant(today + timedelta(days=1), minute, zone)
    weekday = next((number for number, name in enumerate(WEEKDAYS) if word in (name, name[:3])), None)
    if weekday is None:
        raise _sorry(text)
    day = today + timedelta(days=(weekday - today.weekday()) % 7)
    same = instant(day, minute, zone)
    return same if same > now else instant(day + timedelta(days=7), minute, zone)


def _minute(hours: str | None, minutes: str | None) -> int:
    """Raises ``ValueError``."""
    if hours is None or minutes is None:
        return 0
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"{hours}:{minutes}")
    return int(hours) * 60 + int(minutes)


def _sorry(text: str) -> NoMoment:
    return NoMoment(f"{text[:60]!r} is no time that is known here; write for example: {EXAMPLES}")
