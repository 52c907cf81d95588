"""One suite for what both adapters of the state port keep of load tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.operations.loading.model import LoadRun, Order, PerCall, Preflight

Store = MemoryState | SqliteState


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def load_run(number: int, workflow: str = "support") -> LoadRun:
    plan = Preflight(
        workflow=workflow, number=1, release="rel_1", target="main", provider="openai, m", kind="live", peak=None,
        factor=2.0, rate=4.0, seconds=60.0, shape="poisson", calls=240,
        per_call=PerCall(1.0, 2.0, None, None, None, 1.0, "guessed"), input_tokens=240, output_tokens=480, usd=None,
        usd_lower=None, usd_upper=None, max_usd=1.0, live_calls=240, headroom=[], predicted_429=0.0, bodies=3,
        bodies_from="examples", workers=1, proves="nothing",
    )  # fmt: skip
    return LoadRun(
        id=f"lod_{workflow}{number}", team="default", workflow=workflow, digest="rel_1", behaviour="beh_1",
        began=float(number), by="ada", order=Order(workflow), plan=plan,
    )  # fmt: skip


def test_load_tests_come_newest_first_and_the_oldest_go(state: Store) -> None:
    with state.write() as tx:
        for number in (2, 1, 3):
            tx.put_load_run(load_run(number))
        tx.put_load_run(load_run(9, "other"))
    with state.read() as tx:
        assert [run.id for run in tx.load_runs("support")] == ["lod_support3", "lod_support2", "lod_support1"]
        assert [run.id for run in tx.load_runs("", 1)] == ["lod_other9"]
    with state.write() as tx:
        tx.keep_load_runs("support", 2)
    with state.read() as tx:
        assert [run.id for run in tx.load_runs("support", 9)] == ["lod_support3", "lod_support2"]
        assert tx.load_run("lod_support1") is None
        assert len(tx.load_runs("other")) == 1


def test_a_load_test_that_is_put_again_replaces_itself(state: Store) -> None:
    run = load_run(1)
    with state.write() as tx:
        tx.put_load_run(run)
        run.state, run.detail = "done", "over"
        tx.put_load_run(run)
    with state.read() as tx:
        found = tx.load_run(run.id)
    assert found is not None
    assert found == run
    assert found.state == "done"
