"""OpenAI-compatible endpoints: bytes go through, and everything they say is understood."""

from __future__ import annotations

import json

import msgspec
import pytest

from roadworthy.adapters.providers.openai import OpenAIEvents, OpenAIWire
from roadworthy.gateway.ports import Unusable
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Target

NOW = 1_700_000_000.0


def wire(model: str = "gpt-4o", secret: str | None = "sk-test", **target) -> OpenAIWire:
    return OpenAIWire(Target("main", "openai", model, **target), b"/v1", secret, now=lambda: NOW)


def fields(**values) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in values.items()}


def completion(**changes) -> bytes:
    message = changes.pop("message", {"role": "assistant", "content": "Hello"})
    choice = {"index": 0, "message": message, "finish_reason": changes.pop("finish", "stop")}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "choices": [choice],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    return json.dumps({**body, **changes}).encode()


def answer(body: bytes):
    return wire().answer("chat", [(b"x-request-id", b"req_1")], body)


# requests


def test_only_the_model_is_replaced_and_the_other_bytes_are_untouched():
    odd = msgspec.Raw(b'[ {"role":"user",  "content":"\\u00e9"} ]')
    sent = wire().encode("chat", {"model": msgspec.Raw(b'"support"'), "messages": odd}, stream=False)
    assert sent.path == b"/v1/chat/completions"
    assert sent.body == b'{"model":"gpt-4o","messages":[ {"role":"user",  "content":"\\u00e9"} ]}'
    assert (b"authorization", b"Bearer sk-test") in sent.headers


def test_a_passed_on_model_stays_the_callers():
    sent = wire(model="*").encode("embeddings", fields(model="text-embedding-3-small", input="x"), stream=False)
    assert sent.path == b"/v1/embeddings"
    assert json.loads(sent.body)["model"] == "text-embedding-3-small"


def test_the_callers_fields_are_not_changed_in_place():
    asked = fields(model="support", messages=[])
    wire().encode("chat", asked, stream=True)
    assert bytes(asked["model"]) == b'"support"'


def test_path_and_headers_are_equal_on_every_call():
    one, other = (wire().encode("chat", fields(model="a", messages=[]), stream=stream) for stream in (True, False))
    assert (one.path, one.headers) == (other.path, other.headers)


def test_a_key_with_a_line_end_is_misconfigured_and_never_quoted():
    with pytest.raises(Unusable) as refused:
        wire(secret="sk-1\r\nx-evil: 1").encode("chat", fields(messages=[]), stream=False)
    assert refused.value.failure == "misconfigured"
    assert "sk-1" not in refused.value.detail


def test_a_trailing_line_end_of_a_key_file_is_forgiven():
    assert (b"authorization", b"Bearer sk-1") in wire(secret="sk-1\n").encode("chat", fields(), stream=False).headers


def test_a_target_without_a_key_sends_none():
    headers = wire(secret=None).encode("chat", fields(), stream=False).headers
    assert b"authorization" not in dict(headers)


# whole answers


def test_an_answer_goes_back_byte_for_byte():
    body = b' {"choices":[{"message":{"content":"x"},"finish_reason":"stop"}], "x_new": 1}\n'
    assert answer(body).body is body


def test_an_answer_is_read_as_far_as_the_core_must_know():
    found = answer(completion())
    assert (found.model, found.request_id, found.finishes) == ("gpt-4o-2024-08-06", "req_1", ("stop",))
    assert (found.empty, found.refused, found.tokens) == (False, False, Tokens(input=10, output=5))


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            Tokens(10, 60, 30, 50, 40),
        ),
        ({"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 90}, Tokens(10, 90, 0, 5)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 30}, Tokens(7, 0, 0, 23, 20)),
        ({"prompt_tokens": 7.0, "completion_tokens": 3, "prompt_tokens_details": None}, Tokens(7, output=3)),
        (
            {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}},
            Tokens(0, 5, 0, 1),
        ),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": -5, "completion_tokens": 9}, None),
        ({"prompt_tokens": "many"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_usage_of_every_dialect_is_counted_or_unknown(usage, tokens):
    assert answer(completion(usage=usage)).tokens == tokens


@pytest.mark.parametrize(
    ("message", "empty", "refused"),
    [
        ({"content": None}, True, False),
        ({"content": ""}, True, False),
        ({"content": " \n"}, True, False),
        ({}, True, False),
        ({"content": None, "refusal": "No."}, False, True),
        ({"content": None, "tool_calls": [{"id": "1", "type": "function", "function": {}}]}, False, False),
        ({"content": "", "tool_calls": []}, True, False),
        ({"content": [{"type": "text", "text": "parts"}]}, False, False),
        ({"content": "text", "refusal": None, "annotations": [], "x": 1}, False, False),
    ],
)
def test_emptiness_and_refusal_are_seen(message, empty, refused):
    found = answer(completion(message=message))
    assert (found.empty, found.refused) == (empty, refused)


def test_no_choices_is_an_empty_answer_without_finishes():
    found = answer(completion(choices=[]))
    assert (found.empty, found.finishes) == (True, ())


def test_every_choice_tells_its_finish():
    choices = [{"message": {"content": "a"}, "finish_reason": reason} for reason in ("stop", "length", None)]
    assert answer(completion(choices=choices)).finishes == ("stop", "length", None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<!DOCTYPE html><html></html>",
        completion()[:-20],
        b"{'a': 1}",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"choices": "none"}',
        b'{"choices": 7}',
        b'{"choices": [7]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b"\xff\xfe{}",
        b'{"choices":' + b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_invalid_and_never_success(body):
    with pytest.raises(Unusable) as refused:
        answer(body)
    assert refused.value.failure == "invalid"
    assert len(refused.value.detail) <= 300


def test_an_error_inside_a_200_is_an_error():
    with pytest.raises(Unusable) as refused:
        answer(b'{"error": {"message": "busy", "type": "server_error", "code": 503}}')
    assert refused.value.failure == "unavailable"


def test_embeddings_are_read():
    body = (
        b'{"data":[{"embedding":[0.1]},{"embedding":"AAAA"}],"model":"m","usage":{"prompt_tokens":4,"total_tokens":4}}'
    )
    found = wire().answer("embeddings", [], body)
    assert (found.body, found.empty, found.tokens) == (body, False, Tokens(input=4))
    assert wire().answer("embeddings", [], b'{"data":[]}').empty


# streams


def chunk(content: str | None = None, finish: str | None = None, **changes) -> bytes:
    delta = {} if content is None else {"content": content}
    body = {"id": "c", "model": "gpt-4o", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return json.dumps({**body, **changes}, separators=(",", ":")).encode()


def stream(*events: bytes, end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: %b\n\n" % event for event in events) + end


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_events_go_through_byte_for_byte():
    events = [chunk("Hel"), chunk("lo"), chunk(finish="stop")]
    reader = OpenAIEvents()
    chunks = reader.feed(stream(*events))
    assert [one.data for one in chunks] == events
    assert [one.text for one in chunks] == [True, True, False]
    assert [one.finishes for one in chunks] == [(), (), ((0, "stop"),)]
    assert reader.done


def test_the_usage_chunk_is_usage_only_in_both_shapes():
    for choices in ([], [{"index": 0, "delta": {}}], [{"index": 0, "delta": {}, "finish_reason": None}]):
        (found,) = OpenAIEvents().feed(stream(chunk(choices=choices, usage=USAGE), end=b""))
        assert (found.usage_only, found.tokens) == (True, Tokens(input=3, output=2))


def test_usage_beside_content_or_finish_is_not_usage_only():
    reader = OpenAIEvents()
    chunks = reader.feed(stream(chunk("x", usage=USAGE), chunk(finish="stop", usage=USAGE), end=b""))
    assert [one.usage_only for one in chunks] == [False, False]
    assert chunks[1].tokens == Tokens(input=3, output=2)


def test_groqs_usage_is_found():
    (found,) = OpenAIEvents().feed(stream(chunk(finish="stop", x_groq={"id": "r", "usage": USAGE}), end=b""))
    assert found.tokens == Tokens(input=3, output=2)


def test_azures_prompt_filter_chunk_is_not_usage():
    (found,) = OpenAIEvents().feed(stream(chunk(choices=[], prompt_filter_results=[]), end=b""))
    assert (found.usage_only, found.text) == (False, False)


def test_tool_calls_and_refusals_carry_text():
    deltas = [{"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}, {"refusal": "No"}, {"role": "assistant"}]
    events = [chunk(choices=[{"index": 0, "delta": delta}]) for delta in deltas]
    chunks = OpenAIEvents().feed(stream(*events))
    assert [(one.text, one.refused) for one in chunks] == [(True, False), (True, True), (False, False)]


def test_a_stream_without_done_is_not_done():
    reader = OpenAIEvents()
    reader.feed(stream(chunk("x"), chunk(finish="stop"), end=b""))
    assert not reader.done


def test_done_without_its_empty_line_counts():
    reader = OpenAIEvents()
    reader.feed(stream(chunk("x"), end=b"data: [DONE]\n"))
    assert reader.done


def test_an_error_event_ends_the_reading_after_the_chunks_before_it():
    reader = OpenAIEvents()
    error = b'{"error":{"message":"overloaded","type":"server_error"}}'
    chunks = reader.feed(stream(chunk("x"), error, chunk("never")))
    assert len(chunks) == 1
    assert reader.failed is not None
    assert reader.failed.failure == "unavailable"
    assert reader.feed(stream(chunk("y"))) == []
    assert not reader.done


@pytest.mark.parametrize("broken", [b'{"choices":[{"delta":{"content":"x', b"hello", b"[]", b"{}", b'{"choices":[3]}'])
def test_a_malformed_chunk_is_invalid_and_never_success(broken):
    reader = OpenAIEvents()
    assert len(reader.feed(stream(chunk("x"), broken))) == 1
    assert reader.failed is not None
    assert reader.failed.failure == "invalid"
    assert not reader.done


def test_a_choice_that_goes_on_after_its_end_is_invalid():
    reader = OpenAIEvents()
    reader.feed(stream(chunk("x"), chunk(finish="stop"), chunk("y")))
    assert reader.failed is not None


def test_a_finish_that_is_told_twice_counts_once():
    chunks = OpenAIEvents().feed(stream(chunk(finish="stop"), chunk(finish="stop", usage=USAGE)))
    assert [one.finishes for one in chunks] == [((0, "stop"),), ()]


def test_every_choice_of_a_stream_finishes_on_its_own():
    events = [chunk(choices=[{"index": at, "delta": {}, "finish_reason": "stop"}]) for at in (1, 0)]
    chunks = OpenAIEvents().feed(stream(*events))
    assert [one.finishes for one in chunks] == [((1, "stop"),), ((0, "stop"),)]


def test_a_very_long_event_is_invalid():
    with pytest.raises(Unusable) as refused:
        OpenAIEvents().feed(b"data: " + b"x" * (5 * 1024 * 1024))
    assert refused.value.failure == "invalid"


def test_a_chunk_over_several_lines_is_put_on_one():
    (found,) = OpenAIEvents().feed(b'data: {"choices":\ndata: [{"index":0,"delta":{"content":"x"}}]}\n\n')
    assert b"\n" not in found.data
    assert json.loads(found.data)["choices"][0]["delta"] == {"content": "x"}


def test_utf8_cut_between_chunks_of_the_network_stays_whole():
    event = b'{"choices":[{"index":0,"delta":{"content":"' + "漢字🙂".encode() + b'"}}]}'
    data = stream(event)
    for cut in range(len(data)):
        reader = OpenAIEvents()
        assert [one.data for one in reader.feed(data[:cut]) + reader.feed(data[cut:])] == [event]


@pytest.mark.parametrize(
    ("endpoint", "marked"),
    [
        ("http://127.0.0.1:8000/v1", False),
        ("https://api.mistral.ai/v1", True),
        ("https://api.deepseek.com/beta", True),
        ("https://mistral.ai.evil.test/v1", False),
    ],
)
def test_a_begun_answer_goes_out_in_the_way_that_the_server_goes_by(endpoint: str, marked: bool) -> None:
    raw = {"messages": msgspec.Raw(b'[ {"role":"user","content":"x"} ]'), "model": msgspec.Raw(b'"m"')}
    made = wire(endpoint=endpoint)
    sent = msgspec.json.decode(made.encode("chat", made.prefilled(raw, "Dear Ann,"), stream=True).body)
    begun = {"role": "assistant", "content": "Dear Ann,"}
    assert sent["messages"][0] == {"role": "user", "content": "x"}
    assert sent["messages"][1] == ({**begun, "prefix": True} if marked else begun)
    assert ("continue_final_message" in sent, "add_generation_prompt" in sent) == (not marked, not marked)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_models_thoughts_are_a_sign_of_life_and_not_the_answer(name: str) -> None:
    event = {"id": "c", "choices": [{"index": 0, "delta": {name: "Hm"}, "finish_reason": None}]}
    [chunk] = wire().events().feed(b"data: " + msgspec.json.encode(event) + b"\n\n")
    assert (chunk.reasons, chunk.text) == (True, False)
    strange = {"id": "c", "choices": [{"index": 0, "delta": {name: {"x": 1}, "content": "Hi"}, "finish_reason": None}]}
    [chunk] = wire().events().feed(b"data: " + msgspec.json.encode(strange) + b"\n\n")
    assert (chunk.reasons, chunk.text) == (False, True)
