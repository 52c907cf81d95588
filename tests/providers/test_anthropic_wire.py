"""Anthropic's Messages API behind OpenAI's: expressed or refused by name, never dropped.

Cassettes are written by hand after the examples of the API reference ("Streaming messages", "Tool use").
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from roadworthy.adapters.providers.anthropic import AnthropicWire
from roadworthy.adapters.providers.anthropic_events import AnthropicEvents
from roadworthy.formats.messages.request import DEFAULT_MAX_TOKENS
from roadworthy.formats.messages.schemas import unenforceable
from roadworthy.gateway.ports import Chunk, Unusable
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Capabilities, Target

CASSETTES = Path(__file__).parent / "cassettes"
USER = {"role": "user", "content": "Hello"}
STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
LOOSE = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 5}}}


def wire(**target: Any) -> AnthropicWire:
    return AnthropicWire(Target("claude", "anthropic", "claude-x", **target), b"/v1", "sk-ant", now=lambda: 1.7e9)


def encode(stream: bool = False, target: AnthropicWire | None = None, **asked: Any) -> dict[str, Any]:
    fields = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in {"messages": [USER], **asked}.items()}
    return json.loads((target or wire()).encode("chat", fields, stream=stream).body)


def refused(**asked: Any) -> Unusable:
    with pytest.raises(Unusable) as found:
        encode(**asked)
    assert found.value.failure == "bad_request"
    assert found.value.status == 400
    return found.value


def function(name: str = "get_weather", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "d", "parameters": STRICT, **more}}


def schema(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": of, "strict": True}}


# requests


def test_head_of_a_request():
    sent = wire().encode("chat", {"messages": msgspec.Raw(json.dumps([USER]).encode())}, stream=False)
    assert sent.path == b"/v1/messages"
    headers = dict(sent.headers)
    assert headers[b"x-api-key"] == b"sk-ant"
    assert headers[b"anthropic-version"] == b"2023-06-01"
    assert b"authorization" not in headers


def test_the_target_may_name_another_version():
    headers = (
        wire(headers={"Anthropic-Version": "2024-01-01"})
        .encode("chat", {"messages": msgspec.Raw(b'[{"role":"user","content":"x"}]')}, stream=False)
        .headers
    )
    assert dict(headers)[b"anthropic-version"] == b"2024-01-01"


def test_a_plain_request():
    assert encode(model="support", stream=True, stream_options={"include_usage": True}) == {
        "model": "claude-x",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "stream": True,
    }
    assert encode(stream=True)["stream"] is True


def test_system_and_developer_messages_become_the_system():
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "developer", "content": [{"type": "text", "text": "Be short."}]},
        USER,
    ]
    body = encode(messages=messages)
    assert body["system"] == [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Be short."}]
    assert len(body["messages"]) == 1


def test_a_later_system_message_stays_where_it_is():
    """Models take it there since Claude Opus 4.8; the provider says so where one does not."""
    sent = encode(messages=[USER, {"role": "developer", "content": "late"}])
    assert sent["messages"][1] == {"role": "system", "content": [{"type": "text", "text": "late"}]}
    assert "system" not in sent


def test_sampling_limits_and_user_are_expressed():
    body = encode(max_completion_tokens=7, temperature=0.3, top_p=0.9, stop=["END"], user="u-1", reasoning_effort="low")
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (7, 0.3, 0.9)
    assert body["stop_sequences"] == ["END"]
    assert body["metadata"] == {"user_id": "u-1"}
    assert body["output_config"] == {"effort": "low"}
    assert encode(stop="END", max_tokens=3)["stop_sequences"] == ["END"]


def test_images_as_data_and_by_url():
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg", "detail": "high"}},
    ]
    assert encode(messages=[{"role": "user", "content": parts}])["messages"][0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.jpg"}},
    ]


def test_tools_and_their_choice():
    body = encode(tools=[function(strict=True)], tool_choice="required", parallel_tool_calls=False)
    assert body["tools"] == [{"name": "get_weather", "description": "d", "input_schema": STRICT, "strict": True}]
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    named = {"type": "function", "function": {"name": "get_weather"}}
    assert encode(tools=[function()], tool_choice=named)["tool_choice"] == {"type": "tool", "name": "get_weather"}
    assert encode(tools=[function()], tool_choice="none")["tool_choice"] == {"type": "none"}
    assert "tool_choice" not in encode(tools=[function()])
    assert encode(tools=[function()], parallel_tool_calls=False)["tool_choice"]["type"] == "auto"
    assert encode(tools=[function(parameters=None)])["tools"][0]["input_schema"] == {"type": "object", "properties": {}}


def test_tool_calls_and_their_results_in_one_turn():
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"a": "SF"}'}}
    other = {"id": "c2", "type": "function", "function": {"name": "get_time", "arguments": ""}}
    messages = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call, other], "refusal": None},
        {"role": "tool", "tool_call_id": "c1", "content": "15 degrees"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "user", "content": "And?"},
    ]
    turns = encode(messages=messages, tools=[function()])["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"] == [
        {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"a": "SF"}},
        {"type": "tool_use", "id": "c2", "name": "get_time", "input": {}},
    ]
    assert turns[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "15 degrees"}]},
        {"type": "tool_result", "tool_use_id": "c2"},
        {"type": "text", "text": "And?"},
    ]


def test_a_schema_that_structured_outputs_enforce_goes_there():
    body = encode(response_format=schema(STRICT), reasoning_effort="high")
    assert body["output_config"] == {"effort": "high", "format": {"type": "json_schema", "schema": STRICT}}
    assert "tools" not in body


@pytest.mark.parametrize("target", [wire(), wire(capabilities=Capabilities(response_schema=False))])
def test_any_other_schema_goes_out_whole_as_a_forced_tool(target):
    body = encode(target=target, response_format=schema(LOOSE))
    assert body["tools"][0]["input_schema"] == LOOSE
    assert body["tool_choice"] == {"type": "tool", "name": "roadworthy_answer", "disable_parallel_tool_use": True}
    assert "output_config" not in body


def test_a_target_without_structured_outputs_never_gets_them():
    body = encode(target=wire(capabilities=Capabilities(response_schema=False)), response_format=schema(STRICT))
    assert "output_config" not in body


RECURSIVE = {"$ref": "#/$defs/n", "$defs": {"n": {**STRICT, "properties": {"a": {"$ref": "#/$defs/n"}}}}}


@pytest.mark.parametrize(
    ("of", "names"),
    [
        (STRICT, None),
        (LOOSE, "additionalProperties"),
        ({**STRICT, "properties": {"a": {"type": "integer", "minimum": 1}}}, "minimum"),
        ({**STRICT, "properties": {"a": {"type": "array", "items": {"type": "string"}, "minItems": 2}}}, "minItems"),
        (
            {**STRICT, "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "string", "minLength": 1}]}}},
            "minLength",
        ),
        ({**STRICT, "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "string"}}}, None),
        ({**STRICT, "properties": {"a": {"$ref": "https://example.com/x"}}}, "$ref"),
        (RECURSIVE, "recursive"),
        (True, "true or false"),
    ],
)
def test_what_structured_outputs_cannot_enforce_is_known(of, names):
    found = unenforceable(of)
    assert found is None if names is None else names in (found or "")


CALL_WITH_BROKEN_ARGUMENTS = {
    "role": "assistant",
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}],
}


def image(url: str, **more: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url, **more}}]}]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"n": 2}, "n"),
        ({"seed": 1}, "seed"),
        ({"logprobs": True}, "logprobs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"temperature": 1.5}, "temperature"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {"x": 1}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"reasoning_effort": "minimal"}, "reasoning_effort"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"some_new_field": 1}, "some_new_field"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
        ({"tools": [function(strict=True, parameters=LOOSE)]}, "tools[0].function.strict"),
        ({"tools": [function("roadworthy_answer")]}, "tools[0].function.name"),
        ({"tools": [function()], "response_format": schema(LOOSE)}, "response_format"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "only"}]}, "messages"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "x", "name": "ada"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        ({"messages": image("ftp://x")}, "messages[0].content[0].image_url.url"),
        ({"messages": image("data:image/tiff;base64,AA")}, "messages[0].content[0].image_url.url"),
        ({"messages": image("data:image/png,AA")}, "messages[0].content[0].image_url.url"),
        ({"messages": image("https://x/y", detail="low")}, "messages[0].content[0].image_url.detail"),
        ({"messages": [USER, CALL_WITH_BROKEN_ARGUMENTS]}, "messages[1].tool_calls[0].function.arguments"),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_is_refused_by_name(asked, field):
    found = refused(**asked)
    assert found.param == field
    assert f"`{field}`" in found.message


@pytest.mark.parametrize(
    "nothing",
    [
        {"n": 1},
        {"n": None},
        {"logprobs": False},
        {"frequency_penalty": 0},
        {"store": False},
        {"seed": None},
        {"tools": []},
        {"response_format": {"type": "text"}},
        {"modalities": ["text"]},
        {"logit_bias": {}},
        {"stop": None},
        {"tool_choice": "auto"},
    ],
)  # fmt: skip
def test_what_asks_for_nothing_is_no_reason_to_refuse(nothing):
    assert encode(**nothing) == encode()


def test_embeddings_are_refused_in_words():
    with pytest.raises(Unusable) as found:
        wire().encode("embeddings", {}, stream=False)
    assert found.value.failure == "bad_request"


# answers


def message(*blocks: dict[str, Any], stop: str | None = "end_turn", **more: Any) -> bytes:
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 7}
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x-1", "content": list(blocks)}
    return json.dumps({**body, "stop_reason": stop, "stop_sequence": None, "usage": usage, **more}).encode()


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said, "citations": None}


def tool_use(name: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": given}


def answer(body: bytes):
    found = wire().answer("chat", [(b"request-id", b"req_011")], body)
    return found, ChatCompletion.model_validate_json(found.body)


def test_a_text_answer_reads_as_openais():
    found, read = answer(message(text("Hi "), text("there.")))
    assert read.choices[0].message.content == "Hi there."
    assert (read.choices[0].finish_reason, found.finishes) == ("stop", ("stop",))
    assert (found.model, found.request_id, read.id) == ("claude-x-1", "req_011", "msg_1")


def test_cache_tokens_are_counted_apart_for_us_and_together_for_the_caller():
    found, read = answer(message(text("x")))
    assert found.tokens == Tokens(input=10, cache_read=100, cache_write=5, output=7)
    assert read.usage is not None
    assert (read.usage.prompt_tokens, read.usage.completion_tokens, read.usage.total_tokens) == (115, 7, 122)
    assert read.usage.prompt_tokens_details is not None
    assert read.usage.prompt_tokens_details.cached_tokens == 100


def test_tool_calls_read_as_openais():
    found, read = answer(message(text("Let me look."), tool_use("get_weather", a="SF"), stop="tool_use"))
    (call,) = read.choices[0].message.tool_calls or ()
    assert (call.id, call.function.name, json.loads(call.function.arguments)) == ("toolu_1", "get_weather", {"a": "SF"})
    assert found.finishes == ("tool_calls",)


def test_the_forced_tools_input_is_the_content():
    found, read = answer(message(tool_use("roadworthy_answer", a="x"), stop="tool_use"))
    assert json.loads(read.choices[0].message.content or "") == {"a": "x"}
    assert read.choices[0].message.tool_calls is None
    assert found.finishes == ("stop",)


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("tool_use", "tool_calls"),
        ("model_context_window_exceeded", "length"), ("refusal", "content_filter"), ("pause_turn", None), (None, None),
    ],
)  # fmt: skip
def test_every_stop_reason_has_its_word(stop, finish):
    assert wire().answer("chat", [], message(text("x"), stop=stop)).finishes == (finish,)


def test_a_refusal_is_seen_and_readable():
    found, read = answer(message(stop="refusal"))
    assert (found.refused, found.empty) == (True, False)
    assert read.choices[0].message.refusal


def test_an_answer_without_content_is_empty():
    assert wire().answer("chat", [], message()).empty


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", message()[:-9], b'{"content": "text"}', b'{"type":"x","content":[3]}']
)
def test_what_is_no_answer_is_invalid(body):
    with pytest.raises(Unusable) as found:
        wire().answer("chat", [], body)
    assert found.value.failure == "invalid"


@pytest.mark.parametrize(
    ("status", "kind", "said", "failure"),
    [
        (400, "invalid_request_error", "max_tokens: Field required", "bad_request"),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", "context_length"),
        (400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 9 > 8", "context_length"),
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", "misconfigured"),
        (401, "authentication_error", "invalid x-api-key", "misconfigured"),
        (402, "billing_error", "billing", "misconfigured"),
        (403, "permission_error", "no", "misconfigured"),
        (404, "not_found_error", "model: claude-y", "misconfigured"),
        (413, "request_too_large", "Request exceeds the maximum size", "bad_request"),
        (429, "rate_limit_error", "This request would exceed your rate limit", "overlimit"),
        (500, "api_error", "Internal server error", "unavailable"),
        (504, "timeout_error", "timed out", "unavailable"),
        (529, "overloaded_error", "Overloaded", "unavailable"),
    ],
)  # fmt: skip
def test_every_documented_error_has_its_word(status, kind, said, failure):
    body = json.dumps({"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_1"}).encode()
    found = wire().refusal(status, [(b"request-id", b"req_1"), (b"retry-after", b"4")], body)
    assert (found.failure, found.retry_after, found.request_id) == (failure, 4.0, "req_1")


# streams


def play(data: bytes, cut: int | None = None) -> tuple[AnthropicEvents, list[Chunk]]:
    reader = AnthropicEvents(1_700_000_000)
    if cut is None:
        return reader, reader.feed(data)
    return reader, reader.feed(data[:cut]) + reader.feed(data[cut:])


def test_a_stream_with_tools_reads_as_openais():
    reader, chunks = play((CASSETTES / "anthropic_tool_stream.sse").read_bytes())
    read = [ChatCompletionChunk.model_validate_json(chunk.data) for chunk in chunks]
    assert "".join(one.choices[0].delta.content or "" for one in read[:-1]) == "Okay, let's check both."
    arguments = {0: "", 1: ""}
    names = []
    for one in read[:-1]:
        for call in one.choices[0].delta.tool_calls or ():
            arguments[call.index] += call.function.arguments or ""
            names += [call.function.name] if call.function.name else []
    assert names == ["get_weather", "get_time"]
    assert arguments == {0: '{"location": "San Francisco, CA"}', 1: "{}"}
    assert [chunk.finishes for chunk in chunks if chunk.finishes] == [((0, "tool_calls"),)]
    assert chunks[-1].usage_only
    assert chunks[-1].tokens == Tokens(input=472, cache_read=2000, cache_write=100, output=89)
    assert read[-1].usage.prompt_tokens == 2572
    assert reader.done
    assert not chunks[0].text
    assert chunks[1].text


def test_thinking_is_no_text_and_counts_as_reasoning():
    reader, chunks = play((CASSETTES / "anthropic_thinking_stream.sse").read_bytes())
    assert [chunk.text for chunk in chunks] == [False, False, False, True, False, False]
    assert json.loads(chunks[1].data)["choices"][0]["delta"] == {"reasoning_content": "27 * 453 is"}
    signed = json.loads(chunks[2].data)["choices"][0]["delta"]["thinking_blocks"]
    assert [block["thinking"] for block in signed] == ["27 * 453 is"]
    assert signed[0]["signature"]
    assert chunks[-1].tokens == Tokens(input=20, output=60, reasoning=45)
    assert reader.done


def test_a_stream_reads_the_same_wherever_it_is_cut():
    data = (CASSETTES / "anthropic_tool_stream.sse").read_bytes()
    whole = [chunk.data for chunk in play(data)[1]]
    for cut in range(0, len(data), 37):
        assert [chunk.data for chunk in play(data, cut)[1]] == whole


def test_a_cut_stream_is_not_done():
    data = (CASSETTES / "anthropic_tool_stream.sse").read_bytes()
    reader, _ = play(data[: data.index(b"event: message_delta")])
    assert not reader.done


def events(*found: dict[str, Any]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in found)


def test_an_error_in_the_stream_ends_it():
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reader, _ = play(events({"type": "ping"}, overloaded, {"type": "message_stop"}))
    assert reader.failed is not None
    assert reader.failed.failure == "unavailable"
    assert not reader.done


def test_the_forced_tools_input_streams_as_content():
    block = {"type": "content_block_start", "index": 0, "content_block": tool_use("roadworthy_answer")}
    delta = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'},
    }
    stop = {"type": "content_block_stop", "index": 0}
    end = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}
    _, chunks = play(events(block, delta, stop, end))
    assert json.loads(chunks[0].data)["choices"][0]["delta"] == {"content": '{"a":1}'}
    assert chunks[-1].finishes == ((0, "stop"),)


def test_a_refusal_in_the_stream_is_seen():
    _, (chunk,) = play(events({"type": "message_delta", "delta": {"stop_reason": "refusal"}}))
    assert (chunk.refused, chunk.finishes) == (True, ((0, "content_filter"),))


def test_events_of_a_later_api_are_skipped_and_broken_ones_are_not():
    assert play(events({"type": "brand_new", "x": 1}))[1] == []
    reader, _ = play(b"data: {broken\n\n")
    assert reader.failed is not None
    assert reader.failed.failure == "invalid"


def nested(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "array"}
    for _ in range(depth):
        made = {"type": "array", "items": made}
    return made


TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    "asked",
    [
        {"tools": 5},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": 5}},
        {"tools": [{**TOOL, "function": {"name": "f", "strict": True, "parameters": {"properties": [1]}}}]},
        {"tools": [{**TOOL, "function": {"name": "f", "strict": True, "parameters": {"$defs": [1], "anyOf": 5}}}]},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "x", "tool_calls": 5}]},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": nested(800)}}},
    ],
    ids=["tools", "tool choice", "properties", "definitions", "tool calls", "depth"],
)
def test_what_has_the_wrong_type_is_the_callers_to_mend_and_no_defect(asked: dict[str, Any]) -> None:
    fields = {"model": "m", "messages": [{"role": "user", "content": "x"}], **asked}
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    try:
        found = wire().encode("chat", raw, stream=False)  # what Anthropic itself may refuse
    except Unusable as unusable:
        found = unusable
    assert not isinstance(found, Unusable) or (found.failure, found.status) == ("bad_request", 400)


def test_a_begun_answer_is_the_last_turn_with_which_the_model_goes_on() -> None:
    raw = {"model": msgspec.Raw(b'"m"'), "messages": msgspec.Raw(b'[{"role":"user","content":"x"}]')}
    sent = msgspec.json.decode(wire().encode("chat", wire().prefilled(raw, "Dear Ann,"), stream=True).body)
    assert sent["messages"][-1] == {"role": "assistant", "content": [{"type": "text", "text": "Dear Ann,"}]}
    assert bytes(raw["messages"]) == b'[{"role":"user","content":"x"}]'


def test_a_models_thoughts_are_a_sign_of_life_and_not_the_answer() -> None:
    told = {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}}
    [chunk] = wire().events().feed(b"event: content_block_delta\ndata: " + msgspec.json.encode(told) + b"\n\n")
    assert (chunk.reasons, chunk.text) == (True, False)
