"""Who is on call, as the surfaces show it: one line a workflow, the weeks to come, gaps, a calendar to take away."""

from __future__ import annotations

import msgspec

from roadworthy.people.oncall.model import Reading, Shift
from roadworthy.people.oncall.rules import DAY, LONGEST_HORIZON
from roadworthy.people.oncall.service import OnCall
from roadworthy.workflow import calendars
from roadworthy.workflow.model import Person
from roadworthy.workflow.rotation import Rotation

SOON = 15 * DAY
"""Seconds ahead in which the next hand-off is looked for."""
BEYOND = 8 * DAY
WEEKS = 6
MOST_WEEKS = 52


class OnDutyNow(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow at one instant."""

    workflow: str
    team: str
    kind: str
    """``rotation``, ``named`` (a person) or ``owner``: nobody said who."""
    name: str
    """Of the rotation, or of the person."""
    people: list[str]
    """To whom a page goes, in this order; the last is the catch-all."""
    shift: Shift
    """As it is then; its ends as far as was looked."""
    hands_over_to: str
    """Who is on call after it; empty: the same, or nobody."""
    hand_up: float
    problem: str


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """A rotation and who is on call in it, without gap or overlap."""

    rotation: str
    team: str
    source: str
    says: str
    """How it goes on, in words: ``monday 09:00 Europe/Berlin``, a file, a schedule."""
    catch_all: str
    hand_up: float
    workflows: list[str]
    members: list[str]
    shifts: list[Shift]
    reading: Reading | None
    """Of a schedule that is kept elsewhere, without its entries."""


class WorkflowGap(msgspec.Struct, frozen=True):
    workflow: str
    start: float
    end: float
    reason: str
    rotation: str = ""
    """In which an override would close it; empty: there is none."""


def on_duty(on_call: OnCall, workflow: str, at: float) -> OnDutyNow:
    """Raises ``Unknown``."""
    duty = on_call.duty(workflow)
    found = on_call.shifts(workflow, at, at + SOON)
    now, after = found[0], next((each for each in found[1:] if each.people != found[0].people), None)
    return OnDutyNow(
        workflow=workflow, team=duty.team, kind=duty.kind, name=duty.name, people=on_call.at(workflow, at),
        shift=now, hands_over_to="" if after is None else after.person, hand_up=duty.hand_up, problem=duty.problem,
    )  # fmt: skip


def watches(on_call: OnCall, start: float, end: float) -> list[Watch]:
    """Of every rotation, by name."""
    duties = [on_call.duty(workflow) for workflow in on_call.workflows()]
    out = []
    for name, rotation in sorted(on_call.rotations().items()):
        mine = [duty for duty in duties if duty.kind == "rotation" and duty.name == name]
        kept = on_call.reading(name) if rotation.pagerduty is not None else None
        out.append(
            Watch(
                rotation=name, team=on_call.team(name), source=rotation.source, says=says(rotation),
                catch_all=rotation.catch_all, hand_up=rotation.hand_up, members=rotation.members,
                workflows=[duty.workflow for duty in mine],
                shifts=on_call.rotation_shifts(name, start, end),
                reading=None if kept is None else msgspec.structs.replace(kept, entries=[]),
            )
        )  # fmt: skip
    return out


def says(rotation: Rotation) -> str:
    if rotation.pagerduty is not None:
        return f"schedule {rotation.pagerduty.schedule} of PagerDuty"
    if rotation.calendar_file:
        return f"calendar {rotation.calendar_file}"
    return f"hand-off {rotation.handoff.capitalize()}, {rotation.zone}"


def gaps(on_call: OnCall, start: float, end: float) -> list[WorkflowGap]:
    """That begin by then, of every workflow, the earliest first; one may end later."""
    out = []
    for name in on_call.workflows():
        duty = on_call.duty(name)
        rotation = duty.name if duty.kind == "rotation" else ""
        out += [
            WorkflowGap(name, gap.start, gap.end, gap.reason, rotation)
            for gap in on_call.gaps(name, start, max(end, start + LONGEST_HORIZON))
            if gap.start < end
        ]
    return sorted(out, key=lambda each: (each.start, each.workflow))


def calendar(on_call: OnCall, rotation: str, start: float, end: float, now: float) -> str:
    """The shifts of a rotation as an iCalendar file.  An event keeps its id for as long as its shift begins then, so a
    calendar program that reads it anew moves nothing.  Raises ``Unknown``, ``SpanRefused``."""
    people = on_call.people()
    events = []
    for shift in on_call.rotation_shifts(rotation, start, end + BEYOND):  # none is cut where the file ends
        if not shift.people or shift.start >= end:
            continue
        begins = on_call.begins(rotation, shift) if shift.start == start else shift.start
        named: Person | None = people.get(shift.person)
        title = f"On call ({rotation}): {shift.person if named is None else named.name}"
        mail = "" if named is None else named.email
        events.append((f"{rotation}-{begins:.0f}-{shift.person}@roadworthy", begins, shift.end, title, mail))
    return calendars.written(events, f"On call: {rotation}", now)
