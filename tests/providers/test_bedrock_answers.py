"""What Bedrock answers, streams and refuses, in OpenAI's words."""

from __future__ import annotations

import json
import struct
from typing import Any
from zlib import crc32

import msgspec
import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from providers.bedrock_support import MODEL, cassette, frame, frames, wire
from roadworthy.adapters.providers.bedrock_shape import Usage, tokens_of
from roadworthy.adapters.providers.event_stream import BadFrame, FrameSplitter
from roadworthy.gateway.ports import Answer, Chunk, Unusable
from roadworthy.gateway.streaming.assemble import assemble
from roadworthy.gateway.verdict import judge
from roadworthy.workflow.inference import Tokens

REQUEST_ID = [(b"x-amzn-requestid", b"0b1c-2d")]
TOOL_STREAM = frames(cassette("bedrock_tool_stream.json"))


def converse(*content: dict[str, Any], stop: str = "end_turn", **more: Any) -> bytes:
    made = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop,
        "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
        "metrics": {"latencyMs": 1},
        **more,
    }
    return json.dumps(made).encode()


def answer(body: bytes) -> tuple[Answer, Any]:
    read = wire().answer("chat", REQUEST_ID, body)
    return read, json.loads(read.body)


def streamed(data: bytes, step: int | None = None) -> tuple[list[Chunk], Any]:
    reader = wire().events()
    chunks = [
        chunk
        for at in range(0, len(data), step or len(data))
        for chunk in reader.feed(data[at : at + (step or len(data))])
    ]
    return chunks, reader


def spoken(text: str, stop: str = "end_turn") -> list[dict[str, Any]]:
    return [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": stop}},
        {"metadata": {"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}, "metrics": {"latencyMs": 1}}},
    ]


def test_an_answer_with_thoughts_and_a_call():
    read, said = answer(json.dumps(cassette("bedrock_answer.json")).encode())
    ChatCompletion.model_validate(said)
    (choice,) = said["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": "I'll look it up.",
        "refusal": None,
        "reasoning_content": "A radio station.",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "A radio station.", "signature": "EqoBCkgIARAB"},
            {"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="},
        ],
        "tool_calls": [
            {
                "id": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
                "type": "function",
                "function": {"name": "top_song", "arguments": '{"sign":"WZPZ"}'},
            }
        ],
    }
    assert (said["id"], said["model"], said["created"]) == ("chatcmpl-1", MODEL, 1440938160)
    assert (read.tokens, read.request_id, read.finishes) == (Tokens(125, 0, 0, 60), "0b1c-2d", ("tool_calls",))
    assert said["usage"]["total_tokens"] == 185
    assert judge("chat", read, 1) is None


@pytest.mark.parametrize(
    ("stop", "finish", "failure"),
    [
        ("end_turn", "stop", None),
        ("stop_sequence", "stop", None),
        ("max_tokens", "length", "truncated"),
        ("model_context_window_exceeded", "length", "truncated"),
        ("guardrail_intervened", "content_filter", "refused"),
        ("content_filtered", "content_filter", "refused"),
        ("malformed_model_output", "malformed_model_output", "invalid"),
        ("malformed_tool_use", "malformed_tool_use", "invalid"),
        ("something_new", "something_new", None),
    ],
)
def test_why_it_stopped(stop, finish, failure):
    read, said = answer(converse({"text": "Hello"}, stop=stop))
    assert said["choices"][0]["finish_reason"] == finish
    unusable = judge("chat", read, 1)
    assert (unusable and unusable.failure) == failure
    chunks, reader = streamed(frames(spoken("Hello", stop)))
    assert [chunk.finishes for chunk in chunks if chunk.finishes] == [((0, finish),)]
    assert reader.done


def test_an_answer_by_our_own_tool_is_text():
    own = {"toolUse": {"toolUseId": "t1", "name": "roadworthy_answer", "input": {"a": "x"}}}
    read, said = answer(converse(own, stop="tool_use"))
    assert (said["choices"][0]["message"]["content"], read.finishes) == ('{"a":"x"}', ("stop",))
    assert "tool_calls" not in said["choices"][0]["message"]
    events = [
        {
            "contentBlockStart": {
                "contentBlockIndex": 0,
                "start": {"toolUse": {"toolUseId": "t1", "name": "roadworthy_answer"}},
            }
        },
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": '{"a":"x"}'}}}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "tool_use"}},
    ]
    whole = json.loads(assemble(chunk.data for chunk in streamed(frames(events))[0]))
    assert whole["choices"][0]["message"]["content"] == '{"a":"x"}'
    assert whole["choices"][0]["finish_reason"] == "stop"


def test_what_bedrock_does_by_itself_is_no_call_of_the_callers():
    own = {"toolUse": {"toolUseId": "t1", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    cited = {"citationsContent": {"content": [{"text": " by law."}], "citations": [{"title": "t"}]}}
    read, said = answer(converse(own, {"text": "Forbidden"}, cited))
    assert said["choices"][0]["message"]["content"] == "Forbidden by law."
    assert "tool_calls" not in said["choices"][0]["message"]
    assert not read.empty


def test_a_prompt_router_says_which_model_answered():
    routed = {"promptRouter": {"invokedModelId": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"}}
    read, said = answer(converse({"text": "Hello"}, trace=routed))
    assert read.model == said["model"] == routed["promptRouter"]["invokedModelId"]


@pytest.mark.parametrize("content", [[], [{"text": " \n"}], [{"reasoningContent": {"reasoningText": {"text": "Hm."}}}]])
def test_an_answer_that_says_nothing_is_empty(content):
    read, _ = answer(converse(*content))
    assert read.empty
    unusable = judge("chat", read, 1)
    assert unusable is not None
    assert unusable.failure == "invalid"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b'{"output": {}}', b'{"output": {"message": {"role": "assistant"}}}', b"[]", b"\xff"],
)
def test_what_is_no_answer_is_invalid(body):
    with pytest.raises(Unusable) as found:
        wire().answer("chat", [], body)
    assert found.value.failure == "invalid"


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input_tokens": 10, "output_tokens": 5}, Tokens(10, 0, 0, 5)),
        ({"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 7, "cache_write_input_tokens": 2},
         Tokens(10, 7, 2, 5)),
        ({"output_tokens": 5}, None),
        ({"input_tokens": 0, "output_tokens": 0}, None),
        ({"input_tokens": -1, "output_tokens": 5}, None),
        ({"input_tokens": 2**63, "output_tokens": 5}, None),
    ],
)  # fmt: skip
def test_usage(usage, tokens):
    assert tokens_of(Usage(**usage)) == tokens
    assert tokens_of(None) is None


def test_a_stream_with_calls():
    chunks, reader = streamed(TOOL_STREAM)
    for chunk in chunks:
        ChatCompletionChunk.model_validate_json(chunk.data)
    whole = json.loads(assemble(chunk.data for chunk in chunks))
    message = whole["choices"][0]["message"]
    assert message["content"] == "I'll look it up. 🔎"
    calls = [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]]
    assert calls == [
        ("tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "top_song", '{"sign": "WZPZ"}'), ("tooluse_2", "now", "{}"),
    ]  # fmt: skip
    assert whole["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1].usage_only
    assert chunks[-1].tokens == Tokens(112, 900, 100, 54, 0, 60)
    assert whole["usage"]["prompt_tokens"] == 1112
    assert reader.done
    assert reader.failed is None
    assert reader.feed(TOOL_STREAM) == []


def test_thoughts_in_a_stream_are_signs_of_life_and_come_signed():
    reasoned = [
        {"reasoningContent": {"text": "Well"}}, {"reasoningContent": {"text": ", yes."}},
        {"reasoningContent": {"signature": "EqoB"}},
    ]  # fmt: skip
    events = [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": delta}} for delta in reasoned]
    events += [
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"reasoningContent": {"redactedContent": "cmVk"}}}},
        {"contentBlockStop": {"contentBlockIndex": 1}},
    ]
    chunks, _ = streamed(frames(events + spoken("Yes.")))
    assert [(chunk.reasons, chunk.text) for chunk in chunks[:5]] == [(True, False)] * 4 + [(False, False)]
    message = json.loads(assemble(chunk.data for chunk in chunks))["choices"][0]["message"]
    assert message["reasoning_content"] == "Well, yes."
    assert message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "Well, yes.", "signature": "EqoB"},
        {"type": "redacted_thinking", "data": "cmVk"},
    ]
    assert message["content"] == "Yes."


@pytest.mark.parametrize("step", [1, 2, 7, 11, 12, 13, 100])
def test_a_stream_may_be_cut_anywhere(step):
    whole, _ = streamed(TOOL_STREAM)
    pieces, reader = streamed(TOOL_STREAM, step)
    assert [chunk.data for chunk in pieces] == [chunk.data for chunk in whole]
    assert reader.done


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("throttlingException", "overlimit"),
        ("modelStreamErrorException", "unavailable"),
        ("internalServerException", "unavailable"),
        ("serviceUnavailableException", "unavailable"),
        ("modelTimeoutException", "unavailable"),
        ("validationException", "bad_request"),
        ("accessDeniedException", "misconfigured"),
        ("brandNewException", "unavailable"),
    ],
)
def test_an_exception_inside_a_stream(kind, failure):
    data = frames(spoken("Hello")[:2]) + frame(kind, {"message": "said why"}, how="exception")
    chunks, reader = streamed(data)
    assert "".join(json.loads(chunk.data)["choices"][0]["delta"]["content"] for chunk in chunks) == "Hello"
    assert reader.failed is not None
    assert reader.failed.failure == failure
    assert kind in reader.failed.detail
    # a validation may quote the prompt, which only its caller reads
    assert ("said why" in reader.failed.detail) == (failure != "bad_request")
    assert not reader.done


def test_an_error_that_the_service_does_not_know():
    data = frame("", b"", how="error", **{":error-code": "InternalFailure", ":error-message": "said why"})
    _, reader = streamed(data)
    assert reader.failed is not None
    assert (reader.failed.failure, "said why" in reader.failed.detail) == ("unavailable", True)


def test_an_input_that_is_too_long_for_the_model_is_told_from_others():
    said = {"message": "Input is too long for requested model."}
    assert (
        wire().refusal(400, [(b"x-amzn-errortype", b"ValidationException")], json.dumps(said).encode()).failure
        == "context_length"
    )
    reader = wire().events()
    reader.feed(frame("validationException", said, how="exception"))
    assert reader.failed is not None
    assert reader.failed.failure == "context_length"


REFUSALS = [
    (429, "ThrottlingException", "Too many tokens, please wait before trying again.", "overlimit"),
    (429, "ModelNotReadyException", "The model is not ready.", "unavailable"),
    (400, "ServiceQuotaExceededException", "Your request exceeds the quota.", "overlimit"),
    (403, "AccessDeniedException", "You don't have access to the model with the specified model ID.", "misconfigured"),
    (403, "InvalidSignatureException", "The request signature we calculated does not match", "misconfigured"),
    (403, "ExpiredTokenException", "The security token included in the request is expired", "misconfigured"),
    (403, "UnrecognizedClientException", "The security token included in the request is invalid.", "misconfigured"),
    (404, "ResourceNotFoundException", "Could not resolve the foundation model", "misconfigured"),
    (400, "ValidationException", "The provided model identifier is invalid.", "misconfigured"),
    (
        400,
        "ValidationException",
        "Invocation of model ID m with on-demand throughput isn’t supported.",
        "misconfigured",
    ),
    (400, "ValidationException", "Malformed input request: #: required key [messages] not found", "bad_request"),
    (400, "ValidationException", "prompt is too long: 210000 tokens > 200000 maximum", "context_length"),
    (408, "ModelTimeoutException", "The request took too long to process.", "unavailable"),
    (424, "ModelErrorException", "The request failed due to an error while processing the model.", "unavailable"),
    (500, "InternalServerException", "An internal server error occurred.", "unavailable"),
    (503, "ServiceUnavailableException", "The service isn't currently available.", "unavailable"),
    (503, "", "Bedrock is unable to process your request.", "unavailable"),
]
"""Of the API reference's errors, and AWS's common ones."""


@pytest.mark.parametrize(("status", "kind", "message", "failure"), REFUSALS)
@pytest.mark.parametrize("member", ["message", "Message"])
def test_refusals(status, kind, message, failure, member):
    headers = [
        *REQUEST_ID,
        *([(b"x-amzn-errortype", f"{kind}:http://internal.amazon.com/x/".encode())] if kind else []),
    ]
    found = wire().refusal(status, headers, json.dumps({member: message}).encode())
    assert (found.failure, found.request_id) == (failure, "0b1c-2d")
    assert kind in found.detail
    assert len(found.detail) <= 300
    assert (found.message == message) == (failure in ("bad_request", "context_length"))


def test_a_page_between_here_and_the_model():
    assert "HTML" in wire().refusal(502, [], b"<html>Bad gateway</html>").detail


MESSAGE = frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}})


def decoded(data: bytes) -> list[tuple[dict[bytes, bytes], bytes]]:
    splitter = FrameSplitter()
    splitter.feed(data)
    return list(iter(splitter.next, None))


def test_frames_are_read_as_botocore_reads_them():
    buffer = EventStreamBuffer()
    buffer.add_data(TOOL_STREAM)
    theirs = [
        ({name.encode(): value.encode() for name, value in each.headers.items()}, each.payload) for each in buffer
    ]
    assert decoded(TOOL_STREAM) == theirs


def test_headers_of_every_type_are_passed_over():
    odd = [
        b"\x01a\x00", b"\x01b\x01", b"\x01c\x02\x07", b"\x01d\x03\x00\x07", b"\x01e\x04\x00\x00\x00\x07",
        b"\x01f\x05" + b"\x00" * 8, b"\x01g\x06\x00\x02xy", b"\x01h\x07\x00\x02xy", b"\x01i\x08" + b"\x00" * 8,
        b"\x01j\x09" + b"\x00" * 16,
    ]  # fmt: skip
    heads = b"".join(odd)
    prelude = struct.pack(">II", 16 + len(heads), len(heads))

    message = prelude + struct.pack(">I", crc32(prelude)) + heads
    message += struct.pack(">I", crc32(message))
    assert decoded(message) == [({b"h": b"xy"}, b"")]
    buffer = EventStreamBuffer()
    buffer.add_data(message)
    assert len(next(iter(buffer)).headers) == len(odd)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_goes_unseen(data):
    stream = MESSAGE * 2
    at = data.draw(st.integers(0, len(stream) - 1))
    damaged = bytearray(stream)
    damaged[at] ^= data.draw(st.integers(1, 255))
    reader = wire().events()
    try:
        chunks = reader.feed(bytes(damaged))
    except Unusable as error:  # its first byte looks like another kind of body
        assert at == 0 and error.failure == "invalid"  # noqa: PT017, PT018
        return
    assert len(chunks) == (0 if at < len(MESSAGE) else 1)
    assert reader.failed is None or reader.failed.failure == "invalid"
    with pytest.raises(BadFrame):
        decoded(bytes(damaged))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=64))
def test_no_bytes_are_read_for_ever(rubbish):
    reader = wire().events()
    try:
        for _ in range(3):
            assert reader.feed(rubbish) == []
    except Unusable as error:
        assert error.failure == "invalid"  # noqa: PT017
    assert not reader.done


def claimed(total: int, heads: int) -> bytes:

    prelude = struct.pack(">II", total, heads)
    return prelude + struct.pack(">I", crc32(prelude))


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (claimed(4 * 1024 * 1024 + 1, 0), "4 MiB"),
        (claimed(15, 0), "shorter"),
        (claimed(100, 85), "shorter"),
        (claimed(0, 0), "shorter"),
    ],
)
def test_an_event_is_bounded_before_it_is_kept(start, why):
    reader = wire().events()
    assert reader.feed(start) == []
    assert reader.failed is not None
    assert (reader.failed.failure, why in reader.failed.detail) == ("invalid", True)


def test_headers_that_lie_about_their_length():
    for heads in (b"\x05ab", b"\x01a\x07\x00\x09xy", b"\x01a\x63", b"\x01a\x04\x00"):
        message = claimed(16 + len(heads), len(heads)) + heads

        with pytest.raises(BadFrame):
            decoded(message + struct.pack(">I", crc32(message)))


def test_an_event_that_is_no_json_ends_the_stream():
    for payload in (b"{", b"[]", b'{"delta": 7}', b"\xff"):
        chunks, reader = streamed(MESSAGE + frame("contentBlockDelta", payload))
        assert len(chunks) == 1
        assert reader.failed is not None
        assert reader.failed.failure == "invalid"


def test_events_of_a_kind_that_nobody_knows_are_passed_over():
    chunks, reader = streamed(frame("novelty", {"x": [1]}) + frame("initial-response", b"") + MESSAGE)
    assert [msgspec.json.decode(chunk.data)["choices"][0]["delta"] for chunk in chunks] == [{"content": "Hello"}]
    assert reader.failed is None
