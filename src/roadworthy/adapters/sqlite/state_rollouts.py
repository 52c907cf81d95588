"""Ramps in ``state.db``: one sealed token a workflow; what became of earlier ones is in the audit trail."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.workflow.audit import AuditRecord


class RolloutRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def rollout(self, workflow: str) -> str | None:
        found = self._connection.scalar(sa.select(t.rollout.c.token).where(t.rollout.c.workflow == workflow))
        return None if found is None else str(found)

    def rollouts(self) -> dict[str, str]:
        query = sa.select(t.rollout.c.workflow, t.rollout.c.token).order_by(t.rollout.c.workflow)
        return {str(workflow): str(token) for workflow, token in self._connection.execute(query)}

    def put_rollout(self, team: str, workflow: str, token: str) -> None:
        statement = insert(t.rollout).values(workflow=workflow, team=team, token=token)
        self._change(statement.on_conflict_do_update(index_elements=["workflow"], set_={"team": team, "token": token}))

    def audit_of(
        self, target: str, *, until: float | None = None, limit: int = 1000, done: bool = False
    ) -> Sequence[AuditRecord]:
        c = t.audit.c
        query = sa.select(c.record).where(c.target == target)
        if until is not None:
            query = query.where(c.time <= until)
        if done:
            query = query.where(sa.func.json_extract(c.record, "$.outcome") == "done")
        query = query.order_by(c.seq.desc()).limit(limit)
        return [AuditRecord(**json.loads(text)) for text in self._connection.scalars(query)]
