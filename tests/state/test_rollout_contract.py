"""One suite for what both adapters of the state port keep of ramps: sealed tokens, and the audit trail about them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.workflow.audit import Event, chain

Store = MemoryState | SqliteState


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def test_a_ramp_is_kept_and_replaced(state: Store) -> None:
    with state.write() as tx:
        tx.put_rollout("default", "support", "rwo-1")
        tx.put_rollout("default", "other", "rwo-x")
        tx.put_rollout("default", "support", "rwo-2")
    with state.read() as tx:
        assert tx.rollout("support") == "rwo-2"
        assert tx.rollout("none") is None
        assert tx.rollouts() == {"other": "rwo-x", "support": "rwo-2"}


def test_a_change_that_fails_leaves_the_ramp_as_it_was(state: Store) -> None:
    with state.write() as tx:
        tx.put_rollout("default", "support", "rwo-1")
    with suppress(ZeroDivisionError), state.write() as tx:
        tx.put_rollout("default", "support", "rwo-2")
        raise ZeroDivisionError
    with state.read() as tx:
        assert tx.rollout("support") == "rwo-1"


def test_audit_records_are_found_by_what_they_are_about_newest_first(state: Store) -> None:
    with state.write() as tx:
        for number, target in enumerate(("rollout/a", "rollout/b", "rollout/a", "rollout/ab")):
            tx.append_audit(chain(tx.last_audit(), Event("ada", f"rollout.{number}", target), 100.0 + number))
        assert [record.action for record in tx.audit_of("rollout/a")] == ["rollout.2", "rollout.0"]
        assert [record.action for record in tx.audit_of("rollout/a", until=101.9)] == ["rollout.0"]
        assert [record.action for record in tx.audit_of("rollout/a", until=102.0, limit=1)] == ["rollout.2"]
        assert list(tx.audit_of("rollout/none")) == []
        denied = Event("eve", "rollout.3", "rollout/a", outcome="denied")
        tx.append_audit(chain(tx.last_audit(), denied, 104.0))
        assert [record.action for record in tx.audit_of("rollout/a", limit=1, done=True)] == ["rollout.2"]


def test_the_trail_is_found_by_its_index(tmp_path: Path) -> None:
    SqliteState(tmp_path / "state.db").close()
    with sqlite3.connect(tmp_path / "state.db") as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT record FROM audit WHERE target = 'x' ORDER BY seq DESC LIMIT 1"
        ).fetchall()
    assert "ix_audit_target_seq" in str(plan)
