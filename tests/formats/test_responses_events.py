"""Responses streams: told from chat chunks, passed on, gathered and recited, in the shapes of OpenAI's own client."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import msgspec
import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from roadworthy.formats.model import Broken
from roadworthy.formats.responses import answer, events

CASSETTES = Path(__file__).parent / "cassettes" / "responses"
STREAMS = {path.stem.removeprefix("events_"): path for path in sorted(CASSETTES.glob("events_*.json"))}
ANSWERS = {path.stem.removeprefix("answer_"): path for path in sorted(CASSETTES.glob("answer_*.json"))}
SHAPE = TypeAdapter(ResponseStreamEvent)
BROKE = Broken("server_error", "The answer broke off.", "server_error")
EXTENSION = b'{"inference":"0199"}'


def data_of(told: bytes) -> list[dict]:
    """The events of a stream, each checked: its name, its number, its shape."""
    found = []
    for number, block in enumerate(told.decode().split("\n\n")[:-1]):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == number
        SHAPE.validate_python(event)
        found.append(event)
    return found


def recorded(name: str) -> list[bytes]:
    return [json.dumps(event).encode() for event in json.loads(STREAMS[name].read_text())["events"]]


def chunk(delta: dict | None = None, finish: str | None = None, **more) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish, **more.pop("choice", {})}]
    return json.dumps(
        {"id": "c", "object": "chat.completion.chunk", "created": 5, "model": "m", "choices": choices, **more}
    ).encode()


USAGE = chunk(usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})


def teller(**asked) -> events.Translating:
    own = {name: msgspec.Raw(json.dumps(value, indent=2).encode()) for name, value in asked.items()}
    return events.Translating(own, ident="0199", model="support", created=5)


def told(*chunks: bytes, finish: str = "stop", **asked) -> list[dict]:
    made = teller(**asked)
    begun = b"".join([made.chunk(data) for data in chunks])
    return data_of(begun + made.end([chunk({}, finish), USAGE], EXTENSION))


def types(found: list[dict]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in found]


def call(index: int, name: str | None = None, arguments: str = "", ident: str | None = None) -> dict:
    return {"index": index, "id": ident, "function": {"name": name, "arguments": arguments}}


# told from chat chunks


def test_text_is_told_as_the_api_tells_it():
    found = told(chunk({"role": "assistant", "content": ""}), chunk({"content": 'He"l'}), chunk({"content": "lo\nü"}))
    assert types(found) == types([json.loads(data) for data in recorded("text")])
    assert [event["delta"] for event in found if "delta" in event] == ['He"l', "lo\nü"]
    last = found[-1]["response"]
    assert last["output"][0]["content"][0]["text"] == 'He"llo\nü'
    assert last["usage"]["total_tokens"] == 5
    assert last["status"] == "completed"
    assert list(last)[-1] == "roadworthy"
    assert last["roadworthy"] == {"inference": "0199"}


@pytest.mark.parametrize("summary", [None, "auto"])
def test_a_stream_amounts_to_what_the_whole_answer_says(summary):
    asked = {"reasoning": {"summary": summary}, "metadata": {"a": "b"}}
    found = told(
        chunk({"reasoning_content": "h"}),
        chunk({"reasoning_content": "m"}),
        chunk({"content": "Look"}),
        chunk({"content": "ing"}),
        chunk({"tool_calls": [call(0, "f", ident="call_a"), call(1, "g", "{", ident="call_b")]}),
        chunk({"tool_calls": [call(1, None, "}"), call(0, None, "{}")]}),
        finish="tool_calls",
        **asked,
    )
    calls = [
        {"id": f"call_{letter}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for letter, name in (("a", "f"), ("b", "g"))
    ]
    message = {"content": "Looking", "reasoning_content": "hm", "tool_calls": calls}
    whole = {
        "created": 5,
        "model": "m",
        "choices": [{"message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    own = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in asked.items()}
    expected = json.loads(answer.from_chat(json.dumps(whole).encode(), asked=own, ident="0199", model="support"))
    last = found[-1]["response"]
    del last["roadworthy"]
    assert last == expected
    data = [json.dumps(event).encode() for event in found]
    assert json.loads(events.assemble(data)) == last
    gathered = json.loads(events.assemble(data[:-1]))
    assert gathered["output"] == last["output"]
    assert gathered["status"] == "incomplete"


@pytest.mark.parametrize(
    ("finish", "details"),
    [
        ("length", {"reason": "max_output_tokens"}),
        ("content_filter", {"reason": "content_filter"}),
        ("error", None),
        (None, None),
    ],
)
def test_an_answer_that_is_not_whole_ends_incomplete(finish, details):
    last = told(chunk({"content": "He"}), finish=finish)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == details
    assert last["response"]["output"][0]["status"] == "incomplete"


def test_a_refusal_is_a_part_of_its_own():
    found = told(chunk({"content": "Well, "}), chunk({"refusal": "no"}), chunk({"refusal": "."}))
    parts = found[-1]["response"]["output"][0]["content"]
    assert [part["type"] for part in parts] == ["output_text", "refusal"]
    assert parts[1]["refusal"] == "no."
    assert types(found)[-4:] == ["refusal.done", "content_part.done", "output_item.done", "completed"]


def test_what_comes_with_the_end_is_told_before_it():
    made = teller()
    assert made.chunk(chunk({"role": "assistant"})).count(b"event: ") == 2
    found = data_of(teller().end([chunk({"content": "all"}, "stop"), USAGE], None))
    assert found[-1]["response"]["output"][0]["content"][0]["text"] == "all"
    assert "roadworthy" not in found[-1]["response"]


def test_logprobs_go_with_their_words():
    one = {"token": "He", "logprob": -0.5, "bytes": [72, 101], "top_logprobs": []}
    found = told(
        chunk({"content": "x"}),
        chunk({"content": "He"}, choice={"logprobs": {"content": [one]}}),
        chunk({"content": "y"}),
    )
    assert [event["logprobs"] for event in found if event["type"].endswith("text.delta")] == [[], [one], []]
    assert next(event for event in found if event["type"].endswith("text.done"))["logprobs"] == [one]


def test_a_call_waits_for_its_name():
    found = told(chunk({"tool_calls": [call(0, None, "{")]}), chunk({"tool_calls": [call(0, "f", "}")]}))
    assert found[2]["item"]["name"] == "f"
    assert found[3]["delta"] == "{}"


def test_a_call_of_a_tool_in_a_namespace_names_both():
    space = {
        "type": "namespace",
        "name": "agents",
        "description": "d",
        "tools": [{"type": "function", "name": "close"}],
    }
    found = told(chunk({"tool_calls": [call(0, "agents__close", "{}")]}), finish="tool_calls", tools=[space])
    for item in (found[2]["item"], found[-1]["response"]["output"][0]):
        assert (item["namespace"], item["name"]) == ("agents", "close")


def test_a_custom_tool_is_told_in_its_own_events():
    calls = [{"index": 0, "id": "call_a", "type": "custom", "custom": {"name": "py", "input": "print("}}]
    found = told(chunk({"tool_calls": calls}), chunk({"tool_calls": [{"index": 0, "custom": {"input": "1)"}}]}))
    assert types(found)[2:6] == [
        "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
    ]  # fmt: skip
    assert found[-1]["response"]["output"][0]["input"] == "print(1)"


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": [{"delta": {"content": "lo", "tool_calls": None}, "finish_reason": 7}], "model": 5},
        {"choices": [{"delta": {"content": [{"type": "text", "text": "lo"}]}}], "usage": "none"},
        {"choices": [{"delta": {"content": "lo", "tool_calls": "none"}}, 7], "usage": {"prompt_tokens": 1.0}},
    ],
)
def test_dialects_of_chat_are_told_too(odd):
    found = told(chunk({"content": "Hel"}), json.dumps(odd).encode())
    assert found[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"


def test_arguments_that_a_dialect_writes_as_an_object_are_told_as_their_text():
    made = {"index": 0, "id": "call_1", "function": {"name": "find", "arguments": {"q": 'a "b" é'}}}
    found = told(chunk({"tool_calls": [made]}), finish="tool_calls")
    [item] = found[-1]["response"]["output"]
    assert json.loads(item["arguments"]) == {"q": 'a "b" é'}
    assert "".join(each["delta"] for each in found if each["type"].endswith("arguments.delta")) == item["arguments"]


# passed on


@pytest.mark.parametrize("name", STREAMS)
def test_events_are_passed_on_byte_for_byte_with_our_object_in_the_last(name):
    sent = recorded(name)
    passing = events.Passing()
    out = b"".join([passing.chunk(data) for data in sent[:-2]])
    assert out == b"".join(
        [b"event: %b\ndata: %b\n\n" % (json.loads(data)["type"].encode(), data) for data in sent[:-2]]
    )
    found = data_of(out + passing.end(sent[-2:], EXTENSION))
    ours = found[-1]["response"].pop("roadworthy")
    assert ours == {"inference": "0199"}
    assert found == [json.loads(data) for data in sent]


@pytest.mark.parametrize("name", STREAMS)
def test_events_amount_to_the_answer_that_their_end_tells(name):
    sent = recorded(name)
    whole = json.loads(sent[-1])["response"]
    assert json.loads(events.assemble(sent)) == whole
    gathered = json.loads(events.assemble(sent[:-1]))
    assert gathered["output"] == whole["output"]
    half = next(index for index, data in enumerate(sent) if b"delta" in data) + 1
    begun = json.loads(events.assemble([*sent[:half], b"{", b"[]"]))
    assert begun["status"] == "incomplete"
    assert begun["output"]


@pytest.mark.parametrize("name", STREAMS)
def test_a_whole_answer_is_recited_as_the_api_streams_it(name):
    sent = [json.loads(data) for data in recorded(name)]
    made = [json.loads(data) for data in events.recited(json.dumps(sent[-1]["response"]).encode(), {})]
    kinds = [kind for kind, before in zip(types(sent), [None, *types(sent)], strict=False) if kind != before]
    assert types(made) == kinds
    assert json.loads(events.assemble([json.dumps(event).encode() for event in made])) == sent[-1]["response"]
    passing = events.Passing()
    data_of(b"".join(passing.chunk(json.dumps(event).encode()) for event in made))


@pytest.mark.parametrize("name", ANSWERS)
def test_every_recorded_answer_can_be_recited(name):
    body = json.dumps(json.loads(ANSWERS[name].read_text())["own"], indent=1).encode()
    made = events.recited(body, {})
    assert not any(b"\n" in data for data in made)
    assert json.loads(events.assemble(made)) == json.loads(body)


# broken


def _client(told: bytes):
    """OpenAI's client, told this whatever it asks."""
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=told)
    )
    return openai.OpenAI(
        api_key="k", base_url="http://x/v1", http_client=httpx2.Client(transport=transport), max_retries=0
    )


def _broken_streams() -> dict[str, bytes]:
    made, silent, passing = teller(), teller(), events.Passing()
    sent = recorded("text")
    return {
        "told": made.chunk(chunk({"content": "He"})) + made.broken(BROKE, EXTENSION),
        "silent": silent.broken(BROKE, None),
        "passed": b"".join([passing.chunk(data) for data in sent[:5]]) + passing.broken(BROKE, EXTENSION),
    }


@pytest.mark.parametrize("name", ["told", "silent", "passed"])
def test_openais_client_raises_at_a_stream_that_broke(name):
    """And so does its helper; who reads the protocol by hand finds ``response.failed`` and never ``completed``."""
    told = _broken_streams()[name]
    found = data_of(told)
    assert types(found)[-2:] == ["failed", "error"]
    assert "completed" not in types(found)
    failed = found[-2]["response"]
    assert failed["status"] == "failed"
    assert failed["error"]["message"] == BROKE.message
    assert failed["id"] == found[0]["response"]["id"]
    Response.model_validate(failed)
    with pytest.raises(openai.APIError, match="broke off"):
        list(_client(told).responses.create(model="m", input="Hi", stream=True))
    with (
        pytest.raises(openai.APIError, match="broke off"),
        _client(told).responses.stream(model="m", input="Hi") as stream,
    ):
        stream.until_done()


def test_openais_client_reads_a_stream_that_is_whole():
    made = teller()
    out = (
        made.chunk(chunk({"content": "Hel"}))
        + made.chunk(chunk({"content": "lo"}))
        + made.end([chunk({}, "stop")], EXTENSION)
    )
    with _client(out).responses.stream(model="m", input="Hi") as stream:
        final = stream.get_final_response()
    assert final.output_text == "Hello"
    assert final.model_extra["roadworthy"] == {"inference": "0199"}
