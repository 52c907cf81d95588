"""One suite for what both adapters of the state port keep of forecasts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.cost.model import Assumptions, ForecastFigures
from roadworthy.workflow.ports import StateConflict

Store = MemoryState | SqliteState


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def figures(ident: str, made_at: float, workflow: str = "support") -> ForecastFigures:
    return ForecastFigures(
        id=ident, team="default", workflow=workflow, made_at=made_at, by="ada", starts=made_at, basis="forecast",
        days=7, effective_days=6.5, scenarios=[], drivers=[], limits=[], horizons={}, assumptions=Assumptions(),
        prices="abc", month_spent=0.0,
    )  # fmt: skip


def test_forecasts_of_a_workflow_are_found_newest_first(state: Store) -> None:
    with state.write() as tx:
        for ident, at, workflow in (("a", 1.0, "support"), ("b", 3.0, "support"), ("c", 2.0, "other")):
            tx.add_forecast(figures(ident, at, workflow), f"token-{ident}")
    with state.read() as tx:
        assert tx.forecasts("support") == ["token-b", "token-a"]
        assert tx.forecasts("support", limit=1) == ["token-b"]
        assert tx.forecasts("nobody") == []


def test_an_id_is_taken_once(state: Store) -> None:
    with state.write() as tx:
        tx.add_forecast(figures("a", 1.0), "token")
    with pytest.raises(StateConflict), state.write() as tx:
        tx.add_forecast(figures("a", 2.0), "other")
    with state.read() as tx:
        assert tx.forecasts("support") == ["token"]
