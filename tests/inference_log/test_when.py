"""The time grammar: what a person types is read as the window of the past that they mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.inference_log.when import EXAMPLES, Unreadable, Window, parse, zone_named

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 19, 10, 30, tzinfo=BERLIN)  # a Thursday


def read(text: str, now: datetime = NOW, zone: ZoneInfo = BERLIN) -> Window:
    return parse(text, now=now, zone=zone)


def hours(window: Window) -> float:
    return (window.until - window.since) / 3600


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("tuesday 2pm", "Tue 17 Nov 2026 14:00–15:00 Europe/Berlin"),
        ("2pm tuesday", "Tue 17 Nov 2026 14:00–15:00 Europe/Berlin"),
        ("Tuesday at 2:05 PM", "Tue 17 Nov 2026 14:05–14:06 Europe/Berlin"),
        ("tues 2 p.m.", "Tue 17 Nov 2026 14:00–15:00 Europe/Berlin"),
        ("yesterday", "Wed 18 Nov 2026, all day, Europe/Berlin"),
        ("yesterday 14:00", "Wed 18 Nov 2026 14:00–15:00 Europe/Berlin"),
        ("yesterday evening", "Wed 18 Nov 2026 18:00–24:00 Europe/Berlin"),
        ("today", "Thu 19 Nov 2026 00:00 – now Europe/Berlin"),
        ("monday morning", "Mon 16 Nov 2026 06:00–12:00 Europe/Berlin"),
        ("last hour", "Thu 19 Nov 2026 09:30 – now Europe/Berlin"),
        ("90m", "Thu 19 Nov 2026 09:00 – now Europe/Berlin"),
        ("last 3 days", "Mon 16 Nov 2026 10:30 – now Europe/Berlin"),
        ("3h ago", "Thu 19 Nov 2026 07:00–08:00 Europe/Berlin"),
        ("two hours ago", "Thu 19 Nov 2026 08:00–09:00 Europe/Berlin"),
        ("5 minutes ago", "Thu 19 Nov 2026 10:25–10:26 Europe/Berlin"),
        ("2 days ago", "Tue 17 Nov 2026, all day, Europe/Berlin"),
        ("last week", "Mon 09 Nov 2026 – Sun 15 Nov 2026, whole days, Europe/Berlin"),
        ("last month", "Thu 01 Oct 2026 – Sat 31 Oct 2026, whole days, Europe/Berlin"),
        ("last night", "Wed 18 Nov 2026 18:00 – Thu 19 Nov 2026 06:00 Europe/Berlin"),
        ("14:00-15:00", "Wed 18 Nov 2026 14:00–15:00 Europe/Berlin"),
        ("2-3pm", "Wed 18 Nov 2026 14:00–15:00 Europe/Berlin"),
        ("tuesday 2pm-4pm", "Tue 17 Nov 2026 14:00–16:00 Europe/Berlin"),
        ("tuesday 14:00..16:00", "Tue 17 Nov 2026 14:00–16:00 Europe/Berlin"),
        ("22:00-02:00", "Wed 18 Nov 2026 22:00 – Thu 19 Nov 2026 02:00 Europe/Berlin"),
        ("09:00-11:00", "Thu 19 Nov 2026 09:00 – now Europe/Berlin"),
        ("monday..wednesday", "Mon 16 Nov 2026 – Wed 18 Nov 2026, whole days, Europe/Berlin"),
        ("from monday to wednesday", "Mon 16 Nov 2026 – Wed 18 Nov 2026, whole days, Europe/Berlin"),
        ("wednesday..friday", "Wed 18 Nov 2026 00:00 – now Europe/Berlin"),
        ("friday 9am..monday 5pm", "Fri 13 Nov 2026 09:00 – Mon 16 Nov 2026 17:00 Europe/Berlin"),
        ("since tuesday 2pm", "Tue 17 Nov 2026 14:00 – now Europe/Berlin"),
        ("wednesday 14:00..", "Wed 18 Nov 2026 14:00 – now Europe/Berlin"),
        ("2026-11-17 14:00", "Tue 17 Nov 2026 14:00–15:00 Europe/Berlin"),
        ("2026-11-17 14:05:07", "Tue 17 Nov 2026 14:05:07–14:05:08 Europe/Berlin"),
        ("2026-11-17T14:00:00+02:00", "Tue 17 Nov 2026 13:00–14:00 Europe/Berlin"),
        ("2026-11-17T14:00:00Z..2026-11-17T15:00:00Z", "Tue 17 Nov 2026 15:00–16:00 Europe/Berlin"),
        ("2026-11-01..2026-11-05", "Sun 01 Nov 2026 – Thu 05 Nov 2026, whole days, Europe/Berlin"),
        ("17 november", "Tue 17 Nov 2026, all day, Europe/Berlin"),
        ("november 3rd 2pm", "Tue 03 Nov 2026 14:00–15:00 Europe/Berlin"),
        ("oct 2026", "Thu 01 Oct 2026 – Sat 31 Oct 2026, whole days, Europe/Berlin"),
        ("tuesday 2pm UTC", "Tue 17 Nov 2026 14:00–15:00 UTC"),
        ("tuesday 2pm America/New_York", "Tue 17 Nov 2026 14:00–15:00 America/New_York"),
    ],
)
def test_a_time_is_read_as_its_natural_window_of_the_past_and_says_so(text: str, reading: str) -> None:
    assert read(text).reading == reading


def test_the_window_agrees_with_its_reading() -> None:
    window = read("tuesday 2pm")
    assert window.since == datetime(2026, 11, 17, 14, tzinfo=BERLIN).timestamp()
    assert window.until == datetime(2026, 11, 17, 15, tzinfo=BERLIN).timestamp()


def test_a_weekday_is_today_once_it_has_begun_and_last_weeks_before() -> None:
    assert read("thursday 9am").reading.startswith("Thu 19 Nov 2026 09:00")
    assert read("thursday 2pm").reading.startswith("Thu 12 Nov 2026 14:00")
    assert read("last thursday").reading.startswith("Thu 12 Nov 2026")


@pytest.mark.parametrize(
    "text", ["", "   ", "garbage here", "25:00", "13pm", "2026-02-30", "2026-13-01", "-1", "14", "1 2 3", "in 3 hours",
             "last", "..", "monday..garbage", "x" * 5000, "\x1b[31m", "2026-11-17T99:00"]
)  # fmt: skip
def test_an_unreadable_time_lists_examples(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(text)
    assert "tuesday 2pm" in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("text", ["tomorrow", "2027-01-01", "today 5pm", "2026-11-19 11:00"])
def test_the_future_cannot_be_looked_up(text: str) -> None:
    with pytest.raises(Unreadable, match="in the future"):
        read(text)


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(Unreadable, match="earlier time first"):
        read("2026-11-05..2026-11-01")


def test_every_example_of_the_help_is_readable() -> None:
    for example in EXAMPLES:
        read(example)


@pytest.mark.parametrize(
    ("text", "length", "note"),
    [
        ("2026-10-25", 25, False),  # the day on which clocks go back
        ("2026-03-29", 23, False),
        ("2026-10-25 02:00", 2, True),  # this hour happens twice
        ("2026-10-25 01:00", 1, False),
        ("2026-10-25 03:00", 1, False),
        ("2026-10-25 01:00..2026-10-25 02:30", 2.5, True),
        ("2026-03-29 02:00", 1, True),  # this hour does not exist
        ("2026-03-29 03:00", 1, False),
        ("2026-03-29 02:30..2026-03-29 04:00", 1, False),
    ],
)
def test_clock_changes_lose_no_moment_and_are_said(text: str, length: float, note: bool) -> None:
    window = read(text)
    assert hours(window) == pytest.approx(length)
    assert ("the clocks went" in window.reading) is note


def test_a_missing_hour_is_read_as_the_hour_after_it() -> None:
    window = read("2026-03-29 02:00")
    assert window.since == datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()
    assert "03:00–04:00" in window.reading


def test_hours_ago_are_elapsed_hours_across_a_clock_change() -> None:
    now = datetime(2026, 10, 25, 4, 30, tzinfo=BERLIN)
    assert read("3h ago", now=now).since == datetime(2026, 10, 25, 0, 0, tzinfo=UTC).timestamp()


def test_an_unknown_time_zone_is_named() -> None:
    with pytest.raises(Unreadable, match="Mars/Olympus"):
        zone_named("Mars/Olympus")
    assert str(zone_named("Asia/Kolkata")) == "Asia/Kolkata"


@given(
    st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2026, 11, 18)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
)
def test_any_written_minute_lies_in_its_window(wall: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    wall = wall.replace(second=0, microsecond=0)
    window = parse(f"{wall:%Y-%m-%d %H:%M}", now=NOW, zone=zone)
    assert window.until - window.since >= 60
    for fold in (0, 1):
        instant = wall.replace(tzinfo=zone, fold=fold)
        if instant.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall:  # it existed
            assert window.since <= instant.timestamp() < window.until


@given(st.text(max_size=40))
def test_no_text_breaks_the_grammar(text: str) -> None:
    try:
        window = read(text)
    except Unreadable:
        return
    assert window.since <= window.until <= NOW.timestamp()


@given(st.integers(1, 500), st.sampled_from(["minutes", "hours", "days", "weeks"]))
def test_n_units_ago_is_a_window_that_holds_that_moment(count: int, unit: str) -> None:
    moment = NOW.astimezone(UTC) - timedelta(**{unit: count})
    window = read(f"{count} {unit} ago")
    assert window.since - 3600 <= moment.timestamp() < window.until + 3600
