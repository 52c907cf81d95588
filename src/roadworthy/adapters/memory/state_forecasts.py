"""The in-memory twin of the forecasts of the state store."""

from __future__ import annotations

from collections.abc import Sequence

from roadworthy.cost.model import ForecastFigures
from roadworthy.workflow.ports import StateConflict

Forecasts = dict[str, tuple[ForecastFigures, str]]
"""Id → (figures, token)."""


class ForecastTables:
    """Needs ``_foretold`` and ``_foretold_change`` of ``MemoryTransaction``."""

    @property
    def _foretold(self) -> Forecasts:
        raise NotImplementedError

    @property
    def _foretold_change(self) -> Forecasts:
        raise NotImplementedError

    def add_forecast(self, figures: ForecastFigures, token: str) -> None:
        if figures.id in self._foretold:
            raise StateConflict(f"{figures.id} exists already")
        self._foretold_change[figures.id] = figures, token

    def forecasts(self, workflow: str, limit: int = 1000) -> Sequence[str]:
        mine = [row for row in self._foretold.values() if row[0].workflow == workflow]
        return [token for _, token in sorted(mine, key=lambda row: (row[0].made_at, row[0].id), reverse=True)][:limit]
