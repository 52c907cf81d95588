"""One suite for what both adapters of the state port keep of evals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.evals.importing import Columns, read_rows
from roadworthy.evals.model import Answer, Captured, Examples, HandScore, Publication, Run, Signature, Waiting
from roadworthy.workflow.ports import StateConflict

Store = MemoryState | SqliteState
EXAMPLES = read_rows('{"message": "a", "topic": "t"}', Columns(expect=["topic"])).examples


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def publication(ident: str, at: float, workflow: str = "support") -> Publication:
    return Publication(
        id=ident, team="default", workflow=workflow, version=EXAMPLES.version, scorers="scr", at=at, by="ada", count=1
    )


def run(ident: str, began: float = 1.0, workflow: str = "support") -> Run:
    return Run(
        id=ident, team="default", workflow=workflow, release="rel", number=1, behaviour="beh", handling="han",
        set_version="set", scorers="scr", floors={}, margin=0.1, policy="pol", examples=1, began=began, by="ada",
    )  # fmt: skip


def answer(of: str, example: str) -> Answer:
    return Answer(run=of, example=example, at=1.0)


def test_a_set_is_kept_once_and_published_as_often_as_it_is(state: Store) -> None:
    with state.write() as tx:
        for ident, at, workflow in (("a", 1.0, "support"), ("b", 3.0, "support"), ("c", 2.0, "other")):
            tx.add_eval_set(publication(ident, at, workflow), EXAMPLES, ident)
    with state.read() as tx:
        assert tx.eval_sets("support") == ["b", "a"]
        assert tx.eval_sets("support", limit=1) == ["b"]
        assert (tx.eval_set(EXAMPLES.version), tx.eval_set("set_0")) == (EXAMPLES, None)
    with pytest.raises(StateConflict), state.write() as tx:
        tx.add_eval_set(publication("a", 9.0), EXAMPLES, "again")


def test_signatures_and_runs_are_found_newest_first(state: Store) -> None:
    with state.write() as tx:
        for ident, at in (("a", 1.0), ("b", 2.0)):
            signature = Signature(id=ident, team="default", workflow="support", rubric="rub", person="ada", at=at)
            tx.add_rubric_signature(signature, f"signed {ident}")
            tx.add_eval_run(run(ident, at), f"run {ident}")
        tx.add_eval_run(run("c", 5.0, "other"), "run c")
    with state.read() as tx:
        assert tx.rubric_signatures("support") == ["signed b", "signed a"]
        assert tx.eval_runs("support") == ["run b", "run a"]
        assert tx.eval_runs("support", limit=1) == ["run b"]
        assert (tx.eval_run("c"), tx.eval_run("d")) == ("run c", None)
    with pytest.raises(StateConflict), state.write() as tx:
        tx.add_eval_run(run("a"), "again")


def test_an_answer_replaces_the_one_before_and_needs_a_run(state: Store) -> None:
    with state.write() as tx:
        tx.add_eval_run(run("a"), "run")
        tx.put_eval_answer(answer("a", "e2"), "two")
        tx.put_eval_answer(answer("a", "e1"), "one")
        tx.put_eval_answer(answer("a", "e2"), "two again")
    with state.read() as tx:
        assert tx.eval_answers("a") == ["one", "two again"]
        assert tx.eval_answers("b") == []
    with pytest.raises(StateConflict), state.write() as tx:
        tx.put_eval_answer(answer("none", "e1"), "lost")


EXAMPLE = EXAMPLES.items[0]


def waiting(at: float, workflow: str = "support", label: str = "") -> Waiting:
    example = msgspec.structs.replace(EXAMPLE, label=label, id=f"exm_{label or 'a':0>16}")
    return Waiting(team="default", workflow=workflow, example=example, at=at, by="ada")


def hand(example: str, rater: str, at: float = 1.0) -> HandScore:
    return HandScore(
        team="default", workflow="support", example=example, answer="ans_1", rubric="rub_1", rater=rater, value="good",
        score=1.0, at=at,
    )  # fmt: skip


def test_what_waits_is_found_oldest_first_and_replaced_by_its_example(state: Store) -> None:
    with state.write() as tx:
        tx.put_waiting(waiting(3.0, label="b"), "b")
        tx.put_waiting(waiting(2.0, label="c"), "c")
        tx.put_waiting(waiting(4.0, label="b"), "b again")
        tx.put_waiting(waiting(1.0, "other", "b"), "others")
    with state.read() as tx:
        assert tx.waiting("support") == ["c", "b again"]
    with state.write() as tx:
        assert tx.drop_waiting("support", [waiting(0, label="b").example.id, "exm_none"]) == 1
        assert (tx.waiting("support"), tx.waiting("other")) == (["c"], ["others"])


def test_a_rater_has_one_score_of_an_answer_and_can_take_it_back(state: Store) -> None:
    with state.write() as tx:
        tx.put_hand_score(hand("exm_1", "ada", 2.0), "ada")
        tx.put_hand_score(hand("exm_1", "bo", 1.0), "bo")
        tx.put_hand_score(hand("exm_1", "ada", 3.0), "ada again")
    with state.read() as tx:
        assert (tx.hand_scores("support"), tx.hand_scores("other")) == (["bo", "ada again"], [])
        assert (tx.hand_scores("support", "exm_1"), tx.hand_scores("support", "exm_2")) == (["bo", "ada again"], [])
    with state.write() as tx:
        tx.drop_hand_score(hand("exm_1", "ada"))
    with state.read() as tx:
        assert tx.hand_scores("support") == ["bo"]


def test_forgetting_an_example_takes_everything_that_is_kept_of_it(state: Store) -> None:
    gone, kept = waiting(1.0, label="b"), waiting(2.0, label="c")
    with state.write() as tx:
        tx.add_eval_run(run("a"), "run")
        for each in (gone, kept):
            ident = each.example.id
            tx.put_waiting(each, ident)
            captured = Captured(team="default", workflow="support", example=ident, text="t", at=1.0, inference="i")
            tx.put_captured(captured, ident)
            tx.put_hand_score(hand(ident, "ada"), ident)
            tx.put_eval_answer(answer("a", ident), ident)
    with state.write() as tx:
        assert tx.forget_examples([gone.example.id]) == 4
    with state.read() as tx:
        for found in (tx.waiting("support"), tx.captured("support"), tx.hand_scores("support"), tx.eval_answers("a")):
            assert found == [kept.example.id]


def test_a_set_is_replaced_under_the_publications_that_named_it(state: Store) -> None:
    smaller = Examples("set_smaller", [])
    with state.write() as tx:
        tx.add_eval_set(publication("a", 1.0), EXAMPLES, "a")
        tx.add_eval_set(publication("b", 2.0), EXAMPLES, "b")
        tx.replace_eval_set(EXAMPLES.version, smaller, {"a": "a smaller", "b": "b smaller"})
    with state.read() as tx:
        assert (tx.eval_set(EXAMPLES.version), tx.eval_set("set_smaller")) == (None, smaller)
        assert tx.eval_workflows() == ["support"]
        assert (tx.eval_sets("support"), tx.eval_versions()) == (["b smaller", "a smaller"], ["set_smaller"])
