"""Claims about providers and callers that mean harm or know no better: one record a call, whatever they send."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import DONE, Bench, chat, events, key, on_loop, release, said

from roadworthy.gateway.messages import Response, StreamResponse
from roadworthy.workflow.model import Handling, Policy

HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def event(body: Any) -> bytes:
    return b"data: " + (body if isinstance(body, bytes) else msgspec.json.encode(body)) + b"\n\n"


def part(delta: Any, **more: Any) -> bytes:
    return event({**HEAD, "choices": [{"index": 0, "delta": delta, **more}]})


END = part({}, finish_reason="stop")
SAID = part({"content": "x"})
ODD_CHUNKS: dict[str, list[bytes]] = {
    "tool calls that are no objects": [part({"tool_calls": ["x", None]}), END],
    "a tool call numbered in text": [part({"tool_calls": [{"index": "0", "function": {"arguments": "{"}}]}), END],
    "a tool call numbered below zero": [part({"tool_calls": [{"index": -5, "function": {"arguments": "{"}}]}), END],
    "logprobs in text": [part({"content": "x"}, logprobs="abc"), END],
    "a choice numbered in text": [event({**HEAD, "choices": [{"index": "1", "delta": {"content": "a"}}]}), SAID, END],
    "bytes that are not UTF-8": [SAID, event(b'{"choices":[{"delta":{"content":"y"},"lp":"\xff"}]}'), END],
    "a number beyond all numbers": [SAID, event(b'{"choices":[{"delta":{"content":"y"},"lp":1e999}]}'), END],
    "a usage beyond all models": [
        SAID, END, event({**HEAD, "choices": [], "usage": {"prompt_tokens": 10**30, "completion_tokens": 5}}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("enforcement", ["enforce", "observe"])
@pytest.mark.parametrize("odd", list(ODD_CHUNKS))
@on_loop
async def test_a_stream_of_odd_chunks_ends_in_one_record(tmp_path: Path, odd: str, enforcement: str) -> None:
    bench = Bench(tmp_path, enforcement=enforcement)
    bench.upstream.will([*ODD_CHUNKS[odd], DONE])
    answer = await bench.post(chat(stream=True))
    if isinstance(answer, StreamResponse):
        assert [piece async for piece in answer.chunks][-1]
    assert bench.record().tokens.total < 10**9
    assert bench.taken() == 0


@on_loop
async def test_tool_calls_that_begin_as_null_are_recorded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    called = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    bench.upstream.will([part({"tool_calls": None}), part({"tool_calls": [called]}), END, DONE])
    await events(await bench.post(chat(stream=True)))
    record = bench.record()
    assert record.outcome == "answered"
    assert record.response is not None
    message = msgspec.json.decode(record.response)["choices"][0]["message"]
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize("rules", [[], ["email"]])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"message":null,"finish_reason":"stop"},{"message":{"content":"x"},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"content":"x","tool_calls":["a"]},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"more":"\xff"}',
        b'{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1e300}}',
    ],
    ids=["a message that is null", "a tool call in text", "not UTF-8", "a usage of 1e300"],
)
@on_loop
async def test_an_odd_answer_ends_in_one_record(tmp_path: Path, body: bytes, stream: bool, rules: list[str]) -> None:
    served = release(handling=Handling(stream="buffered"))
    bench = Bench(tmp_path, served=served, enforcement="observe", policy=Policy(redact=rules))
    bench.upstream.will(body)
    answer = await bench.post(chat(**({"stream": True} if stream else {})))
    if isinstance(answer, StreamResponse):
        assert b"".join([piece async for piece in answer.chunks]).decode()
    else:
        said(answer)
    assert bench.record().tokens.total < 10**9
    assert bench.taken() == 0


@on_loop
async def test_a_defect_in_the_middle_of_a_stream_is_ours_and_no_client_that_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will([SAID, SAID, END, DONE])
    answer = await bench.post(chat(stream=True))
    assert isinstance(answer, StreamResponse)
    monkeypatch.setattr("roadworthy.gateway.streaming.live.LiveStream.take", lambda live, data: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        await events(answer)
    await answer.chunks.aclose()  # type: ignore[attr-defined]
    record = bench.record()
    assert (record.outcome, record.failure) == ("error", "gateway_lost")
    assert record.attempts[0].detail == "the gateway failed during the call"
    assert record.cost_usd
    assert bench.taken() == 0


@on_loop
async def test_a_defect_at_the_end_of_a_stream_leaves_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will([SAID, END, DONE])
    answer = await bench.post(chat(stream=True))
    assert isinstance(answer, StreamResponse)
    monkeypatch.setattr("roadworthy.gateway.surfaces.chat.assemble", lambda chunks: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        await events(answer)
    await answer.chunks.aclose()  # type: ignore[attr-defined]
    await answer.chunks.aclose()  # type: ignore[attr-defined]
    record = bench.record()
    assert (record.outcome, record.failure) == ("error", "gateway_lost")
    assert bench.taken() == 0


@on_loop
async def test_a_client_that_leaves_while_it_waits_for_a_slot_costs_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.gateway.slots["main"].limit = 1
    assert bench.gateway.slots["main"].take_now()
    waiting = asyncio.create_task(bench.post())
    await asyncio.sleep(0.01)
    bench.clock.time += 3.0
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    record = bench.record()
    assert record.outcome == "abandoned"
    assert (record.cost_usd, record.cost_unknown, record.tokens.total) == (0.0, "", 0)
    assert record.overhead == pytest.approx(0.0)
    assert record.latency == pytest.approx(3.0)
    assert bench.gateway.slots["main"].taken == 1
    assert bench.upstream.sent == []


@on_loop
async def test_a_client_that_leaves_while_the_end_is_checked_is_abandoned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = {"type": "object"}
    bench = Bench(tmp_path, served=release(behaviour={"schema": schema}, handling=Handling(stream="passthrough")))
    checking = asyncio.Event()

    async def slow(checks: Any, call: Any, target: Any, answer: Any, asker: Any) -> None:
        checking.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("roadworthy.gateway.checks.checking.Checking.record", slow)
    bench.upstream.will([part({"content": "{}"}), END, DONE])
    reading = asyncio.create_task(events(await bench.post(chat(stream=True))))
    await checking.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert bench.record().outcome == "abandoned"
    assert bench.taken() == 0


@on_loop
async def test_the_facts_of_a_call_are_bounded_whatever_its_caller_sends(tmp_path: Path) -> None:
    token = "rw-" + "z" * 40
    bench = Bench(tmp_path, enforcement="observe", keys=[key(token, workflows=["support"])])
    many = {f"field_{number}_{'x' * 100}": number for number in range(20_000)}
    assert isinstance(await bench.post(chat(**many)), Response)
    named = await bench.post(chat(model="m" * 1_000_000), token=token)
    assert isinstance(named, Response)
    assert (named.status, said(named)["error"]["param"]) == (400, "model")
    for record in bench.records():
        facts = msgspec.structs.replace(record, request=None, response=None)
        assert len(msgspec.json.encode(facts)) < 10_000


@on_loop
async def test_what_comes_after_the_last_finish_is_held_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadworthy.gateway.streaming.live.MAX_ANSWER", 10_000)
    bench = Bench(tmp_path)
    bench.upstream.will([SAID, END, *[part({}, padding="x" * 1000)] * 100, DONE])
    found = await events(await bench.post(chat(stream=True)))
    assert found[-1]["error"]["code"] == "invalid"
    assert not any(choice.get("finish_reason") for told in found for choice in told.get("choices", ()))
    assert bench.record().outcome == "error"
    assert bench.taken() == 0
