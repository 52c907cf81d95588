"""The audit trail is found by who, what, about what and when, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.workflow.audit import Event, Which, chain

Store = MemoryState | SqliteState


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store = MemoryState() if request.param == "memory" else SqliteState(tmp_path / "state.db")
    with store.write() as tx:
        for number in range(12):
            event = Event(("ada", "bo")[number % 2], ("kill.off", "key.create", "month.close")[number % 3],
                          f"workflow/w{number % 4}")  # fmt: skip
            tx.append_audit(chain(tx.last_audit(), event, 1000.0 + number))
    yield store
    if isinstance(store, SqliteState):
        store.close()


@pytest.mark.parametrize(
    ("which", "seqs"),
    [
        (Which(), [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (Which(actor="bo"), [12, 10, 8, 6, 4, 2]),
        (Which(action="month.close"), [12, 9, 6, 3]),
        (Which(actor="bo", action="month.close"), [12, 6]),
        (Which(targets=("workflow/w0", "workflow/w1")), [10, 9, 6, 5, 2, 1]),
        (Which(since=1003.0, until=1006.0), [6, 5, 4]),
        (Which(since=1005.5), [12, 11, 10, 9, 8, 7]),
        (Which(until=1001.5), [2, 1]),
        (Which(since=5000.0), []),
        (Which(until=10.0), []),
        (Which(actor="nobody"), []),
    ],
)
def test_records_are_found_by_all_that_is_given(state: Store, which: Which, seqs: list[int]) -> None:
    with state.read() as tx:
        assert [record.seq for record in tx.trail(which)] == seqs
        assert [record.seq for record in tx.trail(which, before=9, limit=2)] == [seq for seq in seqs if seq < 9][:2]


def test_the_words_of_the_trail_are_known(state: Store) -> None:
    with state.read() as tx:
        assert list(tx.trail_words("actor")) == ["ada", "bo"]
        assert list(tx.trail_words("action")) == ["key.create", "kill.off", "month.close"]
