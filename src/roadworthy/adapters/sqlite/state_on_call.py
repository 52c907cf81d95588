"""Overrides of on-call and readings of schedules kept elsewhere, in ``state.db``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.people.oncall.model import Override, Reading


class OnCallRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def on_call_override(self, ident: str) -> Override | None:
        c = t.on_call_override.c
        text = self._connection.scalar(sa.select(c.record).where(c.id == ident))
        return None if text is None else msgspec.json.decode(text, type=Override)

    def put_on_call_override(self, override: Override) -> None:
        row = {
            "id": override.id, "team": override.team, "rotation": override.rotation, "begins": override.start,
            "ends": override.end, "made_at": override.made_at, "record": msgspec.json.encode(override).decode(),
        }  # fmt: skip
        self._change(insert(t.on_call_override).values(**row).on_conflict_do_update(index_elements=["id"], set_=row))

    def on_call_overrides(self, rotation: str, start: float, end: float) -> Sequence[Override]:
        c = t.on_call_override.c
        query = sa.select(c.record).where(c.rotation == rotation, c.begins < end, c.ends > start)
        rows = self._connection.scalars(query.order_by(c.made_at, c.id))
        return [msgspec.json.decode(text, type=Override) for text in rows]

    def on_call_reading(self, rotation: str) -> Reading | None:
        c = t.on_call_reading.c
        text = self._connection.scalar(sa.select(c.record).where(c.rotation == rotation))
        return None if text is None else msgspec.json.decode(text, type=Reading)

    def put_on_call_reading(self, reading: Reading) -> None:
        row = {
            "rotation": reading.rotation, "team": reading.team, "record": msgspec.json.encode(reading).decode(),
        }  # fmt: skip
        made = insert(t.on_call_reading).values(**row)
        self._change(made.on_conflict_do_update(index_elements=["rotation"], set_=row))
