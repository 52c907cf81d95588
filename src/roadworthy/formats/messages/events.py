"""Streams: own events passed on, gathered into an answer, and an answer recited as events.

Source: Anthropic API reference, "Streaming messages".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from roadworthy.formats.messages.answer import tool_input
from roadworthy.formats.messages.telling import STOP, Translating, block_data, error_event, framed, with_object
from roadworthy.formats.model import Broken, compact

__all__ = ["Passing", "Translating", "assemble", "recited"]

_TYPED = b'{"type":"'
_ENDING = ("stop_reason", "stop_sequence", "stop_details", "container")
"""What the end of a message tells."""


class _Typed(msgspec.Struct, gc=False):
    type: str = ""


_typed = msgspec.json.Decoder(_Typed)
_decode = msgspec.json.Decoder().decode


def type_of(data: bytes) -> bytes:
    """Raises ``msgspec.DecodeError`` for what is no event."""
    if data.startswith(_TYPED):
        return data[9 : data.index(b'"', 9)]
    return _typed.decode(data).type.encode()


class Passing:
    """A ``formats.model.Teller`` of events that came as they go."""

    def __init__(self, ident: str = "") -> None:
        """``ident``: the inference, for the event of an error."""
        self._ident = ident

    def chunk(self, data: bytes) -> bytes:
        return framed(type_of(data), data)

    def end(self, held: list[bytes], extension: bytes | None) -> bytes:
        """A message that its provider ended without ``message_stop`` gets one: clients wait for it."""
        told = []
        for data in held:
            kind = type_of(data)
            if kind != b"message_stop":
                told.append(framed(kind, with_object(data, extension) if kind == b"message_delta" else data))
        stop = held[-1] if held and type_of(held[-1]) == b"message_stop" else STOP
        told.append(framed(b"message_stop", with_object(stop, extension)))
        return b"".join(told)

    def broken(self, why: Broken, extension: bytes | None) -> bytes:
        return error_event(why, self._ident, extension)


def assemble(events: Iterable[bytes]) -> bytes:
    """Data of a stream's events → the message that they amount to, as far as they came."""
    message: dict[str, Any] = {"type": "message", "role": "assistant", "content": [], "stop_reason": None}
    blocks: dict[int, dict[str, Any]] = {}
    grown: dict[tuple[int, str], list[Any]] = {}
    for data in events:
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        kind = event.get("type") if isinstance(event, dict) else None
        if kind == "message_start" and isinstance(event.get("message"), dict):
            message.update(event["message"])
        elif kind == "content_block_start" and isinstance(event.get("content_block"), dict):
            blocks[event.get("index", len(blocks))] = event["content_block"]
        elif kind == "content_block_delta" and isinstance(event.get("delta"), dict):
            _grow(event.get("index", 0), event["delta"], blocks, grown)
        elif kind == "message_delta":
            _end(message, event)
    for (index, name), pieces in grown.items():
        block, begun = blocks[index], blocks[index].get(name)
        if name == "input":
            block[name] = tool_input("".join(pieces))
        elif name == "citations":
            block[name] = [*(begun if isinstance(begun, list) else ()), *pieces]
        else:
            block[name] = "".join([begun if isinstance(begun, str) else "", *pieces])
    message["content"] = [blocks[index] for index in sorted(blocks)]
    return compact(message)


_GROWS = {
    "input_json_delta": ("partial_json", "input", "tool_use"),
    "citations_delta": ("citation", "citations", "text"),
    "text_delta": ("text", "text", "text"),
    "thinking_delta": ("thinking", "thinking", "thinking"),
    "signature_delta": ("signature", "signature", "thinking"),
}
"""Type of a delta → where it tells its piece, the member of a block that grows by it, the type of such a block."""


def _grow(
    index: int, delta: dict[str, Any], blocks: dict[int, dict[str, Any]], grown: dict[tuple[int, str], list[Any]]
) -> None:
    """Keep one piece; they are joined once, for an answer may have many."""
    told, name, kind = _GROWS.get(str(delta.get("type")), ("", "", ""))
    piece = delta.get(told)
    if not name or not (name == "citations" or isinstance(piece, str)):
        return
    blocks.setdefault(index, {"type": kind, "id": "", "name": ""} if kind == "tool_use" else {"type": kind})
    grown.setdefault((index, name), []).append(piece)


def _end(message: dict[str, Any], event: dict[str, Any]) -> None:
    """Counts are cumulative: what a later event reports replaces what an earlier one did."""
    usage, delta = event.get("usage"), event.get("delta")
    if isinstance(usage, dict):
        told = {name: count for name, count in usage.items() if count is not None}
        message["usage"] = {**(message.get("usage") or {}), **told}
    if isinstance(delta, dict):
        message.update(delta)
    if isinstance(event.get("context_management"), dict):
        message["context_management"] = event["context_management"]


def recited(body: bytes, asked: Mapping[str, msgspec.Raw]) -> list[bytes]:
    """A whole message as the data of the events that stream it.  ``asked`` changes nothing here."""
    message: dict[str, Any] = _decode(body)
    content, usage = message.get("content") or [], message.get("usage") or {}
    started = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    started["usage"] = {**usage, "output_tokens": 0}
    for name in ("stop_details", "context_management"):
        started.pop(name, None)
    told = [compact({"type": "message_start", "message": started})]
    for index, block in enumerate(content):
        told += block_data(index, block)
    ending = {"type": "message_delta", "delta": {name: message[name] for name in _ENDING if name in message}}
    ending["usage"] = {"output_tokens": 0, **usage}
    if "context_management" in message:
        ending["context_management"] = message["context_management"]
    return [*told, compact(ending), STOP]
