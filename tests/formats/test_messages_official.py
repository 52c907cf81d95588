"""What the translators make, as Anthropic's official client reads it: its types, its streams, its exceptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import msgspec
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import BaseModel, TypeAdapter

from roadworthy.formats.messages import answer, errors, events, request
from roadworthy.formats.model import Broken

CASSETTES = Path(__file__).parent / "cassettes" / "messages"
PARAMS = TypeAdapter(MessageCreateParamsNonStreaming)
EVENT = TypeAdapter(RawMessageStreamEvent)
COMPLETIONS = sorted([*CASSETTES.glob("chat_*.json"), *CASSETTES.glob("answer_*.json")])
ASK: Any = {"model": "support", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
BROKEN = Broken("unavailable", "The provider broke off.", "api_error")


def recorded(path: Path) -> Any:
    return json.loads(path.read_text())


def client(body: bytes, status: int = 200, kind: str = "application/json") -> anthropic.Anthropic:
    def serve(_: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": kind, "x-should-retry": "false", "request-id": "req_1"}
        return httpx2.Response(status, content=body, headers=headers)

    transport = httpx2.Client(transport=httpx2.MockTransport(serve))
    return anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=transport)


def streaming(body: bytes) -> anthropic.Anthropic:
    return client(body, kind="text/event-stream")


def own(completion: Any, **asked: Any) -> bytes:
    raw = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in asked.items()}
    return answer.from_chat(json.dumps(completion).encode(), asked=raw, ident="inf_1", model="support")


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode()


@pytest.mark.parametrize("path", sorted(CASSETTES.glob("request_*.json")), ids=lambda path: path.stem)
def test_requests_have_the_official_shape(path: Path) -> None:
    found = recorded(path)
    PARAMS.validate_python({**found["own"], "stream": False})
    if found["back"]:
        raw = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in found["chat"].items()}
        made = msgspec.json.encode(request.from_chat(raw, model="m", stream=False))
        PARAMS.validate_python(json.loads(made))


@pytest.mark.parametrize("path", COMPLETIONS, ids=lambda path: path.stem)
def test_answers_and_their_events_have_the_official_shape(path: Path) -> None:
    body = own(recorded(path)["chat"])
    Message.model_validate(json.loads(body))
    for data in events.recited(body, {}):
        EVENT.validate_json(data)


@pytest.mark.parametrize("path", COMPLETIONS, ids=lambda path: path.stem)
def test_a_recited_answer_streams_as_the_same_message(path: Path) -> None:
    body = own(recorded(path)["chat"])
    by, data = events.Passing(), events.recited(body, {})
    told = b"".join(map(by.chunk, data[:-1])) + by.end(data[-1:], b'{"outcome":"answered"}')
    with streaming(told).messages.stream(**ASK) as stream:
        final = stream.get_final_message()
    assert final.to_dict()["content"] == json.loads(body)["content"]
    assert final.stop_reason == json.loads(body)["stop_reason"]
    assert final.usage.output_tokens == json.loads(body)["usage"]["output_tokens"]


def test_a_translated_stream_with_tools_is_gathered_by_the_client() -> None:
    by = events.Translating({}, ident="inf_1", model="support", created=1)
    call = {"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    pieces = [{"role": "assistant", "content": "Let "}, {"content": "me."}, {"tool_calls": [call]}]
    pieces.append({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]})
    told = b"".join([by.chunk(chunk(piece)) for piece in pieces]) + by.end([chunk({}, "tool_calls")], b'{"a":1}')
    with streaming(told).messages.stream(**ASK) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["text", "tool_use"]
    assert final.content[1].to_dict()["input"] == {"a": 1}
    assert final.stop_reason == "tool_use"
    *_, last = streaming(told).messages.create(**ASK, stream=True)
    assert last.to_dict()["roadworthy"] == {"a": 1}


@pytest.mark.parametrize("native", [True, False])
def test_a_stream_that_breaks_off_raises(native: bool) -> None:
    by = events.Translating({}, ident="inf_1", model="support", created=1)
    told = by.chunk(chunk({"content": "Hel"}))
    told += (events.Passing() if native else by).broken(BROKEN, b'{"outcome":"error"}')
    with pytest.raises(anthropic.APIStatusError) as raised, streaming(told).messages.stream(**ASK) as stream:
        stream.get_final_message()
    body: Any = raised.value.body
    assert body["error"]["code"] == "unavailable"
    assert body["roadworthy"] == {"outcome": "error"}


@pytest.mark.parametrize(
    ("status", "raises"),
    [(400, anthropic.BadRequestError), (401, anthropic.AuthenticationError), (404, anthropic.NotFoundError),
     (429, anthropic.RateLimitError), (503, anthropic.InternalServerError)],
)  # fmt: skip
def test_errors_raise_the_exception_of_their_status(status: int, raises: type[anthropic.APIStatusError]) -> None:
    body = errors.body(status, "ai_off", "Off for now.", None, "inf_1", None)
    with pytest.raises(raises, match="Off for now") as raised:
        client(body, status).messages.create(**ASK)
    assert raised.value.type == errors.type_of(status)


class Lead(BaseModel):
    name: str


def test_parse_never_raises_for_what_no_model_wrote() -> None:
    """A canned answer where a schema is asked for is a refusal without text (``stop_details``)."""
    canned = {"choices": [{"message": {"content": None, "refusal": "A person will answer."}, "finish_reason": "stop"}]}
    body = own(canned, output_config={"format": {"type": "json_schema", "schema": Lead.model_json_schema()}})
    found = client(body).messages.parse(**ASK, output_format=Lead)
    assert found.parsed_output is None
    assert found.stop_details is not None
    assert found.stop_details.explanation == "A person will answer."
    written = own({"choices": [{"message": {"content": '{"name":"Ada"}'}, "finish_reason": "stop"}]})
    assert client(written).messages.parse(**ASK, output_format=Lead).parsed_output == Lead(name="Ada")
