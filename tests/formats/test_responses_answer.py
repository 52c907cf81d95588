"""Responses and chat completions, each as the other: as recorded, in the shapes of OpenAI's own client."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from roadworthy.formats.responses import answer

CASSETTES = Path(__file__).parent / "cassettes" / "responses"
OWN = {path.stem.removeprefix("answer_"): path for path in sorted(CASSETTES.glob("answer_*.json"))}
CHAT = {path.stem.removeprefix("chat_"): path for path in sorted(CASSETTES.glob("chat_*.json"))}


def fields(**values) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value, indent=2).encode()) for name, value in values.items()}


def completion(message: dict | None = None, finish: str = "stop", **more) -> bytes:
    told = {"role": "assistant", "content": "Hello", **(message or {})}
    choice = {"index": 0, "message": told, "finish_reason": finish}
    return json.dumps({"id": "c", "object": "chat.completion", "created": 5, "choices": [choice], **more}).encode()


def responded(body: bytes, **asked) -> dict:
    made = answer.from_chat(body, asked=fields(**asked), ident="0199", model="support")
    Response.model_validate_json(made)
    return json.loads(made)


@pytest.mark.parametrize(
    ("said", "text"),
    [({"q": 'a "b" é'}, '{"q":"a \\"b\\" é"}'), ('{"q": 1}', '{"q": 1}'), (None, ""), ([1], "[1]"), (7, "7")],
)
def test_arguments_are_told_as_their_text_however_a_dialect_writes_them(said, text):
    call = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": said}}
    [item] = responded(completion({"content": None, "tool_calls": [call]}, "tool_calls"))["output"]
    assert item["arguments"] == text


@pytest.mark.parametrize("name", OWN)
def test_a_recorded_response_reads_as_its_chat_completion(name):
    recorded = json.loads(OWN[name].read_text())
    Response.model_validate(recorded["own"])
    made = answer.to_chat(json.dumps(recorded["own"]).encode())
    assert json.loads(made) == recorded["chat"]
    ChatCompletion.model_validate_json(made)


@pytest.mark.parametrize("name", CHAT)
def test_a_recorded_chat_completion_is_told_as_its_response(name):
    recorded = json.loads(CHAT[name].read_text())
    made = answer.from_chat(
        json.dumps(recorded["chat"]).encode(), asked=fields(**recorded["asked"]), ident="0199", model="support"
    )
    assert json.loads(made) == recorded["own"]
    Response.model_validate_json(made)


@pytest.mark.parametrize("name", OWN)
def test_what_both_can_say_of_an_answer_survives_the_way_there_and_back(name):
    chat = json.loads(OWN[name].read_text())["chat"]
    own = answer.from_chat(json.dumps(chat).encode(), asked={}, ident="0199", model="support")
    again = json.loads(answer.to_chat(own))
    assert {**again, "id": chat["id"]} == chat


def test_an_answer_repeats_what_its_request_asked():
    made = responded(
        completion(), instructions="Be brief", metadata={"run": "7"}, temperature=0.5, truncation=None, store=False
    )
    assert (made["instructions"], made["metadata"], made["temperature"]) == ("Be brief", {"run": "7"}, 0.5)
    assert (made["truncation"], made["store"], made["previous_response_id"]) == ("disabled", False, None)
    assert made["id"] == "resp_0199"
    assert made["model"] == "support"


def test_an_answer_stands_on_one_line_however_its_request_was_written():
    made = answer.from_chat(completion(), asked=fields(tools=[], text={"a": [1]}), ident="1", model="m")
    assert b"\n" not in made


def test_thoughts_are_summed_up_for_those_who_asked_for_it():
    body = completion({"reasoning_content": "hm"})
    assert responded(body)["output"][0]["summary"] == []
    assert responded(body, reasoning={"summary": "auto"})["output"][0]["summary"][0]["text"] == "hm"
    assert responded(body)["output"][0]["content"] == [{"type": "reasoning_text", "text": "hm"}]


@pytest.mark.parametrize("finish", [None, "error", "abort"])
def test_an_answer_that_nobody_finished_is_not_told_as_whole(finish):
    made = responded(completion(finish=finish))
    assert (made["status"], made["incomplete_details"]) == ("incomplete", None)
    assert json.loads(answer.to_chat(json.dumps(made).encode()))["choices"][0]["finish_reason"] is None


def test_an_answer_without_words_has_a_message_all_the_same():
    assert responded(completion({"content": None}))["output"][0]["content"] == []


def test_usage_that_nobody_reported_is_not_made_up():
    assert responded(completion())["usage"] is None


def test_a_call_of_a_tool_in_a_namespace_names_both_and_others_do_not():
    space = {
        "type": "namespace",
        "name": "agents",
        "description": "d",
        "tools": [{"type": "function", "name": "close"}],
    }
    calls = [
        {"id": ident, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for ident, name in (("c1", "agents__close"), ("c2", "agents__open"))
    ]
    made = responded(completion({"content": None, "tool_calls": calls}, "tool_calls"), tools=[space])
    assert [(item.get("namespace"), item["name"]) for item in made["output"]] == [
        ("agents", "close"),
        (None, "agents__open"),
    ]
    again = json.loads(answer.to_chat(json.dumps(made).encode()))["choices"][0]["message"]["tool_calls"]
    assert again == calls


def test_logprobs_are_told_with_their_text():
    told = [{"token": "Hello", "bytes": [72], "logprob": -0.1, "top_logprobs": []}]
    body = json.loads(completion())
    body["choices"][0]["logprobs"] = {"content": told, "refusal": None}
    made = responded(json.dumps(body).encode())
    assert made["output"][0]["content"][0]["logprobs"] == told
    assert json.loads(answer.to_chat(json.dumps(made).encode()))["choices"][0]["logprobs"]["content"] == told


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"choices": 7}'])
def test_what_is_no_answer_is_an_error_of_the_decoder(body):
    with pytest.raises(msgspec.DecodeError):
        answer.from_chat(body, asked={}, ident="1", model="m")
    with pytest.raises(msgspec.DecodeError):
        answer.to_chat(body)
