"""One suite for what both adapters of the state port keep of on-call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.people.oncall.model import Override, Reading
from roadworthy.workflow.calendars import Entry

Store = MemoryState | SqliteState


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def override(number: int, start: float, end: float, rotation: str = "default") -> Override:
    return Override(f"ovr_{number}", "default", rotation, "ada", start, end, "bo", 100.0 - number, why="a holiday")


def test_overrides_that_touch_a_span_come_in_the_order_in_which_they_were_made(state: Store) -> None:
    with state.write() as tx:
        for made in (override(1, 0, 10), override(2, 5, 20), override(3, 20, 30), override(4, 0, 99, "other")):
            tx.put_on_call_override(made)
    with state.read() as tx:
        assert [each.id for each in tx.on_call_overrides("default", 5.0, 20.0)] == ["ovr_2", "ovr_1"]
        assert [each.id for each in tx.on_call_overrides("default", 10.0, 21.0)] == ["ovr_3", "ovr_2"]
        assert tx.on_call_overrides("nobody's", 0.0, 99.0) == []


def test_an_override_that_is_put_again_replaces_itself(state: Store) -> None:
    made = override(1, 0, 10)
    ended = msgspec.structs.replace(made, ended_at=4.0, ended_by="eve")
    with state.write() as tx:
        tx.put_on_call_override(made)
        tx.put_on_call_override(ended)
    with state.read() as tx:
        assert tx.on_call_override("ovr_1") == ended
        assert tx.on_call_override("ovr_2") is None


def test_a_reading_is_kept_whole_and_once_a_rotation(state: Store) -> None:
    entries = [Entry(1.0, 2.0, ("ada@example.com",), "Ada")]
    read = Reading("default", "default", "PI7DH85", entries, 0.0, 9.0, fetched_at=3.0, tried_at=3.0)
    with state.write() as tx:
        tx.put_on_call_reading(msgspec.structs.replace(read, error="it answered 503"))
        tx.put_on_call_reading(read)
    with state.read() as tx:
        assert tx.on_call_reading("default") == read
        assert tx.on_call_reading("other") is None
