"""The kill switch for people: who may do what to which workflow, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from roadworthy.gateway.snapshot import Snapshot, Stopped
from roadworthy.kill_switch.confirming import Missing
from roadworthy.kill_switch.model import EVERY, STATES, Held, Right, State, Switch, severity
from roadworthy.kill_switch.rules import MAY, TRANSITIONS, UNDO_SECONDS, Event, Refused, in_force, step
from roadworthy.kill_switch.service import Done, Kills
from roadworthy.operations.rights import rights_of
from roadworthy.operations.stops.kill_words import reads
from roadworthy.workflow.model import Owners, Workflow
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.reserved import DRILLED
from roadworthy.workflow.service import Actor, Unknown


class Reached(msgspec.Struct, frozen=True):
    """Which gateways act on the last change."""

    all: bool
    """Every one that is known; never while one is missing, nor while none is known."""
    gateways: int
    workers: int
    missing: list[Missing]
    p50: float | None
    """Seconds from the press to the confirmation of a gateway."""
    max: float | None
    took: dict[str, float] = {}
    """The same by gateway; who is missing is left out."""
    at: float = 0.0
    """When it was pressed."""


class Line(Protocol):
    """To the gateways."""

    def reached(self, workflow: str, wait: float = 0.0) -> Reached | None:
        """Waits until all have confirmed, or so long.  ``None``: nothing was changed since control started."""
        ...


class Hold(msgspec.Struct, frozen=True):
    """What one source asks for."""

    source: str
    state: State
    since: float
    by: str
    reason: str
    active: list[str]
    """Who asks for it still."""


class Stand(msgspec.Struct, frozen=True):
    """The kill switch of one workflow, or of all (``*``)."""

    workflow: str
    state: State
    """Of its own switch."""
    in_force: State
    """With the switch of all."""
    since: float | None
    by: str
    reason: str
    seq: int
    sources: list[Hold]
    undo_by: str
    """Who may take the last press back; empty: nobody."""
    undo_until: float | None
    may_restore: dict[str, str]
    """State → who may go back to it."""
    reads: dict[str, str]
    """Workflow → what its customers read now; those that are on are left out."""
    reached: Reached | None
    at_risk: str = ""
    """Why a restart of control would forget it."""


class KillDesk:
    """Thread-safe.  Methods that act raise ``Unknown``, ``rules.Refused`` and ``NotKept``."""

    def __init__(
        self,
        kills: Kills,
        line: Line,
        *,
        snapshot: Callable[[], Snapshot | None],
        workflows: Callable[[], Mapping[str, Workflow]],
        clock: Callable[[], float],
        on_shift: Callable[[str, str], bool] = lambda workflow, person: False,
    ) -> None:
        """``snapshot``: what gateways serve; a stop asks nothing else, so that it waits for no database.  ``on_shift``:
        (workflow, person) → is the person on call for it now?"""
        self._on_shift = on_shift
        self._kills = kills
        self._line = line
        self._snapshot = snapshot
        self._workflows = workflows
        self._clock = clock

    # --- acting

    def press(self, workflow: str, to: State, reason: str, actor: Actor, wait: float) -> Stand:
        self._vet(workflow, actor, "press")
        done = self._kills.press(workflow, to, actor.id, reason, on_behalf_of=actor.on_behalf_of)
        return self.stand(workflow, wait=wait, done=done)

    def undo(self, workflow: str, actor: Actor, wait: float) -> Stand:
        undo = self._kills.switch(workflow).undo
        by = actor.on_behalf_of if undo is not None and undo.by == actor.on_behalf_of else actor.id
        done = self._kills.undo(workflow, by, on_behalf_of="" if by != actor.id else actor.on_behalf_of)
        return self.stand(workflow, wait=wait, done=done)

    def explain(self, workflow: str, reason: str, actor: Actor, wait: float) -> Stand:
        done = self._kills.explain(workflow, actor.id, reason, on_behalf_of=actor.on_behalf_of)
        return self.stand(workflow, wait=wait, done=done)

    def restore(self, workflow: str, to: State, reason: str, actor: Actor, wait: float) -> Stand:
        """What stops everything is first made each workflow's own, so that whoever restores brings back what is theirs
        and nothing else."""
        workflows = self._workflows()
        if workflow != EVERY:
            self._vet(workflow, actor, "restore")
        try:
            chosen = self._chosen(workflow, to, reason, actor, workflows)
        except Refused as refused:
            self._kills.refuse(workflow, actor.id, "restore", str(refused), on_behalf_of=actor.on_behalf_of)
            raise
        if self._must_spread(to):
            self._spread(workflows, actor, reason)
        for name in chosen:
            rights = self._rights(actor, name, workflows)
            done = self._kills.restore(name, to, actor.id, reason, rights, on_behalf_of=actor.on_behalf_of)
        return self.stand(workflow, wait=wait, done=done if workflow != EVERY else None)

    # --- reading

    def stand(self, workflow: str, *, wait: float = 0.0, done: Done | None = None) -> Stand:
        """How a workflow stands.  Raises ``Unknown``."""
        kills = self._kills
        if workflow not in kills.switches() and workflow not in self._names():
            raise Unknown(f"no workflow {workflow[:80]!r}: {did_you_mean(workflow, self._names())}")
        reached = self._line.reached(workflow, wait)
        switch = kills.switch(workflow)
        cause = _cause(switch)
        undo, now = switch.undo, self._clock()
        open_undo = undo is not None and now <= undo.at + UNDO_SECONDS
        risk = (done.at_risk if done is not None else "") or (
            "the switch could not be written yet" if workflow in kills.at_risk else ""
        )
        return Stand(
            workflow=workflow,
            state=switch.state,
            in_force=in_force(kills.switches(), workflow),
            since=None if cause is None else cause.since,
            by="" if cause is None else cause.by,
            reason="" if cause is None else cause.reason,
            seq=switch.seq,
            sources=[
                Hold(source, held.state, held.since, held.by, held.reason, held.active)
                for source, held in switch.held.items()
            ],
            undo_by=undo.by if undo is not None and open_undo else "",
            undo_until=undo.at + UNDO_SECONDS if undo is not None and open_undo else None,
            may_restore={to: MAY[right] for (at, to), right in TRANSITIONS.items() if at == switch.state != "on"
                         and severity(to) < severity(at)},
            reads=self._reads(workflow),
            reached=reached,
            at_risk=risk,
        )  # fmt: skip

    def stands(self) -> list[Stand]:
        """Of all (``*``) first, then of every workflow."""
        names = {*self._names(), *self._kills.switches()} - {EVERY, *DRILLED}
        return [self.stand(EVERY), *(self.stand(name) for name in sorted(names))]

    def stopped_stands(self) -> list[Stand]:
        """Of those that are not ``on`` themselves."""
        return [stand for stand in self.stands() if stand.state != "on"]

    def rights(self, person: str, workflow: str) -> frozenset[Right]:
        """Of a person on the switch of a workflow, now."""
        return self._rights(Actor(person), workflow, self._workflows())

    def would_read(self, workflow: str) -> dict[State, str]:
        """State → what customers of a workflow would read in it."""
        snapshot = self._snapshot()
        return {state: reads(snapshot, workflow, state) for state in STATES if state != "on"}

    def stopped(self) -> dict[str, Stopped]:
        """For the snapshot and the gateways: every switch that was ever touched."""
        snapshot = self._snapshot()
        served = {} if snapshot is None else snapshot.workflows
        return {
            name: Stopped(
                state=switch.state,
                seq=switch.seq,
                at=max((held.since for held in switch.held.values() if held.state == switch.state), default=0.0),
                streams=served[name].policy.kill.streams if name in served else DRILLED.get(name, "drain"),
            )
            for name, switch in self._kills.switches().items()
        }

    # --- how

    def _names(self) -> Iterable[str]:
        snapshot = self._snapshot()
        return {EVERY} if snapshot is None else {EVERY, *snapshot.workflows}

    def _vet(self, workflow: str, actor: Actor, action: str) -> None:
        if workflow in DRILLED:
            why = f"{workflow!r} is stopped and restored by the kill drill only: roadworthy drill kill"
        elif workflow in self._names() or workflow in self._kills.switches():
            return
        else:
            why = f"no workflow {workflow[:80]!r}: {did_you_mean(workflow, set(self._names()) - {EVERY})}"
        self._kills.refuse(workflow[:80], actor.id, action, why, on_behalf_of=actor.on_behalf_of)
        raise Unknown(why)

    def _must_spread(self, to: State) -> bool:
        return severity(self._kills.switch(EVERY).state) > severity(to)

    def _chosen(
        self, workflow: str, to: State, reason: str, actor: Actor, workflows: Mapping[str, Workflow]
    ) -> list[str]:
        """What the actor may bring back to ``to``, every rule asked beforehand.  Raises ``Refused``."""
        now = self._clock()
        every = self._kills.switch(EVERY)
        if self._must_spread(to):
            lifted = Event(
                kind="restore", by=actor.id, to="on", reason=reason or "-", rights=frozenset[Right]({"owner"})
            )
            step(every, lifted, now)  # files and environments of all, which only whoever is there can remove
        names = [workflow] if workflow != EVERY else sorted({*workflows, *self._kills.switches()} - {EVERY, *DRILLED})
        chosen, refusals = [], []
        for name in names:
            switch = self._kills.switch(name)
            if self._must_spread(to):
                switch, _ = step(switch, Event(kind="hold", by=actor.id, to=every.state), now)
            elif severity(switch.state) <= severity(to) and workflow == EVERY:
                continue
            rights = self._rights(actor, name, workflows)
            try:
                step(switch, Event(kind="restore", by=actor.id, to=to, reason=reason, rights=rights), now)
            except Refused as refused:
                refusals.append(refused)
            else:
                chosen.append(name)
        if not chosen:
            raise refusals[0] if refusals else Refused("nothing is stopped")
        return chosen

    def _rights(self, actor: Actor, name: str, workflows: Mapping[str, Workflow]) -> frozenset[Right]:
        return rights_of(actor.id, _owners(workflows, name), on_shift=self._on_shift(name, actor.id))

    def _spread(self, workflows: Mapping[str, Workflow], actor: Actor, reason: str) -> None:
        every = self._kills.switch(EVERY)
        cause = _cause(every)
        assert cause is not None
        why = f"everything was stopped: {cause.reason or 'no reason given'}"
        for name in sorted(workflows):
            self._kills.hold(name, every.state, cause.by, why)
        self._kills.restore(
            EVERY, "on", actor.id, reason or "made the workflows' own", frozenset[Right]({"stop", "on_call", "owner"}),
            on_behalf_of=actor.on_behalf_of,
        )  # fmt: skip

    def _reads(self, workflow: str) -> dict[str, str]:
        snapshot = self._snapshot()
        names = [workflow] if workflow != EVERY else sorted({} if snapshot is None else snapshot.workflows)
        found = {name: reads(snapshot, name, in_force(self._kills.switches(), name)) for name in names}
        return {name: text for name, text in found.items() if text}


def _cause(switch: Switch) -> Held | None:
    """What holds the state that is in force, the newest last."""
    held = [each for each in switch.held.values() if each.state == switch.state and switch.state != "on"]
    return max(held, key=lambda each: each.since, default=None)


def _owners(workflows: Mapping[str, Workflow], name: str) -> Owners | None:
    workflow = workflows.get(name)
    return None if workflow is None else workflow.owners
