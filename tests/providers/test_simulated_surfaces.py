"""The rehearsal target on Responses and Messages: what it says on chat completions, in their words, faults included."""

from __future__ import annotations

import json
import re
from typing import Any

import httptools
import msgspec
import pytest

from roadworthy.adapters.providers import simulated_surfaces as surfaces
from roadworthy.adapters.providers.registry import wire_for
from roadworthy.adapters.providers.simulated import Director
from roadworthy.adapters.providers.simulated_answer import Asked
from roadworthy.adapters.providers.simulated_script import Script, compose
from roadworthy.formats.model import Format, Inexpressible
from roadworthy.gateway.ports import Unusable, Wire
from roadworthy.workflow.model import Capabilities, Target
from roadworthy.workflow.simulation import Profile, parse

FORMATS: list[Format] = ["chat", "responses", "messages"]
OWN = pytest.mark.parametrize("format", ["responses", "messages"])
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
SCHEMA = {"type": "object", "properties": {"topic": {"enum": ["bill"]}}, "required": ["topic"]}


def body(format: Format, prompt: str, /, **more: Any) -> dict[str, Any]:
    said = {"input": prompt} if format == "responses" else {"messages": [{"role": "user", "content": prompt}]}
    return {"model": "gpt-x", **said, **({"max_tokens": 400} if format == "messages" else {}), **more}


def play(
    format: Format, order: str | None = None, profile: Profile | None = None, prompt: str = "Hi", path: str = "",
    **more: Any,
) -> Script:  # fmt: skip
    profile, raw = profile or Profile(), json.dumps(body(format, prompt, **more)).encode()
    if format == "chat":
        asked, own = msgspec.json.decode(raw, type=Asked), None
    else:
        asked, own = surfaces.read(path or PATHS[format], raw)
    call = Director(profile).call(path or PATHS[format], raw, asked, order, 1_700_000_000.0, own)
    return compose(profile, call)


class Sent:
    """An answer as a client's parser reads it."""

    def __init__(self, script: Script) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        parser = httptools.HttpResponseParser(self)
        parser.feed_data(b"".join(data for _, data in script.steps))
        self.status = parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body


def wire(*formats: Format) -> Wire:
    target = Target("t", "simulated", "gpt-x", capabilities=Capabilities(surfaces=list(formats)))
    return wire_for(target, b"/v1", None)


def operation(format: Format) -> Any:
    return format


def read(format: Format, script: Script) -> Any:
    found, by = Sent(script), wire("chat", "responses", "messages")
    if found.status != 200:
        raise by.refusal(found.status, found.headers, found.body)
    return by.answer(operation(format), found.headers, found.body)


def stream(format: Format, order: str | None = None, **more: Any) -> tuple[Any, list[Any]]:
    usage = {"stream_options": {"include_usage": True}} if format == "chat" else {}
    script = play(format, order, stream=True, **usage, **more)
    reader = wire("chat", "responses", "messages").events(operation(format))
    return reader, reader.feed(Sent(script).body)


def words(format: Format, script: Script) -> list[str]:
    """Texts of a stream's deltas."""
    found = Sent(script).body.decode()
    name = {"chat": "content", "responses": "delta", "messages": "text"}[format]
    events = [json.loads(data) for data in re.findall(r"^data: (\{.*\})$", found, re.MULTILINE)]
    if format == "chat":
        return [text for event in events for one in event["choices"] if (text := one["delta"].get(name))]
    return [
        event["delta"] if format == "responses" else event["delta"]["text"]
        for event in events
        if event["type"] in ("response.output_text.delta", "content_block_delta")
    ]


@pytest.mark.parametrize("format", FORMATS)
def test_a_surface_has_the_profiles_lengths_tokens_and_waits(format: Format) -> None:
    profile = parse(
        {"first_token": "200ms", "inter_token": "10ms", "output_tokens": 5, "reasoning_tokens": 3, "cached_share": 0.5}
    )
    script = play(format, profile=profile, prompt="x" * 80)
    answer = read(format, script)
    tokens = answer.tokens
    assert (tokens.input, tokens.cache_read, tokens.output, tokens.reasoning) == (10, 10, 8, 3)
    assert (script.sent.input, script.sent.cached, script.sent.output) == (10, 10, 8)
    assert (answer.finishes, answer.model, answer.empty) == (("stop",), "simulated:gpt-x", False)
    assert [wait for wait, _ in script.steps] == [0.2, pytest.approx(0.05)]
    streamed = play(format, profile=profile, prompt="x" * 80, stream=True)
    assert (streamed.steps[0][0], len(words(format, streamed))) == (0.2, 5)
    assert sum(wait for wait, _ in streamed.steps[1:]) == pytest.approx(0.05)


@OWN
def test_everything_it_says_is_marked(format: Format) -> None:
    found = Sent(play(format))
    told = json.loads(found.body)
    assert (told["simulated"], told["model"]) == (True, "simulated:gpt-x")
    assert dict(found.headers)[b"request-id" if format == "messages" else b"x-request-id"] == b"sim-1"
    events = re.findall(rb"^data: (.*)$", Sent(play(format, stream=True)).body, re.MULTILINE)
    assert all(json.loads(event)["simulated"] for event in events)


@OWN
def test_a_stream_amounts_to_the_whole_answer_and_its_counts(format: Format) -> None:
    reader, chunks = stream(format)
    assert (reader.done, reader.failed) == (True, None)
    assert [chunk.finishes for chunk in chunks if chunk.finishes] == [((0, "stop"),)]
    assert [chunk.tokens for chunk in chunks if chunk.tokens][-1] == read(format, play(format)).tokens


@OWN
def test_schemas_and_tools_are_obeyed(format: Format) -> None:
    parameters: dict[str, Any] = {"name": "look_up", "strict": True}
    if format == "responses":
        wanted: dict[str, Any] = {"text": {"format": {"type": "json_schema", "name": "T", "schema": SCHEMA}}}
        tool = {"type": "function", **parameters, "parameters": SCHEMA}
    else:
        wanted = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
        tool = {**parameters, "input_schema": SCHEMA}
    assert rb"{\"topic\":\"bill\"}" in Sent(play(format, **wanted)).body
    assert read(format, play(format, tools=[tool])).finishes == ("tool_calls",)
    assert stream(format, tools=[tool])[0].done


FAULTS = [
    ("status code=429 retry_after=7", "overlimit"),
    ("status code=529", "unavailable"),
    ("status code=401", "misconfigured"),
    ("status code=400 error=context_length", "context_length"),
    ("status code=400 error=content_filter", "refused"),
    ("status code=400 error=insufficient_quota", "misconfigured"),
    ("status code=400", "bad_request"),
    ("status code=502 html=true", "unavailable"),
    ("body as=empty", "invalid"),
    ("body as=invalid_json", "invalid"),
    ("body as=truncated_json", "invalid"),
    ("body as=html", "invalid"),
]


@OWN
@pytest.mark.parametrize(("order", "failure"), FAULTS)
def test_its_refusals_and_odd_bodies_read_as_what_they_are(format: Format, order: str, failure: str) -> None:
    with pytest.raises(Unusable) as refused:
        read(format, play(format, order))
    assert refused.value.failure == failure
    assert refused.value.retry_after == (7 if "retry_after" in order else None)


@OWN
def test_faults_of_content_are_told_in_its_words(format: Format) -> None:
    assert read(format, play(format, "finish reason=length")).finishes == ("length",)
    assert read(format, play(format, "finish reason=content_filter")).finishes == ("content_filter",)
    assert read(format, play(format, "content as=null")).empty
    assert read(format, play(format, "content as=refusal")).refused
    assert read(format, play(format, "body as=no_choices")).empty
    assert read(format, play(format, "body as=extra_fields")).finishes == ("stop",)
    assert read(format, play(format, "model name=other")).model == "other"
    assert read(format, play(format, "usage as=missing")).tokens is None
    assert read(format, play(format, "usage as=zero")).tokens is None
    assert stream(format, "usage as=missing")[1][-1].tokens is None


@OWN
def test_faults_of_streams_act_on_its_events(format: Format) -> None:
    assert stream(format, "error_event")[0].failed.failure == "unavailable"
    assert stream(format, "malformed_chunk")[0].failed.failure == "invalid"
    for harmless in ("split_utf8", "mixed_newlines", "long_line bytes=100000"):
        assert stream(format, harmless)[0].done, harmless
    with pytest.raises(Unusable):
        stream(format, "long_line")
    reader, chunks = stream(format, "no_done")
    assert reader.done == (format == "responses")  # its last event is the answer itself
    assert any(chunk.finishes for chunk in chunks)
    whole = len(Sent(play(format, stream=True)).body.split(b"\n\n"))
    assert len(Sent(play(format, "duplicate_chunk", stream=True)).body.split(b"\n\n")) == whole + 1


@OWN
@pytest.mark.parametrize("order", ["reset", "reset at=mid_body", "cut", "stall seconds=3", "slow_close seconds=3"])
@pytest.mark.parametrize("streamed", [False, True])
def test_faults_of_transport_are_those_of_chat(format: Format, order: str, streamed: bool) -> None:
    mine, chat = play(format, order, stream=streamed), play("chat", order, stream=streamed)
    assert (mine.end, mine.whole) == (chat.end, chat.whole)
    assert sum(wait for wait, _ in mine.steps) == sum(wait for wait, _ in chat.steps)


def test_prompts_are_counted_and_nothing_is_made() -> None:
    script = play("messages", path=surfaces.COUNT, prompt="x" * 80)
    assert json.loads(Sent(script).body) == {"input_tokens": 20, "simulated": True}
    assert (script.sent.output, script.sent.usage) == (0, False)
    assert Sent(play("messages", "status code=529", path=surfaces.COUNT)).status == 529
    assert Sent(play("messages", "body as=truncated_json", path=surfaces.COUNT)).body == b'{"input_tokens":1,"simu'
    assert not play("messages", path=surfaces.COUNT, stream=True).sent.stream
    unlimited = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'
    assert surfaces.read(surfaces.COUNT, unlimited)[0].texts() == ["Hi"]
    with pytest.raises(Inexpressible, match="max_tokens"):
        surfaces.read("/v1/messages", unlimited)


def test_what_a_surface_does_not_know_is_refused_in_its_own_words() -> None:
    with pytest.raises(Inexpressible, match="previous_response_id"):
        surfaces.read("/v1/responses", json.dumps(body("responses", "Hi", previous_response_id="resp_1")).encode())
    status, said = surfaces.error(400, "no such thing")
    assert (status, json.loads(said)["error"]) == (400, {"type": "invalid_request_error", "message": "no such thing"})


def test_a_target_is_asked_by_the_wire_of_what_it_speaks() -> None:
    fields = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in body("chat", "Hi").items()}
    assert wire("chat").speaks == {"chat"}
    assert wire("chat").encode("chat", fields, stream=False).path == b"/v1/chat/completions"
    assert wire("responses").encode("chat", fields, stream=False).path == b"/v1/responses"
    assert wire("messages").encode("chat", fields, stream=False).path == b"/v1/messages"
    own = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in body("messages", "Hi").items()}
    assert wire("chat", "messages").encode("messages", own, stream=False).path == b"/v1/messages"
    counted = wire("chat", "messages").counting(own)
    assert counted is not None
    assert counted.path == surfaces.COUNT.encode()
    assert wire("chat").counting(own) is None
