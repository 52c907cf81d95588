"""Load tests in ``state.db``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.operations.loading.model import LoadRun


class LoadRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def put_load_run(self, run: LoadRun) -> None:
        row = {
            "id": run.id, "team": run.team, "workflow": run.workflow, "began": run.began,
            "record": msgspec.json.encode(run).decode(),
        }  # fmt: skip
        self._change(insert(t.load_run).values(**row).on_conflict_do_update(index_elements=["id"], set_=row))

    def load_run(self, ident: str) -> LoadRun | None:
        text = self._connection.scalar(sa.select(t.load_run.c.record).where(t.load_run.c.id == ident))
        return None if text is None else msgspec.json.decode(text, type=LoadRun)

    def load_runs(self, workflow: str, limit: int = 20) -> Sequence[LoadRun]:
        query = sa.select(t.load_run.c.record).order_by(t.load_run.c.began.desc(), t.load_run.c.id.desc()).limit(limit)
        if workflow:
            query = query.where(t.load_run.c.workflow == workflow)
        return [msgspec.json.decode(text, type=LoadRun) for text in self._connection.scalars(query)]

    def keep_load_runs(self, workflow: str, most: int) -> None:
        newest = (
            sa.select(t.load_run.c.id)
            .where(t.load_run.c.workflow == workflow)
            .order_by(t.load_run.c.began.desc(), t.load_run.c.id.desc())
            .limit(most)
        )
        self._change(sa.delete(t.load_run).where(t.load_run.c.workflow == workflow, t.load_run.c.id.not_in(newest)))
