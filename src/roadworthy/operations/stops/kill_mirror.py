"""After the act: the kill log into the audit chain, and whoever must know is told.

Every line becomes one audit record, which names it as its evidence, so it is written once however often control dies.
What other parts do when a workflow is stopped happens at least once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from roadworthy.kill_switch.model import EVERY, STATES, TRIGGERS, Record
from roadworthy.kill_switch.service import Kills
from roadworthy.people.incident import rules as incident_rules
from roadworthy.people.incident.model import Notice
from roadworthy.people.incident.service import Incidents
from roadworthy.people.ports import PeopleState, PeopleTransaction
from roadworthy.workflow.audit import AuditRecord, Event, chain
from roadworthy.workflow.model import DEFAULT_TEAM, Workflow
from roadworthy.workflow.ports import Transaction
from roadworthy.workflow.reserved import DRILLED

PAGE = 500

OnLeft = Callable[[str, str, str], None]
"""(workflow, by, reason): it is not ``on`` any more.  At least once for each stop; raises to be called again."""


class KillMirror:
    """Blocking; one thread at a time."""

    def __init__(self, kills: Kills, state: PeopleState, incidents: Incidents, *, clock: Callable[[], float]) -> None:
        self._kills = kills
        self._state = state
        self._incidents = incidents
        self._clock = clock
        self._done: int | None = None
        """Lines that are in the audit chain; ``None``: look."""
        self.on_left_on: OnLeft = lambda workflow, by, reason: None

    def tend(self) -> int:
        """Mirror what is new.  Returns how many lines.  Raises what the state raises; nothing is lost then."""
        self._kills.settle()
        records = self._kills.records()
        if self._done is None:
            with self._state.read() as tx:
                self._done = mirrored(records, _audited(tx))
        fresh = records[self._done :]
        if not fresh:
            return 0
        with self._state.read() as tx:
            applied = tx.applied()
        workflows = {} if applied is None else applied.configuration.workflows
        for line in fresh:
            for workflow in left_on(line, workflows):
                self.on_left_on(workflow, line.by, line.reason)
        self._done = None  # until the transaction is known to have ended well
        with self._state.write() as tx:
            for line in fresh:
                tx.append_audit(chain(tx.last_audit(), event(line, workflows), self._clock()))
                self._tell(tx, line, workflows)
        self._done = len(records)
        return len(fresh)

    def _tell(self, tx: PeopleTransaction, line: Record, workflows: Mapping[str, Workflow]) -> None:
        """Owners hear of a state that is new, once; a workflow that is on again needs nobody."""
        if line.denied or line.before == line.after or line.workflow in DRILLED:
            return
        if line.after == "on":
            for state in STATES:
                found = tx.newest_incident(_key(line.workflow, state))
                if found is not None and not found.over:
                    tx.put_incident(incident_rules.resolve(found, line.by, line.reason or "switched on", line.at))
            return
        self._incidents.note(tx, [notice(line, workflows)])


def mirrored(records: Sequence[Record], audited: Iterator[AuditRecord]) -> int:
    """How many lines of the kill log are in the chain.  ``audited``: newest first."""
    places = {line.id: number for number, line in enumerate(records, 1)}
    return next((places[record.evidence] for record in audited if record.evidence in places), 0)


def event(line: Record, workflows: Mapping[str, Workflow]) -> Event:
    workflow = workflows.get(line.workflow)
    return Event(
        actor=line.by,
        action=f"kill.{line.action}",
        target=f"workflow/{line.workflow}",
        on_behalf_of=line.on_behalf_of,
        before={"state": line.before},
        after={"state": line.after, "seq": line.seq, "at": line.at, "source": line.source},
        reason=line.denied or line.reason,
        evidence=line.id,
        outcome="denied" if line.denied else "done",
        team=DEFAULT_TEAM if workflow is None else workflow.team,
    )


def left_on(line: Record, workflows: Mapping[str, Workflow]) -> list[str]:
    """Workflows that a line of the log stops."""
    if line.denied or line.before != "on" or line.after == "on" or line.workflow in DRILLED:
        return []
    return sorted(workflows) if line.workflow == EVERY else [line.workflow]


def notice(line: Record, workflows: Mapping[str, Workflow]) -> Notice:
    workflow = workflows.get(line.workflow)
    what = "every workflow" if line.workflow == EVERY else line.workflow
    who = f"gateway {line.by}, by its {line.source}" if line.action == "report" else line.by
    again = f"roadworthy restore {'--all' if line.workflow == EVERY else line.workflow}"
    return Notice(
        kind="incident" if line.source in TRIGGERS else "alert",
        alert="kill",
        key=_key(line.workflow, line.after),
        team=DEFAULT_TEAM if workflow is None else workflow.team,
        workflow="" if workflow is None else line.workflow,
        title=f"{what}: the kill switch is {line.after}",
        summary=f"It was {line.before}; {who} did it: {line.reason or 'no reason given yet'}. Back: {again}",
        role="cost" if line.source == "spend" else "workflow",
        at=line.at,
        inference="",
    )


def _key(workflow: str, state: str) -> str:
    return f"kill/{workflow}/{state}"


def _audited(tx: Transaction) -> Iterator[AuditRecord]:
    """Newest first, in pages."""
    last = tx.last_audit()
    above = 0 if last is None else last.seq
    while above > 0:
        yield from reversed(tx.audit(after=max(0, above - PAGE), limit=min(PAGE, above)))
        above -= PAGE
