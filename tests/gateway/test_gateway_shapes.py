"""Claims about the shapes of answers: a stream and the whole that it amounts to say the same."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.formats.model import spliced
from roadworthy.gateway.answers.canned import as_chunks
from roadworthy.gateway.call import Trace
from roadworthy.gateway.streaming.assemble import assemble

text = st.text(max_size=30)
calls = st.lists(
    st.builds(
        lambda name, arguments: {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}},
        text,
        text,
    ),
    min_size=1,
    max_size=3,
)
messages = st.one_of(
    st.builds(lambda content: {"role": "assistant", "content": content}, text),
    st.builds(lambda refusal: {"role": "assistant", "content": None, "refusal": refusal}, text),
    st.builds(lambda made: {"role": "assistant", "content": None, "tool_calls": made}, calls),
)


def completion(made: list[dict[str, Any]]) -> dict[str, Any]:
    choices = [{"index": index, "message": message, "finish_reason": "stop"} for index, message in enumerate(made)]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}


@given(st.lists(messages, min_size=1, max_size=3))
def test_an_answer_told_as_chunks_and_put_together_again_is_the_same(made: list[dict[str, Any]]) -> None:
    whole = completion(made)
    assert msgspec.json.decode(assemble(as_chunks(msgspec.json.encode(whole), usage=True))) == whole


@given(st.lists(text, max_size=8))
def test_pieces_of_text_are_joined_in_order(pieces: list[str]) -> None:
    chunks = [msgspec.json.encode({"choices": [{"index": 0, "delta": {"content": piece}}]}) for piece in pieces]
    found = msgspec.json.decode(assemble(chunks))
    assert "".join(choice["message"]["content"] or "" for choice in found["choices"]) == "".join(pieces)


@given(st.dictionaries(text, st.integers()))
def test_our_object_is_spliced_into_any_object(body: dict[str, Any]) -> None:
    found = msgspec.json.decode(spliced(msgspec.json.encode(body), b'{"a":1}'))
    assert found == {**body, "roadworthy": {"a": 1}}


@given(st.binary(max_size=80), st.integers(0, (1 << 192) - 1))
def test_any_traceparent_makes_a_valid_one(given: bytes, bits: int) -> None:
    version, trace, span, flags = Trace(given, bits).header.split(b"-")
    assert (len(version), len(trace), len(span), len(flags)) == (2, 32, 16, 2)
    assert int(trace, 16) > 0
    assert int(span, 16) > 0
