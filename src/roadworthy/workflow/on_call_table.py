"""The keys of ``on_call:`` in people.yaml, and what must hold between them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from roadworthy.workflow import calendars
from roadworthy.workflow.fields import At, Field, ListOf, MapOf, Reading, Section
from roadworthy.workflow.kinds import Boolean, Day, Duration, File, Ref, Secret, Text, Url, address_problem
from roadworthy.workflow.model import Person
from roadworthy.workflow.problems import did_you_mean, show
from roadworthy.workflow.rotation import HAND_UP, PAGERDUTY, WEEKDAYS, PagerDutySchedule, Rotation
from roadworthy.workflow.shapes import Timezone
from roadworthy.workflow.source import Value

_FILE: Final = "people.yaml"
_OF_MEMBERS: Final = ("members", "handoff", "start")
_SOURCES: Final = "exactly one of members, ical and pagerduty"
_SHORT: Final = {day[:3]: number for number, day in enumerate(WEEKDAYS)}


@dataclass(frozen=True)
class Handoff:
    """Reads as ``(weekday, minute of the day)``."""

    says: str = "a weekday and a time such as 'monday 09:00'"

    def read(self, value: Value, at: At) -> Any:
        found = re.fullmatch(r"([A-Za-z]{3,9}) ([01]\d|2[0-3]):([0-5]\d)", str(value.data))
        if found is None:
            return at.problem(value.line, show(value.data), self.says, "write for example 'monday 09:00', in 24 hours")
        word = found[1].lower()
        if word not in WEEKDAYS and word not in _SHORT:
            return at.problem(value.line, show(value.data), self.says, did_you_mean(word, WEEKDAYS))
        return _SHORT[word[:3]], int(found[2]) * 60 + int(found[3])

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[A-Za-z]{3,9} ([01]\d|2[0-3]):[0-5]\d$"}


def _calendar(path: str, text: str, at: At) -> Any:
    """(name, text) of an iCalendar file that can be read."""
    try:
        calendars.check(text, "UTC", time.time())
    except calendars.CalendarUnreadable as error:
        expected = "an iCalendar file that says who is on call (RFC 5545)"
        return at.problem(0, f"{path}: {error}", expected, "export the calendar of the shifts again")
    return path, text


ROTATION: Final = Section(
    "who is on call: {members, handoff, start, catch_all}, or {ical, catch_all}, or {pagerduty, catch_all}",
    {
        "members": Field(ListOf(Ref("people", "the id of a person"), 100), "Take turns in this order, a week each."),
        "handoff": Field(Handoff(), "When the next one takes over, on the clock on the wall.", default="monday 09:00"),
        "start": Field(Day(), "A day of the week in which the first member begins."),
        "zone": Field(Timezone(), "Time zone of the hand-off.", default="that of the install"),
        "ical": Field(
            File("an iCalendar file", _calendar),
            "File beside this one that says who is on call, instead of members: attendees or title name the people.",
        ),
        "pagerduty": Field(
            Section(
                "a schedule of PagerDuty: {schedule: PI7DH85, token: env:PAGERDUTY_TOKEN}",
                {
                    "schedule": Field(Text("the id of a schedule", r"[A-Za-z0-9]{4,40}"), "Its id.", True),
                    "token": Field(Secret(), "Name of the secret with a read-only API key.", True),
                    "url": Field(Url(), "Where the API is.", default=PAGERDUTY),
                    "allow_private": Field(
                        Boolean(), "May it be on this machine or a private network?", default="false"
                    ),
                },
                lambda read: PagerDutySchedule(**read),
            ),
            "Schedule that is kept in PagerDuty, instead of members; read every quarter of an hour.",
        ),
        "catch_all": Field(
            Ref("people", "the id of a person"), "Paged last, and first when nobody is on call.", required=True
        ),
        "hand_up": Field(
            Duration(30.0, 86_400.0),
            "A page that nobody acknowledged goes to the next person after so long.",
            default=f"{HAND_UP / 60:.0f}m",
        ),
    },
)

ON_CALL: Final = Field(
    MapOf(ROTATION, "rotations by name"),
    "Who is on call, by team (a rotation called as the team is the team's) or by a name that workflows refer to.",
)


def rotations_of(read: Mapping[str, Any], timezone: str) -> dict[str, Rotation]:
    """``read``: what ``people.yaml`` says, checked."""
    out = {}
    for name, keys in read.get("on_call", {}).items():
        facts = {key: keys[key] for key in ("members", "start", "catch_all", "hand_up", "pagerduty") if key in keys}
        weekday, minute = keys.get("handoff", (0, 9 * 60))
        file, text = keys.get("ical", ("", ""))
        out[name] = Rotation(
            name=name, zone=keys.get("zone", timezone), weekday=weekday, minute=minute, calendar=text,
            calendar_file=file, **facts,
        )  # fmt: skip
    return out


def check_rotations(
    reading: Reading, tree: Value | None, read: Mapping[str, Any], people: Mapping[str, Person]
) -> None:
    """Notes what cannot work, and warns of who has left."""
    for name, keys in read.get("on_call", {}).items():
        assert tree is not None
        place: Value = tree.data["on_call"].data[name]
        at = At(reading, _FILE, f"on_call.{name}")
        if name in people:
            at.problem(place.line, f"the name of the person {name}", "a name that no person has", "rename the rotation")
        _check_source(keys, place, at)
        for key in ("members", "catch_all"):
            named = keys.get(key, [])
            for person in dict.fromkeys([named] if isinstance(named, str) else named):
                if person in people and people[person].left:
                    mend = "name somebody else; until then nobody is on call in those weeks"
                    if key == "catch_all":
                        mend = "name somebody else; until then an owner of the workflow stands in"
                    found = f"{person}, who has left"
                    at.child(key).problem(place.data[key].line, found, "people who have not", mend, "warning")


def _check_source(keys: Mapping[str, Any], place: Value, at: At) -> None:
    written: Mapping[str, Value] = place.data
    sources = [key for key in ("members", "ical", "pagerduty") if key in written]
    if len(sources) != 1:
        found = " and ".join(sources) or "none of them"
        at.problem(place.line, found, _SOURCES, "keep one" if sources else "add 'members: […]', who take turns")
        return
    if sources == ["members"]:
        if "start" not in written:
            mend = "add 'start: 2026-11-02', a day of the week in which the first member begins"
            at.child("start").problem(place.line, "no such key", "a day", mend)
        if keys.get("members") == []:
            at.child("members").problem(written["members"].line, "nobody", "at least one person", "name somebody")
    else:
        for key in (key for key in _OF_MEMBERS if key in written):
            found = f"'{key}' beside '{sources[0]}'"
            at.child(key).problem(written[key].line, found, _SOURCES, f"remove '{key}'")
    schedule: PagerDutySchedule | None = keys.get("pagerduty")
    if schedule is not None:
        problem = address_problem(schedule.url, schedule.allow_private)
        if problem is not None:
            at.child("pagerduty.url").problem(written["pagerduty"].line, *problem)
