"""Targets that speak Responses: asked and read natively, and for callers of chat where they know nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.gateway.ports import Chunk, Unusable
from roadworthy.gateway.streaming.assemble import assemble
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Capabilities, Target

NOW = 1_700_000_000.0
CASSETTES = Path(__file__).parents[1] / "formats" / "cassettes" / "responses"
ANSWERS = {path.stem.removeprefix("answer_"): json.loads(path.read_text()) for path in CASSETTES.glob("answer_*.json")}
STREAMS = {path.stem.removeprefix("events_"): json.loads(path.read_text()) for path in CASSETTES.glob("events_*.json")}
USED = Tokens(24, 12, 0, 87, 20)


def wire(*surfaces: str, endpoint: str | None = None, model: str = "gpt-5") -> OpenAIWire:
    target = Target("main", "openai", model, endpoint=endpoint, capabilities=Capabilities(surfaces=[*surfaces] or None))
    return OpenAIWire(target, b"/v1", "sk-test", now=lambda: NOW)


ALONE = wire("responses")
BOTH = wire("chat", "responses")


def fields(**values) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in values.items()}


def sse(*events: dict) -> bytes:
    return b"".join([f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events])


def read(reader, data: bytes) -> list[Chunk]:
    """All chunks, the bytes cut at every place in turn."""
    found = reader.feed(data[:11])
    for begin in range(11, len(data), 97):
        found += reader.feed(data[begin : begin + 97])
    return found


def failure(body: dict, operation="responses") -> Unusable:
    with pytest.raises(Unusable) as caught:
        BOTH.answer(operation, [], json.dumps(body).encode())
    return caught.value


# who speaks what


@pytest.mark.parametrize(
    ("endpoint", "surfaces", "spoken"),
    [
        ("https://api.openai.com/v1", (), {"chat", "responses"}),
        ("https://mine.openai.azure.com/openai/v1", (), {"chat", "responses"}),
        ("https://openai.com.evil.example/v1", (), {"chat"}),
        ("https://notopenai.com/v1", (), {"chat"}),
        ("http://127.0.0.1:8000/v1", (), {"chat"}),
        ("http://127.0.0.1:8000/v1", ("chat", "responses"), {"chat", "responses"}),
        ("http://127.0.0.1:8000/v1", ("responses",), {"responses"}),
        ("https://api.openai.com/v1", ("chat",), {"chat"}),
    ],
)
def test_what_a_target_speaks_is_configured_or_known_by_its_host(endpoint, surfaces, spoken):
    assert wire(*surfaces, endpoint=endpoint).speaks == spoken


# requests


def test_a_callers_own_request_goes_out_as_it_is_and_is_not_stored():
    odd = msgspec.Raw(b'[ {"role":"user",  "content":"\\u00e9"} ]')
    asked = {"model": msgspec.Raw(b'"support"'), "input": odd, "truncation": msgspec.Raw(b'"auto"')}
    sent = BOTH.encode("responses", asked, stream=False)
    assert sent.path == b"/v1/responses"
    assert sent.body == (
        b'{"model":"gpt-5","input":[ {"role":"user",  "content":"\\u00e9"} ],"truncation":"auto","store":false}'
    )
    assert (b"authorization", b"Bearer sk-test") in sent.headers
    assert asked["model"] == msgspec.Raw(b'"support"')


def test_a_target_that_speaks_both_is_asked_for_chat_as_chat():
    assert BOTH.encode("chat", fields(messages=[]), stream=False).path == b"/v1/chat/completions"


def test_a_target_that_speaks_responses_alone_is_asked_so_by_callers_of_chat():
    asked = fields(
        model="support", messages=[{"role": "user", "content": "Hi"}], max_tokens=5, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    sent = ALONE.encode("chat", asked, stream=True)
    assert sent.path == b"/v1/responses"
    assert json.loads(sent.body) == {
        "model": "gpt-5", "input": [{"role": "user", "content": "Hi"}], "store": False, "max_output_tokens": 5,
        "stream": True,
    }  # fmt: skip
    passed_on = wire("responses", model="*").encode("chat", asked, stream=True)
    assert json.loads(passed_on.body)["model"] == "support"


def test_what_responses_cannot_say_is_refused_by_name_before_anything_is_sent():
    with pytest.raises(Unusable) as caught:
        ALONE.encode("chat", fields(messages=[{"role": "user", "content": "Hi"}], seed=7), stream=False)
    assert (caught.value.failure, caught.value.status, caught.value.param) == ("bad_request", 400, "seed")


def test_a_request_that_is_nested_too_deeply_is_refused():
    deep = msgspec.Raw(b'[{"role":"user","content":' + b"[" * 9000 + b"]" * 9000 + b"}]")
    with pytest.raises(Unusable, match="nested too deeply"):
        ALONE.encode("chat", {"model": msgspec.Raw(b'"m"'), "messages": deep}, stream=False)


# answers


@pytest.mark.parametrize(
    ("name", "finish", "refused"),
    [
        ("text", "stop", False),
        ("function_call", "tool_calls", False),
        ("custom_call", "tool_calls", False),
        ("refusal", "stop", True),
        ("incomplete", "length", False),
        ("filtered", "content_filter", False),
        ("reasoning", "stop", False),
    ],
)
def test_a_native_answer_is_judged_and_left_as_it_is(name, finish, refused):
    body = json.dumps(ANSWERS[name]["own"]).encode()
    found = BOTH.answer("responses", [(b"x-request-id", b"req_1")], body)
    assert found.body is body
    assert (found.format, found.finishes, found.refused, found.empty) == ("responses", (finish,), refused, False)
    assert (found.tokens, found.model, found.request_id) == (USED, ANSWERS[name]["own"]["model"], "req_1")
    chat = ALONE.answer("chat", [], body)
    assert json.loads(chat.body) == ANSWERS[name]["chat"]
    assert (chat.format, chat.finishes, chat.tokens) == ("chat", (finish,), USED)


@pytest.mark.parametrize("output", [[], [{"type": "message", "content": [{"type": "output_text", "text": " \n"}]}]])
def test_an_answer_that_says_nothing_is_empty(output):
    found = BOTH.answer("responses", [], json.dumps({"status": "completed", "output": output}).encode())
    assert found.empty
    assert found.tokens is None


@pytest.mark.parametrize("status", ["in_progress", "queued", "cancelled"])
def test_an_answer_that_is_not_finished_has_no_finish(status):
    body = {**ANSWERS["text"]["own"], "status": status}
    assert BOTH.answer("responses", [], json.dumps(body).encode()).finishes == (None,)


@pytest.mark.parametrize(
    ("error", "means"),
    [
        ({"code": "server_error", "message": "Sorry"}, "unavailable"),
        ({"code": "rate_limit_exceeded", "message": "Slow down"}, "overlimit"),
        ({"code": "invalid_prompt", "message": "Not this"}, "bad_request"),
        ({"code": "image_too_large", "message": "Too large"}, "bad_request"),
        ({"code": "context_length_exceeded", "message": "Too long"}, "context_length"),
        (None, "unavailable"),
    ],
)
def test_an_answer_that_failed_is_a_failure_in_our_words(error, means):
    assert failure({**ANSWERS["text"]["own"], "status": "failed", "error": error, "output": []}).failure == means
    response = {"status": "failed", "error": error}
    reader = BOTH.events("responses")
    reader.feed(sse({"type": "response.failed", "sequence_number": 3, "response": response}))
    assert reader.failed is not None
    assert reader.failed.failure == means


def test_an_error_that_came_with_status_200_is_a_failure():
    assert failure({"error": {"type": "server_error", "message": "Sorry"}}).failure == "unavailable"


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"output": 7}', b"[", b'{"output":[],"x":"\xff"}'])
def test_what_is_no_answer_is_invalid(body):
    for speaker, operation in ((BOTH, "responses"), (ALONE, "chat")):
        with pytest.raises(Unusable) as caught:
            speaker.answer(operation, [], body)
        assert caught.value.failure == "invalid"


def test_a_chat_answer_is_none_of_responses():
    with pytest.raises(Unusable, match="of another shape"):
        BOTH.answer("responses", [], b'{"object":"chat.completion","choices":[]}')


# streams


@pytest.mark.parametrize("name", STREAMS)
def test_a_native_stream_is_judged_and_passed_on_untouched(name):
    events = STREAMS[name]["events"]
    reader = BOTH.events("responses")
    chunks = read(reader, sse(*events))
    assert [json.loads(chunk.data) for chunk in chunks] == events
    assert reader.done
    assert reader.failed is None
    last = chunks[-1]
    assert [chunk.ends for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    finish = {"function_call": "tool_calls", "incomplete": "length"}.get(name, "stop")
    assert (last.finishes, last.tokens, last.usage) == (((0, finish),), USED, False)
    assert any(chunk.text for chunk in chunks)
    assert any(chunk.refused for chunk in chunks) == (name == "refusal")
    assert any(chunk.reasons for chunk in chunks) == (name == "reasoning")
    assert {chunk.model for chunk in chunks} - {None} == {events[-1]["response"]["model"]}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_of_a_target_that_speaks_nothing_else_is_read_as_chat(name):
    events = STREAMS[name]["events"]
    chunks = read(ALONE.events(), sse(*events))
    whole = json.loads(assemble([chunk.data for chunk in chunks]))
    expected = ANSWERS[name]["chat"]
    said, wanted = whole["choices"][0], expected["choices"][0]
    assert {key: value for key, value in said["message"].items() if value} == {
        key: value for key, value in wanted["message"].items() if value
    }
    assert said["finish_reason"] == wanted["finish_reason"]
    assert whole["usage"] == expected["usage"]
    assert (whole["id"], whole["model"], whole["created"]) == (expected["id"], expected["model"], expected["created"])
    assert [chunk.finishes for chunk in chunks if chunk.finishes] == [((0, wanted["finish_reason"]),)]
    assert chunks[-1].usage_only


@pytest.mark.parametrize("name", ["text", "function_call", "refusal"])
def test_what_no_delta_told_is_read_from_the_end(name):
    last = STREAMS[name]["events"][-1]
    native = BOTH.events("responses").feed(sse(last))
    assert native[-1].text or native[-1].refused
    chunks = ALONE.events().feed(sse(last))
    said = json.loads(assemble([chunk.data for chunk in chunks]))["choices"][0]["message"]
    wanted = ANSWERS[name]["chat"]["choices"][0]["message"]
    assert {key: value for key, value in said.items() if value} == {
        key: value for key, value in wanted.items() if value
    }


@pytest.mark.parametrize("operation", ["responses", "chat"])
def test_an_error_event_ends_the_reading_with_what_came_before(operation):
    reader = ALONE.events(operation)
    begun = STREAMS["text"]["events"][:5]
    error = {
        "type": "error",
        "sequence_number": 5,
        "code": "rate_limit_exceeded",
        "message": "Slow down",
        "param": None,
    }
    chunks = reader.feed(sse(*begun, error, begun[-1]))
    assert any(chunk.text for chunk in chunks)
    assert reader.failed.failure == "overlimit"
    assert not reader.done
    assert reader.feed(sse(begun[-1])) == []


@pytest.mark.parametrize("bad", [b"data: {\n\n", b"data: []\n\n", b'data: {"delta":"x"}\n\n', b'data: {"type":7}\n\n'])
def test_an_event_that_is_none_is_invalid(bad):
    for reader in (BOTH.events("responses"), ALONE.events()):
        reader.feed(bad)
        assert reader.failed.failure == "invalid"


def test_an_event_that_came_twice_counts_once_and_keepalives_are_no_chunks():
    delta = STREAMS["text"]["events"][4]
    alive = {"type": "keepalive", "sequence_number": 9}
    assert len(BOTH.events("responses").feed(sse(delta, delta, alive))) == 1
    unnumbered = {**delta, "sequence_number": 0}
    assert len(BOTH.events("responses").feed(sse(unnumbered, unnumbered))) == 2


def test_an_event_over_several_lines_is_passed_on_in_one():
    event = STREAMS["text"]["events"][4]
    lines = "".join(f"data: {line}\n" for line in json.dumps(event, indent=1).split("\n"))
    [chunk] = BOTH.events("responses").feed(f"event: {event['type']}\n{lines}\n".encode())
    assert b"\n" not in chunk.data
    assert json.loads(chunk.data) == event


def test_calls_that_are_told_at_once_keep_their_arguments():
    items = [
        {"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}", "name": "f", "arguments": ""} for n in (0, 1)
    ]
    added = [{"type": "response.output_item.added", "output_index": n, "item": item} for n, item in enumerate(items)]
    deltas = [
        {"type": "response.function_call_arguments.delta", "output_index": n, "delta": said}
        for n, said in ((1, "{"), (0, "{}"), (1, "}"))
    ]
    chunks = ALONE.events().feed(sse(*added, *deltas))
    calls = json.loads(assemble([chunk.data for chunk in chunks]))["choices"][0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [("call_0", "{}"), ("call_1", "{}")]
