"""Live answers scored as they come: a sample, within dollars, nothing lost and nothing doubled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec
import pytest

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.adapters.memory.state import MemoryState
from roadworthy.evals.scorers.base import Asker, Base, CannotScore, Case, Judge, Mark, Said, Unreached
from roadworthy.evals.scorers.exact import Exact
from roadworthy.evals.scorers.valid_json import ValidJson
from roadworthy.inference_log.model import SCORER, Batch, Counting, Measured
from roadworthy.operations.proving.online import OnlinePorts, OnlineScoring, online_scorers
from roadworthy.workflow.inference import Feedback, Inference, new_inference_id
from roadworthy.workflow.model import EvalPlan, OnlineEvals, Owners, Workflow

NOON = 1_793_620_800.0
DAY = 86_400.0
REL = "rel_" + "a" * 64


class Polite(Base, frozen=True, kw_only=True):
    """A judge: asks, and costs a cent."""

    word: ClassVar[str] = "polite"
    needs: ClassVar[str] = "workflow"

    @property
    def expects(self) -> bool:
        return False

    async def ask(self, case: Case, asker: Asker) -> Mark:
        said = await asker.chat(Judge("judge", "beh"), [{"role": "user", "content": case.text}])
        if said.text == "?":
            raise CannotScore("it made nothing of it", said.usd)
        return Mark(float(said.text), usd=said.usd)


class Bench:
    def __init__(self, share: float = 1.0, usd: float = 10.0, scorers: Sequence[str] = ()) -> None:
        self.log, self.state, self.now = MemoryLog(), MemoryState(), NOON
        self.says: list[str] = []
        self.asked: list[str] = []
        self.gone = False
        self.declared: list[Any] = [Polite(title="tone"), ValidJson()]
        plan = EvalPlan(online=OnlineEvals(share, usd, list(scorers)))
        self.flow = Workflow("support", "default", Owners("ada", "bo", "cy"), "enforce", evals=plan)
        self.calls = 0
        self.restarted()

    def restarted(self) -> None:
        self.online = OnlineScoring(
            OnlinePorts(
                store=self.log, state=self.state, workflows=lambda: {"support": self.flow},
                scorers=lambda flow: self.declared, release=lambda digest: None, asker=self.asker,
                zone=lambda: ZoneInfo("UTC"), clock=lambda: self.now,
            )
        )  # fmt: skip

    @asynccontextmanager
    async def asker(self, workflow: str, usd: float) -> AsyncIterator[Asker]:
        yield self  # type: ignore[misc]

    async def chat(self, judge: Judge, messages: Sequence[Mapping[str, Any]]) -> Said:
        if self.gone:
            raise Unreached("nobody is there")
        self.asked.append(messages[0]["content"])
        return Said(self.says.pop(0) if self.says else "1", 0.01)

    def call(self, text: str = "Hello", ago: float = 60.0, **fields: Any) -> Inference:
        self.calls += 1
        ts = self.now - ago
        answer = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
        defaults: dict[str, Any] = {
            "id": new_inference_id(ts, random.Random(self.calls).getrandbits(80)), "ts": ts, "team": "default",
            "workflow": "support", "outcome": "answered", "digest": REL, "unit": f"u{self.calls}",
            "unit_source": "header", "response": msgspec.Raw(msgspec.json.encode(answer)),
            "request": msgspec.Raw(b'{"messages": [{"role": "user", "content": "Hi"}]}'),
        }  # fmt: skip
        made = Inference(**{**defaults, **fields})
        self.log.ship(Batch(ends=[made]))
        return made

    def round(self) -> tuple[int, int, float]:
        found = asyncio.run(self.online.round())
        return found.scored, found.passed_over, round(found.usd, 6)

    def said(self, call: Inference) -> list[Feedback]:
        entry = self.log.get(call.id)
        return [] if entry is None else entry.feedback


def test_what_scorers_say_is_kept_under_their_names_and_counted_by_guardrails() -> None:
    bench = Bench()
    bench.says = ["0.25"]
    call = bench.call("Get lost")
    assert bench.round() == (1, 0, 0.01)
    tone, valid = sorted(bench.said(call), key=lambda each: each.name)
    assert (tone.name, tone.score, valid.name, valid.score) == ("tone", 0.25, "valid_json", 0.0)
    assert tone.by.startswith(f"{SCORER}polite:")
    measured = (Measured("tone", "said", said="tone"),)
    counted = bench.log.count(Counting("support", NOON - 600, (REL,), "live", measured))[REL].counted["tone"]
    assert (counted.n, counted.total) == (1, 1)


def test_an_answer_is_scored_once_also_after_a_crash() -> None:
    bench = Bench()
    calls = [bench.call() for _ in range(3)]
    assert bench.round()[0] == 3
    assert bench.round()[0] == 0
    bench.restarted()
    assert bench.round()[0] == 0
    assert [len(bench.said(call)) for call in calls] == [2, 2, 2]
    assert len(bench.asked) == 3


def test_what_came_while_nobody_looked_is_scored_later_up_to_a_day() -> None:
    bench = Bench()
    late, too_late = bench.call(ago=20 * 3600), bench.call(ago=25 * 3600)
    assert bench.round()[0] == 1
    assert (len(bench.said(late)), len(bench.said(too_late))) == (2, 0)


def test_a_line_of_the_journal_that_is_shipped_late_is_scored_all_the_same() -> None:
    bench = Bench()
    bench.call()
    bench.round()
    bench.now += 60
    late = bench.call(ago=400)
    assert bench.round()[0] == 1
    assert bench.said(late)


def test_while_the_judge_cannot_be_asked_nothing_is_lost() -> None:
    bench = Bench()
    calls = [bench.call() for _ in range(2)]
    bench.gone = True
    assert bench.round() == (0, 0, 0.0)
    bench.now += 3600
    bench.gone = False
    assert bench.round()[0] == 2
    assert all(bench.said(call) for call in calls)


def test_the_sample_is_the_same_whoever_looks() -> None:
    bench, other = Bench(share=0.3), Bench(share=0.3)
    for each in (bench, other):
        for _ in range(40):
            each.call()
    assert bench.round()[0] == other.round()[0] == len(bench.asked)
    assert 3 <= len(bench.asked) <= 25


def test_no_more_is_spent_in_a_day_than_was_said_and_not_all_of_it_in_the_morning() -> None:
    bench = Bench(usd=0.20)
    bench.now = NOON - 12 * 3600 + 60  # a minute past midnight: about an hour's share may be spent
    for _ in range(10):
        bench.call(ago=30)
    assert bench.round() == (1, 9, 0.01)
    assert bench.round() == (0, 0, 0.0)
    bench.now = NOON + 11.9 * 3600
    for _ in range(40):
        bench.call()
    scored, passed_over, usd = bench.round()
    assert (scored, passed_over, usd) == (19, 21, 0.19)
    watching = bench.online.watching(bench.flow)
    assert (watching.scored_today, watching.passed_over_today) == (20, 30)
    assert watching.usd_today == pytest.approx(0.20)
    bench.restarted()
    assert bench.round()[0] == 0
    bench.now += 6 * 3600
    bench.call()
    assert bench.round()[0] >= 1


def test_scorers_that_ask_nobody_need_no_dollars() -> None:
    bench = Bench(usd=0.0)
    bench.declared = [ValidJson()]
    bench.call("{}")
    assert bench.round() == (1, 0, 0.0)


def test_an_answer_of_which_the_judge_makes_nothing_is_paid_and_not_asked_again() -> None:
    bench = Bench()
    bench.declared = [Polite(title="tone")]
    bench.says = ["?"]
    call = bench.call()
    assert bench.round() == (0, 0, 0.01)
    assert bench.round() == (0, 0, 0.0)
    assert bench.said(call) == []


@pytest.mark.parametrize(
    "fields",
    [{"outcome": "canned"}, {"outcome": "error"}, {"traffic": "eval"}, {"traffic": "tester"}, {"response": None},
     {"workflow": "other"}, {"kill": "guarded"}],
    ids=str,
)  # fmt: skip
def test_only_what_a_model_wrote_for_a_live_call_is_scored(fields: dict[str, Any]) -> None:
    bench = Bench()
    bench.call(**fields)
    assert bench.round()[0] == 0


def test_shadow_calls_are_scored_whatever_the_share() -> None:
    bench = Bench(share=1e-9)
    shadow = bench.call(traffic="shadow")
    bench.call()
    assert bench.round()[0] == 1
    assert bench.said(shadow)


def test_a_forgotten_call_leaves_no_score_behind() -> None:
    bench = Bench()
    call = bench.call()

    async def chat(judge: Judge, messages: Sequence[Mapping[str, Any]]) -> Said:
        bench.log.forget(call.unit or "", bench.now)
        return Said("1", 0.01)

    bench.chat = chat  # type: ignore[method-assign]
    assert bench.round()[0] == 0
    assert bench.log._feedback == {}


def test_a_busy_workflow_is_worked_off_over_rounds() -> None:
    bench = Bench()
    for at in range(120):
        bench.call(ago=3000 - at)
    assert [bench.round()[0] for _ in range(4)] == [50, 50, 20, 0]


def test_scorers_that_live_answers_cannot_be_given_to_say_why() -> None:
    bench = Bench(scorers=["tone", "refund", "thumb"])
    declared = [Polite(title="tone"), Exact(title="refund"), Polite(title="thumb"), ValidJson()]
    fit, left_out = online_scorers(bench.flow, declared)
    assert [each.name for each in fit] == ["tone"]
    assert left_out == {
        "refund": "it needs an expected answer, which a live call has not",
        "thumb": "callers give feedback of this name; call the score otherwise",
        "valid_json": "evals.online.scorers does not name it",
    }
