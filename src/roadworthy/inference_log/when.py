"""The time grammar of the command line: what a person types → the window of time that is meant.

``parse("tuesday 2pm", now=…, zone=…)`` gives the hour from 14:00 to 15:00 of the last Tuesday.  The rules:

* an instant means its natural window: a day, an hour (``2pm``, ``14:00``), a minute (``14:05``), a second;
* ``last 3 hours`` and ``3h`` run up to now; ``3h ago`` is the hour that holds that moment;
* ``A..B`` (also ``A to B``, ``14:00-15:00``) runs from the start of A to the end of B, where B is the first
  such time after A; a clock time at the end of a range is an instant, a day is the whole day;
* it is always the past: the latest such window that has begun; what has not happened yet is cut off at now;
* wall-clock hours that happen twice are both meant; hours that do not exist give the hour after them.

Pure: ``now`` and the zone are arguments.  Words for dates beyond these ("17 november", "nov 2026") are read
by dateparser, to which the granularity rule above is added.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from roadworthy.inference_log import wallclock
from roadworthy.inference_log.wallclock import Grain

EXAMPLES = (
    "tuesday 2pm",
    "yesterday",
    "last hour",
    "3h ago",
    "14:00-15:00",
    "monday..wednesday",
    "2026-11-17 14:00",
    "2026-11-17T14:00:00+01:00",
)

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PARTS = {"night": (0, 6), "morning": (6, 12), "afternoon": (12, 18), "evening": (18, 24)}
_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "second"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "minute"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "hour"),
    **dict.fromkeys(("d", "day", "days"), "day"),
    **dict.fromkeys(("w", "week", "weeks"), "week"),
    **dict.fromkeys(("month", "months"), "month"),
    **dict.fromkeys(("y", "year", "years"), "year"),
}
_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10, "twelve": 12}
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_COUNT = r"\d+(?:\.\d+)?|" + "|".join(_NUMBERS)
_CLOCK = (
    r"(?P<noon>noon|midnight)|(?P<h12>\d{1,2})(?::(?P<m12>\d{2}))?(?::(?P<s12>\d{2}))?\s*(?P<half>am|pm)"
    r"|(?P<h24>\d{1,2}):(?P<m24>\d{2})(?::(?P<s24>\d{2})(?:\.\d+)?)?"
)

_AGO = re.compile(rf"({_COUNT})\s*({_UNIT})\s+ago")
_ROLLING = re.compile(rf"(?:(?:the\s+)?(?:last|past)\s+)?({_COUNT})?\s*({_UNIT})")
_CALENDAR = re.compile(r"(this|last)\s+(week|month|year|night)")
_ISO = re.compile(
    r"(\d{4})-(\d{2})(?:-(\d{2})(?:[t ](\d{2})(?::?(\d{2})(?::?(\d{2}(?:[.,]\d+)?))?)?)?)?\s*(z|utc|[+-]\d{2}:?\d{2})?"
)
_UNIX = re.compile(r"\d{10}(?:\d{3})?")
_CLOCK_RE = re.compile(rf"(?<![\w:.])(?:at\s+)?(?:{_CLOCK})(?![\w:])")
_CLOCK_RANGE = re.compile(
    r"(?<![\w:.-])(CLOCK)\s*[-–—]\s*(CLOCK)(?![\w:-])".replace("CLOCK", r"\d{1,2}(?::\d{2}){0,2}\s*(?:am|pm)?")
)
_RANGE = re.compile(r"\s*(?:\.\.+|…|\s(?:to|until|till|through|[-–—])\s)\s*")


class Unreadable(ValueError):
    """The text is not a time this grammar knows; the message lists what is."""


@dataclasses.dataclass(frozen=True)
class Window:
    """A window of time, ``since <= t < until``."""

    since: float
    """Unix seconds."""
    until: float
    """Unix seconds, exclusive."""
    reading: str
    """How the text was understood, for a person: ``Tue 17 Nov 2026 14:00–15:00 Europe/Berlin``."""


@dataclasses.dataclass(frozen=True)
class _Span:
    """A reading in wall-clock time of ``zone``: naive ends, or exact instants when ``exact``."""

    start: datetime
    end: datetime
    grain: Grain
    zone: tzinfo
    exact: bool = False
    """The ends are aware instants, no wall-clock rule applies."""
    clock_only: bool = False
    """No date was said: the same clock of another day may be meant."""
    weekday_only: bool = False


def parse(text: str, *, now: datetime, zone: tzinfo) -> Window:
    """The window that ``text`` means.

    ``now`` is an aware datetime; ``zone`` the zone in which clock times without an offset are read.
    Raises ``Unreadable`` with examples for anything that is no time, or a time that has not come yet.
    """
    if now.tzinfo is None:
        raise ValueError("now must be an aware datetime")
    words = _normalise(text)
    words, zone = _split_zone(words, zone)
    local = now.astimezone(zone)
    if not words:
        raise Unreadable(_sorry(text))
    try:
        span = _range(words, local, zone) or _single(words, local, zone)
    except Unreadable:
        raise
    except (OverflowError, ValueError) as error:
        raise Unreadable(_sorry(text)) from error
    if span is None:
        raise Unreadable(_sorry(text))
    return _window(text, span, now)


def zone_named(name: str) -> ZoneInfo:
    """The IANA time zone; raises ``Unreadable`` for a name that does not exist."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Unreadable(
            f"{name!r} is not a time zone. Give an IANA name such as Europe/Berlin, America/New_York or UTC."
        ) from error


def _sorry(text: str) -> str:
    shown = text if len(text) <= 60 else text[:60] + "…"
    return f"{shown!r} is not a time I can read. Write it like one of these: " + ", ".join(f'"{e}"' for e in EXAMPLES)


def _normalise(text: str) -> str:
    words = re.sub(r"\s+", " ", text.strip().lower())
    words = re.sub(r"\b(a|p)\.m\.", r"\1m", words)
    words = re.sub(r"^between (.+) and (.+)$", r"\1..\2", words)
    words = re.sub(r"^from (.+?) (?:to|until) (.+)$", r"\1..\2", words)
    words = re.sub(r"^since (.+)$", r"\1..now", words)
    return words.replace(",", " ").strip() if not _ISO.fullmatch(words) else words


def _split_zone(words: str, zone: tzinfo) -> tuple[str, tzinfo]:
    """A zone named at the end ("2pm utc", "2pm europe/london") overrides the one given."""
    head, _, tail = words.rpartition(" ")
    if not head or _ISO.fullmatch(words):
        return words, zone
    if tail in ("utc", "gmt", "z"):
        return head, UTC
    if "/" in tail and tail[0].isalpha():
        try:
            return head, ZoneInfo("/".join("_".join(w.capitalize() for w in p.split("_")) for p in tail.split("/")))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return words, zone
    return words, zone


# --- ranges -----------------------------------------------------------------------------------------------


def _range(words: str, now: datetime, zone: tzinfo) -> _Span | None:
    clock = _CLOCK_RANGE.search(words)
    if clock is not None and not re.search(r"\d{4}-\d{2}", clock.group(0)) and _is_clock_pair(clock):
        left, right = clock.group(1).strip(), clock.group(2).strip()
        half = re.search(r"am|pm", right)
        if not re.search(r"am|pm|:", left) and half:
            left += half.group(0)
        day = (words[: clock.start()] + " " + words[clock.end() :]).strip()
        return _join(f"{day} {left}".strip(), right, now, zone)
    parts = _RANGE.split(words)
    if len(parts) != 2 or not parts[0]:
        return None
    return _join(parts[0], parts[1] or "now", now, zone)


def _is_clock_pair(match: re.Match[str]) -> bool:
    """``2-3`` alone could be anything; a colon or am/pm makes it a clock."""
    return re.search(r"[:m]", match.group(2)) is not None


def _join(left: str, right: str, now: datetime, zone: tzinfo) -> _Span | None:
    first = _single(left, now, zone)
    if first is None:
        return None
    if right == "now":
        return _exact(wallclock.instant(first.start, first.zone, first.exact), now, zone)
    second = _single(right, now, zone)
    if second is None:
        return None
    if second.clock_only and not first.exact:
        day = first.start.replace(hour=0, minute=0, second=0)
        second = _moved(second, day)
        if second.start <= first.start:
            second = _moved(second, day + timedelta(days=1))
    elif second.weekday_only and not first.exact:
        while second.start < first.start:
            second = _shifted(second, timedelta(days=7))
    end = second.start if second.grain in ("second", "minute", "hour") else second.end
    if first.exact or second.exact:
        begin = wallclock.instant(first.start, first.zone, first.exact)
        span = _exact(begin, wallclock.instant(end, second.zone, second.exact, end=True), zone)
    else:
        span = _Span(first.start, end, _common(first.grain, second.grain), zone)
    if span.end <= span.start:
        raise Unreadable(f'The range "{left}..{right}" ends before it starts. Write the earlier time first.')
    return span


def _common(a: Grain, b: Grain) -> Grain:
    return "day" if a in ("day", "week", "month", "year") and b in ("day", "week", "month", "year") else "span"


def _shifted(span: _Span, by: timedelta) -> _Span:
    return dataclasses.replace(span, start=span.start + by, end=span.end + by)


def _moved(span: _Span, day: datetime) -> _Span:
    clock = span.start - span.start.replace(hour=0, minute=0, second=0)
    return dataclasses.replace(span, start=day + clock, end=day + clock + (span.end - span.start))


# --- one time ---------------------------------------------------------------------------------------------


def _single(words: str, now: datetime, zone: tzinfo) -> _Span | None:
    readers: tuple[Callable[[str, datetime, tzinfo], _Span | None], ...] = (
        _unix,
        _iso,
        _ago,
        _rolling,
        _calendar,
        _day_and_clock,
    )
    for reader in readers:
        span = reader(words, now, zone)
        if span is not None:
            return span
    return None


def _unix(words: str, now: datetime, zone: tzinfo) -> _Span | None:
    if not _UNIX.fullmatch(words):
        return None
    seconds = int(words) / (1000 if len(words) == 13 else 1)
    start = datetime.fromtimestamp(int(seconds), UTC)
    return dataclasses.replace(_exact(start, start + timedelta(seconds=1), zone), grain="second")


def _iso(words: str, now: datetime, zone: tzinfo) -> _Span | None:
    match = _ISO.fullmatch(words)
    if match is None:
        return None
    year, month, day, hour, minute, second, offset = match.groups()
    start = datetime(int(year), int(month), int(day or 1), int(hour or 0), int(minute or 0), int((second or "0")[:2]))
    if day is None:
        grain: Grain = "month"
    elif hour is None:
        grain = "day"
    else:
        grain = _clock_grain(minute, second)
    if offset is None:
        return _Span(start, wallclock.after(start, grain), grain, zone)
    aware = start.replace(tzinfo=_offset(offset))
    return dataclasses.replace(_exact(aware, wallclock.after(aware, grain), zone), grain=grain)


def _offset(text: str) -> tzinfo:
    if text in ("z", "utc"):
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=minutes if text[0] == "+" else -minutes))


def _ago(words: str, now: datetime, zone: tzinfo) -> _Span | None:
    match = _AGO.fullmatch(words)
    if match is None:
        return None
    unit = _UNITS[match.group(2)]
    moment = wallclock.back(now, _count(match.group(1)), unit)
    grain: Grain = unit  # type: ignore[assignment]
    if grain in ("second", "minute", "hour"):  # real elapsed time, then the clock unit that holds it
        start = wallclock.floor(moment, grain)
        return dataclasses.replace(_exact(start, wallclock.elapsed(start, grain), zone), grain=grain)
    grain = "day"
    start = wallclock.floor(moment.replace(tzinfo=None), grain)
    return _Span(start, wallclock.after(start, grain), grain, zone)


def _rolling(words: str, now: datetime, zone: tzinfo) -> _Span | None:
    match = _ROLLING.fullmatch(words)
    if match is None:
        return None
    count, unit = match.groups()
    if count is None and not re.match(r"(the )?(last|past) ", words):
        return None
    if count is None and _UNITS[unit] in ("week", "month", "year"):
        return None
    return _exact(wallclock.back(now, _count(count or "1"), _UNITS[unit]), now, zone)


def _calendar(words: str, now: datetime, zone: tzinfo) -> _Span | None:
    match = _CALENDAR.fullmatch(words)
    if match is None:
        return None
    which, unit = match.groups()
    today = wallclock.floor(now.replace(tzinfo=None), "day")
    if unit == "night":
        return _Span(today - timedelta(hours=6), today + timedelta(hours=6), "span", zone)
    grain: Grain = unit  # type: ignore[assignment]
    start = wallclock.floor(today, grain)
    if which == "last":
        start = wallclock.floor(start - timedelta(days=1), grain)
    return _Span(start, wallclock.after(start, grain), grain, zone)


def _day_and_clock(words: str, now: datetime, zone: tzinfo) -> _Span | None:
    """A day in words, a clock or a part of the day, in any order, either of them missing."""
    wall = now.replace(tzinfo=None)
    rest, clock = _take_clock(words)
    part = None
    if clock is None:
        rest, part = _take_part(rest)
    rest = re.sub(r"\b(on|at|the)\b", " ", rest).strip()
    if rest == "now":
        start = wallclock.floor(now, "hour")
        return dataclasses.replace(_exact(start, wallclock.elapsed(start, "hour"), zone), grain="hour")
    if rest in ("", "this"):
        return _latest_clock(clock, part, wall, zone)
    found = _day(re.sub(r"\s+", " ", rest), wall, zone)
    if found is None:
        return None
    if clock is not None:
        if found.grain != "day":
            return None
        start = datetime.combine(found.start.date(), clock[0])
        found = dataclasses.replace(found, start=start, end=wallclock.after(start, clock[1]), grain=clock[1])
    elif part is not None:
        if found.grain != "day":
            return None
        begin, end = _PARTS[part]
        found = dataclasses.replace(
            found, start=found.start + timedelta(hours=begin), end=found.start + timedelta(hours=end), grain="part"
        )
    if found.weekday_only and found.start >= wall:
        found = _shifted(found, -timedelta(days=7))
    return found


def _take_clock(words: str) -> tuple[str, tuple[time, Grain] | None]:
    match = _CLOCK_RE.search(words)
    if match is None:
        return words, None
    groups = match.groupdict()
    if groups["noon"]:
        clock, grain = time(12 if groups["noon"] == "noon" else 0), "hour"
    elif groups["half"]:
        hour = int(groups["h12"])
        if not 1 <= hour <= 12:
            raise ValueError("hour")
        clock = time(
            hour % 12 + (12 if groups["half"] == "pm" else 0), int(groups["m12"] or 0), int(groups["s12"] or 0)
        )
        grain = _clock_grain(groups["m12"], groups["s12"])
    else:
        clock = time(int(groups["h24"]), int(groups["m24"]), int(groups["s24"] or 0))
        grain = _clock_grain(groups["m24"], groups["s24"])
    return (words[: match.start()] + " " + words[match.end() :]).strip(), (clock, grain)  # type: ignore[return-value]


def _take_part(words: str) -> tuple[str, str | None]:
    match = re.search(r"\b(morning|afternoon|evening|night)\b", words)
    if match is None:
        return words, None
    rest = (words[: match.start()] + words[match.end() :]).strip()
    return re.sub(r"\bin the\b|\bin\b", "", rest).strip(), match.group(1)


def _latest_clock(clock: tuple[time, Grain] | None, part: str | None, wall: datetime, zone: tzinfo) -> _Span | None:
    today = wall.date()
    if clock is not None:
        start = datetime.combine(today, clock[0])
        span = _Span(start, wallclock.after(start, clock[1]), clock[1], zone, clock_only=True)
    elif part is not None:
        begin, end = _PARTS[part]
        midnight = datetime.combine(today, time())
        span = _Span(midnight + timedelta(hours=begin), midnight + timedelta(hours=end), "part", zone)
    else:
        return None
    return span if span.start < wall else _shifted(span, -timedelta(days=1))


def _day(words: str, wall: datetime, zone: tzinfo) -> _Span | None:
    today = wallclock.floor(wall, "day")
    if words in ("today", "yesterday"):
        start = today if words == "today" else today - timedelta(days=1)
        return _Span(start, start + timedelta(days=1), "day", zone)
    weekday = re.fullmatch(r"(last |this |past )?([a-z]{3,9})", words)
    index = _weekday(weekday.group(2)) if weekday else None
    if weekday is not None and index is not None:
        back = (today.weekday() - index) % 7
        if weekday.group(1) == "last " and back == 0:
            back = 7
        start = today - timedelta(days=back)
        return _Span(start, start + timedelta(days=1), "day", zone, weekday_only=True)
    return _words(words, wall, zone)


def _weekday(word: str) -> int | None:
    word = word.rstrip(".")
    names = [i for i, name in enumerate(_DAYS) if name == word or (3 <= len(word) <= 5 and name.startswith(word))]
    return names[0] if len(names) == 1 else None


def _words(words: str, wall: datetime, zone: tzinfo) -> _Span | None:
    """Dates in other words, by dateparser; its ``period`` is the grain."""
    from dateparser.date import DateDataParser

    if len(words) > 60 or re.fullmatch(r"\W.*|\d{1,3}|in .*", words):
        return None
    settings = {"PREFER_DATES_FROM": "past", "RELATIVE_BASE": wall, "RETURN_AS_TIMEZONE_AWARE": False}
    found = DateDataParser(languages=["en"], settings=settings).get_date_data(words)
    if found.date_obj is None or found.period not in ("day", "week", "month", "year"):
        return None
    grain: Grain = found.period
    start = wallclock.floor(found.date_obj.replace(tzinfo=None), grain)
    return _Span(start, wallclock.after(start, grain), grain, zone)


def _clock_grain(minute: str | None, second: str | None) -> Grain:
    """A full hour means the hour, a minute the minute, a second the second."""
    if second is not None and second != "00":
        return "second"
    return "minute" if minute is not None and int(minute) else "hour"


def _count(text: str) -> float:
    return float(_NUMBERS[text]) if text in _NUMBERS else float(text)


def _exact(start: datetime, end: datetime, zone: tzinfo) -> _Span:
    return _Span(start.astimezone(UTC), end.astimezone(UTC), "span", zone, exact=True)


# --- the result ------------------------------------------------------------------------------------------


def _window(text: str, span: _Span, now: datetime) -> Window:
    start = wallclock.instant(span.start, span.zone, span.exact)
    end = wallclock.instant(span.end, span.zone, span.exact, end=True)
    note = ""
    if not span.exact:
        length = span.end - span.start
        if end <= start:  # the whole window was skipped by the clocks
            end = start + length
            note = "the clocks went forward: that time does not exist, read as the time after it"
        elif end - start > length and length < timedelta(days=1):
            note = "the clocks went back: that time happened twice, both are meant"
    now = now.astimezone(UTC)
    if start > now:
        raise Unreadable(
            f"{text!r} is in the future ({_reading(start, end, span, '')}); only the past can be looked up."
        )
    cut = end > now
    reading = _reading(start, min(end, now), span, note, open_end=cut or end == now)
    return Window(start.timestamp(), min(end, now).timestamp(), reading)


def _reading(start: datetime, end: datetime, span: _Span, note: str, *, open_end: bool = False) -> str:
    name = str(span.zone)
    a, b = start.astimezone(span.zone), end.astimezone(span.zone)
    fine = span.grain == "second" or (span.exact and (a.second or (b.second and not open_end)))
    clock = "%H:%M:%S" if fine else "%H:%M"
    day = "%a %d %b %Y"
    if span.grain in ("day", "week", "month", "year") and not open_end and not span.exact:
        last = (span.end - timedelta(days=1)).date()
        first = span.start.date()
        words = f"{first:{day}}" if first == last else f"{first:{day}} – {last:{day}}"
        words += ", all day," if first == last else ", whole days,"
    elif open_end:
        words = f"{a:{day} {clock}} – now"
    elif a.date() == b.date() or (b.time() == time() and a.date() == (b - timedelta(seconds=1)).date()):
        finish = "24:00" if b.time() == time() else f"{b:{clock}}"
        words = f"{a:{day} {clock}}–{finish}"
    else:
        words = f"{a:{day} {clock}} – {b:{day} {clock}}"
    return f"{words} {name}" + (f" ({note})" if note else "")
