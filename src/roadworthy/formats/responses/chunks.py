"""Chunks of a chat stream, read as far as they are told on; their texts stay JSON."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from roadworthy.formats.model import compact
from roadworthy.formats.responses import shapes

NONE = msgspec.Raw(b"null")


class FunctionDelta(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: msgspec.Raw = NONE
    input: msgspec.Raw = NONE


class CallDelta(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None
    custom: FunctionDelta | None = None


class _Delta(msgspec.Struct, gc=False):
    content: msgspec.Raw = NONE
    refusal: msgspec.Raw = NONE
    reasoning_content: msgspec.Raw = NONE
    reasoning: msgspec.Raw = NONE
    tool_calls: list[CallDelta] | None = None
    function_call: FunctionDelta | None = None


class Logprobs(msgspec.Struct, gc=False):
    content: msgspec.Raw = NONE


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class ChatChunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: shapes.ChatUsage | None = None
    service_tier: str | None = None


_typed = msgspec.json.Decoder(ChatChunk)


def piece_of(raw: msgspec.Raw) -> bytes:
    """The inside of a JSON string, or of the strings in a list of parts; empty where there is no text."""
    json = bytes(raw)
    if json.startswith(b'"'):
        return json[1:-1]
    if json.startswith(b"["):
        found = [part.get("text") for part in msgspec.json.decode(json) if isinstance(part, dict)]
        return compact("".join(text for text in found if isinstance(text, str)))[1:-1]
    return b""


def read(data: bytes) -> ChatChunk:
    """A chunk that ``adapters.providers`` has taken for one; what is typed otherwise in it is left out."""
    try:
        return _typed.decode(data)
    except msgspec.ValidationError:
        found = msgspec.json.decode(data)
        return _typed.decode(compact(_tame(found)))


_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


def _tame(found: Any) -> dict[str, Any]:
    """Of a chunk in a dialect of its own what is typed as OpenAI's."""
    found = _mapping(found)
    kept: dict[str, Any] = {name: _text(found.get(name)) for name in ("model", "service_tier")}
    with contextlib.suppress(msgspec.ValidationError):
        kept["usage"] = msgspec.to_builtins(msgspec.convert(found.get("usage"), shapes.ChatUsage, strict=False))
    kept["choices"] = []
    for choice in _mappings(found.get("choices")):
        delta = _mapping(choice.get("delta"))
        told: dict[str, Any] = {name: delta[name] for name in _TEXTS if name in delta}
        if calls := [_tame_call(call) for call in _mappings(delta.get("tool_calls"))]:
            told["tool_calls"] = calls
        kept["choices"].append({"delta": told, "finish_reason": _text(choice.get("finish_reason"))})
    return kept


def _tame_call(call: dict[str, Any]) -> dict[str, Any]:
    index = call.get("index")
    kept: dict[str, Any] = {"index": index if type(index) is int else None, "id": _text(call.get("id"))}
    for kind in ("function", "custom"):
        if said := _mapping(call.get(kind)):
            kept[kind] = {**said, "name": _text(said.get("name"))}
    return kept


def _text(found: Any) -> str | None:
    return found if isinstance(found, str) else None


def _mapping(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _mappings(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
