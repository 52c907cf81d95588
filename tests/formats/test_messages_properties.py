"""Whatever both formats can say goes from one to the other and back unchanged; what only one says is named."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.formats.messages import answer, events, request

FEW = settings(max_examples=30, deadline=None)
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
names = st.sampled_from(["f", "g"])
objects = st.dictionaries(words, st.one_of(st.integers(-9, 9), words, st.none()), max_size=2)
hint = st.sampled_from([{}, {}, {"cache_control": {"type": "ephemeral"}}])


def block(kind: str, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    fixed = st.fixed_dictionaries({"type": st.just(kind), **values})
    return st.builds(lambda made, more: {**made, **more}, fixed, hint)


text = block("text", text=words)
image = block(
    "image",
    source=st.sampled_from(
        [
            {"type": "base64", "media_type": "image/png", "data": "QUJD"},
            {"type": "url", "url": "https://example.com/a.png"},
        ]
    ),
)
document = block(
    "document",
    source=st.just({"type": "base64", "media_type": "application/pdf", "data": "QUJD"}),
    title=st.sampled_from(["a.pdf", "b"]),
)
use = block("tool_use", id=st.sampled_from(["t1", "t2"]), name=names, input=objects)
result = st.builds(
    lambda made, failed: {**made, "is_error": True} if failed else made,
    block(
        "tool_result",
        tool_use_id=st.sampled_from(["t1", "t2"]),
        content=st.lists(st.builds(lambda said: {"type": "text", "text": said}, words), min_size=1, max_size=2),
    ),
    st.booleans(),
)
asked = st.lists(st.one_of(text, image, document, result), min_size=1, max_size=4)
replied = st.builds(
    lambda said, calls: [*said, *calls] or [{"type": "text", "text": "-"}],
    st.lists(text, max_size=2),
    st.lists(use, max_size=2),
)
turns = st.lists(st.tuples(asked, replied), max_size=2).flatmap(
    lambda pairs: asked.map(
        lambda last: [
            *[turn for user, said in pairs for turn in ({"role": "user", "content": user},
                                                        {"role": "assistant", "content": said})],
            {"role": "user", "content": last},
        ]
    )
)  # fmt: skip
tool = st.builds(
    lambda name, said, more: {"name": name, **said, "input_schema": {"type": "object", "properties": {}}, **more},
    names,
    st.sampled_from([{}, {"description": "d"}]),
    hint,
)
parameters = st.fixed_dictionaries(
    {"model": st.just("m"), "max_tokens": st.integers(1, 9)},
    optional={
        "system": st.lists(text, min_size=1, max_size=2),
        "temperature": st.floats(0, 1),
        "top_p": st.floats(0, 1),
        "stop_sequences": st.lists(words, min_size=1, max_size=2),
        "metadata": st.just({"user_id": "u"}),
        "service_tier": st.sampled_from(["auto", "standard_only"]),
        "stream": st.just(True),
        "output_config": st.sampled_from([{"effort": "low"}, {"effort": "max"}]),
        "thinking": st.just({"type": "disabled"}),
    },
).filter(lambda made: not {"output_config", "thinking"} <= made.keys())
choices = st.sampled_from(
    [
        {},
        {"tool_choice": {"type": "any"}},
        {"tool_choice": {"type": "none"}},
        {"tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True}},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ]
)
tools = st.one_of(
    st.just({}), st.builds(lambda made, choice: {"tools": made, **choice}, st.lists(tool, min_size=1), choices)
)
requests = st.builds(lambda made, said, more: {**made, "messages": said, **more}, parameters, turns, tools)


def raw(body: dict[str, Any]) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()}


def plain(body: Any) -> Any:
    return json.loads(msgspec.json.encode(body))


@FEW
@given(requests)
def test_nothing_of_a_messages_request_is_lost_by_way_of_chat(own: dict[str, Any]) -> None:
    taken = request.to_chat(raw(own))
    assert taken.lost is None
    assert plain(request.from_chat(taken.fields, model="m", stream=bool(own.get("stream")))) == own


@FEW
@given(requests)
def test_nothing_of_a_chat_request_is_lost_by_way_of_messages(own: dict[str, Any]) -> None:
    chat = request.to_chat(raw(own)).fields
    there = request.from_chat(chat, model="m", stream=bool(own.get("stream")))
    assert plain(request.to_chat(raw(plain(there))).fields) == plain(chat)


@FEW
@given(st.dictionaries(words.filter(lambda name: name not in request.OWN), objects, min_size=1, max_size=3), requests)
def test_every_field_is_in_the_translation_or_named(unknown: dict[str, Any], own: dict[str, Any]) -> None:
    taken = request.to_chat(raw({**own, **unknown}))
    assert unknown.keys() <= taken.fields.keys()
    assert taken.lost is not None
    assert taken.lost.param == next(iter(unknown))


thought = st.builds(lambda said: {"type": "thinking", "thinking": said, "signature": "s"}, words)
answers = st.builds(
    lambda thoughts, said, calls, usage: {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [*thoughts, *said, *calls],
        "stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None, "usage": usage,
    },
    st.lists(thought, max_size=2),
    st.lists(st.builds(lambda said: {"type": "text", "text": said}, words), max_size=1),
    st.lists(st.builds(lambda made: {k: v for k, v in made.items() if k != "cache_control"}, use), max_size=2),
    st.fixed_dictionaries({
        name: st.integers(1, 99)
        for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    }),
)  # fmt: skip


@FEW
@given(answers)
def test_an_answer_survives_chat_and_its_own_stream(own: dict[str, Any]) -> None:
    body = msgspec.json.encode(own)
    assert json.loads(answer.from_chat(answer.to_chat(body), asked={}, ident="i", model="m")) == own
    assert json.loads(events.assemble(events.recited(body, {}))) == own
