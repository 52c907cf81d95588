"""What Gemini answers, streams and refuses, in chat's words.

The cassettes are written after Google's documentation ("Text generation", "Thinking", "Function calling", "Thought
signatures", "Rate limits", "Troubleshooting") and the replies that its SDK's tests hold.
"""

from __future__ import annotations

import base64
import json
from array import array
from typing import Any

import msgspec
import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from providers.gemini_support import CASSETTES, wire
from roadworthy.adapters.providers.gemini import GeminiEvents
from roadworthy.gateway.answers.vectors import packed
from roadworthy.gateway.ports import Answer, Chunk, Unusable
from roadworthy.gateway.verdict import judge, judge_end
from roadworthy.workflow.inference import Tokens

USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 7, "totalTokenCount": 17}


def candidate(*parts: dict[str, Any], finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    return {"content": {"parts": list(parts), "role": "model"}, "finishReason": finish, **more}


def body(*candidates: dict[str, Any], **more: Any) -> bytes:
    made = {
        "candidates": list(candidates),
        "usageMetadata": USAGE,
        "modelVersion": "gemini-3-flash",
        "responseId": "r1",
    }
    return json.dumps({**made, **more}).encode()


def answer(data: bytes) -> tuple[Answer, ChatCompletion]:
    found = wire().answer("chat", [], data)
    return found, ChatCompletion.model_validate_json(found.body)


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"text": said, **more}


def called(name: str = "get_weather", **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {"city": "Paris"}, **more}}


# answers


def test_a_text_answer_reads_as_openais() -> None:
    found, read = answer(body(candidate(text("Hm.", thought=True), text("Hi "), text("there.", thoughtSignature="S"))))
    message = read.choices[0].message
    assert (message.content, message.refusal, message.tool_calls) == ("Hi there.", None, None)
    assert message.model_extra == {
        "reasoning_content": "Hm.", "extra_content": {"google": {"thought_signature": "S"}},
    }  # fmt: skip
    assert (found.finishes, found.model, found.request_id, read.id) == (("stop",), "gemini-3-flash", "r1", "r1")
    assert judge("chat", found, 1) is None


def test_function_calls_read_as_openais_with_their_signatures() -> None:
    found, read = answer(body(candidate({**called(id="fc-1"), "thoughtSignature": "S"}, called("get_time", args=None))))
    first, second = read.choices[0].message.tool_calls or ()
    assert (first.id, first.function.name, first.function.arguments) == ("fc-1", "get_weather", '{"city":"Paris"}')
    assert first.model_extra == {"extra_content": {"google": {"thought_signature": "S"}}}
    assert (second.id, second.function.arguments) == ("call_1", "{}")
    assert found.finishes == ("tool_calls",)


def test_what_it_called_with_goes_back_as_it_came() -> None:
    _, read = answer(body(candidate({**called(id="fc-1"), "thoughtSignature": "S"})))
    said = read.choices[0].message.model_dump()
    messages = [{"role": "user", "content": "x"}, said, {"role": "tool", "tool_call_id": "fc-1", "content": "12"}]
    raw = {"messages": msgspec.Raw(msgspec.json.encode(messages))}
    sent = json.loads(wire().encode("chat", raw, stream=False).body)
    assert sent["contents"][1]["parts"] == [{**called(id="fc-1"), "thoughtSignature": "S"}]


def test_several_candidates_are_several_choices() -> None:
    found, read = answer(body(candidate(text("A")), candidate(text("B"), finish="MAX_TOKENS", index=1)))
    assert [(one.index, one.message.content) for one in read.choices] == [(0, "A"), (1, "B")]
    assert found.finishes == ("stop", "length")


def test_log_probabilities() -> None:
    chosen = [{"token": "Hé", "logProbability": -0.5}, {"token": "!"}]
    result = {"chosenCandidates": chosen, "topCandidates": [{"candidates": chosen}]}
    _, read = answer(body(candidate(text("Hé!"), logprobsResult=result)))
    assert read.choices[0].logprobs is not None
    first, second = read.choices[0].logprobs.content or ()
    assert (first.token, first.logprob, first.bytes) == ("Hé", -0.5, [72, 195, 169])
    assert [one.token for one in first.top_logprobs] == ["Hé", "!"]
    assert (second.logprob, second.top_logprobs) == (0.0, [])


@pytest.mark.parametrize(
    ("reason", "finish", "failure"),
    [
        ("STOP", "stop", None), ("MAX_TOKENS", "length", "truncated"), ("CONTINUATION", "length", "truncated"),
        ("SAFETY", "content_filter", "refused"), ("RECITATION", "content_filter", "refused"),
        ("BLOCKLIST", "content_filter", "refused"), ("PROHIBITED_CONTENT", "content_filter", "refused"),
        ("SPII", "content_filter", "refused"), ("LANGUAGE", "content_filter", "refused"),
        ("MODEL_ARMOR", "content_filter", "refused"),
        ("MALFORMED_FUNCTION_CALL", "malformed_function_call", "invalid"),
        ("UNEXPECTED_TOOL_CALL", "unexpected_tool_call", "invalid"),
        ("MALFORMED_RESPONSE", "malformed_response", "invalid"), ("OTHER", "other", "invalid"),
        ("MISSING_THOUGHT_SIGNATURE", "missing_thought_signature", "invalid"),
        ("FINISH_REASON_UNSPECIFIED", None, "truncated"), (None, None, "truncated"), ("BRAND_NEW", "brand_new", None),
    ],
)  # fmt: skip
def test_every_finish_reason_has_its_word_and_its_failure(reason: str | None, finish: str, failure: str | None) -> None:
    found = wire().answer("chat", [], body(candidate(text("x"), finish=reason)))
    assert found.finishes == (finish,)
    unusable = judge("chat", found, 1)
    assert (unusable and unusable.failure) == failure
    assert found.tokens == Tokens(input=10, output=7)  # it is billed all the same


def test_an_answer_that_was_withheld_says_why() -> None:
    found, read = answer(body({"finishReason": "SAFETY", "index": 0}))
    assert (found.refused, found.empty) == (True, False)
    assert "SAFETY" in (read.choices[0].message.refusal or "")


def test_a_prompt_that_was_blocked_is_a_refusal() -> None:
    feedback = {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": []}
    usage = {"promptTokenCount": 10, "totalTokenCount": 10}
    found, read = answer(json.dumps({"promptFeedback": feedback, "usageMetadata": usage}).encode())
    assert read.choices[0].message.refusal == "The prompt was blocked (PROHIBITED_CONTENT)."
    assert (found.finishes, found.tokens) == (("content_filter",), Tokens(input=10))
    unusable = judge("chat", found, 1)
    assert unusable is not None
    assert unusable.failure == "refused"


def test_an_account_that_is_locked_out_is_a_misconfigured_target() -> None:
    with pytest.raises(Unusable) as found:
        wire().answer("chat", [], body({"finishReason": "PUP_LIMITED_DISABLED"}))
    assert found.value.failure == "misconfigured"


@pytest.mark.parametrize("parts", [[], [text("")], [text(" \n")], [text("Hm", thought=True)], [{"inlineData": {}}]])
def test_an_answer_without_content_is_empty(parts: list[dict[str, Any]]) -> None:
    assert wire().answer("chat", [], body(candidate(*parts))).empty


NOT_ANSWERS = [
    b"",
    b"<html>",
    b"[]",
    b"{}",
    body(candidate(text("x")))[:-9],
    b'{"candidates":"x"}',
    b'{"candidates":[3]}',
]


@pytest.mark.parametrize("data", NOT_ANSWERS)
def test_what_is_no_answer_is_invalid(data: bytes) -> None:
    with pytest.raises(Unusable) as found:
        wire().answer("chat", [], data)
    assert found.value.failure == "invalid"


# usage


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (USAGE, Tokens(input=10, output=7)),
        ({"promptTokenCount": 100, "cachedContentTokenCount": 80, "candidatesTokenCount": 5, "thoughtsTokenCount": 20,
          "totalTokenCount": 125}, Tokens(input=20, cache_read=80, output=25, reasoning=20)),
        ({"promptTokenCount": 100, "toolUsePromptTokenCount": 40, "candidatesTokenCount": 5, "totalTokenCount": 145},
         Tokens(input=140, output=5)),
        ({"promptTokenCount": 100, "candidatesTokenCount": 25, "thoughtsTokenCount": 20, "totalTokenCount": 125},
         Tokens(input=100, output=25, reasoning=20)),
        ({"promptTokenCount": 10, "totalTokenCount": 10}, Tokens(input=10)),
        (None, None), ({}, None), ({"promptTokenCount": 0}, None), ({"promptTokenCount": -1}, None),
        ({"promptTokenCount": 2**63, "candidatesTokenCount": 1}, None), ({"promptTokenCount": "10"}, None),
        ({"promptTokenCount": 10, "candidatesTokenCount": 1e30}, None),
        ({"promptTokenCount": 10, "candidatesTokenCount": True}, None),
    ],
)  # fmt: skip
def test_usage_is_counted_as_it_is_billed(usage: Any, tokens: Tokens | None) -> None:
    found = wire().answer("chat", [], body(candidate(text("x")), usageMetadata=usage))
    assert found.tokens == tokens
    read = ChatCompletion.model_validate_json(found.body).usage
    assert (read is None) == (tokens is None)
    if tokens is not None and read is not None:
        assert read.total_tokens == tokens.input + tokens.cache_read + tokens.output


# refusals

REFUSALS = json.loads((CASSETTES / "gemini_refusals.json").read_text())


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("case", REFUSALS, ids=[case["what"] for case in REFUSALS])
def test_every_documented_error_has_its_word(case: dict[str, Any], wrapped: bool) -> None:
    sent = json.dumps([case["body"]] if wrapped else case["body"]).encode()
    found = wire().refusal(case["status"], [], sent)
    assert (found.failure, found.retry_after, found.param) == (
        case["failure"], case.get("retry_after"), case.get("param"),
    )  # fmt: skip


# streams


def play(data: bytes, cut: int | None = None) -> tuple[GeminiEvents, list[Chunk]]:
    reader = wire().events()
    assert isinstance(reader, GeminiEvents)
    if cut is None:
        return reader, reader.feed(data)
    return reader, reader.feed(data[:cut]) + reader.feed(data[cut:])


def events(*found: Any) -> bytes:
    return b"".join(
        b"data: %b\r\n\r\n" % (one if isinstance(one, bytes) else json.dumps(one).encode()) for one in found
    )


def read(chunks: list[Chunk]) -> list[ChatCompletionChunk]:
    return [ChatCompletionChunk.model_validate_json(chunk.data) for chunk in chunks]


def test_a_stream_with_thoughts_reads_as_openais() -> None:
    reader, chunks = play((CASSETTES / "gemini_stream.sse").read_bytes())
    told = read(chunks)
    assert "".join(one.choices[0].delta.content or "" for one in told[:-1]) == "It takes 24 minutes – naïve, but true."
    assert told[0].choices[0].delta.role == "assistant"
    assert [(chunk.text, chunk.reasons) for chunk in chunks] == [
        (False, True), (True, False), (True, False), (False, False),
    ]  # fmt: skip
    assert [chunk.finishes for chunk in chunks if chunk.finishes] == [((0, "stop"),)]
    assert chunks[-1].usage_only
    assert chunks[-1].tokens == Tokens(input=18, output=91, reasoning=79)
    assert told[-1].usage is not None
    assert told[-1].usage.completion_tokens == 91
    assert (reader.request_id, chunks[0].model) == ("Ju1yaNa5MtXVz7IPx5-J6Ak", "gemini-2.5-flash")
    assert reader.failed is None


def test_a_stream_with_calls_reads_as_openais() -> None:
    _, chunks = play((CASSETTES / "gemini_tool_stream.sse").read_bytes())
    calls = [call for one in read(chunks[:-1]) for call in one.choices[0].delta.tool_calls or ()]
    assert [(call.index, call.id, call.function and call.function.name) for call in calls] == [
        (0, "fc-1", "get_weather"), (1, "call_1", "get_time"),
    ]  # fmt: skip
    assert calls[0].model_extra == {"extra_content": {"google": {"thought_signature": "CtMBAb4+9vsK"}}}
    assert [chunk.finishes for chunk in chunks if chunk.finishes] == [((0, "tool_calls"),)]
    assert chunks[-1].tokens == Tokens(input=20, cache_read=100, output=79, reasoning=51)


@pytest.mark.parametrize("name", ["gemini_stream.sse", "gemini_tool_stream.sse"])
def test_a_stream_reads_the_same_wherever_it_is_cut(name: str) -> None:
    data = (CASSETTES / name).read_bytes()
    whole = [chunk.data for chunk in play(data)[1]]
    for cut in range(0, len(data), 37):
        assert [chunk.data for chunk in play(data, cut)[1]] == whole


def test_a_stream_that_was_cut_has_no_finish() -> None:
    data = (CASSETTES / "gemini_stream.sse").read_bytes()
    _, chunks = play(data[: data.rindex(b"data: ")])
    assert not any(chunk.finishes or chunk.usage for chunk in chunks)
    assert chunks[-1].tokens == Tokens(input=18, output=82, reasoning=79)  # what it cost so far
    ends = dict(finish for chunk in chunks for finish in chunk.finishes)
    unusable = judge_end(ends.values(), 1, empty=False, refused=False)
    assert unusable is not None
    assert unusable.failure == "truncated"


def test_usage_is_told_once_all_candidates_have_ended() -> None:
    both = {"candidates": [candidate(text("A"), finish=None), candidate(text("B"), index=1)], "usageMetadata": USAGE}
    last = {"candidates": [candidate(text("a"))], "usageMetadata": USAGE}
    _, chunks = play(events(both, last))
    assert [chunk.usage_only for chunk in chunks] == [False, False, True]
    assert [chunk.finishes for chunk in chunks] == [((1, "stop"),), ((0, "stop"),), ()]


def test_a_block_in_the_stream_is_a_refusal() -> None:
    _, chunks = play(events({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}))
    assert (chunks[0].refused, chunks[0].finishes, chunks[-1].tokens) == (
        True, ((0, "content_filter"),), Tokens(input=4),
    )  # fmt: skip
    _, (chunk,) = play(events({"candidates": [{"finishReason": "SAFETY"}]}))
    assert (chunk.refused, chunk.finishes) == (True, ((0, "content_filter"),))


FIRST = {"candidates": [candidate(text("A"), finish=None)]}
OVERLOADED = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
BARE = json.dumps(OVERLOADED, indent=2).encode()


@pytest.mark.parametrize(
    "end",
    [
        events(OVERLOADED),
        BARE + b"\n\n",
        BARE,
        BARE.replace(b"\n", b"\r\n"),
        b"[" + BARE + b"]",
        b"[" + BARE + b"]\n\n",
    ],
    ids=["event", "bare", "bare at the end", "CRLF", "list", "list with a break"],
)
@pytest.mark.parametrize("pieces", [1, 7])
def test_an_error_in_mid_stream_ends_it_however_it_comes(end: bytes, pieces: int) -> None:
    reader, chunks = play(events(FIRST))
    for at in range(0, len(end), max(1, len(end) // pieces)):
        reader.feed(end[at : at + max(1, len(end) // pieces)])
    assert [chunk.text for chunk in chunks] == [True]
    assert reader.failed is not None
    assert reader.failed.failure == "unavailable"
    assert reader.feed(events(FIRST)) == []


def test_an_error_in_the_place_of_a_stream_is_that_error() -> None:
    with pytest.raises(Unusable) as found:
        wire().events().feed(b"[" + BARE + b"]")
    assert found.value.failure == "unavailable"


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"data: {broken\n\n", "invalid"),
        (b'data: {"candidates": 5}\n\n', "invalid"),
        (events({"candidates": [candidate(text("A"))]}, FIRST), "invalid"),
        (events({"candidates": [{"finishReason": "PUP_LIMITED_DISABLED"}]}), "misconfigured"),
    ],
    ids=["no JSON", "another shape", "text after the end", "locked out"],
)
def test_what_breaks_a_stream(data: bytes, failure: str) -> None:
    reader, _ = play(data)
    assert reader.failed is not None
    assert reader.failed.failure == failure


def test_text_that_looks_like_an_error_is_text() -> None:
    reader, (chunk,) = play(events({"candidates": [candidate(text(BARE.decode()), finish=None)]}))
    assert (reader.failed, chunk.text) == (None, True)


# embeddings


def test_vectors_come_as_the_caller_wants_them() -> None:
    sent = {"embeddings": [{"values": [0.5, -1]}, {"values": [0.25, 0]}], "usageMetadata": {"promptTokenCount": 6}}
    found = wire("gemini-embedding-001").answer("embeddings", [], json.dumps(sent).encode())
    assert (found.tokens, found.empty, found.finishes) == (Tokens(input=6), False, ("stop", "stop"))
    plain = CreateEmbeddingResponse.model_validate_json(packed(found, {}).body)
    assert [one.embedding for one in plain.data] == [[0.5, -1.0], [0.25, 0.0]]
    asked = {"encoding_format": msgspec.Raw(b'"base64"')}
    coded = json.loads(packed(found, asked).body)["data"]
    assert [array("f", base64.b64decode(one["embedding"])).tolist() for one in coded] == [[0.5, -1.0], [0.25, 0.0]]


@pytest.mark.parametrize("data", [b"{}", b'{"embeddings":[{}]}', b'{"embeddings":[{"values":["x"]}]}', b"<html>"])
def test_what_is_no_embedding_is_invalid(data: bytes) -> None:
    with pytest.raises(Unusable) as found:
        wire("gemini-embedding-001").answer("embeddings", [], data)
    assert found.value.failure == "invalid"
