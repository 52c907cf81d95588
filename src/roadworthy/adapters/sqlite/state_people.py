"""Escalations, messages and incidents of the state store (``people.ports``); a part of ``SqliteTransaction``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.people.escalation.model import OPEN_STATES, Escalation, Worked
from roadworthy.people.incident.model import Incident
from roadworthy.people.outbox.model import Delivery, DeliveryState, Kind
from roadworthy.people.ports import WhichEscalations
from roadworthy.workflow.model import DEFAULT_TEAM

T = TypeVar("T")


class PeopleRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    # escalations
    def escalation(self, ident: str) -> Escalation | None:
        return _decoded(self._connection.scalar(_records(t.escalation).where(t.escalation.c.id == ident)), Escalation)

    def add_escalation(self, escalation: Escalation) -> bool:
        row = insert(t.escalation).values(**_escalation_row(escalation)).on_conflict_do_nothing()
        return self._change(row).rowcount == 1

    def put_escalation(self, escalation: Escalation) -> None:
        row = _escalation_row(escalation)
        self._change(sa.update(t.escalation).where(t.escalation.c.id == escalation.id).values(**row))

    def escalations(self, which: WhichEscalations, limit: int) -> Sequence[Escalation]:
        query = _records(t.escalation).order_by(t.escalation.c.opened_at.desc(), t.escalation.c.id.desc()).limit(limit)
        if which.workflow is not None:
            query = query.where(t.escalation.c.workflow == which.workflow)
        if which.states is not None:
            query = query.where(t.escalation.c.state.in_(which.states))
        if which.unit is not None:
            query = query.where(t.escalation.c.unit == which.unit)
        if which.team is not None:
            query = query.where(t.escalation.c.team == which.team)
        return self._all(query, Escalation)

    def waiting_escalations(self, workflow: str | None, limit: int) -> Sequence[Escalation]:
        query = _records(t.escalation).where(t.escalation.c.state.in_(OPEN_STATES), t.escalation.c.drill == 0)
        if workflow is not None:
            query = query.where(t.escalation.c.workflow == workflow)
        return self._all(query.order_by(t.escalation.c.answer_by, t.escalation.c.id).limit(limit), Escalation)

    def open_escalations(self) -> dict[str, int]:
        query = (
            sa.select(t.escalation.c.workflow, sa.func.count())
            .where(t.escalation.c.state.in_(OPEN_STATES), t.escalation.c.drill == 0)
            .group_by(t.escalation.c.workflow)
        )
        return {name: count for name, count in self._connection.execute(query)}

    def overdue_escalations(self, now: float, limit: int) -> Sequence[Escalation]:
        query = _records(t.escalation).where(t.escalation.c.due_at <= now).order_by(t.escalation.c.due_at)
        return self._all(query.limit(limit), Escalation)

    def last_escalation_seq(self) -> int:
        return int(self._connection.scalar(sa.select(sa.func.max(t.escalation.c.seq))) or 0)

    def escalations_after(self, seq: int, limit: int) -> Sequence[Escalation]:
        query = _records(t.escalation).where(t.escalation.c.seq > seq).order_by(t.escalation.c.seq)
        return self._all(query.limit(limit), Escalation)

    def worked_escalations(self, workflow: str | None, since: float, limit: int) -> Sequence[Worked]:
        rows = t.escalation.c
        wordless = sa.func.json_remove(rows.record, "$.messages", "$.draft", "$.holding", "$.answer.json")
        wordless = sa.func.json_replace(wordless, "$.answer.text", "", "$.committed.text", "")
        drafted = sa.func.json_type(rows.record, "$.draft") == "text"
        query = sa.select(wordless, drafted).where(rows.drill == 0, rows.opened_at >= since)
        if workflow is not None:
            query = query.where(rows.workflow == workflow)
        query = query.order_by(rows.opened_at.desc(), rows.id.desc()).limit(limit)
        return [
            Worked(msgspec.json.decode(record, type=Escalation), bool(had))
            for record, had in self._connection.execute(query)
        ]

    def escalated_units(self) -> Sequence[tuple[str, float]]:
        escalations = sa.select(t.escalation.c.unit, sa.func.min(t.escalation.c.opened_at)).group_by(
            t.escalation.c.unit
        )
        messages = sa.select(t.delivery.c.unit, sa.func.min(t.delivery.c.created_at)).group_by(t.delivery.c.unit)
        found = (*self._connection.execute(escalations), *self._connection.execute(messages))
        return [(unit, at) for unit, at in found if unit is not None]

    def forget_escalations(self, unit: str, until: float) -> tuple[Sequence[str], int]:
        mine = (t.escalation.c.unit == unit) & (t.escalation.c.opened_at <= until)
        ids = list(self._connection.scalars(sa.select(t.escalation.c.id).where(mine)))
        self._change(sa.delete(t.escalation).where(mine))
        told = (t.delivery.c.unit == unit) & (t.delivery.c.created_at <= until)
        return ids, self._change(sa.delete(t.delivery).where(told | t.delivery.c.about.in_(ids))).rowcount

    def mentions(self, unit: str) -> int:
        counts = (sa.select(sa.func.count()).where(table.c.unit == unit) for table in (t.escalation, t.delivery))
        return sum(int(self._connection.scalar(count) or 0) for count in counts)

    def expire_escalations(self, before: float) -> int:
        return self._change(sa.delete(t.escalation).where(t.escalation.c.closed_at < before)).rowcount

    # messages
    def delivery(self, ident: str) -> Delivery | None:
        return _decoded(self._connection.scalar(_records(t.delivery).where(t.delivery.c.id == ident)), Delivery)

    def put_delivery(self, delivery: Delivery) -> None:
        row = {
            "id": delivery.id, "team": delivery.team, "kind": delivery.kind, "state": delivery.state,
            "due_at": delivery.due_at, "created_at": delivery.created_at, "ended_at": delivery.ended_at,
            "about": delivery.about, "unit": delivery.unit, "record": _text(delivery),
        }  # fmt: skip
        self._change(insert(t.delivery).values(**row).on_conflict_do_update(index_elements=["id"], set_=row))

    def due_deliveries(self, now: float, limit: int, *, pages: bool | None = None) -> Sequence[Delivery]:
        waiting = _records(t.delivery).where(t.delivery.c.state == "waiting", t.delivery.c.due_at <= now)
        if pages is not None:
            waiting = waiting.where((t.delivery.c.kind == "page") == sa.literal(pages))
        return self._all(waiting.order_by(t.delivery.c.due_at, t.delivery.c.created_at).limit(limit), Delivery)

    def deliveries(
        self, *, state: DeliveryState | None = None, about: str | None = None, kind: Kind | None = None, limit: int
    ) -> Sequence[Delivery]:
        query = _records(t.delivery).order_by(t.delivery.c.created_at.desc(), t.delivery.c.id.desc()).limit(limit)
        for column, wanted in ((t.delivery.c.state, state), (t.delivery.c.about, about), (t.delivery.c.kind, kind)):
            if wanted is not None:
                query = query.where(column == wanted)
        return self._all(query, Delivery)

    def count_deliveries(self) -> dict[DeliveryState, int]:
        query = sa.select(t.delivery.c.state, sa.func.count()).group_by(t.delivery.c.state)
        return {cast(DeliveryState, state): count for state, count in self._connection.execute(query)}

    def expire_deliveries(self, before: float) -> int:
        return self._change(sa.delete(t.delivery).where(t.delivery.c.ended_at < before)).rowcount

    def receive_message(self, sender: str, ident: str, at: float) -> bool:
        row = insert(t.received).values(sender=sender, id=ident, team=DEFAULT_TEAM, at=at).on_conflict_do_nothing()
        return self._change(row).rowcount == 1

    def expire_messages(self, before: float) -> int:
        return self._change(sa.delete(t.received).where(t.received.c.at < before)).rowcount

    # incidents
    def incident(self, ident: str) -> Incident | None:
        return _decoded(self._connection.scalar(_records(t.incident).where(t.incident.c.id == ident)), Incident)

    def newest_incident(self, key: str) -> Incident | None:
        query = _records(t.incident).where(t.incident.c.key == key)
        newest = query.order_by(t.incident.c.opened_at.desc(), t.incident.c.id.desc()).limit(1)
        return _decoded(self._connection.scalar(newest), Incident)

    def put_incident(self, incident: Incident) -> None:
        row = {
            "id": incident.id, "team": incident.team, "workflow": incident.workflow, "key": incident.key,
            "state": incident.state, "opened_at": incident.opened_at, "seen_at": incident.seen_at,
            "record": _text(incident),
        }  # fmt: skip
        self._change(insert(t.incident).values(**row).on_conflict_do_update(index_elements=["id"], set_=row))

    def count_open_incidents(self) -> int:
        query = sa.select(sa.func.count()).select_from(t.incident).where(t.incident.c.state != "resolved")
        return int(self._connection.scalar(query) or 0)

    def incidents(
        self, *, open_only: bool = False, workflow: str | None = None, inference: str | None = None,
        drills: bool = True, limit: int = 100,
    ) -> Sequence[Incident]:  # fmt: skip
        query = _records(t.incident).order_by(t.incident.c.seen_at.desc(), t.incident.c.id.desc()).limit(limit)
        if open_only:
            query = query.where(t.incident.c.state != "resolved")
        if workflow is not None:
            query = query.where(t.incident.c.workflow == workflow)
        if inference is not None:
            query = query.where(sa.func.instr(t.incident.c.record, f'"{inference}') > 0)
        if not drills:
            query = query.where(sa.func.instr(t.incident.c.record, '"traffic":"drill"') == 0)
        return self._all(query, Incident)

    def _all(self, query: sa.Select[Any], kind: type[T]) -> list[T]:
        return [msgspec.json.decode(text, type=kind) for text in self._connection.scalars(query)]


def _records(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table.c.record)


def _decoded(text: str | None, kind: type[T]) -> T | None:
    return None if text is None else msgspec.json.decode(text, type=kind)


def _escalation_row(escalation: Escalation) -> dict[str, Any]:
    due = min(escalation.answer_by, escalation.claimed_until or escalation.answer_by) if escalation.open else None
    return {
        "id": escalation.id, "team": escalation.team, "workflow": escalation.workflow, "state": escalation.state,
        "unit": escalation.unit, "drill": int(escalation.traffic == "drill"), "opened_at": escalation.opened_at,
        "due_at": due, "answer_by": escalation.answer_by, "closed_at": escalation.closed_at, "seq": escalation.seq,
        "record": _text(escalation),
    }  # fmt: skip


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
