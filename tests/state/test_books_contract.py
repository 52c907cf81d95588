"""One suite for what both adapters of the state port keep of closed months."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
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


def test_entries_of_a_month_are_found_oldest_first_and_never_replaced(state: Store) -> None:
    with state.write() as tx:
        for ident, workflow, month, at in (
            ("b", "support", "2026-10", 2.0), ("a", "support", "2026-10", 1.0), ("c", "support", "2026-09", 3.0),
            ("d", "other", "2026-10", 0.5),
        ):  # fmt: skip
            tx.put_book(ident, "default", workflow, month, at, f"token {ident}")
    with state.read() as tx:
        assert tx.books("support", "2026-10") == ["token a", "token b"]
        assert tx.books("support", "2026-08") == []
    with pytest.raises(StateConflict), state.write() as tx:
        tx.put_book("a", "default", "support", "2026-10", 9.0, "another")
    with state.read() as tx:
        assert tx.books("support", "2026-10") == ["token a", "token b"]
