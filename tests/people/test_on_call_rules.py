"""Who is on call when: hand-offs on the wall clock, overrides, leavers and gaps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.people.oncall import rules
from roadworthy.people.oncall.model import Gap, Override, Shift
from roadworthy.workflow.calendars import Entry
from roadworthy.workflow.model import Person
from roadworthy.workflow.rotation import Rotation

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
DAY = 86_400.0
PEOPLE = ["ada", "bo", "cy", "di"]


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def rotation(members: list[str], zone: str = "Europe/Berlin", weekday: int = 0, minute: int = 540, start: str = "2026-01-05") -> Rotation:  # fmt: skip  # noqa: E501
    return Rotation("default", "zoe", zone=zone, members=members, weekday=weekday, minute=minute, start=start)


def override(person: str, start: float, end: float, made_at: float = 0.0, ended_at: float | None = None) -> Override:
    return Override(f"ovr_{person}", "default", "default", person, start, end, "ada", made_at, ended_at=ended_at)


@given(
    zone=st.sampled_from(ZONES), weekday=st.integers(0, 6), minute=st.integers(0, 1439),
    members=st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4),
    first=st.dates(date(2025, 12, 1), date(2026, 2, 1)),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_year_of_turns_has_no_gap_no_overlap_and_every_handoff_is_on_the_wall_clock(
    zone: str, weekday: int, minute: int, members: list[str], first: date
) -> None:
    start, end = at("2026-02-02", zone), at("2027-02-08", zone)
    found = rules.shifts(rotation(members, zone, weekday, minute, first.isoformat()), [], start, end)
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(a.end == b.start for a, b in pairwise(found))
    turns = [each.person for each in found]
    turn = next(n for n in range(len(members)) if all(turns[i] == members[(n + i) % len(members)] for i in range(len(turns))))  # fmt: skip  # noqa: E501
    assert turn >= 0  # members take turns, none is left out
    for shift in found[1:]:
        local = datetime.fromtimestamp(shift.start, ZoneInfo(zone))
        assert local.weekday() == weekday
        wall = local.replace(tzinfo=None)
        wanted = datetime(wall.year, wall.month, wall.day, minute // 60, minute % 60)
        before = datetime.fromtimestamp(shift.start - 1, ZoneInfo(zone)).replace(tzinfo=None)
        assert wall == wanted or before < wanted < wall  # the clock was set over it
        assert local.fold == 0  # of two, the first


@pytest.mark.parametrize(
    ("zone", "day", "minute", "instant"),
    [
        ("Europe/Berlin", "2026-03-29", 150, "2026-03-29T01:00"),  # 02:30 is skipped: 03:00 summer time
        ("Europe/Berlin", "2026-10-25", 150, "2026-10-25T00:30"),  # 02:30 comes twice: the first, in summer time
        ("America/New_York", "2026-03-08", 150, "2026-03-08T07:00"),
        ("America/New_York", "2026-11-01", 90, "2026-11-01T05:30"),
        ("Australia/Lord_Howe", "2026-10-04", 135, "2026-10-03T15:30"),  # half an hour is skipped, from 02:00
        ("Australia/Lord_Howe", "2026-04-05", 105, "2026-04-04T14:45"),
        ("Asia/Kolkata", "2026-03-29", 150, "2026-03-28T21:00"),
        ("Europe/Berlin", "2026-03-29", 180, "2026-03-29T01:00"),
    ],
)
def test_a_time_that_is_skipped_is_the_first_instant_after_and_one_that_comes_twice_is_the_first(
    zone: str, day: str, minute: int, instant: str
) -> None:
    found = rules.instant(date.fromisoformat(day), minute, ZoneInfo(zone))
    assert datetime.fromtimestamp(found, UTC).isoformat()[:16] == instant


def test_the_week_of_a_clock_change_has_an_hour_less_or_more() -> None:
    found = rules.shifts(rotation(["ada", "bo"]), [], at("2026-03-23T08:00"), at("2026-11-02T08:00"))
    lengths = {shift.end - shift.start for shift in found}
    assert lengths == {7 * DAY, 7 * DAY - 3600, 7 * DAY + 3600}


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 2000), st.integers(1, 400), st.sampled_from(PEOPLE), st.integers(0, 50)), max_size=6
    ),
    probe=st.integers(0, 2000),
)
@settings(max_examples=100, deadline=None)
def test_an_override_wins_exactly_inside_its_span_and_the_one_made_last_wins(
    spans: list[tuple[int, int, str, int]], probe: int
) -> None:
    begin = at("2026-03-01")
    made = [
        Override(f"ovr_{n}", "default", "default", who, begin + start * 3600, begin + (start + hours) * 3600, "x", said)
        for n, (start, hours, who, said) in enumerate(spans)
    ]
    plain = rotation(["eve", "fay"])
    found = rules.shifts(plain, made, begin, begin + 2400 * 3600)
    assert all(a.end == b.start for a, b in pairwise(found))
    instant = begin + probe * 3600.0
    here = next(shift for shift in found if shift.start <= instant < shift.end)
    over = [each for each in made if each.start <= instant < each.end]
    if over:
        last = max(over, key=lambda each: (each.made_at, each.id))
        assert (here.person, here.override, here.how) == (last.person, last.id, "override")
    else:
        assert here.person == rules.on_call_at(plain, [], instant).person
        assert here.how == "rotation"


def test_an_override_that_was_taken_back_holds_until_then() -> None:
    start = at("2026-06-01")
    taken = override("zoe", start, start + 4 * DAY, ended_at=start + DAY)
    found = rules.shifts(rotation(["ada"]), [taken], start, start + 3 * DAY)
    assert [(each.person, each.end - start) for each in found] == [("zoe", DAY), ("ada", 3 * DAY)]


def test_a_leaver_is_on_no_shift_and_the_gap_says_who_left() -> None:
    start, end = at("2026-06-01T07:00"), at("2026-06-29T07:00")
    found = rules.shifts(rotation(["ada", "bo"]), [override("bo", start, start + DAY)], start, end, {"bo"})
    assert [gap.reason for gap in rules.gaps(found)] == ["bo has left", "bo has left"]
    assert sum(gap.end - gap.start for gap in rules.gaps(found)) == 14 * DAY


def test_before_its_first_week_a_rotation_has_nobody_and_says_when_it_begins() -> None:
    found = rules.shifts(rotation(["ada"], start="2026-06-03"), [], at("2026-05-25", "Europe/Berlin"), at("2026-06-05"))
    assert rules.gaps(found) == [
        Gap(
            at("2026-05-25", "Europe/Berlin"),
            at("2026-06-01T09:00", "Europe/Berlin"),
            "the rotation default begins on 2026-06-01",
        )
    ]


def test_entries_of_a_calendar_cover_without_overlap_and_strangers_are_named() -> None:
    people = {"ada": Person("ada", "Ada Berg", "ada@example.org"), "bo": Person("bo", "Bo Lind", "bo@example.org")}
    entries = [
        Entry(0.0, 100.0, ("mailto:ADA@example.org",)),
        Entry(50.0, 150.0, (), "Bo  lind"),
        Entry(150.0, 200.0, ("eve@example.org",), "On call"),
    ]
    found = rules.told(entries, rules.matched(people), "calendar", 0.0, 250.0)
    assert found == [
        Shift(0.0, 50.0, ("ada",), "calendar"),
        Shift(50.0, 100.0, ("ada", "bo"), "calendar"),
        Shift(100.0, 150.0, ("bo",), "calendar"),
        Shift(150.0, 200.0, (), "calendar", "people.yaml knows nobody called 'eve@example.org'"),
        Shift(200.0, 250.0, (), "calendar", "no entry"),
    ]


def test_beyond_what_was_read_nothing_is_known() -> None:
    known = rules.told(
        [Entry(0.0, 300.0, ("ada",))], lambda _: (("ada",), ""), "pagerduty", 0.0, 200.0, known=(0.0, 200.0)
    )
    assert known == [Shift(0.0, 200.0, ("ada",), "pagerduty")]
    beyond = rules.told([], lambda _: ((), ""), "pagerduty", 100.0, 200.0, known=(0.0, 150.0))
    assert [(each.start, each.why) for each in beyond] == [(100.0, "no entry"), (150.0, "nothing was read of that time")]  # fmt: skip  # noqa: E501


@pytest.mark.parametrize(("start", "end"), [(5.0, 5.0), (5.0, 4.0), (0.0, 401 * DAY)])
def test_a_span_that_nobody_can_mean_is_refused(start: float, end: float) -> None:
    with pytest.raises(rules.SpanRefused):
        rules.shifts(rotation(["ada"]), [], start, end)


def test_a_week_long_turn_is_found_however_far_ahead() -> None:
    far = rotation(["ada", "bo", "cy"], "America/New_York")
    for weeks in range(0, 520, 13):
        when = at("2026-01-07T12:00", "America/New_York") + timedelta(weeks=weeks).total_seconds()
        assert rules.on_call_at(far, [], when).person == ["ada", "bo", "cy"][weeks % 3]
