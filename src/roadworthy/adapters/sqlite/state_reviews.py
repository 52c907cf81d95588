"""Reviews in ``state.db``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.people.review.model import Review, ReviewKind, State


class ReviewRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def review(self, ident: str) -> Review | None:
        text = self._connection.scalar(sa.select(t.review.c.record).where(t.review.c.id == ident))
        return None if text is None else msgspec.json.decode(text, type=Review)

    def reviews(
        self,
        *,
        workflow: str | None = None,
        kind: ReviewKind | None = None,
        state: State | None = None,
        limit: int = 50,
    ) -> Sequence[Review]:  # fmt: skip
        query = sa.select(t.review.c.record).order_by(t.review.c.until.desc(), t.review.c.id.desc()).limit(limit)
        for column, value in ((t.review.c.workflow, workflow), (t.review.c.kind, kind), (t.review.c.state, state)):
            if value is not None:
                query = query.where(column == value)
        return [msgspec.json.decode(text, type=Review) for text in self._connection.scalars(query)]

    def put_review(self, review: Review) -> None:
        row = {
            "id": review.id, "team": review.team, "workflow": review.workflow, "kind": review.kind,
            "state": review.state, "until": review.until, "record": msgspec.json.encode(review).decode(),
        }  # fmt: skip
        self._change(insert(t.review).values(**row).on_conflict_do_update(index_elements=["id"], set_=row))
