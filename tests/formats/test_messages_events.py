"""Streams of Messages: chat chunks told as events, events gathered, and whole answers recited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roadworthy.formats.messages import answer, events
from roadworthy.formats.model import Broken
from roadworthy.gateway.streaming.assemble import assemble as assemble_chat

CASSETTES = Path(__file__).parent / "cassettes" / "messages"
RECORDED = {path.stem.removeprefix("events_"): path for path in sorted(CASSETTES.glob("events_*.json"))}
ANSWERS = sorted(CASSETTES.glob("answer_*.json"))
WHY = Broken("unavailable", "The provider broke off.", "api_error")
OURS = b'{"outcome":"answered"}'
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4}}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, **more}
    return json.dumps({"id": "chatcmpl-1", "created": 1, "model": "gpt", "choices": [choice]}).encode()


def teller(**asked: Any) -> events.Translating:
    raw = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in asked.items()}
    return events.Translating(raw, ident="inf_1", model="support", created=1)


def parsed(told: bytes) -> list[dict[str, Any]]:
    """Checks the frame: each event's name is its type."""
    found = []
    for block in told.split(b"\n\n")[:-1]:
        name, data = block.split(b"\n")
        found.append(json.loads(data.removeprefix(b"data: ")))
        assert name == b"event: " + found[-1]["type"].encode()
    return found


def told(*chunks: bytes, held: tuple[bytes, ...] = (), **asked: Any) -> list[dict[str, Any]]:
    by = teller(**asked)
    return parsed(b"".join(map(by.chunk, chunks)) + by.end(list(held), OURS))


def whole(found: list[dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(events.assemble(json.dumps(event).encode() for event in found))
    return made


def call(index: int, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **more, "function": {"arguments": arguments, **more.pop("function", {})}}]}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_stream_amounts_to_its_message(name: str) -> None:
    recorded = json.loads(RECORDED[name].read_text())
    assert whole(recorded["events"]) == recorded["own"]


@pytest.mark.parametrize("name", RECORDED)
def test_events_are_passed_as_they_came_with_our_object_in_the_two_that_end_them(name: str) -> None:
    recorded = [event for event in json.loads(RECORDED[name].read_text())["events"] if event["type"] != "ping"]
    data = [json.dumps(event).encode() for event in recorded]
    by = events.Passing()
    passed = b"".join(map(by.chunk, data[:-2]))
    assert all(event in passed for event in data[:-2])
    assert parsed(passed + by.end(data[-2:], OURS)) == [
        *recorded[:-2],
        *[{**event, "roadworthy": json.loads(OURS)} for event in recorded[-2:]],
    ]


def test_a_message_that_ends_without_its_stop_gets_one() -> None:
    delta = b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}'
    assert [event["type"] for event in parsed(events.Passing().end([delta], None))] == ["message_delta", "message_stop"]


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_a_recited_answer_amounts_to_itself(path: Path) -> None:
    own = json.loads(path.read_text())["own"]
    data = events.recited(json.dumps(own).encode(), {})
    assert json.loads(events.assemble(data)) == own
    assert json.loads(data[0])["message"]["content"] == []
    assert json.loads(data[-1]) == {"type": "message_stop"}


def test_text_is_told_as_one_block() -> None:
    found = told(chunk({"role": "assistant", "content": ""}), chunk({"content": "Hé"}), chunk({"content": "llo"}),
                 held=(chunk({}, "stop"), json.dumps({"choices": [], "usage": USAGE}).encode()))  # fmt: skip
    assert [event["type"] for event in found] == [
        "message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    assert found[0]["message"]["id"] == "msg_inf_1"
    assert found[-1]["roadworthy"] == {"outcome": "answered"}
    message = whole(found)
    assert message["content"] == [{"type": "text", "text": "Héllo"}]
    assert message["stop_reason"] == "end_turn"
    assert message["usage"] == {
        "input_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": 5,
    }  # fmt: skip


def test_calls_are_told_as_blocks_one_after_the_other() -> None:
    begin = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    other = {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}
    found = told(
        chunk({"content": "Let me."}),
        chunk({"tool_calls": [{"index": 0, **begin}]}),
        chunk(call(0, '{"x":')),
        chunk(call(0, "1}")),
        chunk({"tool_calls": [{"index": 1, **other}]}),
        chunk({}, "stop"),  # as OpenAI finishes where the tool was forced
    )
    open_: list[int] = []
    for event in found:
        if event["type"] == "content_block_start":
            assert not open_
            open_.append(event["index"])
        elif event["type"] == "content_block_stop":
            assert event["index"] == open_.pop()
    message = whole(found)
    assert message["stop_reason"] == "tool_use"
    assert message["content"][1:] == [
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
    ]


def test_thoughts_are_told_where_they_are_signed_and_else_not() -> None:
    block = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    found = told(chunk({"reasoning_content": "Hm."}), chunk({"thinking_blocks": [block]}), chunk({"content": "Yes"}))
    assert whole(found)["content"] == [block, {"type": "text", "text": "Yes"}]
    assert whole(told(chunk({"reasoning_content": "Hm."}), chunk({"content": "Yes"})))["content"] == [
        {"type": "text", "text": "Yes"}
    ]


def test_a_refusal_is_text_and_where_a_schema_is_asked_for_a_detail() -> None:
    pieces = (chunk({"refusal": "No, "}), chunk({"refusal": "sorry."}), chunk({}, "stop"))
    message = whole(told(*pieces))
    assert message["content"] == [{"type": "text", "text": "No, sorry."}]
    assert message["stop_reason"] == "refusal"
    shaped = whole(told(*pieces, output_config={"format": {"type": "json_schema", "schema": {}}}))
    assert shaped["content"] == []
    assert shaped["stop_details"]["explanation"] == "No, sorry."


def test_the_sequence_at_which_it_stopped_is_told() -> None:
    message = whole(told(chunk({"content": "1"}), chunk({}, "stop", stop_reason="END")))
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


def test_chunks_of_other_dialects_are_told_too() -> None:
    parts = [{"type": "text", "text": "Par"}, {"type": "text", "text": "ts"}]
    calls = [{"id": "a", "function": {"arguments": {"x": 1}}}]
    strange = {"choices": [{"delta": {"content": "!", "tool_calls": calls}}], "usage": {"prompt_tokens": 3.0}}
    message = whole(told(chunk({"content": parts}), chunk({"content": None}), json.dumps(strange).encode()))
    assert message["content"][0]["text"] == "Parts!"
    assert message["content"][1]["input"] == {"x": 1}
    assert message["usage"]["input_tokens"] == 3


def test_an_empty_stream_is_a_whole_message_all_the_same() -> None:
    assert [event["type"] for event in told()] == ["message_start", "message_delta", "message_stop"]


@pytest.mark.parametrize("by", [events.Passing("inf_1"), teller()])
def test_what_breaks_off_ends_with_an_error_that_holds_our_object(by: Any) -> None:
    error = parsed(by.broken(WHY, OURS))[-1]
    assert error["type"] == "error"
    assert error["error"]["code"] == "unavailable"
    assert (error["request_id"], error["roadworthy"]) == ("inf_1", {"outcome": "answered"})


def test_a_broken_stream_is_recorded_as_far_as_it_came() -> None:
    recorded = json.loads(RECORDED["tools"].read_text())["events"]
    cut = whole(recorded[:7])
    assert cut["content"][1]["input"] == {"invalid_arguments": '{"location":'}
    assert cut["stop_reason"] is None
    assert json.loads(events.assemble([b"[", b'"x"', b"{}"]))["content"] == []


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_a_stream_of_chunks_and_the_whole_completion_tell_the_same_message(path: Path) -> None:
    completion = json.loads(path.read_text())["chat"]
    choice = completion["choices"][0]
    delta = {name: value for name, value in choice["message"].items() if value is not None}
    delta.pop("reasoning_content", None)
    for index, tool in enumerate(delta.get("tool_calls", ())):
        tool["index"] = index
    pieces = [{**completion, "choices": [{"index": 0, "delta": {name: value}}]} for name, value in delta.items()]
    end = {**completion, "choices": [{**choice, "delta": {}}]}
    data = [json.dumps(found).encode() for found in [*pieces, end]]
    streamed = whole(told(*data))
    straight = json.loads(answer.from_chat(assemble_chat(data), asked={}, ident="inf_1", model="support"))
    order = sorted(map(json.dumps, streamed.pop("content"))), sorted(map(json.dumps, straight.pop("content")))
    assert order[0] == order[1]
    assert streamed == straight
