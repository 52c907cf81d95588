"""Claims about what nobody gains by: choosing what a gate is held against, what it reuses, which set is in force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from eval_bench import ADA, TOPICS, Bench, right, rows
from msgspec.structs import replace

from roadworthy.evals.gate import Asked, Beside, Terms, judge
from roadworthy.evals.importing import Columns
from roadworthy.evals.scorers.base import Mark
from roadworthy.evals.service import Refused
from roadworthy.operations.proving.eval_comparing import compared
from roadworthy.operations.proving.eval_runs import Order
from roadworthy.workflow.model import EvalPlan, ScorerSpec


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench().ready()
    yield made
    made.close()


def bad_every(n: int) -> Any:
    return lambda message: '{"topic": "?"}' if int(message.split(":")[0]) % n == 0 else right(message)


def test_nobody_names_the_release_that_a_gate_is_held_against(bench: Bench) -> None:
    bench.run()
    with pytest.raises(Refused, match="not against one that somebody names"):
        bench.gate.ready(Order("support", against="1"))


def test_an_answer_is_not_brought_along_from_another_set(bench: Bench) -> None:
    """On that set it may have been asked until it was good, and none of those askings is averaged with this one."""
    bench.run(purpose="check")
    bench.now += 1
    bench.evals.publish("support", rows(61), Columns(expect=["topic"]), ADA)
    bench.gateway.seen.clear()
    bench.run()
    assert len(bench.gateway.seen) == 61


def test_who_moves_rows_in_the_database_brings_no_older_set_back(bench: Bench) -> None:
    bench.now += 1
    bench.evals.publish("support", rows(80), Columns(expect=["topic"]), ADA)
    with bench.state.read() as tx:
        [newest, oldest] = tx.eval_sets("support")
        rows_ = dict(tx._trials.publications)
    found = {ident: (made, newest if token == oldest else oldest) for ident, (made, token) in rows_.items()}
    bench.tampered(publications=found)
    assert bench.evals.current("support").publication.count == 80


def test_comparing_two_runs_says_nothing_of_what_a_held_out_example_asks(bench: Bench) -> None:
    items = bench.evals.current("support").examples.items
    bench.now += 1
    bench.publish_items([replace(each, held_out=True) for each in items])
    first = bench.run(purpose="check")
    bench.gateway.says = bad_every(10)
    found = compared(bench.gate, first.run.id, bench.run(purpose="check", fresh=True).run.id)
    assert (len(found.worse), found.worse[0].before.scores["topic"]) == (6, 1.0)
    told = msgspec.json.encode(found.worse).decode()
    assert "about" not in told
    assert not any(topic in told for topic in TOPICS[:5])


def test_a_judge_that_nobody_calibrated_fails_nothing_either() -> None:
    ids = tuple(f"exm_{at}" for at in range(100))
    good, bad = dict.fromkeys(ids, 1.0), {each: float(at > 30) for at, each in enumerate(ids)}
    found = judge(
        {"tone": bad}, Asked(ids), Terms(floors={"tone": 0.5}, uncarried={"tone": "it was never calibrated"}),
        beside=Beside(1, {"tone": good}),
    )  # fmt: skip
    assert (found.verdict, found.pairs[0].verdict, len(found.why)) == ("INSUFFICIENT", "INSUFFICIENT", 1)


def test_a_preview_counts_what_judges_cost_and_the_run_may_spend_it(bench: Bench) -> None:
    plain = bench.gate.ready(Order("support", fresh=True)).plan
    assert (plain.marks, plain.usd_asks) == (0, 0.0)
    options = {"workflow": "support", "criteria": "Be kind.", "values": {"good": 1.0, "bad": 0.0}}
    bench.apply(evals=EvalPlan(scorers={"topic": ScorerSpec("exact", {"field": "topic"}),
                                        "tone": ScorerSpec("judge", options)}))  # fmt: skip
    bench.policy = replace(bench.policy, gate=replace(bench.policy.gate, floors={"topic": 0.8}))
    bench.now += 1
    bench.evals.publish("support", rows(60), Columns(expect=["topic"]), ADA)
    plan = bench.gate.ready(Order("support")).plan
    assert plan.usd is not None
    assert plan.usd_asks is not None
    assert (plan.marks, plan.usd_asks > 60 * 1000 * 2e-6, plan.usd > plan.usd_asks) == (60, True, True)
    bench.judges = lambda case: Mark(None, broke="away", again=True)
    assert bench.run().concluded is None
    again = bench.gate.ready(Order("support")).plan
    assert (again.calls, again.marks, 0 < again.usd_asks < plan.usd_asks) == (0, 60, True)  # type: ignore[operator]


def test_a_set_that_was_made_easier_says_so_before_the_gate_and_in_its_verdict(bench: Bench) -> None:
    bench.marked(critical=2)
    items = bench.evals.current("support").examples.items
    bench.now += 1
    bench.publish_items([replace(each, critical=False) for each in items[:-5]])
    [note] = bench.gate.ready(Order("support")).plan.warnings
    assert "5 left out, 2 critical no more (published by ada)" in note
    found = bench.run().concluded
    assert found is not None
    assert (found.verdict, note in found.why) == ("PASS", True)
    with bench.state.read() as tx:
        [*_, last] = [record for record in tx.audit() if record.action == "evals.publish"]
    assert "5 left out" in str(last.after)


def test_a_slice_that_no_example_has_is_told(bench: Bench) -> None:
    bench.policy = replace(bench.policy, gate=replace(bench.policy.gate, slices=["langauge"]))
    assert "no example has the tag 'langauge'" in bench.gate.ready(Order("support")).plan.warnings[0]


def test_a_gate_that_failed_when_control_was_killed_gets_its_receipt_afterwards(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run()
    bench.now += 1
    bench.gateway.says = bad_every(1)
    with monkeypatch.context() as killed:
        killed.setattr(bench.ledger, "issue", lambda *_: None)  # the last thing that it would have done
        run = bench.run(fresh=True).run.id
    assert [each.verdict for each in bench.receipts()] == ["PASS"]
    assert (bench.gate.caught_up(), bench.gate.caught_up()) == ([run], [])
    assert max(bench.receipts(), key=lambda each: each.issued).verdict == "FAIL"
