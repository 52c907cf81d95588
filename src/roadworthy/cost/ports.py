"""What the state store keeps of forecasts: sealed tokens, with the facts by which they are found."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from roadworthy.cost.model import ForecastFigures
from roadworthy.workflow.ports import Transaction


class ForecastTransaction(Transaction, Protocol):
    """Who reads opens the tokens."""

    def add_forecast(self, figures: ForecastFigures, token: str) -> None:
        """An id that is taken raises ``StateConflict``."""
        ...

    def forecasts(self, workflow: str, limit: int = 1000) -> Sequence[str]:
        """Tokens, newest first."""
        ...


class ForecastState(Protocol):
    """The state store, as far as forecasts need it."""

    def read(self) -> AbstractContextManager[ForecastTransaction]: ...

    def write(self) -> AbstractContextManager[ForecastTransaction]: ...
