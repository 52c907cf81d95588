"""Evidence, receipts, revocations and waivers in ``state.db``: sealed tokens beside the facts that find them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.evidence.model import Evidence, Waiver
from roadworthy.evidence.receipt.model import Receipt, Revocation
from roadworthy.workflow.ports import StateConflict


class EvidenceRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def add_evidence(self, evidence: Evidence, token: str) -> None:
        row = {
            "id": evidence.id, "team": evidence.team, "workflow": evidence.workflow, "kind": evidence.kind,
            "made_at": evidence.made_at, "token": token,
        }  # fmt: skip
        self._change(sa.insert(t.evidence).values(**row))

    def accept_evidence(self, evidence: Evidence, token: str) -> None:
        self._replace(t.evidence, evidence.id, token=token)

    def evidence(self, ident: str) -> str | None:
        found = self._connection.scalar(sa.select(t.evidence.c.token).where(t.evidence.c.id == ident))
        return None if found is None else str(found)

    def evidence_about(self, workflow: str, *, kind: str | None = None, limit: int = 10_000) -> Sequence[str]:
        query = sa.select(t.evidence.c.token).where(t.evidence.c.workflow.in_(("", workflow)))
        if kind is not None:
            query = query.where(t.evidence.c.kind == kind)
        return self._tokens(query.order_by(t.evidence.c.made_at.desc(), t.evidence.c.id.desc()).limit(limit))

    def add_receipt(self, receipt: Receipt, token: str) -> None:
        row = {
            "id": receipt.id, "team": receipt.team, "workflow": receipt.workflow, "behaviour": receipt.behaviour,
            "epoch": receipt.epoch, "issued": receipt.issued, "token": token,
        }  # fmt: skip
        self._change(sa.insert(t.receipt).values(**row))

    def receipts(self, workflow: str | None = None) -> Sequence[str]:
        c = t.receipt.c
        place = sa.func.row_number().over(
            partition_by=(c.workflow, c.behaviour), order_by=(c.epoch.desc(), c.issued.desc(), c.id.desc())
        )
        ranked = sa.select(c.workflow, c.behaviour, c.token, place.label("place"))
        if workflow is not None:
            ranked = ranked.where(c.workflow == workflow)
        found = ranked.subquery()
        query = sa.select(found.c.token).where(found.c.place == 1)
        return self._tokens(query.order_by(found.c.workflow, found.c.behaviour))

    def add_revocation(self, revocation: Revocation, token: str) -> None:
        row = {
            "id": revocation.id, "team": revocation.team, "workflow": revocation.workflow, "at": revocation.at,
            "token": token,
        }  # fmt: skip
        self._change(sa.insert(t.revocation).values(**row))

    def revocations(self, workflow: str | None = None) -> Sequence[str]:
        query = sa.select(t.revocation.c.token).order_by(t.revocation.c.at, t.revocation.c.id)
        return self._tokens(query if workflow is None else query.where(t.revocation.c.workflow == workflow))

    def add_waiver(self, waiver: Waiver, token: str) -> None:
        row = {
            "id": waiver.id, "team": waiver.team, "workflow": waiver.workflow, "ends_at": waiver.over, "token": token,
        }  # fmt: skip
        self._change(sa.insert(t.waiver).values(**row))

    def end_waiver(self, waiver: Waiver, token: str) -> None:
        self._replace(t.waiver, waiver.id, token=token, ends_at=waiver.over)

    def waivers(self, workflow: str, *, ending_after: float = 0.0) -> Sequence[str]:
        c = t.waiver.c
        query = sa.select(c.token).where(c.workflow == workflow, c.ends_at > ending_after)
        return self._tokens(query.order_by(c.ends_at, c.id))

    def _replace(self, table: sa.Table, ident: str, **values: Any) -> None:
        if self._change(sa.update(table).where(table.c.id == ident).values(**values)).rowcount != 1:
            raise StateConflict(f"there is no {ident}")

    def _tokens(self, query: sa.Select[Any]) -> list[str]:
        return [str(token) for token in self._connection.scalars(query)]
