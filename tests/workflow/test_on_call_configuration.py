"""``on_call:`` in people.yaml, ``owners.on_call`` and ``heartbeat``: read, and every mistake named with its mend."""

from __future__ import annotations

import pytest

from roadworthy.workflow import calendars
from roadworthy.workflow.files import Checked, read_configuration
from roadworthy.workflow.model import Heartbeat
from roadworthy.workflow.problems import Problem

PEOPLE = """people:
  ada: {name: Ada, email: ada@example.com}
  bo: {name: Bo, email: bo@example.com, left: true}
"""
WORKFLOW = "owners: {workflow: ada, prompt: ada, cost: ada%s}\nenforcement: observe\npassthrough: main\n"
INSTALL = """version: 1
timezone: Europe/Berlin
targets:
  main: {provider: simulated, model: sim, price: {input: 0, output: 0}}
"""
ICS = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:1\nDTSTART:20260101T000000Z\nDTEND:20260102T000000Z\n%sEND:VEVENT\nEND:VCALENDAR\n"  # noqa: E501


def checked(on_call: str = "", owner: str = "", install: str = "", **files: str) -> Checked:
    text = {
        "roadworthy.yaml": INSTALL + install, "people.yaml": PEOPLE + on_call,
        "workflows/support/workflow.yaml": WORKFLOW % owner,
    }  # fmt: skip
    return read_configuration({**text, **{name.replace("_", "."): content for name, content in files.items()}})


def errors(found: Checked) -> list[Problem]:
    return [each for each in found.problems if each.severity == "error"]


def test_a_rotation_is_read_in_the_zone_of_the_install_unless_it_names_its_own() -> None:
    found = checked(
        "on_call:\n  default: {members: [ada], handoff: Tue 08:30, start: 2026-06-01, catch_all: ada, hand_up: 5m}\n"
    )
    assert found.configuration is not None, found.problems
    rotation = found.configuration.on_call["default"]
    assert (rotation.zone, rotation.handoff, rotation.hand_up) == ("Europe/Berlin", "tuesday 08:30", 300.0)
    assert (rotation.source, rotation.members, rotation.catch_all) == ("rotation", ["ada"], "ada")


def test_a_workflow_names_a_person_or_a_rotation() -> None:
    rotation = "on_call:\n  nights: {members: [ada], start: 2026-06-01, catch_all: ada}\n"
    for named in ("ada", "nights"):
        found = checked(rotation, f", on_call: {named}")
        assert found.configuration is not None, found.problems
        assert found.configuration.workflows["support"].owners.on_call == named
    [problem] = errors(checked(rotation, ", on_call: nihgts"))
    assert (problem.field, problem.mend) == ("owners.on_call", "did you mean 'nights'?")


@pytest.mark.parametrize(
    ("rotation", "field", "said"),
    [
        ("{catch_all: ada}", "on_call.default", "exactly one of"),
        ("{members: [ada], start: 2026-06-01}", "on_call.default.catch_all", "no such key"),
        ("{members: [ada], catch_all: ada}", "on_call.default.start", "add 'start: 2026-11-02'"),
        ("{members: [], start: 2026-06-01, catch_all: ada}", "on_call.default.members", "nobody"),
        ("{members: [eve], start: 2026-06-01, catch_all: ada}", "on_call.default.members[0]", "'eve'"),
        ("{members: [ada], start: 2026-06-31, catch_all: ada}", "on_call.default.start", "2026-06-31"),
        ("{members: [ada], start: 2026-06-01, catch_all: ada, handoff: mon 9}", "on_call.default.handoff", "24 hours"),
        ("{members: [ada], start: 2026-06-01, catch_all: ada, handoff: mondey 09:00}",
         "on_call.default.handoff", "monday"),
        ("{members: [ada], start: 2026-06-01, catch_all: ada, zone: Berlin}", "on_call.default.zone", "Europe/Berlin"),
        ("{ical: rota.ics, catch_all: ada}", "on_call.default.ical", "no file rota.ics"),
        ("{pagerduty: {schedule: PI7DH85, token: u+abcdefgh}, catch_all: ada}",
         "on_call.default.pagerduty.token", "not shown"),
        ("{pagerduty: {schedule: PI7DH85, token: env:T, url: 'http://10.0.0.1'}, catch_all: ada}",
         "on_call.default.pagerduty.url", "private"),
        ("{pagerduty: {schedule: PI7DH85, token: env:T}, members: [ada], catch_all: ada}",
         "on_call.default", "members and pagerduty"),
        ("{pagerduty: {schedule: PI7DH85, token: env:T}, start: 2026-06-01, catch_all: ada}",
         "on_call.default.start", "remove 'start'"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_field_and_how_to_mend_it(rotation: str, field: str, said: str) -> None:
    [problem] = errors(checked(f"on_call:\n  default: {rotation}\n"))
    assert (problem.file, problem.field) == ("people.yaml", field)
    assert said in f"{problem.found} {problem.expected} {problem.mend}"


def test_a_rotation_may_not_be_called_as_a_person() -> None:
    [problem] = errors(checked("on_call:\n  ada: {members: [ada], start: 2026-06-01, catch_all: ada}\n"))
    assert "rename the rotation" in problem.mend


def test_members_and_a_catch_all_who_have_left_are_warned_about() -> None:
    found = checked("on_call:\n  default: {members: [ada, bo], start: 2026-06-01, catch_all: bo}\n")
    assert found.configuration is not None
    said = {(each.field, each.severity) for each in found.problems}
    assert said == {("on_call.default.members", "warning"), ("on_call.default.catch_all", "warning")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("garbage", "cannot be read"),
        ("BEGIN:VCALENDAR\nVERSION:2.0\nEND:VCALENDAR\n", "no event"),
        (ICS % "RRULE:FREQ=SECONDLY\n", "more often than hourly"),
        (ICS % "RRULE:FREQ=DAILY;BYMINUTE=1,2,3\n", "more often than hourly"),
        ((ICS % "").replace("DTSTART:20260101T000000Z", "DTSTART:someday"), "cannot be read"),
        ((ICS % "").replace("DTSTART:20260101T000000Z\n", ""), "no DTSTART"),
    ],
)
def test_a_calendar_that_cannot_be_followed_is_refused_when_it_is_applied(text: str, said: str) -> None:
    found = checked("on_call:\n  default: {ical: rota.ics, catch_all: ada}\n", rota_ics=text)
    [problem] = errors(found)
    assert problem.field == "on_call.default.ical"
    assert said in problem.found


def test_a_calendar_beside_people_yaml_is_read() -> None:
    found = checked("on_call:\n  default: {ical: rota.ics, catch_all: ada}\n", rota_ics=ICS % "")
    assert found.configuration is not None, found.problems
    assert found.configuration.on_call["default"].calendar_file == "rota.ics"


def test_what_is_written_out_is_read_back() -> None:
    text = calendars.written([("u@x", 1e9, 1e9 + 3600, "On call: Ada, \\n;", "ada@example.com")], "On call", 5.0)
    assert calendars.entries(text, "UTC", 1e9, 2e9) == [
        calendars.Entry(1e9, 1e9 + 3600, ("ada@example.com",), "On call: Ada, \\n;")
    ]
    assert calendars.written([("u@x", 1e9, 1e9 + 3600, "t", "")], "On call", 5.0).count("UID:u@x") == 1


def test_a_heartbeat_names_a_secret_and_never_an_address() -> None:
    found = checked(install="heartbeat: {url: env:BEAT, every: 5m, method: POST}\n")
    assert found.configuration is not None, found.problems
    assert found.configuration.settings.heartbeat == Heartbeat("env:BEAT", 300.0, "POST")
    [problem] = errors(checked(install="heartbeat: {url: 'https://hc.example/secret'}\n"))
    assert (problem.field, "secret" in problem.found) == ("heartbeat.url", False)
