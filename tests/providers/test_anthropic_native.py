"""Messages as an Anthropic target's own callers are served: what goes out and what is judged of what comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roadworthy.adapters.providers.anthropic import AnthropicWire
from roadworthy.gateway.ports import ANY_MODEL, Chunk, EventReader, Unusable
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Capabilities, Target

CASSETTES = Path(__file__).parents[1] / "formats" / "cassettes" / "messages"
EVENTS = sorted(CASSETTES.glob("events_*.json"))
TEXT = {"type": "text", "text": "Hi"}
USAGE = {"input_tokens": 10, "output_tokens": 5}
BODY = {"model": msgspec.Raw(b'"support"'), "max_tokens": msgspec.Raw(b"5"), "messages": msgspec.Raw(b'[ {"x": 1} ]')}


def wire(model: str = "claude-x", **target: Any) -> AnthropicWire:
    return AnthropicWire(Target("claude", "anthropic", model, **target), b"/v1", "sk-ant", now=lambda: 1.7e9)


def headers(*forwarded: tuple[bytes, bytes], **target: Any) -> dict[bytes, bytes]:
    return dict(wire(**target).encode("messages", BODY, stream=False, forwarded=forwarded).headers)


def answer(content: list[dict[str, Any]], stop: str | None = "end_turn", **more: Any) -> Any:
    body = {"id": "msg_1", "type": "message", "model": "claude-x-1", "content": content, "stop_reason": stop, **more}
    return wire().answer("messages", [(b"request-id", b"req_1")], json.dumps(body).encode())


def play(events: list[dict[str, Any]], cut: int = 10**9) -> tuple[EventReader, list[Chunk]]:
    stream = b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)
    reader, chunks = wire().events("messages"), list[Chunk]()
    for begin in range(0, len(stream), cut):
        chunks += reader.feed(stream[begin : begin + cut])
    return reader, chunks


def test_the_callers_own_body_goes_out_with_the_targets_model() -> None:
    sent = wire().encode("messages", BODY, stream=False)
    assert sent.path == b"/v1/messages"
    assert sent.body == b'{"model":"claude-x","max_tokens":5,"messages":[ {"x": 1} ]}'
    assert b'"support"' in wire(ANY_MODEL).encode("messages", BODY, stream=False).body


def test_the_callers_version_replaces_ours_and_its_betas_are_added() -> None:
    assert headers()[b"anthropic-version"] == b"2023-06-01"
    assert headers((b"anthropic-version", b"2024-01-01"))[b"anthropic-version"] == b"2024-01-01"
    assert headers((b"anthropic-beta", b"a,b"))[b"anthropic-beta"] == b"a,b"
    own = headers((b"anthropic-beta", b"a"), headers={"Anthropic-Beta": "context-1m"})
    assert own[b"anthropic-beta"] == b"context-1m,a"
    assert own[b"x-api-key"] == b"sk-ant"


def test_only_a_head_of_one_caller_alone_is_not_kept() -> None:
    target = wire()
    assert not target.encode("messages", BODY, stream=False).signed
    same = [(b"anthropic-version", b"2023-06-01")]
    assert not target.encode("messages", BODY, stream=False, forwarded=same).signed
    assert target.encode("messages", BODY, stream=False, forwarded=[(b"anthropic-beta", b"a")]).signed


@pytest.mark.parametrize("value", [b"a\r\nx-api-key: stolen", b"\xff", b"a" * 3000])
def test_no_header_of_a_caller_writes_others(value: bytes) -> None:
    with pytest.raises(Unusable) as refused:
        headers((b"anthropic-beta", value))
    assert refused.value.failure == "bad_request"
    assert refused.value.param == "anthropic-beta"


def test_counting_asks_for_what_is_input() -> None:
    sent = wire().counting({**BODY, "stream": msgspec.Raw(b"true")})
    assert sent is not None
    assert sent.path == b"/v1/messages/count_tokens"
    assert json.loads(sent.body) == {"model": "claude-x", "messages": [{"x": 1}]}


def test_messages_are_spoken_unless_the_target_is_declared_not_to() -> None:
    assert wire().speaks == {"messages"}
    assert wire(capabilities=Capabilities(surfaces=("chat",))).speaks == {"chat"}


def test_a_whole_answer_is_judged_and_left_as_it_is() -> None:
    body = b'{ "content":[{"type":"text","text":"Hi","x":1}], "model":"m", "stop_reason":"end_turn","later":[1] }'
    found = wire().answer("messages", [(b"request-id", b"req_1")], body)
    assert found.body is body
    assert found.format == "messages"
    assert (found.finishes, found.model, found.request_id, found.empty) == (("stop",), "m", "req_1", False)


@pytest.mark.parametrize(
    ("stop", "finish"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("tool_use", "tool_calls"),
     ("model_context_window_exceeded", "length"), ("refusal", "content_filter"), ("pause_turn", "stop"),
     ("something_new", "something_new"), (None, None)],
)  # fmt: skip
def test_every_stop_reason_has_its_word(stop: str | None, finish: str | None) -> None:
    assert answer([TEXT], stop).finishes == (finish,)


@pytest.mark.parametrize(
    ("content", "empty"),
    [([], True), ([{"type": "text", "text": " \n"}], True), ([{"type": "thinking", "thinking": "hm"}], True),
     ([TEXT], False), ([{"type": "tool_use", "id": "t", "name": "f", "input": {}}], False),
     ([{"type": "web_search_tool_result", "content": []}], False)],
)  # fmt: skip
def test_what_says_nothing_is_empty(content: list[dict[str, Any]], empty: bool) -> None:
    assert answer(content).empty is empty


def test_tokens_are_counted_as_for_chat() -> None:
    usage = {**USAGE, "cache_read_input_tokens": 7, "output_tokens_details": {"thinking_tokens": 3}}
    assert answer([TEXT], usage=usage).tokens == Tokens(input=10, cache_read=7, output=5, reasoning=3)


def test_a_refusal_is_seen() -> None:
    found = answer([], "refusal")
    assert found.refused
    assert not found.empty


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"type":"message"}', b'{"content":[{"text":"\xff"}]}'])
def test_what_is_no_message_is_invalid(body: bytes) -> None:
    with pytest.raises(Unusable) as found:
        wire().answer("messages", [], body)
    assert found.value.failure == "invalid"


def test_an_error_with_status_200_is_one() -> None:
    with pytest.raises(Unusable) as found:
        wire().answer("messages", [], b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')
    assert found.value.failure == "unavailable"


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_events_are_read_wherever_they_are_cut_and_left_as_they_are(path: Path) -> None:
    events = json.loads(path.read_text())["events"]
    for cut in (10**9, 7):
        reader, chunks = play(events, cut)
        assert [json.loads(chunk.data) for chunk in chunks] == [event for event in events if event["type"] != "ping"]
        assert reader.done
        assert reader.failed is None
    assert [chunk.ends for chunk in chunks[-3:]] == [False, True, True]
    assert not any(chunk.usage or chunk.usage_only for chunk in chunks)
    assert any(chunk.text for chunk in chunks)
    assert chunks[0].model == "claude-opus-4-8"


def test_tokens_of_a_stream_are_cumulative() -> None:
    _, chunks = play(json.loads((CASSETTES / "events_thinking.json").read_text())["events"])
    assert chunks[-1].tokens == Tokens(input=25, output=45, reasoning=30)


def test_thoughts_are_signs_of_life_and_not_the_answer() -> None:
    _, chunks = play(json.loads((CASSETTES / "events_thinking.json").read_text())["events"])
    assert [(chunk.reasons, chunk.text) for chunk in chunks[1:4]] == [(True, False)] * 3
    assert [chunk.plain for chunk in chunks if chunk.text] == [True]


def test_a_refusal_ends_a_stream_as_one() -> None:
    end = {"type": "message_delta", "delta": {"stop_reason": "refusal"}, "usage": {"output_tokens": 1}}
    _, chunks = play([end])
    assert chunks[0].refused
    assert chunks[0].finishes == ((0, "content_filter"),)


def test_an_error_in_the_stream_ends_it() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reader, chunks = play([{"type": "message_start", "message": {"id": "m"}}, error])
    assert len(chunks) == 1
    assert reader.failed is not None
    assert reader.failed.failure == "unavailable"
    assert not reader.done


def test_events_of_a_later_api_are_passed_and_broken_ones_are_not() -> None:
    reader, chunks = play([{"type": "message_hint", "hint": 1}, {"type": "content_block_delta", "delta": 5}])
    assert [json.loads(chunk.data)["type"] for chunk in chunks] == ["message_hint"]
    assert reader.failed is not None
    assert reader.failed.failure == "invalid"


def test_an_event_on_several_lines_becomes_one() -> None:
    reader = wire().events("messages")
    (chunk,) = reader.feed(b'event: x\ndata: {"type":\ndata: "x"}\n\n')
    assert b"\n" not in chunk.data
    assert json.loads(chunk.data) == {"type": "x"}
