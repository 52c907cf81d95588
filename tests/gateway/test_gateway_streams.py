"""Claims about streams: held until content, ended explicitly, accounted for whoever leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import (
    DONE,
    HELLO,
    USAGE,
    Bench,
    Pause,
    chat,
    chunk,
    completion,
    events,
    on_loop,
    release,
    said,
    text_of,
)

from roadworthy.gateway.messages import StreamResponse
from roadworthy.http1.errors import Disconnected, ReadTimeout
from roadworthy.workflow.model import Canned, Clocks, Handling, Step


def streamed(**more: Any) -> dict[str, Any]:
    return chat(stream=True, **more)


@on_loop
async def test_a_stream_is_passed_on_and_recorded_before_its_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will(HELLO)
    answer = await bench.post(streamed())
    assert bench.records() == []
    found = await events(answer)
    assert text_of(found) == "Hello"
    assert found[-1] == "[DONE]"
    record = bench.record()
    last = found[-2]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["roadworthy"]["inference"] == record.id
    assert last["roadworthy"]["outcome"] == "answered"
    assert record.tokens.output == 5
    assert record.cost_usd == pytest.approx(0.02)
    assert record.response is not None
    whole = msgspec.json.decode(record.response)
    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["message"]["content"] == "Hello"
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert record.first_token is not None
    assert bench.taken() == 0
    assert not bench.upstream.streams[0].aborted


@on_loop
async def test_usage_is_always_asked_for_and_shown_only_to_who_asked(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will(HELLO)
    found = await events(await bench.post(streamed()))
    assert bench.upstream.sent[0].body["stream_options"] == {"include_usage": True}
    assert not any("usage" in event for event in found if isinstance(event, dict))
    bench.upstream.will(HELLO)
    found = await events(await bench.post(streamed(stream_options={"include_usage": True, "x": 1})))
    assert bench.upstream.sent[1].body["stream_options"] == {"include_usage": True, "x": 1}
    assert found[-2]["usage"]["total_tokens"] == 15
    assert found[-2]["roadworthy"]["outcome"] == "answered"


@on_loop
async def test_failures_before_the_first_content_still_climb_the_ladder(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path, served=release(handling=Handling(ladder={"unavailable": [Step("target", target="backup")]}))
    )
    for failing in ((503, [], b""), [chunk(""), Disconnected("cut", "before_first_byte")]):
        bench.upstream.will(failing, HELLO)
        found = await events(await bench.post(streamed()))
        assert text_of(found) == "Hello"
        assert found[-2]["roadworthy"]["outcome"] == "recovered"
        assert found[-2]["roadworthy"]["target"] == "backup"
    assert bench.taken() == 0


@on_loop
async def test_a_truncated_stream_is_never_reported_as_success(tmp_path: Path) -> None:
    for number, pieces in enumerate(
        [
            [chunk("Hel"), Disconnected("cut", "in_body")],
            [chunk("Hel"), ReadTimeout("idle", 1)],
            [chunk("Hel")],
            [chunk("Hel"), DONE],
            [chunk("Hel"), chunk(finish="length"), USAGE, DONE],
            [chunk("Hel"), chunk(finish="abort"), USAGE, DONE],
            [chunk("Hel"), chunk(finish="content_filter"), DONE],
            [chunk("Hel"), chunk(finish="stop"), Disconnected("cut", "in_body")],
            [chunk("Hel"), b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'],
            [chunk("Hel"), b"data: {broken\n\n", DONE],
        ]
    ):
        bench = Bench(tmp_path / str(number))
        bench.upstream.will(pieces)
        found = await events(await bench.post(streamed()))
        assert "[DONE]" not in found, number
        assert "error" in found[-1], number
        assert not any(choice["finish_reason"] for event in found[:-1] for choice in event.get("choices", ())), (
            "no client may see an end of an answer that broke"
        )
        record = bench.record()
        assert record.outcome == "error", number
        assert record.failure == found[-1]["roadworthy"]["failure"]
        assert found[-1]["error"]["code"] in ("truncated", "slow", "refused", "unavailable", "invalid")
        assert record.cost_usd is not None
        assert bench.taken() == 0


@on_loop
async def test_done_is_not_required_where_every_choice_has_finished(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will([chunk("Hello"), chunk(finish="stop")])
    found = await events(await bench.post(streamed()))
    assert found[-1] == "[DONE]"
    assert bench.record().outcome == "answered"
    assert bench.record().attempts[0].tokens_estimated


@on_loop
async def test_every_choice_must_finish(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    both = [chunk("A", index=0), chunk("B", index=1), chunk(finish="stop", index=0)]
    bench.upstream.will([*both, chunk(finish="stop", index=1), DONE])
    found = await events(await bench.post(streamed(n=2)))
    assert found[-1] == "[DONE]"
    bench.upstream.will([*both, DONE])
    found = await events(await bench.post(streamed(n=2)))
    assert found[-1]["error"]["code"] == "truncated"


@on_loop
async def test_a_client_that_leaves_a_stream_closes_the_upstream_and_is_charged(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will([chunk("Hel"), Pause(), chunk("lo"), chunk(finish="stop"), DONE])
    answer = await bench.post(streamed())
    assert isinstance(answer, StreamResponse)
    assert b"Hel" in await anext(answer.chunks)
    reading = asyncio.ensure_future(anext(answer.chunks))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await answer.chunks.aclose()  # type: ignore[attr-defined]
    assert bench.upstream.streams[0].aborted
    record = bench.record()
    assert record.outcome == "abandoned"
    assert record.tokens.output == 1
    assert record.cost_usd
    assert bench.taken() == 0


@on_loop
async def test_a_client_that_leaves_before_reading_anything_is_recorded_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will(HELLO)
    answer = await bench.post(streamed())
    await answer.chunks.aclose()  # type: ignore[union-attr]
    await answer.chunks.aclose()  # type: ignore[union-attr]
    assert bench.record().outcome == "abandoned"
    assert bench.taken() == 0


@on_loop
async def test_a_client_that_leaves_while_the_first_content_is_awaited_is_recorded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will([Pause()])
    task = asyncio.ensure_future(bench.post(streamed()))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.upstream.streams[0].aborted
    assert bench.record().outcome == "abandoned"
    assert bench.taken() == 0


@on_loop
async def test_a_first_token_that_does_not_come_is_slow(tmp_path: Path) -> None:
    handling = Handling(clocks=Clocks(first_token=0.02), ladder={"slow": [Step("target", target="backup")]})
    bench = Bench(tmp_path, served=release(handling=handling))
    bench.upstream.will([chunk(""), Pause()], HELLO)
    found = await events(await bench.post(streamed()))
    assert text_of(found) == "Hello"
    record = bench.record()
    assert (record.outcome, record.failure) == ("recovered", "slow")
    assert bench.upstream.streams[0].aborted
    assert bench.taken() == 0


@on_loop
async def test_a_whole_answer_to_a_stream_request_is_invalid(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will(completion())
    assert said(await bench.post(streamed()))["error"]["code"] == "invalid"


@on_loop
async def test_a_buffered_stream_may_still_use_the_whole_ladder(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(stream="buffered")))
    bench.upstream.will(completion("Hel", "length"), completion(None, "tool_calls", message={"tool_calls": [CALL]}))
    bench.upstream.will(completion("", "stop"), completion(None, "tool_calls", message={"tool_calls": [CALL]}))
    answer = await bench.post(streamed(stream_options={"include_usage": True}))
    found = await events(answer)
    assert "stream" not in bench.upstream.sent[0].body
    assert found[0]["choices"][0]["delta"]["tool_calls"] == [{**CALL, "index": 0}]
    assert found[1]["choices"][0]["finish_reason"] == "tool_calls"
    assert found[2]["usage"]["total_tokens"] == 15
    assert found[2]["roadworthy"]["outcome"] == "recovered"
    assert found[3] == "[DONE]"


CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}


@on_loop
async def test_tool_calls_are_put_together_for_the_record(tmp_path: Path) -> None:
    def tool(**function: Any) -> bytes:
        call = {
            "index": 0,
            **({"id": "call_1", "type": "function"} if "name" in function else {}),
            "function": function,
        }
        made = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return b"data: " + msgspec.json.encode(
            {**made, "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}
        ) + b"\n\n"  # fmt: skip

    bench = Bench(tmp_path)
    pieces = [tool(name="look", arguments=""), tool(arguments='{"at"'), tool(arguments=":1}")]
    bench.upstream.will([*pieces, chunk(finish="tool_calls"), DONE])
    await events(await bench.post(streamed()))
    response = bench.record().response
    assert response is not None
    assert msgspec.json.decode(response)["choices"][0]["message"]["tool_calls"] == [CALL]


@on_loop
async def test_canned_answers_can_be_streamed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(canned=Canned("Later."))))
    bench.upstream.will((401, [], b""))
    found = await events(await bench.post(streamed()))
    assert text_of(found) == "Later."
    assert found[-2]["roadworthy"]["outcome"] == "canned"
    assert found[-1] == "[DONE]"


@on_loop
async def test_events_cut_anywhere_arrive_whole(tmp_path: Path) -> None:
    whole = b"".join(HELLO)
    bench = Bench(tmp_path)
    bench.upstream.will([whole[at : at + 7] for at in range(0, len(whole), 7)])
    found = await events(await bench.post(streamed()))
    assert text_of(found) == "Hello"
    assert found[-1] == "[DONE]"


@on_loop
async def test_an_adopted_stream_cut_by_its_token_limit_is_passed_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, passthrough="main", enforcement="observe")
    bench.upstream.will([chunk("Hel"), chunk(finish="length"), DONE])
    found = await events(await bench.post(streamed()))
    assert found[-2]["choices"][0]["finish_reason"] == "length"
    assert found[-1] == "[DONE]"
    assert (bench.record().outcome, bench.record().failure) == ("answered", "truncated")


def thought(text: str) -> bytes:
    delta = {"index": 0, "delta": {"reasoning_content": text}, "finish_reason": None}
    return b"data: " + msgspec.json.encode({"id": "chatcmpl-1", "model": "m", "choices": [delta]}) + b"\n\n"


@on_loop
async def test_a_model_that_thinks_aloud_is_not_silent_but_has_not_answered_yet(tmp_path: Path) -> None:
    handling = Handling(clocks=Clocks(first_token=0.02), ladder={"slow": []})
    bench = Bench(tmp_path, served=release(handling=handling))
    bench.upstream.will([chunk(""), thought("Hmm"), pause := Pause(), thought(" well"), *HELLO])
    asking = asyncio.ensure_future(bench.post(streamed()))
    await asyncio.sleep(0.06)
    assert not asking.done()
    bench.clock.time += 5.0
    pause.go.set()
    found = await events(await asking)
    assert text_of(found) == "Hello"
    assert found[1]["choices"][0]["delta"]["reasoning_content"] == "Hmm"
    first_token = bench.record().first_token
    assert first_token is not None
    assert first_token >= 5.0


@on_loop
async def test_thoughts_without_an_answer_are_no_answer_and_are_paid_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(ladder={"invalid": []})))
    bench.upstream.will([chunk(""), thought("Hmm"), thought(" well"), chunk(finish="stop"), DONE])
    assert said(await bench.post(streamed()))["error"]["code"] == "invalid"
    assert bench.record().tokens.output == 2


@on_loop
async def test_signs_of_life_do_not_keep_a_stalled_answer_alive(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(clocks=Clocks(idle=10.0))))
    pauses = [Pause() for _ in range(4)]
    comments = [part for pause in pauses for part in (pause, b": keep-alive\n\n")]
    bench.upstream.will([chunk("Hel"), *comments, Pause()])
    answer = await bench.post(streamed())
    reading = asyncio.ensure_future(events(answer))
    for pause in pauses:
        bench.clock.time += 4.0
        pause.go.set()
        for _ in range(5):
            await asyncio.sleep(0)
    found = await reading
    assert found[-1]["error"]["code"] == "slow"
    assert bench.upstream.streams[0].aborted
    assert bench.taken() == 0


@pytest.mark.parametrize(
    ("usage", "output"),
    [
        ([], None),
        ([b'data: {"id":"c","choices":[{"delta":{}}],"usage":{"prompt_tokens":10,"completion_tokens":5}}\n\n'], 5),
        ([b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\n'], None),
        ([b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":-10,"completion_tokens":-5}}\n\n'], None),
        ([USAGE, b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":7}}\n\n'], 7),
        ([USAGE, b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\n'], 5),
        ([b'data: {"id":"c","choices":[],"usage":null}\n\n'], None),
    ],
)
def test_usage_of_any_shape_is_hidden_and_what_is_missing_is_estimated(
    tmp_path: Path, usage: list[bytes], output: int | None
) -> None:
    @on_loop
    async def run() -> None:
        bench = Bench(tmp_path)
        bench.upstream.will([chunk(""), chunk("Hel"), chunk("lo"), chunk(finish="stop"), *usage, DONE])
        found = await events(await bench.post(streamed()))
        assert text_of(found) == "Hello"
        assert not any(event.get("usage") for event in found[:-1])
        record = bench.record()
        assert record.tokens.output == (2 if output is None else output)
        assert record.attempts[0].tokens_estimated == (output is None)
        assert record.cost_usd

    run()


@on_loop
async def test_usage_beside_the_end_of_the_answer_is_hidden_and_the_end_is_not(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    for asked in (False, True):
        bench = Bench(tmp_path / str(asked))
        bench.upstream.will([chunk("Hello", usage=usage), chunk(finish="stop", usage=usage), DONE])
        more = {"stream_options": {"include_usage": True}} if asked else {}
        found = await events(await bench.post(streamed(**more)))
        assert ["usage" in event for event in found[:-1]] == [asked, asked]
        assert found[-2]["choices"][0]["finish_reason"] == "stop"
        assert bench.record().tokens.output == 5


@on_loop
async def test_a_chunk_that_came_twice_is_left_out_where_that_can_be_known(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    padded = chunk("ha", obfuscation="x7Qp")
    plain = chunk("ho")
    bench.upstream.will([padded, padded, chunk("ha", obfuscation="b1"), plain, plain, chunk(finish="stop"), DONE])
    assert text_of(await events(await bench.post(streamed()))) == "hahahoho"


@on_loop
async def test_text_after_the_end_of_a_choice_breaks_the_stream(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will([chunk("Hel"), chunk(finish="stop"), chunk("lo"), DONE])
    found = await events(await bench.post(streamed()))
    assert found[-1]["error"]["code"] == "invalid"
    assert text_of(found[:-1]) == "Hel"
