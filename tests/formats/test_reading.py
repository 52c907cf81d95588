"""What the log keeps in a caller's own format is read as a conversation by everybody else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from roadworthy.formats.model import Format
from roadworthy.inference_log import telling
from roadworthy.operations.adoption.adopt import observed_call
from roadworthy.workflow.inference import Inference

SYSTEM = {"role": "system", "content": "Be kind."}
QUESTION = {"role": "user", "content": "Where is it?"}
TEXT = {"type": "output_text", "text": "Here.", "annotations": []}
ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [TEXT]}
MESSAGE = {"role": "assistant", "content": "Here."}
ASKED: dict[Format, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [SYSTEM, QUESTION]},
    "responses": {"model": "m", "instructions": "Be kind.", "input": "Where is it?"},
    "messages": {"model": "m", "max_tokens": 50, "system": "Be kind.", "messages": [QUESTION]},
}
SAID: dict[Format, dict[str, Any]] = {
    "chat": {
        "id": "1", "object": "chat.completion",
        "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    },
    "responses": {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [ITEM]},
    "messages": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "Here."}], "usage": {"input_tokens": 3, "output_tokens": 2},
    },
}  # fmt: skip


def record(surface: Format, asked: Any, said: Any) -> Inference:
    made = Inference("inf_1", 0.0, "default", "desk", "answered", surface=surface)
    made.request, made.response = msgspec.Raw(msgspec.json.encode(asked)), msgspec.Raw(msgspec.json.encode(said))
    return made


@pytest.mark.parametrize("surface", ["chat", "responses", "messages"])
def test_a_record_of_any_format_reads_as_a_conversation(surface: Format) -> None:
    ours = {"inputs": {"city": "Delft"}}
    made = record(surface, {**ASKED[surface], "roadworthy": ours}, SAID[surface])
    asked, said = made.asked(), made.said()
    assert asked is not None
    assert said is not None
    body = msgspec.json.decode(asked)
    assert body["messages"] == ASKED["chat"]["messages"]
    assert body["roadworthy"] == ours
    assert msgspec.json.decode(said)["choices"][0]["message"]["content"] == "Here."
    shown = [(each.title, each.text) for each in telling.texts(msgspec.json.decode(msgspec.json.encode(made)))]
    assert shown == [("System", "Be kind."), ("User", "Where is it?"), ("Answer (stop)", "Here.")]


@pytest.mark.parametrize("surface", ["responses", "messages"])
def test_an_app_of_any_format_can_be_adopted_from_its_records(surface: Format) -> None:
    observed = observed_call(record(surface, ASKED[surface], SAID[surface]))
    assert observed is not None
    assert observed.body["messages"] == ASKED["chat"]["messages"]


def test_a_call_that_holds_a_number_that_no_double_can_is_not_adopted() -> None:
    made = record("chat", ASKED["chat"], SAID["chat"])
    made.request = msgspec.Raw(b'{"messages":[],"temperature":1e400}')
    assert observed_call(made) is None


@pytest.mark.parametrize("surface", ["responses", "messages"])
@pytest.mark.parametrize("body", [[], {}, {"messages": 7, "input": 7}, "text", None])
def test_a_record_that_cannot_be_read_is_none(surface: Format, body: Any) -> None:
    made = record(surface, body, {"content": 7, "output": 7})
    assert made.asked() is None
    assert made.said() is None
    assert list(telling.texts(msgspec.json.decode(msgspec.json.encode(made)))) == []


@pytest.mark.parametrize("surface", ["responses", "messages"])
def test_an_error_is_told_as_it_is(surface: Format) -> None:
    error = {"type": "error", "error": {"type": "api_error", "code": "bypassed", "message": "no"}}
    said = record(surface, ASKED[surface], error).said()
    assert said is not None
    assert msgspec.json.decode(said) == error
