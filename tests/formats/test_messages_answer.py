"""Messages answers and chat completions, each as the other, and errors in Anthropic's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roadworthy.formats.messages import answer, counting, errors

CASSETTES = Path(__file__).parent / "cassettes" / "messages"
OWN = {path.stem.removeprefix("answer_"): path for path in sorted(CASSETTES.glob("answer_*.json"))}
CHAT = {path.stem.removeprefix("chat_"): path for path in sorted(CASSETTES.glob("chat_*.json"))}


def fields(**values: Any) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in values.items()}


def outward(body: Any, **asked: Any) -> dict[str, Any]:
    made = answer.from_chat(json.dumps(body).encode(), asked=fields(**asked), ident="inf_1", model="support")
    found: dict[str, Any] = json.loads(made)
    return found


@pytest.mark.parametrize("name", OWN)
def test_a_recorded_answer_reads_as_a_completion(name: str) -> None:
    recorded = json.loads(OWN[name].read_text())
    assert json.loads(answer.to_chat(json.dumps(recorded["own"]).encode())) == recorded["chat"]


@pytest.mark.parametrize("name", [name for name in OWN if json.loads(OWN[name].read_text())["back"]])
def test_nothing_of_it_is_lost_on_the_way_back(name: str) -> None:
    recorded = json.loads(OWN[name].read_text())
    assert outward(recorded["chat"], **recorded["asked"]) == recorded["own"]


@pytest.mark.parametrize("name", CHAT)
def test_a_recorded_completion_is_told_as_a_message(name: str) -> None:
    recorded = json.loads(CHAT[name].read_text())
    assert outward(recorded["chat"]) == recorded["own"]


def test_the_forced_tools_input_is_the_text() -> None:
    block = {"type": "tool_use", "id": "t", "name": "roadworthy_answer", "input": {"a": 1}}
    found = json.loads(answer.to_chat(json.dumps({"content": [block], "stop_reason": "tool_use"}).encode()))
    assert found["choices"][0]["message"]["content"] == '{"a":1}'
    assert found["choices"][0]["finish_reason"] == "stop"


def test_a_completion_without_choices_or_of_a_strange_shape_is_told_all_the_same() -> None:
    assert outward({})["content"] == []
    strange = {"choices": [{"message": {"content": 5, "tool_calls": "x"}, "finish_reason": 1}], "usage": "none"}
    assert outward(strange)["usage"]["input_tokens"] == 0


def test_a_model_that_names_itself_nowhere_is_called_as_its_caller_did() -> None:
    assert outward({"choices": []})["model"] == "support"


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>"])
def test_what_is_no_message_is_none(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        answer.to_chat(body)


@pytest.mark.parametrize(
    ("status", "type_"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error"), (404, "not_found_error"),
     (413, "request_too_large"), (422, "invalid_request_error"), (429, "rate_limit_error"), (500, "api_error"),
     (503, "api_error"), (504, "timeout_error")],
)  # fmt: skip
def test_errors_have_anthropics_type_and_our_code(status: int, type_: str) -> None:
    body = json.loads(errors.body(status, "ai_off", "Off.", "model", "inf_1", b'{"outcome":"error"}'))
    error = {"type": type_, "message": "Off.", "code": "ai_off", "param": "model"}
    assert body == {"type": "error", "error": error, "request_id": "inf_1", "roadworthy": {"outcome": "error"}}
    assert list(body)[-1] == "roadworthy"


def test_no_error_is_called_overloaded_for_agents_try_again_on_that_word() -> None:
    assert not any(errors.type_of(status) == "overloaded_error" for status in range(400, 600))


def test_only_what_is_input_is_counted() -> None:
    body = fields(model="m", max_tokens=5, temperature=1, stream=True, system="s", messages=[], tools=[], thinking={})
    assert counting.counted(body).keys() == {"model", "system", "messages", "tools", "thinking"}


def test_an_estimate_goes_by_what_the_model_reads() -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 50
    said = counting.estimate(fields(model="m", messages=[{"role": "user", "content": text}]))
    assert 450 < said < 750  # about 500 by any tokenizer
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    seen = counting.estimate(fields(messages=[{"role": "user", "content": [result, {"type": "text", "text": text}]}]))
    assert 1600 < seen - said < 1700


def test_an_estimate_says_that_it_is_one() -> None:
    assert json.loads(counting.body(7, estimated=True)) == {"input_tokens": 7, "roadworthy": {"estimated": True}}
    assert counting.read(counting.body(7, estimated=False)) == 7


@pytest.mark.parametrize("body", [b"{}", b'{"input_tokens":-1}', b'{"input_tokens":"7"}', b"x"])
def test_a_count_that_is_none_is_noticed(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        counting.read(body)


def test_a_completion_of_another_dialect_is_told_as_far_as_it_can_be_read() -> None:
    call = {"id": None, "function": {"name": "look", "arguments": {"x": 1}}}
    said = {"content": "Hello", "refusal": 7, "tool_calls": [None, call]}
    body = {"choices": [{"message": said, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3.0}, "model": 5}
    made = json.loads(answer.from_chat(json.dumps(body).encode(), asked={}, ident="inf_1", model="support"))
    assert made["content"] == [
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "", "name": "look", "input": {"x": 1}},
    ]
    assert (made["model"], made["stop_reason"], made["usage"]["input_tokens"]) == ("support", "tool_use", 3)
