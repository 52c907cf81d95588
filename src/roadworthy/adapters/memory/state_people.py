"""The in-memory twin of the escalations, messages and incidents of the state store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from roadworthy.people.escalation.model import Escalation, Worked
from roadworthy.people.incident.model import Incident
from roadworthy.people.outbox.model import Delivery, DeliveryState, Kind
from roadworthy.people.ports import WhichEscalations


@dataclass
class Tables:
    escalations: dict[str, Escalation] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    received: dict[tuple[str, str], float] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)

    def copy(self) -> Tables:
        return Tables(dict(self.escalations), dict(self.deliveries), dict(self.received), dict(self.incidents))


class PeopleTables:
    """Needs ``_people`` and ``_people_change`` of ``MemoryTransaction``."""

    @property
    def _people(self) -> Tables:
        raise NotImplementedError

    @property
    def _people_change(self) -> Tables:
        raise NotImplementedError

    # escalations
    def escalation(self, ident: str) -> Escalation | None:
        return self._people.escalations.get(ident)

    def add_escalation(self, escalation: Escalation) -> bool:
        rows = self._people_change.escalations
        return rows.setdefault(escalation.id, escalation) is escalation

    def put_escalation(self, escalation: Escalation) -> None:
        rows = self._people_change.escalations
        if escalation.id in rows:
            rows[escalation.id] = escalation

    def escalations(self, which: WhichEscalations, limit: int) -> Sequence[Escalation]:
        found = [
            row
            for row in self._people.escalations.values()
            if which.workflow in (None, row.workflow)
            and (which.states is None or row.state in which.states)
            and which.unit in (None, row.unit)
            and which.team in (None, row.team)
        ]
        return sorted(found, key=lambda row: (row.opened_at, row.id), reverse=True)[:limit]

    def waiting_escalations(self, workflow: str | None, limit: int) -> Sequence[Escalation]:
        found = [row for row in self._open() if workflow in (None, row.workflow) and row.traffic != "drill"]
        return sorted(found, key=lambda row: (row.answer_by, row.id))[:limit]

    def open_escalations(self) -> dict[str, int]:
        return dict(Counter(row.workflow for row in self._open() if row.traffic != "drill"))

    def overdue_escalations(self, now: float, limit: int) -> Sequence[Escalation]:
        found = [(min(row.answer_by, row.claimed_until or row.answer_by), row.id, row) for row in self._open()]
        return [row for due, _, row in sorted(found, key=lambda item: item[:2]) if due <= now][:limit]

    def last_escalation_seq(self) -> int:
        return max((row.seq for row in self._people.escalations.values()), default=0)

    def escalations_after(self, seq: int, limit: int) -> Sequence[Escalation]:
        found = [row for row in self._people.escalations.values() if row.seq > seq]
        return sorted(found, key=lambda row: row.seq)[:limit]

    def worked_escalations(self, workflow: str | None, since: float, limit: int) -> Sequence[Worked]:
        found = [
            row
            for row in self._people.escalations.values()
            if row.traffic != "drill" and row.opened_at >= since and workflow in (None, row.workflow)
        ]
        found.sort(key=lambda row: (row.opened_at, row.id), reverse=True)
        return [Worked(_wordless(row), row.draft is not None) for row in found[:limit]]

    def escalated_units(self) -> Sequence[tuple[str, float]]:
        first: dict[tuple[str, str], float] = {}
        rows = [("escalation", row.unit, row.opened_at) for row in self._people.escalations.values()]
        rows += [("delivery", row.unit, row.created_at) for row in self._people.deliveries.values()]
        for store, unit, at in rows:
            if unit is not None:
                first[store, unit] = min(at, first.get((store, unit), at))
        return [(unit, at) for (_, unit), at in first.items()]

    def forget_escalations(self, unit: str, until: float) -> tuple[Sequence[str], int]:
        rows = self._people_change
        ids = [row.id for row in rows.escalations.values() if row.unit == unit and row.opened_at <= until]
        for ident in ids:
            del rows.escalations[ident]
        told = [
            row.id
            for row in rows.deliveries.values()
            if (row.unit == unit and row.created_at <= until) or row.about in ids
        ]
        for ident in told:
            del rows.deliveries[ident]
        return ids, len(told)

    def mentions(self, unit: str) -> int:
        escalations = sum(row.unit == unit for row in self._people.escalations.values())
        return escalations + sum(row.unit == unit for row in self._people.deliveries.values())

    def expire_escalations(self, before: float) -> int:
        rows = self._people_change.escalations
        old = [row.id for row in rows.values() if row.closed_at is not None and row.closed_at < before]
        for ident in old:
            del rows[ident]
        return len(old)

    # messages
    def delivery(self, ident: str) -> Delivery | None:
        return self._people.deliveries.get(ident)

    def put_delivery(self, delivery: Delivery) -> None:
        self._people_change.deliveries[delivery.id] = delivery

    def due_deliveries(self, now: float, limit: int, *, pages: bool | None = None) -> Sequence[Delivery]:
        found = [
            row
            for row in self._people.deliveries.values()
            if row.state == "waiting" and row.due_at <= now and pages in (None, row.kind == "page")
        ]
        return sorted(found, key=lambda row: (row.due_at, row.created_at))[:limit]

    def deliveries(
        self, *, state: DeliveryState | None = None, about: str | None = None, kind: Kind | None = None, limit: int
    ) -> Sequence[Delivery]:
        found = [
            row
            for row in self._people.deliveries.values()
            if state in (None, row.state) and about in (None, row.about) and kind in (None, row.kind)
        ]
        return sorted(found, key=lambda row: (row.created_at, row.id), reverse=True)[:limit]

    def count_deliveries(self) -> dict[DeliveryState, int]:
        return dict(Counter(row.state for row in self._people.deliveries.values()))

    def expire_deliveries(self, before: float) -> int:
        rows = self._people_change.deliveries
        old = [row.id for row in rows.values() if row.ended_at is not None and row.ended_at < before]
        for ident in old:
            del rows[ident]
        return len(old)

    def receive_message(self, sender: str, ident: str, at: float) -> bool:
        rows = self._people_change.received
        if (sender, ident) in rows:
            return False
        rows[sender, ident] = at
        return True

    def expire_messages(self, before: float) -> int:
        rows = self._people_change.received
        old = [place for place, at in rows.items() if at < before]
        for place in old:
            del rows[place]
        return len(old)

    # incidents
    def incident(self, ident: str) -> Incident | None:
        return self._people.incidents.get(ident)

    def newest_incident(self, key: str) -> Incident | None:
        found = [row for row in self._people.incidents.values() if row.key == key]
        return max(found, key=lambda row: (row.opened_at, row.id), default=None)

    def put_incident(self, incident: Incident) -> None:
        self._people_change.incidents[incident.id] = incident

    def count_open_incidents(self) -> int:
        return sum(not row.over for row in self._people.incidents.values())

    def incidents(
        self, *, open_only: bool = False, workflow: str | None = None, inference: str | None = None,
        drills: bool = True, limit: int = 100,
    ) -> Sequence[Incident]:  # fmt: skip
        found = [
            row
            for row in self._people.incidents.values()
            if (not open_only or not row.over)
            and (drills or row.traffic != "drill")
            and workflow in (None, row.workflow)
            and (inference is None or any(ident.startswith(inference) for ident in row.inferences))
        ]
        return sorted(found, key=lambda row: (row.seen_at, row.id), reverse=True)[:limit]

    def _open(self) -> list[Escalation]:
        return [row for row in self._people.escalations.values() if row.open]


def _wordless(row: Escalation) -> Escalation:
    nothing = msgspec.Raw(b"null")
    answer = None if row.answer is None else replace(row.answer, text="", json=nothing)
    committed = None if row.committed is None else replace(row.committed, text="")
    return replace(row, messages=nothing, draft=None, holding="", answer=answer, committed=committed)
