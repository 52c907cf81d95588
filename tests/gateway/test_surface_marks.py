"""Anthropic's ``cache_control``, which its clients set unasked, reaches whoever reads it and is no reason for a 400."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from outcome_cases import good
from speech import SPEECH
from surface_support import Served

from roadworthy.adapters.providers.registry import WIRES
from roadworthy.formats.messages.marks import unmarked
from roadworthy.formats.model import Format
from roadworthy.workflow.model import Target

MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(("speaks", "kept"), [("messages", True), ("chat", False), ("responses", False)])
def test_marks_reach_those_who_read_them(tmp_path: Path, speaks: Format, kept: bool) -> None:
    async def at() -> None:
        made = Served(tmp_path, "messages", speaks)
        made.upstream.will(good("plain", SPEECH[speaks]))
        await made.ask(messages=[{"role": "user", "content": [{"type": "text", "text": "Hi", **MARK}]}])
        assert ("cache_control" in json.dumps(made.sent[-1].body)) is kept

    asyncio.run(at())


@pytest.mark.parametrize(
    ("endpoint", "reads", "limit"),
    [
        ("https://api.openai.com/v1", False, "max_completion_tokens"),
        ("https://api.mistral.ai/v1", False, "max_tokens"),
        ("https://openrouter.ai/api/v1", True, "max_tokens"),
    ],
)
def test_an_endpoint_is_asked_in_the_words_that_it_knows(endpoint: str, reads: bool, limit: str) -> None:
    wire = WIRES["openai"](Target("t", "openai", "m", endpoint=endpoint), b"/v1", "k")
    told = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", **MARK}]}],
        "max_completion_tokens": 9,
    }
    fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in told.items()}
    adapted = wire.adapted(fields, "messages")
    assert (b"cache_control" in bytes(adapted["messages"])) is reads
    assert bytes(adapted[limit]) == b"9"
    assert adapted.keys() == {"messages", limit}
    assert b"cache_control" in bytes(wire.adapted(fields, "responses")["messages"])


def test_only_marks_are_left_out() -> None:
    arguments = '{"cache_control":{"type":"ephemeral"}}'
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}}
    parameters = {"type": "object", "properties": {"cache_control": {"type": "object"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    image = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    told: dict[str, Any] = {
        "messages": [
            {"role": "user", "content": [{**image, **MARK}, {"type": "text", "text": "a", **MARK}]},
            {"role": "assistant", "content": None, "tool_calls": [{**call, **MARK}]},
            {"role": "tool", "tool_call_id": "t", "content": [{"type": "text", "text": "b", **MARK}]},
        ],
        "tools": [{**tool, **MARK}],
        "temperature": 1,
        **MARK,
    }
    made = unmarked({name: msgspec.Raw(json.dumps(value).encode()) for name, value in told.items()})
    assert {name: json.loads(bytes(raw)) for name, raw in made.items()} == {
        "messages": [
            {"role": "user", "content": [image, {"type": "text", "text": "a"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "t", "content": "b"},
        ],
        "tools": [tool],
        "temperature": 1,
    }
    plain = {"messages": msgspec.Raw(b"[]")}
    assert unmarked(plain) is plain
