"""Closed months and their corrections in ``state.db``, sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from roadworthy.adapters.sqlite import state_tables as t


class BookRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def put_book(self, ident: str, team: str, workflow: str, month: str, at: float, token: str) -> None:
        row = {"id": ident, "team": team, "workflow": workflow, "month": month, "at": at, "token": token}
        self._change(sa.insert(t.cost_book).values(**row))

    def books(self, workflow: str, month: str) -> Sequence[str]:
        c = t.cost_book.c
        query = sa.select(c.token).where(c.workflow == workflow, c.month == month).order_by(c.at, c.id)
        return [str(token) for token in self._connection.scalars(query)]
