"""Who is on call for a workflow, now and at any time, and who takes over for a while.

A workflow's on-call is what its ``owners.on_call`` names (a person or a rotation), else the rotation called as its
team, else its owner, who then is on call without anybody having said so: that is a gap.

Fails towards somebody: in a gap the catch-all is paged, and where even that person has left, an owner who has not.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from roadworthy.people.directory import marked
from roadworthy.people.oncall import rules
from roadworthy.people.oncall.model import Gap, Override, Reading, Shift
from roadworthy.people.oncall.ports import OnCallReads, OnCallState
from roadworthy.workflow import calendars
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.model import DEFAULT_TEAM, Configuration, Person, Workflow
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.rotation import HAND_UP, Rotation
from roadworthy.workflow.service import Actor, Unknown

BACK = 8 * rules.DAY
PAST_VERSIONS = 200
"""Configurations that are looked through for the one in force at an instant in the past."""


class OverrideRefused(ValueError):
    """The message says why, and what would be taken."""


class Duty(msgspec.Struct, frozen=True):
    """Whose matter it is to be on call for a workflow."""

    workflow: str
    team: str
    kind: Literal["rotation", "named", "owner"]
    name: str
    """Of the rotation, or the id of the person."""
    catch_all: str
    """Paged last; empty: nobody is left to be."""
    hand_up: float = HAND_UP
    """Seconds until a page that nobody acknowledged is handed up."""
    problem: str = ""
    """What does not work as configured, for whoever mends it."""


class OnCall:
    """Thread-safe; keeps nothing."""

    def __init__(
        self,
        state: OnCallState,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: f"ovr_{secrets.token_hex(6)}",
    ) -> None:
        self._state = state
        self._clock = clock
        self._new_id = new_id

    # who
    def now(self, workflow: str) -> list[str]:
        """Ids of people in the order in which a page goes to them; the last is the catch-all.  Raises ``Unknown``."""
        return self.at(workflow, self._clock())

    def at(self, workflow: str, instant: float) -> list[str]:
        """As ``now``, by the configuration and the overrides of then."""
        with self._state.read() as tx:
            configuration = _configured(tx, instant)
            duty = _duty(configuration, workflow)
            shift = self._shifts(tx, configuration, duty, instant, instant + 1.0)[0]
        return [person for person in dict.fromkeys((*shift.people, duty.catch_all)) if person]

    def on_shift(self, workflow: str, person: str, now: float) -> bool:
        """Is this person on call, or the first whom a page reaches because nobody is?  An unknown workflow: nobody."""
        try:
            with self._state.read() as tx:
                configuration = _configured(tx, now)
                duty = _duty(configuration, workflow)
                shift = self._shifts(tx, configuration, duty, now, now + 1.0)[0]
        except Unknown:
            return False
        return person in (shift.people or (duty.catch_all,))

    def shifts(self, workflow: str, start: float, end: float) -> list[Shift]:
        """Without gap or overlap from ``start`` to ``end``; those with nobody say why.  Raises ``Unknown``,
        ``SpanRefused``."""
        rules.check_span(start, end)
        with self._state.read() as tx:
            configuration = _configured(tx)
            return self._shifts(tx, configuration, _duty(configuration, workflow), start, end)

    def gaps(self, workflow: str, start: float, end: float) -> list[Gap]:
        """Spans in which nobody is on call as anybody declared."""
        return rules.gaps(self.shifts(workflow, start, end))

    def duty(self, workflow: str) -> Duty:
        with self._state.read() as tx:
            return _duty(_configured(tx), workflow)

    def hand_up(self, workflow: str) -> float:
        """Seconds until a page that nobody acknowledged goes to the next person."""
        return self.duty(workflow).hand_up

    # rotations
    def rotations(self) -> dict[str, Rotation]:
        with self._state.read() as tx:
            return dict(_configured(tx).on_call)

    def workflows(self) -> list[str]:
        with self._state.read() as tx:
            return sorted(_configured(tx).workflows)

    def rotation_shifts(self, rotation: str, start: float, end: float) -> list[Shift]:
        """Raises ``Unknown``, ``SpanRefused``."""
        rules.check_span(start, end)
        with self._state.read() as tx:
            configuration = _configured(tx)
            return self._of_rotation(tx, configuration, _rotation(configuration, rotation), start, end)

    def configured(self) -> bool:
        """Was anything applied yet?"""
        with self._state.read() as tx:
            return tx.applied() is not None

    def people(self) -> dict[str, Person]:
        with self._state.read() as tx:
            return dict(_configured(tx).people)

    def team(self, rotation: str) -> str:
        with self._state.read() as tx:
            return team_of(_configured(tx), rotation)

    def begins(self, rotation: str, shift: Shift) -> float:
        """When a shift that was cut at its start really begins, looking a week back."""
        found = self.rotation_shifts(rotation, shift.start - BACK, shift.end)
        return next((each.start for each in found if each.end > shift.start), shift.start)

    def told_by(self, text: str, zone: str, start: float, end: float) -> list[Shift]:
        """Who is on call by a calendar that is not configured.  Raises ``CalendarUnreadable``, ``SpanRefused``."""
        rules.check_span(start, end)
        entries = calendars.entries(text, zone, start, end)
        with self._state.read() as tx:
            configuration = _configured(tx)
        who = rules.matched(configuration.people)
        return rules.laid_over(rules.told(entries, who, "calendar", start, end), (), gone_of(configuration))

    def reading(self, rotation: str) -> Reading | None:
        """How a schedule that is kept elsewhere was read last; ``None``: it never was."""
        with self._state.read() as tx:
            return tx.on_call_reading(rotation)

    # overrides
    def overrides(self, rotation: str, start: float, end: float) -> list[Override]:
        with self._state.read() as tx:
            return list(tx.on_call_overrides(rotation, start, end))

    def found(self, ident: str) -> Override | None:
        """An override by its id."""
        with self._state.read() as tx:
            return tx.on_call_override(ident)

    def override(self, rotation: str, person: str, start: float, end: float, actor: Actor, why: str = "") -> Override:
        """``person`` is on call in the rotation from then (now, if that is over) until then, whoever else would be.
        Raises ``Unknown``, ``OverrideRefused``; both are audited."""
        now = self._clock()
        with self._state.write() as tx:
            configuration = _configured(tx)
            team = team_of(configuration, rotation)
            made = Override(self._new_id(), team, rotation, person, max(start, now), end, actor.id, now, why.strip())
            event = Event(
                actor=actor.id, on_behalf_of=actor.on_behalf_of, action="oncall.override",
                target=f"rotation/{rotation}", team=team, after=_facts(made), reason=made.why,
            )  # fmt: skip
            refusal = _refusal(configuration, made)
            if refusal is None:
                tx.put_on_call_override(made)
            else:
                event = _denied(event)
            tx.append_audit(chain(tx.last_audit(), event, now))
        if refusal is not None:
            raise refusal
        return made

    def take_back(self, ident: str, actor: Actor, why: str = "") -> Override:
        """From now on the override holds no more; what it covered until now stays as it was.  Raises ``Unknown``, and
        ``OverrideRefused`` when it is over already."""
        now = self._clock()
        with self._state.write() as tx:
            found = tx.on_call_override(ident)
            event = Event(
                actor=actor.id, on_behalf_of=actor.on_behalf_of, action="oncall.take_back", target=f"override/{ident}",
                team=DEFAULT_TEAM if found is None else found.team, reason=why.strip(),
                before=None if found is None else _facts(found),
            )  # fmt: skip
            refusal: Exception | None = None
            if found is None:
                refusal = Unknown(f"no override {ident!r}; `roadworthy oncall` lists them")
            elif found.holds_until <= now:
                refusal = OverrideRefused(f"the override {ident} is over already")
            else:
                tx.put_on_call_override(msgspec.structs.replace(found, ended_at=now, ended_by=actor.id))
            tx.append_audit(chain(tx.last_audit(), event if refusal is None else _denied(event), now))
        if refusal is not None:
            raise refusal
        assert found is not None
        return msgspec.structs.replace(found, ended_at=now, ended_by=actor.id)

    # within a transaction
    def _shifts(
        self, tx: OnCallReads, configuration: Configuration, duty: Duty, start: float, end: float
    ) -> list[Shift]:
        gone = gone_of(configuration)
        if duty.kind == "rotation":
            return self._of_rotation(tx, configuration, configuration.on_call[duty.name], start, end)
        if duty.kind == "owner":
            why = f"no rotation is configured, so pages go to its owner, {duty.name}"
            return [Shift(start, end, (), "owner", why)]
        if duty.name in gone:
            return [Shift(start, end, (), "named", f"{duty.name} has left")]
        return [Shift(start, end, (duty.name,), "named")]

    def _of_rotation(
        self, tx: OnCallReads, configuration: Configuration, rotation: Rotation, start: float, end: float
    ) -> list[Shift]:
        overrides = tx.on_call_overrides(rotation.name, start, end)
        return rules.laid_over(self._said(tx, configuration, rotation, start, end), overrides, gone_of(configuration))

    def _said(
        self, tx: OnCallReads, configuration: Configuration, rotation: Rotation, start: float, end: float
    ) -> list[Shift]:
        who = rules.matched(configuration.people)
        if rotation.pagerduty is not None:
            kept = tx.on_call_reading(rotation.name)
            if kept is None or kept.schedule != rotation.pagerduty.schedule or kept.fetched_at is None:
                return [Shift(start, end, (), "pagerduty", f"{rotation.pagerduty.schedule} was not read yet")]
            return rules.told(kept.entries, who, "pagerduty", start, end, known=(kept.start, kept.end))
        if rotation.calendar_file:
            try:
                entries = calendars.entries(rotation.calendar, rotation.zone, start, end)
            except calendars.CalendarUnreadable as error:  # it was checked a year ahead when it was applied
                return [Shift(start, end, (), "calendar", f"{rotation.calendar_file}: {error}")]
            return rules.told(entries, who, "calendar", start, end)
        return rules.turns(rotation, start, end)


def gone_of(configuration: Configuration) -> frozenset[str]:
    """Who has left."""
    return frozenset(person.id for person in configuration.people.values() if person.left)


def team_of(configuration: Configuration, rotation: str) -> str:
    """Whose a rotation is: of the team that it is called as, else of the workflows that name it."""
    flows = configuration.workflows.values()
    if any(flow.team == rotation for flow in flows):
        return rotation
    return next((flow.team for flow in flows if flow.owners.on_call == rotation), DEFAULT_TEAM)


def _configured(tx: OnCallReads, at: float | None = None) -> Configuration:
    """In force at that instant; before the first, as the first.  Whoever had left by then is marked so."""
    applied = tx.applied()
    if applied is not None and at is not None and at < applied.applied_at:
        past = tx.configurations(PAST_VERSIONS)
        applied = next((each for each in past if each.applied_at <= at), past[-1])
    if applied is None:
        raise Unknown("nothing is configured yet; `roadworthy apply DIR` does")
    return marked(tx, applied.configuration, at)


def _duty(configuration: Configuration, workflow: str) -> Duty:
    flow = configuration.workflows.get(workflow)
    if flow is None:
        hint = did_you_mean(workflow, configuration.workflows)
        raise Unknown(f"there is no workflow {workflow!r}: {hint}")
    named = flow.owners.on_call
    rotation = configuration.on_call.get(named or flow.team)
    last = _standing_in(flow, gone_of(configuration))
    if rotation is not None:
        away = rotation.catch_all in gone_of(configuration)
        problem = f"{rotation.catch_all}, the catch-all of {rotation.name}, has left" if away else ""
        catch_all = last if away else rotation.catch_all
        return Duty(workflow, flow.team, "rotation", rotation.name, catch_all, rotation.hand_up, problem)
    if named is not None:
        return Duty(workflow, flow.team, "named", named, last)
    return Duty(workflow, flow.team, "owner", flow.owners.workflow, last)


def _standing_in(flow: Workflow, gone: frozenset[str]) -> str:
    """The first of a workflow's owners who has not left."""
    owners = (flow.owners.workflow, flow.owners.prompt, flow.owners.cost)
    return next((person for person in owners if person not in gone), "")


def _rotation(configuration: Configuration, name: str) -> Rotation:
    found = configuration.on_call.get(name)
    if found is None:
        hint = did_you_mean(name, configuration.on_call) if configuration.on_call else "people.yaml has no on_call"
        raise Unknown(f"there is no rotation {name!r}: {hint}")
    return found


def _refusal(configuration: Configuration, made: Override) -> Exception | None:
    if made.rotation not in configuration.on_call:
        try:
            _rotation(configuration, made.rotation)
        except Unknown as unknown:
            return unknown
    people: Mapping[str, object] = configuration.people
    if made.person not in people:
        return Unknown(f"nobody is called {made.person!r} in people.yaml: {did_you_mean(made.person, people)}")
    if made.person in gone_of(configuration):
        return OverrideRefused(f"{made.person} has left; name somebody who has not")
    if made.end <= made.start:
        return OverrideRefused("it would end before it begins; expected an end after its start, and after now")
    if made.end - made.start > rules.LONGEST_OVERRIDE:
        most = rules.LONGEST_OVERRIDE / rules.DAY
        return OverrideRefused(f"it is longer than {most:.0f} days; change the rotation in people.yaml instead")
    return None


def _facts(made: Override) -> dict[str, object]:
    return {"id": made.id, "person": made.person, "from": made.start, "until": made.end}


def _denied(event: Event) -> Event:
    return dataclasses.replace(event, outcome="denied")
