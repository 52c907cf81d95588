"""The gap check: what it tells, what it keeps as evidence, and what readiness makes of it."""

from __future__ import annotations

from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec
import pytest

from people.on_call_support import ADA, DAY, MONDAY, ROTATION, Bench, configuration
from roadworthy.evidence.kinds import OnCallSchedule
from roadworthy.evidence.model import Evidence
from roadworthy.evidence.service import Known, Ledger
from roadworthy.operations.duties import calendar, gaps, on_duty, watches
from roadworthy.operations.proving.on_call import OnCallCheck
from roadworthy.people.incident.service import Incidents
from roadworthy.people.oncall.service import OnCall
from roadworthy.readiness.judging import judge
from roadworthy.workflow import calendars
from roadworthy.workflow.service import Unknown
from support.readiness import subject


class Shelf:
    """Evidence, unsealed."""

    def __init__(self) -> None:
        self.evidence: list[Evidence] = []

    def known(self, workflow: str) -> Known:
        return Known(self.evidence, [], [], [], 0)

    def keep(self, evidence: Evidence, releases: Any) -> Evidence:
        self.evidence.append(evidence)
        return evidence


class World:
    def __init__(self, **changed: Any) -> None:
        self.bench = Bench(**changed)
        self.shelf = Shelf()
        self.incidents = Incidents(self.bench.state, clock=lambda: self.bench.now)
        self.check = OnCallCheck(
            self.bench.on_call, self.incidents, cast(Ledger, self.shelf),
            bindings=lambda workflow: [], zone=lambda: ZoneInfo("Europe/Berlin"), clock=lambda: self.bench.now,
        )  # fmt: skip

    def rounds(self, days: int) -> None:
        for _ in range(days * 4):
            self.check.round()
            self.bench.now += DAY / 4

    def told(self) -> list[tuple[str, str]]:
        return [(each.key, each.state) for each in self.incidents.list()]

    def verdicts(self) -> list[tuple[str, float | None]]:
        judged_for = subject(workflow="support")
        judged = [judge(each, judged_for, self.shelf.evidence) for each in self.shelf.evidence]
        return [(each.verdict, each.until) for each in judged]


def leavers(*members: str) -> dict[str, Any]:
    return {"default": msgspec.structs.replace(ROTATION, members=list(members))}


def test_without_a_gap_the_evidence_holds_for_its_whole_life_and_is_renewed_every_week() -> None:
    world = World()
    world.rounds(15)
    assert [each.made_at for each in world.shelf.evidence] == [MONDAY, MONDAY + 7 * DAY, MONDAY + 14 * DAY]
    first = world.shelf.evidence[0]
    assert first.figures == OnCallSchedule(covered_until=MONDAY + 44 * DAY, people=["ada", "bo"])
    assert world.verdicts()[0] == ("PASS", MONDAY + 30 * DAY)
    assert first.lapses_at == MONDAY + 30 * DAY
    assert world.told() == []


def test_a_gap_is_told_once_taken_for_what_it_is_and_closed_by_whoever_steps_in() -> None:
    world = World(on_call=leavers("ada", "cy"))
    world.rounds(2)
    assert world.told() == [("on_call_gap/support", "open")]
    assert "cy has left" in world.incidents.list()[0].summary
    assert "Pages go to zoe" in world.incidents.list()[0].summary
    [(verdict, _)] = world.verdicts()
    assert verdict == "INSUFFICIENT"
    world.bench.on_call.override("default", "bo", MONDAY + 7 * DAY, MONDAY + 14 * DAY, ADA)
    world.check.round()
    assert world.told() == [("on_call_gap/support", "resolved")]
    assert world.verdicts()[-1][0] == "PASS"


def test_a_gap_that_comes_up_ends_what_was_shown_before_it_and_no_earlier() -> None:
    world = World()
    world.rounds(1)
    world.bench.apply(configuration(on_call=leavers("ada", "cy")))
    world.rounds(1)
    shown, gap = world.verdicts()
    assert shown == ("PASS", MONDAY + DAY)
    assert gap[0] == "INSUFFICIENT"


def test_a_gap_farther_off_than_two_weeks_shortens_the_evidence_by_as_much() -> None:
    far = calendars.written([("1@x", MONDAY, MONDAY + 20 * DAY, "Ada Berg", "")], "x", MONDAY)
    read = msgspec.structs.replace(ROTATION, members=[], start="", calendar=far, calendar_file="rota.ics")
    world = World(on_call={"default": read})
    world.rounds(1)
    assert world.verdicts() == [("PASS", MONDAY + 6 * DAY)]


def test_of_a_workflow_for_which_nobody_said_who_is_on_call_nothing_is_kept_or_told() -> None:
    world = World(on_call={})
    world.rounds(2)
    assert (world.shelf.evidence, world.told()) == ([], [])
    assert len(gaps(world.bench.on_call, MONDAY, MONDAY + DAY)) == 1


# --- what surfaces show


def test_a_line_of_the_page_says_who_who_then_and_who_next() -> None:
    bench = Bench()
    line = on_duty(bench.on_call, "support", MONDAY + DAY)
    assert (line.people, line.shift.end, line.hands_over_to) == (["ada", "zoe"], MONDAY + 7 * DAY, "bo")
    [watch] = watches(bench.on_call, MONDAY, MONDAY + 42 * DAY)
    assert [each.person for each in watch.shifts] == ["ada", "bo"] * 3
    assert (watch.says, watch.workflows) == ("hand-off Monday 09:00, Europe/Berlin", ["support"])


def test_an_exported_calendar_reads_back_as_the_same_shifts_and_its_events_keep_their_ids() -> None:
    bench = Bench()
    end = MONDAY + 28 * DAY
    text = calendar(bench.on_call, "default", MONDAY + DAY, end, MONDAY)
    again = calendar(bench.on_call, "default", MONDAY + 2 * DAY, end, MONDAY)
    assert text == again  # a calendar program that follows it moves nothing
    read = bench.on_call.told_by(text, "UTC", MONDAY + DAY, end)
    assert [each.people for each in read] == [("ada",), ("bo",), ("ada",), ("bo",)]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe"])
def test_an_exported_week_of_a_clock_change_is_as_long_as_it_is(zone: str) -> None:
    rotation = msgspec.structs.replace(ROTATION, zone=zone, start="2026-01-05")
    bench = Bench(on_call={"default": rotation})
    start = MONDAY - 80 * DAY
    text = calendar(bench.on_call, "default", start, start + 250 * DAY, MONDAY)
    found = calendars.entries(text, "UTC", start, start + 240 * DAY)
    shifts = bench.on_call.rotation_shifts("default", start, start + 240 * DAY)
    assert [each.start for each in found[1:]] == [each.start for each in shifts[1:]]


def test_before_anything_is_configured_nobody_is_missed() -> None:
    world = World()

    class Unconfigured:
        def workflows(self) -> list[str]:
            raise Unknown("nothing is configured yet")

    world.check._on_call = cast(OnCall, Unconfigured())
    world.check.round()
    assert (world.told(), world.shelf.evidence) == ([], [])
