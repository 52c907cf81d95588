"""One suite for what both adapters of the state port keep of judges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.evals.calibration import Calibration
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


def calibration(ident: str, began: float, workflow: str = "support") -> Calibration:
    return Calibration(
        id=ident, team="default", workflow=workflow, scorer="tone", identity="jdg", judge="judge", rubric="rub",
        values={"good": 1.0, "bad": 0.0}, items=["a", "b"], usd=1.0, began=began, by="ada",
    )  # fmt: skip


def test_calibrations_are_found_newest_first_and_concluded_in_place(state: Store) -> None:
    with state.write() as tx:
        for ident, began, workflow in (("a", 1.0, "support"), ("b", 3.0, "other"), ("c", 2.0, "support")):
            tx.put_calibration(calibration(ident, began, workflow), ident)
        tx.put_calibration(calibration("a", 1.0), "a concluded")
    with state.read() as tx:
        assert tx.calibrations("support") == ["c", "a concluded"]
        assert tx.calibrations() == ["b", "c", "a concluded"]
        assert tx.calibrations(limit=1) == ["b"]
        assert (tx.calibration("a"), tx.calibration("d")) == ("a concluded", None)


def test_what_a_judge_said_replaces_what_it_said_before_and_needs_a_calibration(state: Store) -> None:
    with state.write() as tx:
        tx.put_calibration(calibration("a", 1.0), "a")
        for item, token in (("y", "two"), ("x", "one"), ("y", "two again")):
            tx.put_judge_mark("a", item, token)
    with state.read() as tx:
        assert tx.judge_marks("a") == ["one", "two again"]
        assert tx.judge_marks("b") == []
    with pytest.raises(StateConflict), state.write() as tx:
        tx.put_judge_mark("none", "x", "lost")


def test_what_scoring_live_answers_cost_adds_up_by_the_day(state: Store) -> None:
    with state.write() as tx:
        tx.add_online("default", "support", "2026-11-23", 0.25, 2, 1)
        tx.add_online("default", "support", "2026-11-23", 0.5, 1, 0)
        tx.add_online("default", "support", "2026-11-24", 1.0, 1, 0)
    with state.read() as tx:
        assert tx.online("support", "2026-11-23") == (0.75, 3, 1)
        assert tx.online("other", "2026-11-23") == (0.0, 0, 0)


def test_what_judges_said_of_an_example_goes_with_it(state: Store) -> None:
    gone, kept = f"exm_{1:016x}/ans_1", f"exm_{2:016x}/ans_1"
    with state.write() as tx:
        tx.put_calibration(calibration("a", 1.0), "a")
        tx.put_judge_mark("a", gone, "gone")
        tx.put_judge_mark("a", kept, "kept")
    with state.write() as tx:
        assert tx.forget_judged([gone[:20], "exm_none"]) == 1
        assert tx.judge_marks("a") == ["kept"]
