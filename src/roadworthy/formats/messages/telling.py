"""A stream of chat completions told as the events of a Messages stream.

Source: Anthropic API reference, "Streaming messages".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadworthy.formats import fitting
from roadworthy.formats.messages import answer, endings, errors
from roadworthy.formats.messages.usage import ChatUsage, own_usage
from roadworthy.formats.model import Broken, compact, spliced

_EMPTY = msgspec.Raw(b'""')
_NULL = msgspec.Raw(b"null")
_QUOTE = ord('"')
_TEXT = b'{"type":"text","text":""}'
STOP = b'{"type":"message_stop"}'


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: msgspec.Raw = _EMPTY


class _Call(msgspec.Struct, gc=False):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: msgspec.Raw = _EMPTY
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    thinking_blocks: list[msgspec.Raw] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None
    stop_reason: Any = None


class _Chunk(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: ChatUsage | None = None


_chunk = msgspec.json.Decoder(_Chunk)
_any = msgspec.json.Decoder()


def _joined(parts: Any) -> str:
    """Text of a list of parts; of anything else there is none."""
    found = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return "".join([text for text in found if isinstance(text, str)])


def framed(kind: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind, data)


def with_object(data: bytes, extension: bytes | None) -> bytes:
    """The data of an event with our object in it.

    Both events that end a message hold it: the helpers of Anthropic's clients make a ``message_stop`` of their own, in
    which it is missing, and hand ``message_delta`` on as it came.
    """
    return data if extension is None else spliced(data, extension)


def error_event(why: Broken, request: str, extension: bytes | None) -> bytes:
    """The official clients raise for an event of this name, whatever came before."""
    body = errors.body(why.status, why.code, why.message, why.param, request, extension)
    return framed(b"error", body)


class Translating:
    """A ``formats.model.Teller`` of chunks of chat completions."""

    def __init__(self, asked: Mapping[str, msgspec.Raw], *, ident: str, model: str, created: int) -> None:
        self._schema = answer.wants_schema(asked)
        self._ident = ident
        self._model = model
        self._begun = False
        self._index = -1
        """Of the newest block."""
        self._open = ""
        """What the newest block is while it is open: ``text``, ``tool`` or nothing."""
        self._delta = b""
        """Begin of a text delta's event for the open block."""
        self._tools: dict[int, int] = {}
        """Index of a tool call → index of its block."""
        self._reason: str | None = None
        self._stopped: str | None = None
        self._refusal = ""
        self._usage: ChatUsage | None = None

    def chunk(self, data: bytes) -> bytes:
        found = fitting.read(_chunk, data)
        choice = found.choices[0] if found.choices else None
        delta = None if choice is None else choice.delta
        if delta is not None and self._open == "text" and found.usage is None and _is_text_alone(choice, delta):
            return b"%b%b}}\n\n" % (self._delta, delta.content)
        told = [] if self._begun else [self._begin(found)]
        if found.usage is not None:
            self._usage = found.usage
        if delta is not None:
            self._say(delta, told)
        if choice is not None and choice.finish_reason is not None:
            self._reason = choice.finish_reason
            self._stopped = choice.stop_reason if isinstance(choice.stop_reason, str) else None
        return b"".join(told)

    def end(self, held: list[bytes], extension: bytes | None) -> bytes:
        told = [self.chunk(data) for data in held]
        if not self._begun:
            told.append(self._begin(_Chunk()))
        self._close(told)
        told.append(framed(b"message_delta", with_object(compact(self._ending()), extension)))
        told.append(framed(b"message_stop", with_object(STOP, extension)))
        return b"".join(told)

    def broken(self, why: Broken, extension: bytes | None) -> bytes:
        return error_event(why, self._ident, extension)

    def _begin(self, found: _Chunk) -> bytes:
        self._begun = True
        message: dict[str, Any] = {
            "id": answer.ident_of(found.id, self._ident),
            "type": "message",
            "role": "assistant",
            "model": found.model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": own_usage(found.usage),
        }
        return framed(b"message_start", compact({"type": "message_start", "message": message}))

    def _say(self, delta: _Delta, told: list[bytes]) -> None:
        for block in delta.thinking_blocks or ():
            self._close(told)
            self._index += 1
            told += block_events(self._index, _any.decode(block))
        if delta.content != _EMPTY and delta.content != _NULL:
            self._text(delta.content, told)
        if delta.refusal:
            self._refusal += delta.refusal
            if not self._schema:
                self._text(msgspec.Raw(compact(delta.refusal)), told)
        for call in delta.tool_calls or ():
            self._call(call, told)

    def _text(self, text: msgspec.Raw, told: list[bytes]) -> None:
        """``text``: JSON of a text, or of a list of parts, as some write it."""
        if bytes(text)[0] != _QUOTE:
            if not (joined := _joined(_any.decode(text))):
                return
            text = msgspec.Raw(compact(joined))
        if self._open != "text":
            self._start("text", _TEXT, told)
            self._delta = (
                b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
                b'"delta":{"type":"text_delta","text":' % self._index
            )
        told.append(b"%b%b}}\n\n" % (self._delta, text))

    def _call(self, call: _Call, told: list[bytes]) -> None:
        function = call.function or _Function()
        if call.index not in self._tools:
            block = {"type": "tool_use", "id": call.id or "", "name": function.name or "", "input": {}}
            self._start("tool", compact(block), told)
            self._tools[call.index] = self._index
        if function.arguments not in (_EMPTY, _NULL):
            piece = function.arguments
            if bytes(piece)[:1] != b'"':  # some write an object where its JSON belongs
                piece = msgspec.Raw(compact(bytes(piece).decode()))
            told.append(
                b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
                b'"delta":{"type":"input_json_delta","partial_json":%b}}\n\n' % (self._tools[call.index], piece)
            )

    def _start(self, kind: str, block: bytes, told: list[bytes]) -> None:
        self._close(told)
        self._index += 1
        self._open = kind
        told.append(started(self._index, block))

    def _close(self, told: list[bytes]) -> None:
        if self._open:
            told.append(stopped(self._index))
            self._open = ""

    def _ending(self) -> dict[str, Any]:
        reason = "refusal" if self._refusal else endings.stop_reason_of(self._reason, calls=bool(self._tools))
        if reason == "end_turn" and self._stopped is not None:
            reason = "stop_sequence"
        delta: dict[str, Any] = {
            "stop_reason": reason,
            "stop_sequence": self._stopped if reason == "stop_sequence" else None,
        }
        if self._refusal:
            delta["stop_details"] = endings.refusal_details(self._refusal)
        return {"type": "message_delta", "delta": delta, "usage": own_usage(self._usage)}


def _is_text_alone(choice: _Choice | None, delta: _Delta) -> bool:
    content = delta.content
    return (
        choice is not None
        and choice.finish_reason is None
        and delta.tool_calls is None
        and not delta.refusal
        and delta.thinking_blocks is None
        and content != _EMPTY
        and content != _NULL
        and bytes(content)[0] == _QUOTE
    )


def started(index: int, block: bytes) -> bytes:
    data = b'{"type":"content_block_start","index":%d,"content_block":%b}' % (index, block)
    return framed(b"content_block_start", data)


def stopped(index: int) -> bytes:
    return framed(b"content_block_stop", b'{"type":"content_block_stop","index":%d}' % index)


def block_data(index: int, block: dict[str, Any]) -> list[bytes]:
    """A whole block as the data of its events."""
    empty, deltas = _taken_apart(block)
    told: list[dict[str, Any]] = [{"type": "content_block_start", "index": index, "content_block": empty}]
    told += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    told.append({"type": "content_block_stop", "index": index})
    return [compact(event) for event in told]


def block_events(index: int, block: dict[str, Any]) -> list[bytes]:
    start, *deltas, stop = block_data(index, block)
    told = [framed(b"content_block_start", start)]
    told += [framed(b"content_block_delta", delta) for delta in deltas]
    return [*told, framed(b"content_block_stop", stop)]


def _taken_apart(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and what it grows by; what comes in one piece (results of server tools) only begins."""
    kind = block.get("type")
    if kind == "text":
        citations = block.get("citations")
        told = citations if isinstance(citations, list) else ()
        cited = [{"type": "citations_delta", "citation": citation} for citation in told]
        empty = {**block, "text": ""}
        if cited:
            empty["citations"] = []
        return empty, [*cited, *_pieces("text_delta", "text", block.get("text"))]
    if kind == "thinking":
        deltas = _pieces("thinking_delta", "thinking", block.get("thinking"))
        deltas += _pieces("signature_delta", "signature", block.get("signature"))
        return {**block, "thinking": "", "signature": ""}, deltas
    if kind in ("tool_use", "server_tool_use"):
        written = compact(block.get("input", {})).decode()
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": written}]
    return block, []


def _pieces(kind: str, name: str, value: Any) -> list[dict[str, Any]]:
    return [{"type": kind, name: value}] if value else []
