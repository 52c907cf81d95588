"""Chunks of a chat stream, read as far as they are told on; their texts stay JSON."""

from __future__ import annotations

import msgspec

from roadworthy.formats import fitting
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


def arguments_of(raw: msgspec.Raw) -> bytes:
    """``piece_of`` a call's arguments; some dialects write the object itself where its text belongs."""
    json = bytes(raw)
    return compact(json.decode())[1:-1] if json.startswith(b"{") else piece_of(raw)


def read(data: bytes) -> ChatChunk:
    """A chunk that ``adapters.providers`` has taken for one; what is typed otherwise in it is left out."""
    return fitting.read(_typed, data)
