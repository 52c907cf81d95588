"""Forecasts in ``state.db``, sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.cost.model import ForecastFigures


class ForecastRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def add_forecast(self, figures: ForecastFigures, token: str) -> None:
        row = {
            "id": figures.id, "team": figures.team, "workflow": figures.workflow, "made_at": figures.made_at,
            "token": token,
        }  # fmt: skip
        self._change(sa.insert(t.forecast).values(**row))

    def forecasts(self, workflow: str, limit: int = 1000) -> Sequence[str]:
        c = t.forecast.c
        query = sa.select(c.token).where(c.workflow == workflow).order_by(c.made_at.desc(), c.id.desc()).limit(limit)
        return [str(token) for token in self._connection.scalars(query)]
