"""Claims about gates: a run is fixed before it begins, comes to what was kept of it, and cannot be forged."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import msgspec
import pytest
from eval_bench import ADA, TOPICS, UID, Bench, right, rows

from roadworthy.adapters.signatures import Ed25519Signer
from roadworthy.evals.importing import Columns, NotImported
from roadworthy.evals.service import Refused
from roadworthy.evals.tokens import ANSWER, PUBLICATION, RUN
from roadworthy.evidence.kinds import DAY, EvalGate
from roadworthy.evidence.rules import Refused as NotTaken
from roadworthy.operations.proving.eval_runs import LEASE, Order
from roadworthy.operations.proving.evals import in_force
from roadworthy.workflow.service import Unknown

STRANGER = Ed25519Signer(b"x" * 32)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench().ready()
    yield made
    made.close()


# --- what comes of a run


def test_a_run_that_passes_makes_evidence_a_receipt_and_a_publication(bench: Bench) -> None:
    status = bench.run()
    assert status.concluded is not None
    assert (status.state, status.concluded.verdict) == ("done", "PASS")
    [evidence] = bench.ledger.known("support").evidence
    figures = evidence.figures
    assert isinstance(figures, EvalGate)
    assert (evidence.run, evidence.bound) == (status.run.id, {"behaviour": status.run.behaviour})
    assert (figures.verdict, figures.examples, figures.rubric_signed_by) == ("PASS", 60, "ada")
    assert figures.floors == {"valid_json": 0.9, "topic": 0.8}
    assert figures.policy.startswith("pol_")
    [receipt] = bench.receipts()
    assert (receipt.verdict, receipt.epoch, receipt.run) == ("PASS", 7, status.run.id)
    assert bench.published >= 1
    assert {"evals.publish", "evals.sign", "evals.run", "evidence.keep", "receipt.issue"} <= {
        action for action, _ in bench.audited()
    }


def test_calls_are_made_under_a_permit_of_class_eval_for_that_release_alone(bench: Bench) -> None:
    from roadworthy.adapters.signatures import Ed25519Verifier
    from roadworthy.evidence.permit.tokens import opened

    status = bench.run(usd=0.5)
    [token] = bench.gateway.tokens
    permit = opened(token.removeprefix("Bearer ").encode(), [bench.signer.public_key], Ed25519Verifier())
    assert (permit.traffic, permit.digest, permit.calls, permit.usd) == ("eval", status.run.release, 60, 0.5)


@pytest.mark.parametrize("answer", ['{"topic": "delivery"}', '{"topic": "return"}'])
def test_always_saying_the_same_topic_fails(bench: Bench, answer: str) -> None:
    bench.gateway.says = lambda message: answer
    status = bench.run()
    assert status.concluded is not None
    assert status.concluded.verdict == "FAIL"
    assert [each.verdict for each in bench.receipts()] == ["FAIL"]


def test_what_no_model_wrote_is_never_good_however_right_it_is(bench: Bench) -> None:
    bench.gateway.says = lambda message: bench.gateway.answer(right(message), "canned", failure="invalid")
    status = bench.run()
    assert status.concluded is not None
    assert status.concluded.verdict == "FAIL"


def test_a_rubric_that_nobody_signed_before_the_run_lets_nothing_pass() -> None:
    bench = Bench()
    bench.evals.publish("support", rows(), Columns(expect=["topic"]), ADA)
    assert "cannot PASS" in bench.gate.ready(Order("support")).plan.warnings[0]
    status = bench.run()
    bench.evals.sign("support", ADA)  # too late for that run
    assert status.concluded is not None
    assert (status.concluded.judgement.verdict, status.concluded.verdict) == ("PASS", "INSUFFICIENT")
    [receipt] = bench.receipts()
    assert (receipt.verdict, receipt.floors_met) == ("INSUFFICIENT", True)
    after = bench.run()
    assert after.run.id != status.run.id
    assert after.concluded is not None
    assert after.concluded.verdict == "PASS"
    bench.close()


def test_a_second_run_is_averaged_with_the_first_not_chosen_instead_of_it(bench: Bench) -> None:
    bench.gateway.says = lambda message: right(message) if int(message.split(":")[0]) % 2 else '{"topic": "?"}'
    assert bench.run().concluded.verdict == "FAIL"  # type: ignore[union-attr]
    bench.gateway.says = right
    again = bench.run(fresh=True)
    assert again.concluded is not None
    assert (again.concluded.judgement.repeats, again.concluded.judgement.scores["topic"]) == (2, 0.75)
    assert again.concluded.verdict == "FAIL"  # the floor is 80 %
    bench.now += 40 * DAY
    later = bench.run()
    assert later.concluded is not None
    assert later.concluded.judgement.repeats == 1  # what was evidence then has lapsed


def test_a_release_is_held_against_the_one_before_that_passed(bench: Bench) -> None:
    bench.run()
    bench.freeze("You sort messages, hastily.")
    bench.gateway.says = lambda message: right(message) if int(message.split(":")[0]) % 5 else '{"topic": "?"}'
    status = bench.run()
    assert status.concluded is not None
    judged = status.concluded.judgement
    topic = next(each for each in judged.pairs if each.name == "topic")
    assert (judged.against, topic.lost, topic.verdict, status.concluded.verdict) == (1, 12, "FAIL", "FAIL")


def test_a_new_set_makes_the_comparison_wait_for_the_release_before(bench: Bench) -> None:
    bench.run()
    bench.now += 1
    bench.evals.publish("support", rows(70), Columns(expect=["topic"]), ADA)
    bench.freeze("You sort messages well.")
    status = bench.run()
    assert status.concluded is not None
    assert status.concluded.verdict == "INSUFFICIENT"
    assert "never run on this set" in " ".join(status.concluded.why)


def test_a_gate_without_floors_is_refused_with_what_to_write() -> None:
    bench = Bench(floors={}).ready()
    with pytest.raises(Refused, match=re.escape("gate: {floors: {valid_json: 0.95, topic: 0.8}}")):
        bench.gate.ready(Order("support"))
    bench.close()


def test_a_floor_for_a_score_that_the_examples_do_not_give_is_refused() -> None:
    bench = Bench(floors={"topics": 0.8}).ready()
    with pytest.raises(Refused, match="did you mean 'topic'"):
        bench.gate.ready(Order("support"))
    bench.close()


def test_without_examples_it_says_how_to_import_them() -> None:
    bench = Bench()
    with pytest.raises(Refused, match="roadworthy evals import support"):
        bench.gate.ready(Order("support"))
    bench.close()


def test_a_draft_is_refused_and_the_cost_is_said_before(bench: Bench) -> None:
    with pytest.raises(Refused, match="freeze it first"):
        bench.gate.ready(Order("support", "draft"))
    plan = bench.gate.ready(Order("support")).plan
    assert plan.calls == plan.examples == 60
    assert plan.usd is not None
    assert 0 < plan.usd < 1


# --- interrupted, resumed


def test_an_interrupted_run_is_gone_on_with_and_nothing_is_asked_twice(bench: Bench) -> None:
    hold = threading.Event()

    def says(message: str) -> str:
        if len(bench.gateway.seen) > 25:
            hold.wait(10)
        return right(message)

    bench.gateway.says = says
    status = bench.runs.start(Order("support", concurrency=1), ADA)
    while bench.runs.look(status.run.id).answered < 25:
        pass
    bench.runs.stop(status.run.id)
    hold.set()
    stopped = bench.ended(bench.runs.look(status.run.id))
    assert (stopped.state, stopped.concluded) == ("interrupted", None)
    kept = bench.evals.answers(status.run.id)
    bench.gateway.seen.clear()
    again = bench.run()
    assert again.run.id == status.run.id
    assert len(bench.gateway.seen) == 60 - len(kept)
    assert again.concluded is not None
    assert again.concluded.verdict == "PASS"


def test_who_stops_a_run_that_looks_bad_gains_nothing(bench: Bench) -> None:
    release = threading.Event()

    def bad(message: str) -> str:
        if len(bench.gateway.seen) > 50:
            release.wait(10)
        return '{"topic": "?"}'

    bench.gateway.says = bad
    status = bench.runs.start(Order("support", concurrency=1), ADA)
    while bench.runs.look(status.run.id).answered < 50:
        pass
    bench.runs.stop(status.run.id)
    release.set()
    bench.ended(bench.runs.look(status.run.id))
    bench.now += 2 * DAY  # too late to go on with it
    bench.gateway.says = right
    again = bench.run()
    assert again.run.id != status.run.id
    assert again.concluded is not None
    assert again.concluded.verdict != "PASS"


def test_a_run_that_is_gone_on_with_keeps_to_the_dollars_of_the_whole(bench: Bench) -> None:
    bench.gateway.says = lambda message: (
        bench.gateway.answer("later", "canned", failure="unavailable", cost_usd=0.5)
        if message.startswith("7:")
        else right(message)
    )
    first = bench.run(usd=2.0)
    assert first.spent == pytest.approx(0.559)
    with pytest.raises(Refused, match="has cost"):
        bench.runs.start(Order("support", usd=0.5), ADA)


def test_a_behaviour_that_is_revoked_while_its_run_is_under_way_gets_no_receipt_by_it(bench: Bench) -> None:
    bench.run()
    behaviour = bench.receipts()[0].behaviour
    hold = threading.Event()
    bench.gateway.says = lambda message: hold.wait(10) and right(message)
    bench.now += DAY
    status = bench.runs.start(Order("support"), ADA)
    bench.now += 60
    bench.ledger.revoke("support", behaviour, team="default", person="ada", reason="it lies", epoch=7)
    bench.now += 60
    hold.set()
    ended = bench.ended(status)
    assert (ended.state, "ada revoked this behaviour" in ended.detail) == ("failed", True)
    assert [each.issued < bench.now - 120 for each in bench.receipts()] == [True]
    again = bench.run()
    assert again.run.id != status.run.id, "a run that begins after it counts"
    assert bench.receipts()[0].evidence == again.concluded.evidence  # type: ignore[union-attr]


def test_a_run_that_nobody_looks_at_stops(bench: Bench) -> None:
    hold = threading.Event()
    bench.gateway.says = lambda message: hold.wait(10) and right(message)
    status = bench.runs.start(Order("support"), ADA)
    bench.monotonic = LEASE + 1
    while bench.runs.under_way():
        pass
    hold.set()
    assert bench.runs.look(status.run.id).state == "interrupted"


def test_what_the_provider_could_not_answer_is_asked_again_and_decides_nothing(bench: Bench) -> None:
    bench.gateway.says = lambda message: (
        bench.gateway.answer("later", "canned", failure="unavailable") if message.startswith("7:") else right(message)
    )
    status = bench.run()
    assert (status.state, status.answered, status.concluded) == ("done", 59, None)
    assert bench.receipts() == []
    bench.gateway.says = right
    bench.gateway.seen.clear()
    again = bench.run()
    assert (again.run.id, bench.gateway.seen) == (status.run.id, [f"7: about {TOPICS[1]}"])
    assert again.concluded is not None


def test_another_floor_begins_another_run(bench: Bench) -> None:
    bench.gateway.says = lambda message: bench.gateway.answer("", "canned", failure="unavailable")
    first = bench.run()
    bench.policy = msgspec.structs.replace(
        bench.policy, gate=msgspec.structs.replace(bench.policy.gate, floors={"topic": 0.5})
    )
    bench.gateway.says = right
    assert bench.run().run.id != first.run.id


def test_one_run_of_a_workflow_at_a_time(bench: Bench) -> None:
    hold = threading.Event()
    bench.gateway.says = lambda message: hold.wait(10) and right(message)
    status = bench.runs.start(Order("support"), ADA)
    with pytest.raises(Refused, match="is under way"):
        bench.runs.start(Order("support"), ADA)
    assert bench.runs.under_way() == {status.run.release}
    hold.set()
    bench.ended(status)


def test_a_gateway_that_is_away_or_refuses_the_permit_ends_the_run_with_the_reason(bench: Bench) -> None:
    error = {"error": {"code": "permit_used_up", "message": "This permit's 0.5 dollars are spent."}}
    bench.gateway.says = lambda message: (403, {}, error)
    status = bench.run()
    assert (status.state, status.detail) == (
        "failed", "the gateway refused the run's permit: This permit's 0.5 dollars are spent."
    )  # fmt: skip
    bench.gateway.close()
    assert "does not answer" in bench.run().detail


# --- what cannot be forged


def test_answers_that_somebody_else_wrote_count_for_nothing(bench: Bench) -> None:
    bench.gateway.says = lambda message: '{"topic": "?"}'
    status = bench.run()
    assert bench.receipts()[0].verdict == "FAIL"
    kept = bench.evals.answers(status.run.id)
    forged = {
        (status.run.id, example): ANSWER.sealed(msgspec.structs.replace(each, text='{"topic": "delivery"}'), STRANGER)
        for example, each in kept.items()
    }
    bench.tampered(answers=forged)
    assert bench.evals.answers(status.run.id) == {}
    assert bench.gate.judged(status.run).unanswered == 60


def test_answers_of_another_run_count_for_nothing(bench: Bench) -> None:
    good = bench.run()
    bench.freeze("Another prompt.")
    bench.gateway.says = lambda message: bench.gateway.answer("", "canned", failure="unavailable")
    open_run = bench.run()
    with bench.state.read() as tx:
        mine = list(tx.eval_answers(good.run.id))
    bench.tampered(answers={(open_run.run.id, str(at)): token for at, token in enumerate(mine)})
    assert bench.evals.answers(open_run.run.id) == {}
    with pytest.raises(Refused, match="60 of its askings miss something"):
        bench.gate.conclude(open_run.run)


def test_a_forged_run_is_none(bench: Bench) -> None:
    status = bench.run()
    easier = msgspec.structs.replace(status.run, floors={"topic": 0.0}, id="evr_forged")
    bench.tampered(runs={"evr_forged": (easier, RUN.sealed(easier, STRANGER))})
    with pytest.raises(Unknown):
        bench.evals.run("evr_forged")
    assert bench.evals.runs("support") == []


def test_a_run_cannot_be_concluded_for_another_behaviour(bench: Bench) -> None:
    """Even were it signed: evidence binds to releases that there are, and the release must be as it was frozen."""
    status = bench.run()
    moved = msgspec.structs.replace(status.run, id="evr_moved", behaviour="beh_" + "0" * 64)
    bench.evals.begin(moved)
    for answer in bench.evals.answers(status.run.id).values():
        bench.evals.keep(msgspec.structs.replace(answer, run="evr_moved"))
    with pytest.raises(Refused, match="not as it was frozen"):
        bench.gate.conclude(moved)


def test_another_release_that_answers_ends_the_run(bench: Bench) -> None:
    digest = bench.gateway.release
    bench.freeze("Another prompt.")  # the gateway names this one
    status = bench.run(release=digest)
    assert status.state == "failed"
    assert "answered in place of" in status.detail


def test_a_set_that_was_changed_in_the_database_judges_nothing(bench: Bench) -> None:
    published = bench.evals.current("support")
    easier = [msgspec.structs.replace(each, expected={"topic": "delivery"}) for each in published.examples.items]
    changed = msgspec.structs.replace(published.examples, items=easier)
    bench.tampered(sets={changed.version: changed})
    with pytest.raises(Refused, match="changed in the database"):
        bench.gate.ready(Order("support"))


def test_a_set_that_somebody_else_published_is_not_in_force(bench: Bench) -> None:
    before = bench.evals.published("support")
    assert before is not None
    forged = msgspec.structs.replace(before, id="evs_forged", at=before.at + 99)
    with bench.state.write() as tx:
        tx.add_eval_set(forged, bench.evals.current("support").examples, PUBLICATION.sealed(forged, STRANGER))
    assert bench.evals.published("support") == before


def test_imported_evidence_of_a_gate_makes_no_receipt(bench: Bench) -> None:
    bench.run()
    [mine] = bench.ledger.known("support").evidence
    told = msgspec.structs.replace(
        mine, id="evd_told", mode="imported", by="ada", lapses_at=mine.made_at + 30 * DAY
    )  # fmt: skip
    frozen = bench.gate.ready(Order("support")).frozen.release
    from roadworthy.evidence.rules import bindings

    bench.ledger.keep(told, [bindings(frozen.behaviour_digest, frozen.handling_digest, "support")])
    with pytest.raises(NotTaken, match="imported evidence never makes a receipt"):
        bench.ledger.issue("evd_told", "ada", 8)


# --- sets and rubric


def test_publishing_another_set_is_known_to_readiness(bench: Bench) -> None:
    first = in_force(bench.evals.published("support"))
    assert not bench.evals.publish("support", rows(), Columns(expect=["topic"]), ADA).created
    bench.now += 5
    bench.evals.publish("support", rows(61), Columns(expect=["topic"]), UID)
    second = in_force(bench.evals.published("support"))
    assert first is not None
    assert second is not None
    assert (second.set_version != first.set_version, second.at) == (True, bench.now)


def test_a_file_with_errors_publishes_nothing(bench: Bench) -> None:
    before = bench.evals.published("support")
    with pytest.raises(NotImported):
        bench.evals.publish("support", rows(5) + "\n{", Columns(expect=["topic"]), ADA)
    assert bench.evals.published("support") == before


@pytest.mark.parametrize("who", [UID, msgspec.structs.replace(ADA, id="bo")])
def test_nobody_but_the_owner_signs_and_the_attempt_is_audited(who: object) -> None:
    bench = Bench()
    with pytest.raises(Refused, match="its owner ada does"):
        bench.evals.sign("support", who)  # type: ignore[arg-type]
    assert ("evals.sign", "denied") in bench.audited()
    bench.close()


def test_a_rubric_that_changed_is_unsigned_again(bench: Bench) -> None:
    assert bench.gate.ready(Order("support")).plan.rubric_signed_by == "ada"
    bench.apply(rubric="Anything goes.")
    assert bench.gate.ready(Order("support")).plan.rubric_signed_by == ""
    bench.apply(rubric=None)
    with pytest.raises(Refused, match="has no rubric"):
        bench.evals.sign("support", ADA)


def test_a_scorer_that_changed_publishes_the_set_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from roadworthy.evals.scorers.exact import Exact

    assert bench.evals.publish_anew() == []
    before = bench.evals.published("support")
    monkeypatch.setattr(Exact, "version", 2)
    bench.now += 9
    assert bench.evals.publish_anew() == ["support"]
    after = bench.evals.published("support")
    assert before is not None
    assert after is not None
    assert (after.version, after.by) == (before.version, "engine")
    assert after.scorers != before.scorers
