"""Claims about providers that answer in their callers' own format, but not quite: each call ends in one record that can
be read again, in an answer or an error, and never in an exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import on_loop, release
from surface_support import Served

from roadworthy.formats.messages import events as messages_events
from roadworthy.formats.messages import request as messages_request
from roadworthy.formats.model import Format, Inexpressible
from roadworthy.formats.reading import said
from roadworthy.formats.responses import events as responses_events
from roadworthy.workflow.model import CacheSpec, Handling

USAGE = {"input_tokens": 10, "output_tokens": 5}
BLOCK = {"type": "text", "text": "Hello"}
PART = {"type": "output_text", "text": "Hello", "annotations": []}


def message(*blocks: Any, **more: Any) -> dict[str, Any]:
    made = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
    return {**made, "content": [BLOCK, *blocks], "usage": USAGE, **more}


def response(*items: Any, part: Any = PART) -> dict[str, Any]:
    said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    made = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m"}
    return {**made, "output": [said, *items], "usage": USAGE}


ODD: dict[str, tuple[Format, dict[str, Any]]] = {
    "a count that is true": ("messages", message(usage={**USAGE, "output_tokens_details": {"thinking_tokens": True}})),
    "citations that are none": ("messages", message({**BLOCK, "citations": 5})),
    "an id that is a number": ("messages", message({"type": "tool_use", "id": 5, "name": None, "input": 5})),
    "a summary that is text": ("responses", response({"type": "reasoning", "id": "rs_1", "summary": "hm"})),
    "annotations that are none": ("responses", response(part={**PART, "annotations": 5})),
    "a namespace that is a number": ("responses", response({"type": "function_call", "name": "f", "namespace": 5})),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", ODD)
@on_loop
async def test_an_odd_answer_is_told_recorded_and_read(tmp_path: Path, name: str, stream: bool) -> None:
    format, body = ODD[name]
    made = Served(tmp_path, format, format, release(handling=Handling(stream="buffered", cache=CacheSpec())))
    made.upstream.will(msgspec.json.encode(body))
    answer = await made.post(stream=stream)
    raw = answer.body if hasattr(answer, "body") else b"".join([piece async for piece in answer.chunks])
    assert (answer.status, b"Hello" in raw, made.bench.taken()) == (200, True, 0)
    [record] = made.bench.records()
    read = said(record.surface, record.response)
    assert read is not None
    assert msgspec.json.decode(read)["choices"][0]["message"]["content"].startswith("Hello")


@pytest.mark.parametrize("speaks", ["own", "chat"])
@pytest.mark.parametrize(
    ("format", "field", "mend"),
    [
        ("responses", "n", "leave it out"),
        ("responses", "max_tokens", "use `max_output_tokens`"),
        ("responses", "reasoning_effort", "use `reasoning.effort`"),
        ("messages", "n", "leave it out"),
        ("messages", "store", "leave it out"),
        ("messages", "max_completion_tokens", "use `max_tokens`"),
        ("messages", "stop", "use `stop_sequences`"),
    ],
)
@on_loop
async def test_a_field_that_only_chat_completions_have_is_refused(
    tmp_path: Path, format: Format, field: str, mend: str, speaks: str
) -> None:
    """With ``n`` taken for theirs, one good answer would be called cut short, and be asked for again."""
    listed = release(behaviour={"caller_overrides": [field]})
    made = Served(tmp_path, format, format if speaks == "own" else "chat", listed)
    answer = await made.post(**{field: 3})
    told = made.surface.error(answer.body)
    assert (answer.status, told.code, told.param, made.sent) == (400, "bad_request", field, [])
    assert mend in told.message


@pytest.mark.parametrize("asked", ["chat", "responses"])
@on_loop
async def test_a_number_that_no_double_holds_is_the_callers_to_mend_where_it_is_translated(
    tmp_path: Path, asked: Format
) -> None:
    made = Served(tmp_path, asked, "messages", release(behaviour={"caller_overrides": ["temperature"]}))
    body = msgspec.json.encode(made.surface.body(temperature=7)).replace(b":7", b":1e400")
    answer = await made.bench.post(body, made.surface.path)
    told = made.surface.error(answer.body)
    assert (answer.status, told.code, made.sent, made.bench.taken()) == (400, "bad_request", [], 0)


@pytest.mark.parametrize("first", ["created_at", "error", "id"])
def test_an_answer_that_names_no_error_early_is_read_as_an_answer(first: str) -> None:
    body = {"id": "resp_1", "created_at": 1, "error": None}
    body = {first: body[first], **body, **response()}
    read = said("responses", msgspec.Raw(msgspec.json.encode(body)))
    assert read is not None
    assert msgspec.json.decode(read)["choices"][0]["message"]["content"] == "Hello"


def events(*found: Any) -> list[bytes]:
    return [msgspec.json.encode(event) for event in found]


def test_what_events_tell_beside_their_format_is_left_out_of_the_answer() -> None:
    told = messages_events.assemble(
        events(
            {"type": "content_block_start", "index": 0, "content_block": {**BLOCK, "citations": 5}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": {"a": 1}}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "!"}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        )
    )
    text, call = msgspec.json.decode(told)["content"]
    assert text == {"type": "text", "text": "Hello!", "citations": [{"a": 1}]}
    assert call["input"] == {"invalid_arguments": "{"}
    item = {"type": "message", "id": "m", "content": [None, PART]}
    delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "!"}
    said = responses_events.assemble(
        events(
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            *({**delta, "content_index": at} for at in (-1, 0, 1)),
        )
    )
    assert msgspec.json.decode(said)["output"][0]["content"] == [None, {**PART, "text": "Hello!"}]


@pytest.mark.parametrize("kind", [[], {}, 5, None])
def test_a_choice_of_no_kind_is_refused_by_its_name(kind: Any) -> None:
    fields = {"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], "tool_choice": {"type": kind}}
    with pytest.raises(Inexpressible) as refused:
        messages_request.to_chat({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
    assert refused.value.param == "tool_choice.type"
