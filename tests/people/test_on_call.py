"""Who is paged, in which order; overrides; what is read elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from people.on_call_support import ADA, BO, DAY, MONDAY, PEOPLE, ROTATION, Bench, at, configuration
from roadworthy.operations.rights import rights_of
from roadworthy.people.oncall.model import Reading
from roadworthy.people.oncall.schedules import Schedules, ScheduleUnreadable, joined
from roadworthy.people.oncall.service import OverrideRefused
from roadworthy.workflow.calendars import Entry
from roadworthy.workflow.model import Owners, Workflow
from roadworthy.workflow.rotation import PagerDutySchedule, Rotation
from roadworthy.workflow.service import Unknown

SCHEDULE = Rotation("default", "zoe", pagerduty=PagerDutySchedule("PI7DH85", "env:PD"))


def flows(on_call: str | None, team: str = "default") -> dict[str, Workflow]:
    return {"support": Workflow("support", team, Owners("ada", "bo", "bo", on_call), "enforce")}


def test_a_page_goes_to_whoever_is_on_call_and_then_to_the_catch_all() -> None:
    bench = Bench()
    assert bench.on_call.now("support") == ["ada", "zoe"]
    assert bench.on_call.at("support", MONDAY + 7 * DAY) == ["bo", "zoe"]
    assert bench.on_call.hand_up("support") == 300.0
    with pytest.raises(Unknown):
        bench.on_call.now("supprot")


def test_a_person_that_a_workflow_names_is_on_call_for_it_and_its_owner_stands_behind() -> None:
    bench = Bench(workflows=flows("bo"))
    assert bench.on_call.now("support") == ["bo", "ada"]
    assert bench.on_call.gaps("support", MONDAY, MONDAY + 14 * DAY) == []


def test_a_workflow_may_name_another_rotation_than_its_teams() -> None:
    nights = msgspec.structs.replace(ROTATION, name="nights", members=["bo"])
    bench = Bench(workflows=flows("nights"), on_call={"default": ROTATION, "nights": nights})
    assert bench.on_call.now("support") == ["bo", "zoe"]
    assert bench.on_call.team("nights") == "default"


def test_where_nobody_said_who_is_on_call_pages_go_to_the_owner_and_that_is_a_gap() -> None:
    bench = Bench(on_call={})
    assert bench.on_call.now("support") == ["ada"]
    [gap] = bench.on_call.gaps("support", MONDAY, MONDAY + 14 * DAY)
    assert "no rotation is configured" in gap.reason


def test_in_the_week_of_a_leaver_the_catch_all_is_paged_and_a_catch_all_who_left_is_stood_in_for() -> None:
    members = msgspec.structs.replace(ROTATION, members=["cy", "bo"])
    bench = Bench(on_call={"default": members})
    assert bench.on_call.now("support") == ["zoe"]
    assert [gap.reason for gap in bench.on_call.gaps("support", MONDAY, MONDAY + 14 * DAY)] == ["cy has left"]
    assert bench.on_call.on_shift("support", "zoe", MONDAY)
    bench.apply(configuration(on_call={"default": msgspec.structs.replace(members, catch_all="cy")}))
    assert bench.on_call.now("support") == ["ada"]
    assert bench.on_call.duty("support").problem == "cy, the catch-all of default, has left"


def test_whoever_is_on_call_may_take_a_stopped_workflow_back_to_guarded_and_no_further() -> None:
    owners = Owners("ada", "bo", "bo")
    assert rights_of("eve", owners) == {"stop"}
    assert rights_of("eve", owners, on_shift=True) == {"stop", "on_call"}
    assert rights_of("os:1000", owners, on_shift=True) == {"stop"}
    assert rights_of("eve", None, on_shift=True) == {"stop"}


def test_the_past_is_as_it_was_configured_then() -> None:
    bench = Bench()
    bench.now = MONDAY + 10 * DAY
    bench.apply(configuration(on_call={"default": msgspec.structs.replace(ROTATION, members=["zoe"])}))
    assert bench.on_call.now("support") == ["zoe"]
    assert bench.on_call.at("support", MONDAY + DAY) == ["ada", "zoe"]


def test_an_override_wins_over_the_rotation_is_audited_and_can_be_taken_back() -> None:
    bench = Bench()
    made = bench.on_call.override("default", "bo", MONDAY - DAY, MONDAY + DAY, ADA, " a dentist ")
    assert (made.start, made.why) == (MONDAY, "a dentist")  # never in the past
    assert bench.on_call.now("support") == ["bo", "zoe"]
    assert bench.on_call.on_shift("support", "bo", MONDAY)
    assert not bench.on_call.on_shift("support", "ada", MONDAY)
    bench.now = MONDAY + 3600
    bench.on_call.take_back(made.id, BO)
    assert bench.on_call.now("support") == ["ada", "zoe"]
    assert bench.on_call.at("support", MONDAY + 60) == ["bo", "zoe"]  # what it covered stays
    assert bench.audited() == [("ada", "oncall.override", "done"), ("bo", "oncall.take_back", "done")]
    with pytest.raises(OverrideRefused, match="over already"):
        bench.on_call.take_back(made.id, BO)


@pytest.mark.parametrize(
    ("rotation", "person", "until", "refusal"),
    [
        ("default", "nobody", DAY, "nobody is called"),
        ("default", "cy", DAY, "cy has left"),
        ("nights", "bo", DAY, "no rotation 'nights'"),
        ("default", "bo", -DAY, "end before it begins"),
        ("default", "bo", 93 * DAY, "longer than 92 days"),
    ],
)
def test_what_cannot_be_meant_is_refused_kept_nowhere_and_audited(
    rotation: str, person: str, until: float, refusal: str
) -> None:
    bench = Bench()
    with pytest.raises((OverrideRefused, Unknown), match=refusal):
        bench.on_call.override(rotation, person, MONDAY, MONDAY + until, ADA)
    assert bench.on_call.overrides("default", 0.0, 1e11) == []
    assert bench.audited() == [("ada", "oncall.override", "denied")]


# --- schedules kept elsewhere


class Vendor:
    """A schedule that can be told to fail."""

    def __init__(self) -> None:
        self.fails = ""
        self.asked: list[tuple[str, str]] = []
        self.who = "ADA@example.com"

    async def read(self, place: PagerDutySchedule, token: str, since: float, until: float) -> Sequence[Entry]:
        self.asked.append((place.schedule, token))
        if self.fails:
            raise ScheduleUnreadable(self.fails)
        return [Entry(since, until, (self.who,), "Ada")]


def watched(bench: Bench, vendor: Vendor) -> Schedules:
    return Schedules(bench.state, lambda: vendor, secret={"env:PD": "key"}.get, clock=lambda: bench.now)


def test_a_schedule_is_read_every_quarter_of_an_hour_and_its_people_are_known_by_mail() -> None:
    bench, vendor = Bench(on_call={"default": SCHEDULE}), Vendor()
    assert bench.on_call.now("support") == ["zoe"]  # nothing was read yet
    schedules = watched(bench, vendor)
    for later in (0, 300, 899, 900):
        bench.now = MONDAY + later
        asyncio.run(schedules.round())
    assert vendor.asked == [("PI7DH85", "key")] * 2
    assert bench.on_call.now("support") == ["ada", "zoe"]
    assert bench.on_call.gaps("support", MONDAY, MONDAY + 44 * DAY) == []


def test_while_it_cannot_be_read_the_last_good_reading_serves_and_says_how_old_it_is() -> None:
    bench, vendor = Bench(on_call={"default": SCHEDULE}), Vendor()
    schedules = watched(bench, vendor)
    asyncio.run(schedules.round())
    vendor.fails = "PI7DH85: PagerDuty answered 503"
    bench.now = MONDAY + 5 * DAY
    asyncio.run(schedules.round())
    assert bench.on_call.now("support") == ["ada", "zoe"]
    reading = bench.on_call.reading("default")
    assert reading is not None
    assert (reading.fetched_at, reading.error) == (MONDAY, "PI7DH85: PagerDuty answered 503")


def test_another_schedule_does_not_serve_with_what_the_first_one_said() -> None:
    bench, vendor = Bench(on_call={"default": SCHEDULE}), Vendor()
    asyncio.run(watched(bench, vendor).round())
    other = msgspec.structs.replace(SCHEDULE, pagerduty=PagerDutySchedule("PZ", "env:GONE"))
    bench.apply(configuration(on_call={"default": other}))
    asyncio.run(watched(bench, vendor).round())
    assert bench.on_call.now("support") == ["zoe"]
    reading = bench.on_call.reading("default")
    assert reading is not None
    assert reading.error == "the secret env:GONE is not there or empty"


def test_a_new_reading_keeps_what_was_true_before_it() -> None:
    first = joined(Reading("default", "default", "P"), [Entry(0.0, 100.0, ("ada",))], 0.0, 100.0, 10.0)
    second = joined(first, [Entry(60.0, 160.0, ("bo",))], 60.0, 160.0, 70.0)
    assert second.entries == [Entry(0.0, 60.0, ("ada",)), Entry(60.0, 160.0, ("bo",))]
    assert (second.start, second.end, second.fetched_at) == (0.0, 160.0, 70.0)


# --- calendars

CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//EN
BEGIN:VEVENT
UID:1
DTSTART:20260601T090000
DTEND:20260608T090000
RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=30
EXDATE:20260629T090000
SUMMARY:On call
ATTENDEE;CN=Ada Berg:mailto:ada@example.com
END:VEVENT
BEGIN:VEVENT
UID:1
RECURRENCE-ID:20260615T090000
DTSTART:20260616T090000
DTEND:20260622T090000
SUMMARY:On call: Bo Lind
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART;VALUE=DATE:20260609
DTEND;VALUE=DATE:20260611
SUMMARY:somebody else
END:VEVENT
BEGIN:VEVENT
UID:3
DTSTART:20260611T000000Z
DTEND:20260612T000000Z
STATUS:CANCELLED
SUMMARY:bo
END:VEVENT
END:VCALENDAR
"""


def test_a_calendar_says_who_is_on_call_with_its_repetitions_exceptions_and_days() -> None:
    calendar = Rotation("default", "zoe", zone="Europe/Berlin", calendar=CALENDAR, calendar_file="rota.ics")
    bench = Bench(on_call={"default": calendar})
    found = bench.on_call.shifts("support", MONDAY, at("2026-07-02T09:00"))
    assert [(each.person, each.start, each.why) for each in found] == [
        ("ada", MONDAY, ""),
        ("", at("2026-06-08T09:00"), "no entry"),
        ("", at("2026-06-09T00:00"), "people.yaml knows nobody called 'somebody else'"),
        ("", at("2026-06-11T00:00"), "no entry"),
        ("bo", at("2026-06-16T09:00"), ""),  # moved by a day, and another one's
        ("", at("2026-06-22T09:00"), "no entry"),  # the turn of the 29th is excepted
    ]


def test_people_without_a_mail_address_are_known_by_their_names() -> None:
    bench = Bench()
    named = {**PEOPLE, "di": msgspec.structs.replace(PEOPLE["bo"], id="di", name="Di Root", email="")}
    bench.apply(configuration(people=named))
    text = CALENDAR.replace("SUMMARY:somebody else", "SUMMARY:di root")
    found = bench.on_call.told_by(text, "Europe/Berlin", at("2026-06-09T00:00"), at("2026-06-11T00:00"))
    assert [each.person for each in found] == ["di"]
