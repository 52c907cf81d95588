"""A calibration asks what people scored, survives whatever ends it, and says how judge and people agree."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.evals.hand import digest_of
from roadworthy.evals.judges import Judges, identity_of
from roadworthy.evals.model import HandScore
from roadworthy.evals.rules import rubric_digest
from roadworthy.evals.scorers.base import Asker, CannotScore, Case, Judge, Said, Unreached
from roadworthy.evals.scorers.judge import RubricJudge
from roadworthy.evals.scorers.pairwise import Pairwise
from roadworthy.evals.service import Refused
from roadworthy.operations.proving.calibrating import Calibrating, Order, Ports, Status, Subject
from roadworthy.workflow.model import Owners, Workflow
from roadworthy.workflow.service import Actor, Unknown

NOW, ADA = 1_760_000_000.0, Actor("ada")
RUBRIC = "Be kind."
VALUES = {"good": 1.0, "bad": 0.0}


def quality(**more: Any) -> RubricJudge:
    fields: dict[str, Any] = {"workflow": "judge", "behaviour": "beh_1", "rubric": RUBRIC, "values": VALUES}
    return RubricJudge(title="quality", **{**fields, **more})


def hand(example: str, text: str, score: float, rater: str = "ada") -> HandScore:
    value = {1.0: "good", 0.0: "bad"}[score]
    return HandScore(
        team="default", workflow="support", example=example, answer=digest_of(text), rubric=rubric_digest(RUBRIC),
        rater=rater, value=value, score=score, at=NOW,
    )  # fmt: skip


def subject(at: int, good: bool, other: str = "") -> Subject:
    text = f"{'kind' if good else 'rude'} {at}{other}"
    return Subject(
        example=f"exm_{at}", answer=digest_of(text), case=Case(text, messages=[{"role": "user", "content": "Hi"}]),
        scores=[hand(f"exm_{at}", text, float(good))], held_out=at % 5 == 0,
    )  # fmt: skip


class Bench:
    def __init__(self, n: int = 60) -> None:
        self.state, self.now, self.monotonic = MemoryState(), NOW, 0.0
        self.judges = Judges(self.state, Ed25519Signer(b"s" * 32), Ed25519Verifier(), clock=lambda: self.now)
        self.scorers: list[object] = [quality()]
        self.subjects = [subject(at, at % 3 > 0) for at in range(n)]
        self.flow = Workflow("support", "default", Owners("ada", "bo", "cy"), "enforce", rubric=RUBRIC)
        self.usd: float | None = 0.6
        self.asked: list[str] = []
        self.until = 10**9
        """Questions after which nobody is there any more."""
        self.gate = threading.Event()
        self.gate.set()
        self.restarted()

    def restarted(self) -> None:
        ports = Ports(
            flows=lambda: {"support": self.flow}, scorers=lambda flow: self.scorers,
            subjects=lambda workflow, rubric: self.subjects if rubric == rubric_digest(RUBRIC) else [],
            asker=self.asker, usd=lambda judge, cases: self.usd, clock=lambda: self.now,
        )  # fmt: skip
        self.calibrating = Calibrating(self.judges, ports, monotonic=lambda: self.monotonic)

    @asynccontextmanager
    async def asker(self, workflow: str, usd: float) -> AsyncIterator[Asker]:
        yield self  # type: ignore[misc]

    async def chat(self, judge: Judge, messages: Sequence[Mapping[str, Any]]) -> Said:
        if len(self.asked) >= self.until:
            raise Unreached("nobody is there")
        text = messages[0]["content"]
        self.asked.append(text)
        if not self.gate.is_set():
            await asyncio.sleep(0.05)
        if "Compare" in text:
            first = text.split("<first")[1].split("</first")[0]
            return Said(f'{{"reason": "r", "value": "{"first" if "kind" in first else "second"}"}}', 0.001)
        return Said(f'{{"reason": "r", "value": "{"good" if "kind" in text.split("<answer")[1] else "bad"}"}}', 0.01)

    def run(self, **more: Any) -> Status:
        return self.ended(self.calibrating.start(Order("support", "quality", **more), ADA))

    def ended(self, status: Status) -> Status:
        end = time.monotonic() + 20
        while status.state == "running" and time.monotonic() < end:
            time.sleep(0.005)
            status = self.calibrating.look(status.calibration.id)
        assert status.state != "running"
        return status

    def vouched(self) -> Any:
        return self.judges.calibrated("support", identity_of(self.scorers[0]), rubric_digest(RUBRIC), self.now)  # type: ignore[arg-type]


def test_a_judge_that_people_agree_with_vouches_from_then_on() -> None:
    bench = Bench()
    assert "never calibrated" in bench.vouched()
    status = bench.run()
    found = status.calibration.concluded
    assert found is not None
    assert (status.state, found.verdict, found.whole.n, found.held_out and found.held_out.n) == ("done", "PASS", 60, 12)
    assert bench.vouched().id == status.calibration.id
    assert bench.judges.uncarried("support", rubric_digest(RUBRIC), [quality()], bench.now) == {}
    with bench.state.read() as tx:
        assert [record.action for record in tx.audit()] == ["evals.calibrate", "evals.calibrated"]


@pytest.mark.parametrize(
    "other", [{"behaviour": "beh_2"}, {"rubric": "Be curt."}, {"values": {"good": 1.0, "bad": 0.1}}]
)
def test_another_model_prompt_or_rubric_is_another_judge(other: dict[str, Any]) -> None:
    bench = Bench()
    bench.run()
    [why] = bench.judges.uncarried("support", rubric_digest(RUBRIC), [quality(**other)], bench.now).values()
    assert "others than when it was calibrated" in why
    assert "roadworthy evals calibrate support quality" in why
    bench.now += 91 * 86_400
    assert "lapsed" in bench.vouched()


def test_what_was_said_is_not_asked_again_whatever_ended_it() -> None:
    bench = Bench()
    bench.until = 20
    status = bench.run()
    assert (status.state, status.calibration.concluded, "nobody is there" in status.detail) == ("failed", None, True)
    bench.until = 10**9
    bench.restarted()
    plan = bench.calibrating.plan(Order("support", "quality"))
    assert (plan.resumes, plan.calls, plan.spent) == (status.calibration.id, 60 - status.asked, pytest.approx(0.2))
    assert bench.run().calibration.id == status.calibration.id
    assert len(bench.asked) == 60
    assert bench.calibrating.plan(Order("support", "quality")).resumes == ""


def test_one_that_nobody_looks_at_stops_and_one_that_is_stopped_keeps_what_it_has() -> None:
    bench = Bench()
    bench.gate.clear()
    status = bench.calibrating.start(Order("support", "quality"), ADA)
    with pytest.raises(Refused, match="is under way"):
        bench.calibrating.start(Order("support", "quality"), ADA)
    status = bench.ended(bench.calibrating.stop(status.calibration.id))
    assert (status.state, status.asked < 60) == ("interrupted", True)


def test_no_more_is_spent_than_was_said() -> None:
    bench = Bench()
    status = bench.run(usd=0.1)
    assert status.state == "interrupted"
    assert "are spent" in status.detail
    assert 10 <= status.asked <= 14
    with pytest.raises(Refused, match="give more"):
        bench.run(usd=0.05)
    bench.usd = None
    with pytest.raises(Refused, match="nobody knows what the judge costs"):
        bench.run()


def test_an_answer_of_which_the_judge_makes_nothing_counts_against_it() -> None:
    bench = Bench()
    asked = bench.chat

    async def chat(judge: Judge, messages: Sequence[Mapping[str, Any]]) -> Said:
        said = await asked(judge, messages)
        if len(bench.asked) % 3 == 0:
            raise CannotScore("it rambled", 0.01)
        return said

    bench.chat = chat  # type: ignore[method-assign]
    found = bench.run().calibration.concluded
    assert found is not None
    assert (found.verdict, found.unscored) == ("INSUFFICIENT", 20)


def test_who_writes_the_database_calibrates_nothing() -> None:
    bench = Bench()
    made = bench.run().calibration
    with bench.state.write() as tx:
        tx.put_calibration(made, "rwj-e30.AAAA")
    assert "never calibrated" in bench.vouched()
    with pytest.raises(Unknown, match="there is no calibration"):
        bench.judges.find(made.id)


def test_two_answers_that_one_person_scored_are_what_a_pairwise_judge_is_held_against() -> None:
    bench = Bench()
    bench.scorers = [Pairwise(title="quality", workflow="judge", behaviour="beh_1", rubric=RUBRIC)]
    with pytest.raises(Refused, match="no question of support has two"):
        bench.run()
    bench.subjects += [subject(at, at % 3 == 0, " again") for at in range(60)]
    found = bench.run().calibration
    assert found.concluded is not None
    assert found.concluded.verdict == "PASS"
    assert found.concluded.swapped is not None
    assert found.concluded.swapped.value == 1.0
    assert len(bench.asked) == 120


def test_who_asks_a_judge_again_until_it_looks_well_gains_nothing() -> None:
    bench = Bench()
    asked, noise = bench.chat, {"until": 60}

    async def chat(judge: Judge, messages: Sequence[Mapping[str, Any]]) -> Said:
        said = await asked(judge, messages)
        guess = len(bench.asked) <= noise["until"] and len(bench.asked) % 2
        return Said('{"reason": "r", "value": "bad"}', 0.01) if guess else said

    bench.chat = chat  # type: ignore[method-assign]
    first = bench.run().calibration.concluded
    assert first is not None
    assert first.verdict != "PASS"
    bench.now += 1
    again = bench.run(anew=True).calibration.concluded
    assert again is not None
    assert (len(bench.asked), again.verdict, again.whole.kappa) == (120, first.verdict, first.whole.kappa)
    bench.now += 91 * 86_400
    assert bench.run(anew=True).calibration.concluded.verdict == "PASS"  # type: ignore[union-attr]


def test_a_judge_that_was_held_against_answers_of_another_workflow_decides_nothing_here() -> None:
    bench = Bench()
    bench.run()
    [why] = bench.judges.uncarried("returns", rubric_digest(RUBRIC), [quality()], bench.now).values()
    assert "never calibrated" in why


def test_what_cannot_be_calibrated_says_why() -> None:
    bench = Bench()
    with pytest.raises(Unknown, match="has no judge 'qualty': did you mean"):
        bench.calibrating.plan(Order("support", "qualty"))
    with pytest.raises(Unknown, match="no workflow 'nope'"):
        bench.calibrating.plan(Order("nope", "quality"))
    bench.subjects = []
    with pytest.raises(Refused, match="nobody has scored an answer of support"):
        bench.calibrating.plan(Order("support", "quality"))
    bench.scorers = []
    with pytest.raises(Refused, match="declares no judge"):
        bench.calibrating.plan(Order("support", "quality"))
