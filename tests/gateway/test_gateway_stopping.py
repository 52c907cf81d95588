"""Claims about calls of a stopped workflow, judged by what the upstream received."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import (
    HELLO,
    TESTER,
    TOKEN,
    Bench,
    FakeStream,
    FakeUpstream,
    Pause,
    Sent,
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
from stopping_support import stop, tell

from roadworthy.gateway.messages import Request, StreamResponse
from roadworthy.gateway.snapshot import Stopped
from roadworthy.gateway.stopping.model import PATH
from roadworthy.http1.errors import Disconnected
from roadworthy.workflow.model import (
    Breaker,
    Bypass,
    CacheSpec,
    Canned,
    Capabilities,
    CheckSpec,
    Clocks,
    EscalationPolicy,
    Handling,
    Hedge,
    KillPolicy,
    Policy,
    Step,
    TargetLimits,
)

HOLDING = "A person will answer you shortly."
OFF = Stopped("off", 1, 1.0)
CONTINUES = {"targets": {"main": target("main", capabilities=Capabilities(prefill="native"))}}


@on_loop
async def test_a_stopped_workflow_answers_with_the_bypass_and_asks_no_target(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    seen = await stop(bench)
    assert seen.states["support"].state == "off"
    answer = await bench.post()
    assert answer.status == 503
    told = said(answer)
    assert told["error"]["code"] == "ai_off"
    assert "support" in told["error"]["message"]
    assert (told["roadworthy"]["route"], told["roadworthy"]["outcome"]) == ("off", "bypassed")
    assert header(answer, b"x-roadworthy-route") == b"off"
    assert header(answer, b"x-should-retry") == b"false"
    assert bench.upstream.sent == []
    record = bench.record()
    assert (record.outcome, record.route, record.kill, record.code) == ("bypassed", "off", "off", "ai_off")
    assert (record.failure, record.attempts) == (None, [])


@on_loop
async def test_it_answers_again_once_it_is_restored(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await stop(bench)
    assert (await stop(bench, "on", 2)).states["support"].state == "on"
    assert (await bench.post()).status == 200
    assert bench.records()[-1].kill == ""


@on_loop
async def test_all_stops_every_workflow_also_one_that_is_not_known_yet(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    seen = await tell(bench, every=OFF)
    assert seen.states["*"].state == "off"
    assert said(await bench.post())["error"]["code"] == "ai_off"
    assert bench.upstream.sent == []


@on_loop
async def test_another_workflow_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await tell(bench, triage=OFF)
    assert (await bench.post()).status == 200


@pytest.mark.parametrize("token", [TOKEN, TESTER])
def test_every_class_of_caller_is_stopped(tmp_path: Path, token: str) -> None:
    @on_loop
    async def run() -> None:
        bench = Bench(tmp_path)
        await stop(bench)
        assert said(await bench.post(token=token))["error"]["code"] == "ai_off"
        assert bench.upstream.sent == []

    run()


@pytest.mark.parametrize(
    ("bypass", "reads"), [(Bypass("canned", text="We are back at nine."), "We are back at nine."), (Bypass(), None)]
)
def test_a_stopped_call_reads_the_bypass_that_its_release_declares(
    tmp_path: Path, bypass: Bypass, reads: str | None
) -> None:
    @on_loop
    async def run() -> None:
        bench = Bench(tmp_path, served=release(handling=Handling(bypass=bypass)))
        await stop(bench)
        whole, stream = await bench.post(), await bench.post(chat(stream=True))
        if reads is None:
            assert (whole.status, stream.status) == (503, 503)
        else:
            assert said(whole)["choices"][0]["message"]["content"] == reads
            assert text_of(await events(stream)) == reads
        assert {(each.outcome, each.route, each.kill) for each in bench.records()} == {("bypassed", "off", "off")}
        assert bench.upstream.sent == []

    run()


@on_loop
async def test_an_answer_of_before_is_not_served_from_the_cache(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(cache=CacheSpec(use="always", shared=True))))
    await bench.post()
    assert said(await bench.post())["roadworthy"]["outcome"] == "cached"
    await stop(bench)
    assert said(await bench.post())["error"]["code"] == "ai_off"


@on_loop
async def test_a_ladder_that_was_under_way_ends_in_no_answer_of_before(tmp_path: Path) -> None:
    ladder: dict[Any, list[Step]] = {"unavailable": [Step("cache")]}
    bench = Bench(tmp_path, served=release(handling=Handling(cache=CacheSpec(shared=True), ladder=ladder)))
    await bench.post()
    bench.upstream.will((500, [], b"{}"))
    bench.upstream.gate = asyncio.Event()
    calling = asyncio.ensure_future(bench.post())
    await _until(lambda: len(bench.upstream.sent) == 2)
    await stop(bench)
    bench.upstream.gate.set()
    assert said(await calling)["error"]["code"] == "ai_off"


@on_loop
async def test_no_retry_begins_after_the_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(canned=Canned("canned"))))
    bench.upstream.will((500, [], b"{}"), completion())
    bench.upstream.gate = asyncio.Event()
    calling = asyncio.ensure_future(bench.post())
    await _until(lambda: bench.upstream.sent)
    await stop(bench)
    bench.upstream.gate.set()
    assert said(await calling)["error"]["code"] == "ai_off"
    assert len(bench.upstream.sent) == 1
    record = bench.record()
    assert (record.outcome, record.route, record.kill, len(record.attempts)) == ("bypassed", "off", "off", 1)
    assert bench.taken() == 0


@on_loop
async def test_no_repair_and_no_other_target_begins_after_the_stop(tmp_path: Path) -> None:
    ladder: dict[Any, list[Step]] = {"invalid": [Step("repair"), Step("target", target="backup")]}
    checks = {"no": CheckSpec("forbidden", "invalid", options={"phrases": ["Hello"]})}
    bench = Bench(tmp_path, served=release(handling=Handling(ladder=ladder, checks=checks)))
    bench.upstream.gate = asyncio.Event()
    calling = asyncio.ensure_future(bench.post())
    await _until(lambda: bench.upstream.sent)
    await stop(bench)
    bench.upstream.gate.set()
    assert said(await calling)["error"]["code"] == "ai_off"
    assert len(bench.upstream.sent) == 1


@on_loop
async def test_no_hedge_begins_after_the_stop_and_the_answer_under_way_is_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(hedge=Hedge(after=0.5, share=1.0))))
    bench.upstream.gate = asyncio.Event()
    late = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await late.wait()

    bench.clock.sleep = sleep  # type: ignore[method-assign]
    calling = asyncio.ensure_future(bench.post())
    await _until(lambda: bench.upstream.sent)
    await stop(bench)
    late.set()
    for _ in range(20):
        await asyncio.sleep(0)
    bench.upstream.gate.set()
    assert (await calling).status == 200
    assert len(bench.upstream.sent) == 1
    assert bench.gateway.report().hedges_withheld == 1


@on_loop
async def test_a_broken_stream_is_not_continued_after_the_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(continuation=1)), snapshot=CONTINUES)
    pause = Pause()
    bench.upstream.will([chunk("A good begin"), pause, Disconnected("gone", phase="in_body")])
    answer = await bench.post(chat(stream=True))
    assert isinstance(answer, StreamResponse)
    reading = asyncio.ensure_future(events(answer))
    await asyncio.sleep(0)
    await stop(bench)
    pause.go.set()
    found = await reading
    assert found[-1]["error"]["code"] == "truncated"
    assert len(bench.upstream.sent) == 1


@on_loop
async def test_a_guard_is_not_asked_about_an_answer_that_comes_after_the_stop(tmp_path: Path) -> None:
    checks = {"guard": CheckSpec("guard", "unsafe", target="backup", on_error="pass")}
    bench = Bench(tmp_path, served=release(handling=Handling(checks=checks)))
    bench.upstream.gate = asyncio.Event()
    calling = asyncio.ensure_future(bench.post())
    await _until(lambda: bench.upstream.sent)
    await stop(bench)
    bench.upstream.gate.set()
    assert said(await calling)["error"]["code"] == "ai_off"
    assert len(bench.upstream.sent) == 1
    assert bench.taken() == 0


@on_loop
async def test_a_stream_that_drains_is_told_whole_though_its_guard_is_not_asked(tmp_path: Path) -> None:
    checks = {"guard": CheckSpec("guard", "unsafe", target="backup")}
    bench = Bench(tmp_path, served=release(handling=Handling(checks=checks)))
    pause = Pause()
    bench.upstream.will([chunk("Hel"), pause, *HELLO[2:]])
    answer = await bench.post(chat(stream=True))
    reading = asyncio.ensure_future(events(answer))
    await asyncio.sleep(0)
    await stop(bench)
    pause.go.set()
    found = await reading
    assert (text_of(found), found[-1]) == ("Hello", "[DONE]")
    assert len(bench.upstream.sent) == 1
    [check] = bench.record().checks
    assert "kill switch" in check.broke


class Connecting(FakeUpstream):
    """Sends a request only once it is connected, as the HTTP client does."""

    def __init__(self) -> None:
        super().__init__()
        self.connects = 0
        self.connected = asyncio.Event()

    async def open(self, origin: Any, head: bytes, body: bytes, clocks: Any, *, ready: Any = None) -> FakeStream:
        self.connects += 1
        await self.connected.wait()
        if ready is not None:
            ready()
        return await super().open(origin, head, body, clocks)


@pytest.mark.parametrize("streams", ["drain", "cut"])
def test_a_continuation_that_is_stopped_before_it_is_sent_ends_the_answer_as_it_stands(
    tmp_path: Path, streams: Any
) -> None:
    @on_loop
    async def run() -> None:
        upstream = Connecting()
        upstream.connected.set()
        made = release(handling=Handling(continuation=1))
        bench = Bench(tmp_path, served=made, snapshot=CONTINUES, upstream=upstream)
        pause = Pause()
        upstream.will([chunk("A good begin"), pause, Disconnected("gone", phase="in_body")], HELLO)
        answer = await bench.post(chat(stream=True))
        upstream.connected.clear()
        reading = asyncio.ensure_future(events(answer))
        pause.go.set()
        await _until(lambda: upstream.connects == 2)
        await stop(bench, streams=streams)
        upstream.connected.set()
        found = await reading
        assert text_of(found) == "A good begin"
        code = {"drain": "truncated", "cut": "ai_off"}[streams]
        assert found[-1]["error"]["code"] == code
        assert len(upstream.sent) == 1
        assert bench.record().kill == "off"
        assert bench.taken() == 0

    run()


class Mixed(FakeUpstream):
    """Good and bad answers in turn, each after a few rounds of the loop."""

    def __init__(self) -> None:
        super().__init__()
        bad: list[Any] = [(500, [], b"{}"), Disconnected("gone", phase="in_body")]
        self.wholes = itertools.cycle([*bad, completion(finish="length"), completion()])
        self.streams_of = itertools.cycle([*bad, [chunk("Hel"), bad[1]], HELLO])
        self.acknowledged = False
        self.after: list[Sent] = []

    async def _next(self, origin: Any, head: bytes, body: bytes, clocks: Any) -> Any:
        self.sent.append(Sent(origin, head, msgspec.json.decode(body), clocks, body))
        if self.acknowledged:
            self.after.append(self.sent[-1])
        reply = next(self.streams_of if self.sent[-1].body.get("stream") else self.wholes)
        for _ in range(len(self.sent) % 7):
            await asyncio.sleep(0)
        if isinstance(reply, BaseException):
            raise reply
        return reply


@on_loop
async def test_after_the_acknowledgement_no_attempt_begins_whatever_is_under_way(tmp_path: Path) -> None:
    """Two hundred calls in every phase: queued, streamed, retried, asked of another target, continued."""
    handling = Handling(
        hedge=Hedge(after=0.001, share=1.0), continuation=1, deadline=1e6, clocks=Clocks(total=1e6, first_token=1e6),
        ladder={"unavailable": [Step("retry", times=2), Step("target", target="backup")], "truncated": [Step("retry")]},
    )  # fmt: skip
    upstream = Mixed()
    plenty: dict[str, Any] = {
        "limits": TargetLimits(concurrency=40), "breaker": Breaker(calls=100_000),
        "capabilities": Capabilities(prefill="native"),
    }  # fmt: skip
    targets = {name: target(name, **plenty) for name in ("main", "backup")}
    bench = Bench(tmp_path, served=release(handling=handling), snapshot={"targets": targets}, upstream=upstream)

    async def one(number: int) -> None:
        answer = await bench.post(chat(stream=number % 2 == 0))
        if isinstance(answer, StreamResponse):
            async for _ in answer.chunks:
                await asyncio.sleep(0)

    calls = [asyncio.ensure_future(one(number)) for number in range(200)]
    await _until(lambda: len(upstream.sent) > 150)
    await stop(bench)
    upstream.acknowledged = True
    asked = len(upstream.sent)
    calls += [asyncio.ensure_future(one(number)) for number in range(50)]
    await asyncio.gather(*calls)
    begun = [attempt for record in bench.records() for attempt in record.attempts if attempt.status or attempt.finish]
    assert upstream.after == []
    assert len(begun) <= asked
    assert {attempt.step for attempt in begun} >= {"first", "retry", "target", "continuation"}
    assert len(bench.records()) == 250
    assert bench.taken() == 0


@on_loop
async def test_an_answer_under_way_is_drained(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    pause = Pause()
    bench.upstream.will([chunk("Hel"), pause, *HELLO[2:]])
    answer = await bench.post(chat(stream=True))
    reading = asyncio.ensure_future(events(answer))
    await asyncio.sleep(0)
    await stop(bench)
    pause.go.set()
    assert text_of(await reading) == "Hello"
    assert (bench.record().outcome, bench.record().route) == ("answered", "release")


@pytest.mark.parametrize("by", ["control", "policy"])
def test_a_stream_is_cut_with_an_explicit_error_and_its_connection_closed(tmp_path: Path, by: str) -> None:
    @on_loop
    async def run() -> None:
        policy = Policy(kill=KillPolicy(streams="cut")) if by == "policy" else Policy()
        bench = Bench(tmp_path, policy=policy)
        bench.upstream.will([chunk("Hel"), Pause(), *HELLO[2:]])
        answer = await bench.post(chat(stream=True))
        reading = asyncio.ensure_future(events(answer))
        await asyncio.sleep(0)
        await stop(bench, streams="cut" if by == "control" else "drain")
        found = await reading
        assert text_of(found) == "Hel"
        assert found[-1]["error"]["code"] == "ai_off"
        assert found[-1]["roadworthy"]["route"] == "off"
        assert bench.upstream.streams[0].aborted
        record = bench.record()
        assert (record.outcome, record.route, record.kill, record.code) == ("bypassed", "off", "off", "ai_off")
        assert record.attempts[0].detail == "stopped by the kill switch"
        assert bench.taken() == 0

    run()


@on_loop
async def test_a_stream_that_nobody_reads_now_is_cut_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will(HELLO)
    answer = await bench.post(chat(stream=True))
    await stop(bench, streams="cut")
    assert bench.upstream.streams[0].aborted
    found = await events(answer)
    assert text_of(found) == ""
    assert found[-1]["error"]["code"] == "ai_off"


@pytest.mark.parametrize("stream", [False, True])
def test_what_has_not_begun_to_leave_takes_the_bypass_when_answers_are_cut(tmp_path: Path, stream: bool) -> None:
    @on_loop
    async def run() -> None:
        bench = Bench(tmp_path)
        bench.upstream.will(HELLO if stream else completion())
        bench.upstream.gate = asyncio.Event()
        calling = asyncio.ensure_future(bench.post(chat(stream=stream)))
        await _until(lambda: bench.upstream.sent)
        await stop(bench, streams="cut")
        bench.upstream.gate.set()
        assert said(await calling)["error"]["code"] == "ai_off"
        assert bench.record().attempts[0].cost_usd is not None
        assert bench.taken() == 0

    run()


@on_loop
async def test_a_stop_is_news_for_the_private_socket_only(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    body = b'{"epoch":1,"at":1,"states":{"*":{"state":"off","seq":1}}}'
    answer = await bench.gateway.handle(Request("POST", PATH, "", [], body, "127.0.0.1"))
    assert answer.status == 404
    assert (await bench.post()).status == 200


@on_loop
async def test_a_stopped_worker_stays_ready_and_says_what_is_stopped(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.gateway.report().kill == {}
    await stop(bench)
    await bench.post()
    assert (await bench.get("/readyz")).status == 200
    report = bench.gateway.report()
    assert report.kill == {"support": "off"}
    assert [(each.route, each.outcome, each.count) for each in report.inferences] == [("off", "bypassed", 1)]


# --- assist


def assisted(tmp_path: Path, *, capacity: int = 10, **more: Any) -> Bench:
    handling = Handling(holding=Canned(HOLDING), **more)
    return Bench(
        tmp_path, served=release(handling=handling), policy=Policy(escalation=EscalationPolicy(capacity=capacity))
    )


@pytest.mark.parametrize("stream", [False, True])
def test_under_assist_the_answer_is_a_draft_and_the_caller_reads_the_holding_answer(
    tmp_path: Path, stream: bool
) -> None:
    @on_loop
    async def run() -> None:
        bench = assisted(tmp_path)
        await stop(bench, "assist")
        bench.upstream.will(completion("A draft."))
        answer = await bench.post(chat(stream=stream))
        if stream:
            found = await events(answer)
            assert text_of(found) == HOLDING
            assert found[-1] == "[DONE]"
        else:
            assert said(answer)["choices"][0]["message"]["content"] == HOLDING
            assert said(answer)["roadworthy"]["escalation"]["poll_url"]
        [sent] = bench.upstream.sent
        assert not sent.body.get("stream")
        assert "stream_options" not in sent.body
        [line] = [line for line in bench.lines() if type(line).__name__ == "Escalation"]
        assert (line.draft, line.failure) == ("A draft.", None)
        assert "assist" in line.detail
        record = bench.record()
        assert (record.outcome, record.kill, record.status) == ("escalated", "assist", 200)

    run()


@on_loop
async def test_under_assist_a_human_gets_the_call_also_when_every_target_is_down(tmp_path: Path) -> None:
    bench = assisted(tmp_path)
    await stop(bench, "assist")
    bench.upstream.will((401, [], b"{}"))
    assert said(await bench.post())["choices"][0]["message"]["content"] == HOLDING
    assert bench.record().outcome == "escalated"


@on_loop
async def test_when_people_have_no_room_assist_is_off(tmp_path: Path) -> None:
    bench = assisted(tmp_path, capacity=1)
    await stop(bench, "assist")
    assert (await bench.post()).status == 200
    answer = await bench.post()
    assert said(answer)["error"]["code"] == "ai_off"
    assert len(bench.upstream.sent) == 1
    assert (bench.records()[-1].route, bench.records()[-1].kill) == ("off", "off")


@on_loop
async def test_without_a_holding_answer_assist_is_the_bypass(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await stop(bench, "assist")
    assert said(await bench.post())["error"]["code"] in ("ai_off", "bypassed")
    assert bench.upstream.sent == []


@on_loop
async def test_a_call_that_needs_another_attempt_after_assist_was_pressed_is_handed_over(tmp_path: Path) -> None:
    bench = assisted(tmp_path)
    bench.upstream.will((500, [], b"{}"), completion())
    bench.upstream.gate = asyncio.Event()
    calling = asyncio.ensure_future(bench.post())
    await _until(lambda: bench.upstream.sent)
    await stop(bench, "assist")
    bench.upstream.gate.set()
    assert said(await calling)["choices"][0]["message"]["content"] == HOLDING
    assert len(bench.upstream.sent) == 1
    assert (bench.record().outcome, bench.record().kill) == ("escalated", "assist")


@on_loop
async def test_off_pressed_while_a_draft_is_written_cuts_it_where_answers_are_cut(tmp_path: Path) -> None:
    bench = assisted(tmp_path)
    await stop(bench, "assist")
    bench.upstream.gate = asyncio.Event()
    calling = asyncio.ensure_future(bench.post())
    await _until(lambda: bench.upstream.sent)
    await stop(bench, "off", 2, streams="cut")
    bench.upstream.gate.set()
    assert said(await calling)["error"]["code"] == "ai_off"


async def _until(good: Any) -> None:
    for _ in range(10_000):
        if good():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")
