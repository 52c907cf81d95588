"""Runs of drills in ``state.db``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.fallback.drills.model import DrillRun


class DrillRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def put_drill_run(self, run: DrillRun) -> None:
        row = {
            "id": run.id, "team": run.team, "workflow": run.workflow, "digest": run.digest, "began": run.began,
            "record": msgspec.json.encode(run).decode(),
        }  # fmt: skip
        self._change(insert(t.drill_run).values(**row).on_conflict_do_update(index_elements=["id"], set_=row))

    def drill_run(self, ident: str) -> DrillRun | None:
        text = self._connection.scalar(sa.select(t.drill_run.c.record).where(t.drill_run.c.id == ident))
        return None if text is None else msgspec.json.decode(text, type=DrillRun)

    def drill_runs(self, workflow: str, limit: int = 20) -> Sequence[DrillRun]:
        query = (
            sa.select(t.drill_run.c.record)
            .where(t.drill_run.c.workflow == workflow)
            .order_by(t.drill_run.c.began.desc(), t.drill_run.c.id.desc())
            .limit(limit)
        )
        return [msgspec.json.decode(text, type=DrillRun) for text in self._connection.scalars(query)]

    def keep_drill_runs(self, workflow: str, most: int) -> None:
        newest = (
            sa.select(t.drill_run.c.id)
            .where(t.drill_run.c.workflow == workflow)
            .order_by(t.drill_run.c.began.desc(), t.drill_run.c.id.desc())
            .limit(most)
        )
        rest = sa.delete(t.drill_run).where(t.drill_run.c.workflow == workflow, t.drill_run.c.id.not_in(newest))
        self._change(rest)
