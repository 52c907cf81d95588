"""Claims about runs: what is asked again and what is not, what is averaged, who else is asked, what nobody gains by."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from eval_bench import ADA, Bench, right, rows

from roadworthy.adapters.signatures import Ed25519Signer
from roadworthy.evals.importing import Columns
from roadworthy.evals.scorers.base import Mark
from roadworthy.evals.service import Refused
from roadworthy.evals.tokens import RUN
from roadworthy.evidence.kinds import DAY, EvalGate
from roadworthy.operations.proving.eval_comparing import compared, run_of
from roadworthy.operations.proving.eval_nightly import Nightly
from roadworthy.operations.proving.eval_runs import Order
from roadworthy.people.incident.model import Notice
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import EvalPlan, ScorerSpec
from roadworthy.workflow.service import Unknown


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench().ready()
    yield made
    made.close()


def bad_every(n: int) -> Any:
    return lambda message: '{"topic": "?"}' if int(message.split(":")[0]) % n == 0 else right(message)


# --- asked once, asked again


def test_an_answer_of_the_same_release_is_reused_for_a_day_unless_it_is_to_be_fresh(bench: Bench) -> None:
    first = bench.run(purpose="check")
    bench.gateway.seen.clear()
    again = bench.run()
    assert (bench.gateway.seen, again.run.id == first.run.id) == ([], False)
    assert again.spent == 0
    assert again.concluded is not None
    assert again.concluded.judgement.repeats == 1, "what was asked once counts once"
    bench.run(fresh=True)
    assert len(bench.gateway.seen) == 60
    bench.now += 2 * DAY
    bench.run()
    assert len(bench.gateway.seen) == 120


def test_another_release_reuses_nothing(bench: Bench) -> None:
    bench.run()
    bench.freeze("You sort messages, well.")
    bench.gateway.seen.clear()
    bench.run()
    assert len(bench.gateway.seen) == 60


def test_a_repeat_is_always_asked_and_averaged_example_by_example(bench: Bench) -> None:
    bench.run(purpose="check")
    bench.gateway.seen.clear()
    bench.gateway.says = bad_every(2)  # what is asked now is worse than what was kept
    status = bench.run(repeat=3)
    assert len(bench.gateway.seen) == 120, "the first asking is reused, no other"
    assert status.concluded is not None
    judged = status.concluded.judgement
    assert (judged.repeats, round(judged.scores["topic"], 3)) == (3, round(1 - 0.5 * 2 / 3, 3))


def test_answers_say_what_the_forecast_needs(bench: Bench) -> None:
    status = bench.run()
    answer = next(iter(bench.evals.answers(status.run.id).values()))
    assert answer.tokens == Tokens(input=20, cache_read=10, output=7)
    assert answer.model_answered == "m-2026"


def test_what_another_model_answered_under_the_same_name_is_no_repeat(bench: Bench) -> None:
    bench.gateway.says = bad_every(1)
    assert bench.run().concluded.verdict == "FAIL"  # type: ignore[union-attr]
    bench.gateway.says, bench.gateway.model = right, "m-2027"
    again = bench.run(fresh=True)
    assert again.concluded is not None
    assert (again.concluded.verdict, again.concluded.judgement.repeats) == ("PASS", 1)


# --- runs that are no gate


def test_a_run_that_is_no_gate_makes_no_evidence_and_still_counts_as_a_repeat(bench: Bench) -> None:
    bench.gateway.says = bad_every(2)
    status = bench.run(purpose="check")
    assert status.concluded is not None
    assert (status.concluded.verdict, status.concluded.receipt) == ("FAIL", None)
    assert (bench.receipts(), bench.ledger.known("support").evidence) == ([], [])
    bench.gateway.says = right
    gate = bench.run(fresh=True)
    assert gate.concluded is not None
    assert gate.concluded.judgement.scores["topic"] == 0.75, "who asks until it looks well gains nothing"


def test_a_sample_holds_every_critical_example_and_no_gate_takes_one(bench: Bench) -> None:
    bench.marked(critical=5)
    status = bench.run(purpose="check", sample=10)
    asked = {each.example.id for each in bench.gate.scored(status.run)}
    critical = {each.id for each in bench.evals.current("support").examples.items if each.critical}
    assert (len(asked), critical <= asked, status.run.examples) == (10, True, 10)
    with pytest.raises(Refused, match="a gate asks every example"):
        bench.gate.ready(Order("support", sample=10))


def test_a_run_needs_no_floor(bench: Bench) -> None:
    bench.policy = msgspec.structs.replace(bench.policy, gate=msgspec.structs.replace(bench.policy.gate, floors={}))
    assert bench.run(purpose="check").concluded.judgement.scores["topic"] == 1.0  # type: ignore[union-attr]


@pytest.mark.parametrize("order", [{"repeat": 0}, {"repeat": 21}, {"sample": -1, "purpose": "check"}, {"usd": 0.0}])
def test_nonsense_is_refused_before_any_call(bench: Bench, order: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        bench.runs.start(Order("support", **order), ADA)
    assert bench.gateway.seen == []


# --- critical examples


def test_critical_examples_are_asked_of_every_target_of_the_ladder(bench: Bench) -> None:
    bench.marked(critical=3)
    bench.gateway.elsewhere = bad_every(1)
    status = bench.run()
    assert bench.gateway.targets.count("backup") == 3
    assert status.concluded is not None
    assert (status.concluded.verdict, status.concluded.judgement.targets) == ("PASS", {"backup": False})
    assert "no ladder ever uses it" in " ".join(status.concluded.why)
    assert bench.receipts()[0].targets == []
    bench.gateway.elsewhere = right
    bench.freeze("You sort messages, carefully.")
    again = bench.run()
    figures = next(
        each.figures
        for each in bench.ledger.known("support").evidence
        if each.id == again.concluded.evidence  # type: ignore[union-attr]
    )
    assert isinstance(figures, EvalGate)
    assert (figures.critical, figures.targets) == (3, {"backup": True})
    newest = max(bench.receipts(), key=lambda each: each.issued)
    assert newest.targets == ["backup"]


def test_a_target_that_is_down_has_not_passed_and_holds_up_no_gate(bench: Bench) -> None:
    bench.marked(critical=2)
    bench.gateway.elsewhere = lambda message: bench.gateway.answer("", "error", failure="unavailable")
    status = bench.run()
    assert status.concluded is not None
    assert (status.concluded.verdict, status.concluded.judgement.targets) == ("PASS", {"backup": False})


def test_without_critical_examples_no_other_target_is_asked(bench: Bench) -> None:
    bench.run()
    assert set(bench.gateway.targets) == {""}


def test_one_bad_critical_answer_of_the_release_fails_its_gate(bench: Bench) -> None:
    bench.marked(critical=2)
    critical = [each.messages[0]["content"] for each in bench.evals.current("support").examples.items if each.critical]
    bench.gateway.says = lambda message: '{"topic": "?"}' if message == critical[0] else right(message)
    status = bench.run()
    assert status.concluded is not None
    assert (status.concluded.verdict, len(status.concluded.judgement.critical_failed)) == ("FAIL", 1)


# --- whoever is asked by a scorer


def judging(bench: Bench) -> Bench:
    """A function of theirs judges, and may say another thing tomorrow."""
    spec = ScorerSpec("http", {"http": "https://judge.example/score"})
    bench.policy = msgspec.structs.replace(
        bench.policy, gate=msgspec.structs.replace(bench.policy.gate, floors={"tone": 0.8})
    )
    bench.apply(evals=EvalPlan(scorers={"tone": spec}))
    bench.now += 1
    bench.evals.publish("support", rows(61), Columns(expect=["topic"]), ADA)
    return bench


def test_marks_are_asked_once_kept_with_the_answer_and_never_computed_again(bench: Bench) -> None:
    judging(bench)
    status = bench.run()
    assert status.concluded is not None
    assert (status.concluded.verdict, len(bench.judged)) == ("PASS", 61)
    assert status.spent == pytest.approx(61 * 0.002)
    bench.judges = lambda case: Mark(0.0)
    assert bench.gate.judged(status.run).scores["tone"] == 1.0
    assert len(bench.judged) == 61


def test_what_a_judge_could_not_say_is_asked_again_and_until_then_nothing_is_decided(bench: Bench) -> None:
    judging(bench)
    bench.judges = lambda case: (
        Mark(None, broke="the judge is away", again=True) if case.messages[-1]["content"][0] == "7" else Mark(1.0)
    )
    status = bench.run()
    assert (status.concluded, "the judge is away" in status.detail) == (None, True)
    bench.judges, before = lambda case: Mark(1.0), len(bench.judged)
    bench.gateway.seen.clear()
    again = bench.run()
    assert (again.run.id, bench.gateway.seen, len(bench.judged) - before) == (status.run.id, [], 1)
    assert again.concluded is not None


def test_what_a_judge_made_nothing_of_is_lost_and_the_run_ends(bench: Bench) -> None:
    """It would make nothing of it tomorrow: towards PASS it counts as bad."""
    judging(bench)
    bench.judges = lambda case: Mark(None, broke="no JSON") if case.messages[-1]["content"][0] == "7" else Mark(1.0)
    status = bench.run()
    assert status.concluded is not None
    assert status.concluded.judgement.scores["tone"] == pytest.approx(60 / 61)


# --- two runs beside each other


def test_comparing_names_what_got_better_and_worse_with_the_interval(bench: Bench) -> None:
    bench.gateway.says = bad_every(10)
    first = bench.run(purpose="check")
    bench.freeze("You sort messages, differently.")
    bench.gateway.says = bad_every(6)
    second = bench.run(purpose="check")
    found = compared(bench.gate, first.run.id, second.run.id)
    topic = next(each for each in found.pairs if each.name == "topic")
    assert (topic.gained, topic.lost, found.examples) == (4, 8, 60)  # 10, 20, 40, 50 and 6, 12, 18, …
    assert topic.lower < topic.difference < topic.upper
    assert (len(found.better), len(found.worse)) == (4, 8)
    assert json.loads(found.worse[0].after.text) == {"topic": "?"}
    assert [run_of(bench.gate, "support", which) for which in ("1", "2")] == [first.run.id, second.run.id]
    with pytest.raises(Unknown, match="evals runs support"):
        run_of(bench.gate, "support", "9")


def test_a_run_is_held_against_the_release_that_it_names(bench: Bench) -> None:
    bench.gateway.says = bad_every(3)
    bench.run(purpose="check")
    bench.freeze("You sort messages, better.")
    bench.gateway.says = right
    status = bench.run(purpose="check", against="1")
    assert status.concluded is not None
    judged = status.concluded.judgement
    assert (judged.against, next(each.gained for each in judged.pairs if each.name == "topic")) == (1, 20)


# --- every night


def nights(bench: Bench) -> tuple[Nightly, list[Notice]]:
    told: list[Notice] = []
    bench.served = bench.run().run.release
    return Nightly(bench.runs, told.extend, clock=bench.clock, sleep=lambda seconds: time.sleep(0.005)), told


def test_a_night_without_alarm_changes_nothing_and_is_due_once(bench: Bench) -> None:
    nightly, told = nights(bench)
    bench.now += DAY
    night = nightly.run("support")
    assert night is not None
    assert (night.alarms, night.gate, told) == ([], "", [])
    assert (len(bench.receipts()), nightly.run("support")) == (1, None)
    assert bench.evals.run(night.run).sample == 50


def test_a_night_on_which_something_is_certainly_wrong_runs_the_gate_whose_fail_acts(bench: Bench) -> None:
    nightly, told = nights(bench)
    bench.now += DAY
    bench.gateway.says, bench.gateway.model = bad_every(2), "m-2027"
    night = nightly.run("support")
    assert night is not None
    assert (night.verdict, len(night.alarms) > 0) == ("FAIL", True)
    newest = max(bench.receipts(), key=lambda each: each.issued)
    assert (newest.verdict, newest.run) == ("FAIL", night.gate)
    [notice] = told
    assert "only testers get the release now" in notice.summary
    bench.now += DAY
    assert nightly.run("support") is None, "what failed is not run every night"


def test_a_few_bad_answers_in_a_night_are_no_alarm(bench: Bench) -> None:
    nightly, told = nights(bench)
    bench.now += DAY
    bench.gateway.says = bad_every(20)
    night = nightly.run("support")
    assert night is not None
    assert (night.alarms, told) == ([], [])


def test_one_bad_critical_answer_in_a_night_is_an_alarm(bench: Bench) -> None:
    bench.marked(critical=1)
    [critical] = [each for each in bench.evals.current("support").examples.items if each.critical]
    nightly, told = nights(bench)
    bench.now += DAY
    bad = critical.messages[0]["content"]
    bench.gateway.says = lambda message: '{"topic": "?"}' if message == bad else right(message)
    night = nightly.run("support")
    assert night is not None
    assert (night.verdict, len(told)) == ("FAIL", 1)


def test_nothing_is_run_by_itself_before_a_gate_has_run(bench: Bench) -> None:
    nightly = Nightly(bench.runs, lambda told: None, clock=bench.clock, sleep=lambda seconds: time.sleep(0.005))
    assert nightly.run("support") is None
    assert nightly.schedule("support").release is None
    with pytest.raises(Refused, match="roadworthy evals gate support"):
        nightly.begin("support", ADA)


def test_a_run_that_somebody_marked_as_gone_further_than_it_is_no_gate(bench: Bench) -> None:
    """The purpose is sealed with the run: a check cannot be made a gate afterwards."""
    status = bench.run(purpose="check")
    assert bench.gate.conclude(status.run).evidence == ""  # type: ignore[union-attr]
    forged = msgspec.structs.replace(status.run, purpose="gate")
    bench.tampered(runs={forged.id: (forged, RUN.sealed(forged, Ed25519Signer(b"x" * 32)))})
    with pytest.raises(Unknown):
        bench.evals.run(forged.id)
