"""A Gemini wire, and requests for it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roadworthy.adapters.providers.gemini import GeminiWire
from roadworthy.gateway.ports import Unusable
from roadworthy.workflow.model import Target

CASSETTES = Path(__file__).parent / "cassettes"
USER = {"role": "user", "content": "Hello"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OLD = "gemini-2.5-flash"
NEW = "gemini-3-flash-preview"


def wire(model: str = NEW, base: bytes = b"/v1beta", **target: Any) -> GeminiWire:
    ids = itertools.count(1)
    return GeminiWire(
        Target("flash", "gemini", model, **target), base, "AIza-key",
        now=lambda: 1.7e9, mint=lambda: f"call_{next(ids)}",
    )  # fmt: skip


def fields(**asked: Any) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in {"messages": [USER], **asked}.items()}


def encode(model: str = NEW, **asked: Any) -> dict[str, Any]:
    return json.loads(wire(model).encode("chat", fields(**asked), stream=False).body)


def refused(to: str = NEW, **asked: Any) -> Unusable:
    with pytest.raises(Unusable) as found:
        encode(to, **asked)
    assert (found.value.failure, found.value.status) == ("bad_request", 400)
    return found.value


def function(name: str = "get_weather", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "d", "parameters": SCHEMA, **more}}


def call(ident: str = "c1", arguments: str = '{"city": "Paris"}', **more: Any) -> dict[str, Any]:
    return {"id": ident, "type": "function", "function": {"name": "get_weather", "arguments": arguments}, **more}


def result(content: Any, ident: str = "c1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": ident, "content": content}


def signed(signature: str) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": signature}}}
