"""Hedges: the first good answer counts, the other call is closed and charged, and no hedge is made that does harm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_support import (
    DONE,
    USAGE,
    Bench,
    FakeUpstream,
    Pause,
    chat,
    chunk,
    completion,
    events,
    header,
    on_loop,
    release,
    said,
    target,
    text_of,
)

from roadworthy.gateway.hedging import LEAST_SAMPLES, Times
from roadworthy.gateway.limits.slots import OVERTAKEN
from roadworthy.gateway.messages import Response
from roadworthy.http1.errors import NotConnected
from roadworthy.workflow.model import Breaker, Canned, Handling, Hedge, Step, TargetIdentity, TargetLimits

DOWN = NotConnected("refused")


class Slow(FakeUpstream):
    """Calls that wait until a test lets them go on, by number from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[int, asyncio.Event] = {}
        self.replies: dict[int, Any] = {}
        self.closed: list[int] = []

    def holds(self, *numbers: int) -> None:
        for number in numbers:
            self.gates[number] = asyncio.Event()

    async def _next(self, origin: Any, head: bytes, body: bytes, clocks: Any) -> Any:
        reply = await super()._next(origin, head, body, clocks)
        number = len(self.sent)
        if number in self.gates:
            try:
                await self.gates[number].wait()
            except asyncio.CancelledError:
                self.closed.append(number)
                raise
        reply = self.replies.get(number, reply)
        if isinstance(reply, BaseException):
            raise reply
        return reply


def bench(
    folder: Path,
    hedge: Hedge | None = None,
    *,
    main: dict[str, Any] | None = None,
    behaviour: Any = None,
    **handling: Any,
) -> Bench:
    targets = {"main": target("main", **(main or {})), "backup": target("backup")}
    identities = {name: TargetIdentity("openai", f"{name}-model", f"{name}.test") for name in targets}
    rules = Handling(hedge=hedge or Hedge(after=0.5, share=1.0), deadline=20.0, **handling)
    slow = Slow()
    served = release(behaviour={"targets": identities, **(behaviour or {})}, handling=rules)
    made = Bench(folder, served=served, snapshot={"targets": targets}, upstream=slow)
    slow.will(completion("good"))
    return made


async def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


def outcome(answer: Any) -> str:
    return (header(answer, b"x-roadworthy-outcome") or b"").decode()


@on_loop
async def test_a_hedge_that_answers_first_wins_and_the_late_call_is_closed_and_charged(
    tmp_path: Path,
) -> None:
    made = bench(tmp_path)
    made.upstream.holds(1)
    answer = await made.post()
    assert outcome(answer) == "recovered"
    assert made.upstream.closed == [1]
    record = made.record()
    first, hedge = record.attempts
    assert (first.step, first.failure, first.detail, first.tokens_estimated) == ("first", None, OVERTAKEN, True)
    assert (hedge.step, hedge.failure, hedge.detail) == ("hedge", None, "")
    assert hedge.started == pytest.approx(0.5)
    assert first.cost_usd is not None
    assert hedge.cost_usd is not None
    assert record.cost_usd == pytest.approx(first.cost_usd + hedge.cost_usd)
    assert (record.target, record.failure) == ("main", None)
    assert made.taken() == 0


@on_loop
async def test_an_answer_that_was_mended_and_overtaken_leaves_the_clean_one_as_it_was_answered(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}
    made = bench(tmp_path, behaviour={"schema": schema}, repair_json=True)
    upstream = made.upstream
    assert isinstance(upstream, Slow)
    upstream.replies = {1: completion('{"topic": "card"}'), 2: completion('{"topic": "card",}')}
    upstream.holds(1, 2)
    asking = asyncio.ensure_future(made.post())
    await until(lambda: len(upstream.sent) == 2)
    upstream.gates[2].set()
    upstream.gates[1].set()
    await asking
    record = made.record()
    assert (record.outcome, record.failure, record.notes) == ("answered", None, [])


@on_loop
async def test_attempts_side_by_side_are_counted_once_in_the_overhead(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"invalid": [Step("retry", backoff=0.4)]})
    made.upstream.holds(1)
    made.upstream.replies = {1: completion(""), 2: completion(""), 3: completion("good")}
    asked = asyncio.ensure_future(made.post())
    await until(lambda: len(made.upstream.sent) == 2)
    made.clock.time += 1.0
    made.upstream.gates[1].set()
    await asked
    record = made.record()
    assert [attempt.step for attempt in record.attempts] == ["first", "hedge", "retry"]
    waited = made.clock.slept[-1]
    assert record.overhead == pytest.approx(waited, abs=1e-6)


@on_loop
async def test_a_first_call_that_answers_after_all_wins_and_the_hedge_is_closed(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.holds(1, 2)
    made.upstream.replies[1] = completion("the first")
    asked = asyncio.ensure_future(made.post())
    await until(lambda: len(made.upstream.sent) == 2)
    made.upstream.gates[1].set()
    answer = await asked
    assert said(answer)["choices"][0]["message"]["content"] == "the first"
    assert outcome(answer) == "answered"
    assert made.upstream.closed == [2]
    assert [attempt.detail for attempt in made.record().attempts] == ["", OVERTAKEN]
    assert made.taken() == 0


@on_loop
async def test_a_call_in_time_is_made_once(tmp_path: Path) -> None:
    made = bench(tmp_path, Hedge(after=None))
    for _ in range(3):
        assert outcome(await made.post()) == "answered"
    assert len(made.upstream.sent) == 3
    assert made.gateway.report().hedges_made == 0


@on_loop
async def test_when_both_fail_the_ladder_goes_on_from_the_first_failure(tmp_path: Path) -> None:
    made = bench(tmp_path, Hedge(after=0.5, share=1.0, target="backup"), canned=Canned("Call us."),
                 ladder={"invalid": [Step("target", target="backup"), Step("canned")], "unavailable": []})  # fmt: skip
    made.upstream.holds(1)
    made.upstream.replies = {1: completion(""), 2: DOWN}
    asked = asyncio.ensure_future(made.post())
    await until(lambda: len(made.upstream.sent) == 2)
    await asyncio.sleep(0)
    assert not asked.done(), "a hedge that fails ends nothing"
    made.upstream.gates[1].set()
    assert outcome(await asked) == "canned"
    assert len(made.upstream.sent) == 2, "the hedge's target is not called again"
    record = made.record()
    assert [attempt.failure for attempt in record.attempts] == ["invalid", "unavailable"]
    assert [(rung.failure, rung.step) for rung in record.ladder] == [("invalid", "canned")]
    assert record.failure == "invalid"


@on_loop
async def test_a_hedge_saves_a_first_call_that_then_fails(tmp_path: Path) -> None:
    made = bench(tmp_path, Hedge(after=0.5, share=1.0, target="backup"), ladder={"unavailable": []})
    made.upstream.holds(1, 2)
    made.upstream.replies = {1: DOWN, 2: completion("from backup")}
    asked = asyncio.ensure_future(made.post())
    await until(lambda: len(made.upstream.sent) == 2)
    made.upstream.gates[1].set()
    for _ in range(5):
        await asyncio.sleep(0)
    made.upstream.gates[2].set()
    answer = await asked
    assert outcome(answer) == "recovered"
    record = made.record()
    assert (record.target, record.failure) == ("backup", "unavailable")


@on_loop
async def test_a_stream_is_hedged_until_its_first_content(tmp_path: Path) -> None:
    made = bench(tmp_path)
    late = [chunk(""), Pause(), chunk("late"), chunk(finish="stop"), USAGE, DONE]
    quick = [chunk(""), chunk("quick"), chunk(finish="stop"), USAGE, DONE]
    made.upstream.script = [late, quick]
    found = await events(await made.post(chat(stream=True)))
    assert text_of(found) == "quick"
    assert found[-2]["roadworthy"]["outcome"] == "recovered"
    assert made.upstream.streams[0].aborted
    assert [attempt.detail for attempt in made.record().attempts] == [OVERTAKEN, ""]
    assert made.taken() == 0


@on_loop
async def test_two_streams_that_begin_at_once_leave_nothing_open(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.holds(1, 2)
    made.upstream.script = [[chunk("a"), chunk(finish="stop"), USAGE, DONE], [chunk("b"), chunk(finish="stop"), DONE]]
    asked = asyncio.ensure_future(made.post(chat(stream=True)))
    await until(lambda: len(made.upstream.sent) == 2)
    made.upstream.gates[1].set()
    made.upstream.gates[2].set()
    assert text_of(await events(await asked)) == "a"
    assert made.upstream.streams[1].aborted
    assert made.taken() == 0


@on_loop
async def test_a_client_that_leaves_closes_both_calls(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.holds(1, 2)
    asked = asyncio.ensure_future(made.post())
    await until(lambda: len(made.upstream.sent) == 2)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert sorted(made.upstream.closed) == [1, 2]
    record = made.record()
    assert record.outcome == "abandoned"
    assert [attempt.detail for attempt in record.attempts] == ["the client left"] * 2
    assert made.taken() == 0


@pytest.mark.parametrize("why", ["budget", "breaker", "load", "deadline"])
@on_loop
async def test_a_hedge_that_would_do_harm_is_withheld(tmp_path: Path, why: str) -> None:
    limits = TargetLimits(concurrency=2) if why == "load" else TargetLimits()
    hedge = Hedge(after=19.99 if why == "deadline" else 0.5, share=0.0 if why == "budget" else 1.0)
    made = bench(tmp_path, hedge, main={"limits": limits, "breaker": Breaker(calls=1)})
    number = len(made.upstream.sent) + 1
    made.upstream.holds(number)
    asked = asyncio.ensure_future(made.post())
    await until(lambda: len(made.upstream.sent) == number)
    if why == "breaker":
        made.gateway.slots["main"].breaker.ended(object(), 9e9, 9e9, "slow")
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(made.upstream.sent) == number
    assert made.gateway.report().hedges_withheld == 1
    made.upstream.gates[number].set()
    assert outcome(await asked) == "answered"


@on_loop
async def test_hedges_stay_within_their_share_of_the_calls(tmp_path: Path) -> None:
    made = bench(tmp_path, Hedge(after=0.5, share=0.05))
    made.upstream.holds(*range(1, 500))
    for _ in range(100):
        before = len(made.upstream.sent)
        asked = asyncio.ensure_future(made.post())
        for _ in range(30):
            await asyncio.sleep(0)
        for number in range(before + 1, len(made.upstream.sent) + 1):
            made.upstream.gates[number].set()
        assert isinstance(await asked, Response)
    assert made.gateway.report().hedges_made == 5


@on_loop
async def test_auto_waits_for_the_observed_p95_and_for_enough_answers(tmp_path: Path) -> None:
    made = bench(tmp_path, Hedge(after=None, share=1.0))

    def takes_its_time() -> None:
        made.clock.time += 0.3

    made.upstream.on_call = takes_its_time
    for _ in range(LEAST_SAMPLES):
        await made.post()
    assert len(made.upstream.sent) == LEAST_SAMPLES
    made.upstream.on_call = None
    made.upstream.holds(LEAST_SAMPLES + 1)
    assert outcome(await made.post()) == "recovered"
    assert made.records()[-1].attempts[1].started == pytest.approx(0.3, rel=0.11)


def test_late_is_what_95_of_100_answers_are_not() -> None:
    times = Times()
    for number in range(1000):
        times.add(2.0 if number % 10 == 0 else 0.1)
    assert times.late() == pytest.approx(2.0, rel=0.1)
    usual = Times()
    for number in range(1000):
        usual.add(2.0 if number % 50 == 0 else 0.1)
    assert usual.late() == pytest.approx(0.1, rel=0.1)


def test_what_was_slow_long_ago_fades() -> None:
    times = Times()
    for _ in range(1000):
        times.add(5.0)
    for _ in range(20_000):
        times.add(0.1)
    late = times.late()
    assert late is not None
    assert late < 0.12


class Lingering(FakeUpstream):
    """The first call goes on for a while after it was cancelled, as a checked answer or a slow close does."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled = asyncio.Event()
        self.go = asyncio.Event()

    async def _next(self, origin: Any, head: bytes, body: bytes, clocks: Any) -> Any:
        reply = await super()._next(origin, head, body, clocks)
        if len(self.sent) == 1:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
                await self.go.wait()
        return reply


@on_loop
async def test_a_client_that_leaves_while_the_loser_is_stopped_leaks_nothing_of_the_winner(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.gateway._server._caller._upstream = made.upstream = upstream = Lingering()
    upstream.will([chunk("Hel"), pause := Pause(), chunk(finish="stop"), USAGE, DONE])
    call = asyncio.ensure_future(made.post(chat(stream=True)))
    await asyncio.wait_for(upstream.cancelled.wait(), 5)
    call.cancel()
    await asyncio.wait([call], timeout=1)
    upstream.go.set()
    await asyncio.wait([call], timeout=5)
    for _ in range(20):
        await asyncio.sleep(0)
    pause.go.set()
    assert upstream.streams[0].aborted
    assert made.taken() == 0
    assert made.record().outcome == "abandoned"
