"""Streams: own events passed on, gathered into an answer, and an answer recited as events.

Source: OpenAI API reference, "Streaming events" of the Responses API.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from roadworthy.formats.model import Broken, compact
from roadworthy.formats.responses.telling import Translating, error_event, framed, last_event

__all__ = ["ENDS", "Passing", "Translating", "assemble", "recited"]

ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""Events that end a stream, with the whole answer as their ``response``."""

_TYPED = b'{"type":"'


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    sequence_number: Any = 0
    response: msgspec.Raw = msgspec.Raw()

    @property
    def number(self) -> int:
        """Its place in the stream; 0 where its provider counts otherwise."""
        return self.sequence_number if type(self.sequence_number) is int else 0


_event = msgspec.json.Decoder(_Event)
_decode = msgspec.json.Decoder().decode


def type_of(data: bytes) -> str:
    """Raises ``msgspec.DecodeError`` for what is no event."""
    if data.startswith(_TYPED):
        return data[9 : data.index(b'"', 9)].decode()
    return _event.decode(data).type


class Passing:
    """A ``formats.model.Teller`` of events that came as they go."""

    def __init__(self, ident: str = "") -> None:
        """``ident``: the inference, for a stream that breaks before it told its own id."""
        self._ident = ident
        self._response = b""
        """As the first event told it."""
        self._last = b""

    def chunk(self, data: bytes) -> bytes:
        if not self._response:
            self._response = bytes(_event.decode(data).response)
        self._last = data
        return framed(type_of(data), data)

    def end(self, held: list[bytes], extension: bytes | None) -> bytes:
        if not held:
            return b""
        last = _event.decode(held[-1])
        data, response = held[-1], bytes(last.response)
        if response.startswith(b"{") and extension is not None:
            data = last_event(last.type, last.number, response, extension)
        return b"".join([self.chunk(before) for before in held[:-1]]) + framed(last.type, data)

    def broken(self, why: Broken, extension: bytes | None) -> bytes:
        """As ``Translating.broken``."""
        sequence = _event.decode(self._last).number + 1 if self._last else 0
        whole: dict[str, Any] = (
            _decode(self._response)
            if self._response.startswith(b"{")
            else {"id": f"resp_{self._ident}", "object": "response"}
        )
        whole = {**whole, "status": "failed", "error": {"code": why.code, "message": why.message}}
        failed = last_event("response.failed", sequence, compact(whole), extension)
        return framed("response.failed", failed) + error_event(sequence + 1, why, extension)


def assemble(events: Iterable[bytes]) -> bytes:
    """Data of a stream's events → its answer: the one that its end told, or else what came of it (``incomplete``)."""
    whole: dict[str, Any] = {"object": "response", "output": []}
    items: dict[int, dict[str, Any]] = {}
    ended = False
    for data in events:
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if not isinstance(event, dict):
            continue
        if isinstance(event.get("response"), dict):
            whole = event["response"]
            ended = event.get("type") in ENDS
        else:
            _gather(event, items)
    if not ended:
        whole["status"] = "incomplete"
    if items and not whole.get("output"):
        whole["output"] = [items[place] for place in sorted(items)]
    return compact(whole)


_GROWS = {
    "response.output_text.delta": ("content", "text"),
    "response.refusal.delta": ("content", "refusal"),
    "response.reasoning_text.delta": ("content", "text"),
    "response.reasoning_summary_text.delta": ("summary", "text"),
    "response.function_call_arguments.delta": (None, "arguments"),
    "response.custom_tool_call_input.delta": (None, "input"),
}
"""Which list of an item, and which text of it or of its part, a delta adds to."""
_KINDS = {"text": "output_text", "refusal": "refusal"}


def _gather(event: dict[str, Any], items: dict[int, dict[str, Any]]) -> None:
    kind, place = event.get("type"), event.get("output_index")
    if not isinstance(place, int) or not isinstance(kind, str):
        return
    if kind in ("response.output_item.added", "response.output_item.done") and isinstance(event.get("item"), dict):
        items[place] = event["item"]
        return
    item, grows, delta = items.get(place), _GROWS.get(kind), event.get("delta")
    if item is None or grows is None or not isinstance(delta, str):
        return
    within, name = grows
    into = item
    if within is not None:
        at = event.get("content_index" if within == "content" else "summary_index", 0)
        parts = item.get(within)
        if not isinstance(parts, list):
            parts = item[within] = []
        if not isinstance(at, int) or not 0 <= at <= len(parts):
            return
        if at == len(parts):
            part = {"reasoning_text": "reasoning_text", "reasoning_summary_text": "summary_text"}
            parts.append({"type": part.get(kind.split(".")[1], _KINDS.get(name, ""))})
        into = parts[at]
        if not isinstance(into, dict):
            return
    into[name] = f"{into.get(name) or ''}{delta}"


def recited(body: bytes, asked: Mapping[str, msgspec.Raw]) -> list[bytes]:
    """A whole ``response`` as the data of its events, each text in one delta.  Raises ``msgspec.DecodeError``."""
    whole = msgspec.json.decode(body, type=dict[str, Any])
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    told: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
    ]
    for place, item in enumerate(whole.get("output") or ()):
        told += _recited_item(item, place)
    status = whole.get("status")
    last = f"response.{status}" if status in ("incomplete", "failed") else "response.completed"
    told.append((last, {"response": whole}))
    return [compact({"type": kind, "sequence_number": number, **fields}) for number, (kind, fields) in enumerate(told)]


def _recited_item(item: dict[str, Any], place: int) -> Iterator[tuple[str, dict[str, Any]]]:
    kind = item.get("type")
    at = {"item_id": item.get("id"), "output_index": place}
    begun = {**item, **({"status": "in_progress"} if "status" in item else {})}
    for name in ("content", "summary"):
        if name in item:
            begun[name] = []
    for name in ("arguments", "input"):
        if isinstance(item.get(name), str):
            begun[name] = ""
    yield "response.output_item.added", {"output_index": place, "item": begun}
    if kind == "message":
        for index, part in enumerate(_parts(item, "content")):
            yield from _recited_part(part, {**at, "content_index": index})
    elif kind == "reasoning":
        yield from _recited_thoughts(item, at)
    elif kind == "function_call":
        yield "response.function_call_arguments.delta", {**at, "delta": item.get("arguments")}
        done = {"name": item.get("name"), "arguments": item.get("arguments")}
        yield "response.function_call_arguments.done", {**at, **done}
    elif kind == "custom_tool_call":
        yield "response.custom_tool_call_input.delta", {**at, "delta": item.get("input")}
        yield "response.custom_tool_call_input.done", {**at, "input": item.get("input")}
    yield "response.output_item.done", {"output_index": place, "item": item}


def _recited_part(part: dict[str, Any], at: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if part.get("type") == "refusal":
        yield "response.content_part.added", {**at, "part": {**part, "refusal": ""}}
        yield "response.refusal.delta", {**at, "delta": part.get("refusal")}
        yield "response.refusal.done", {**at, "refusal": part.get("refusal")}
    else:
        logprobs = part.get("logprobs") or []
        yield "response.content_part.added", {**at, "part": {**part, "text": "", "annotations": [], "logprobs": []}}
        yield "response.output_text.delta", {**at, "delta": part.get("text"), "logprobs": logprobs}
        annotations = part.get("annotations")
        for index, annotation in enumerate(annotations if isinstance(annotations, list) else ()):
            noted = {"annotation_index": index, "annotation": annotation}
            yield "response.output_text.annotation.added", {**at, **noted}
        yield "response.output_text.done", {**at, "text": part.get("text"), "logprobs": logprobs}
    yield "response.content_part.done", {**at, "part": part}


def _parts(item: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = item.get(name)
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


def _recited_thoughts(item: dict[str, Any], at: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A summary where there is one: its reader is not told the same twice."""
    summary = _parts(item, "summary")
    for index, part in enumerate(summary):
        of = {**at, "summary_index": index}
        yield "response.reasoning_summary_part.added", {**of, "part": {**part, "text": ""}}
        yield "response.reasoning_summary_text.delta", {**of, "delta": part.get("text")}
        yield "response.reasoning_summary_text.done", {**of, "text": part.get("text")}
        yield "response.reasoning_summary_part.done", {**of, "part": part}
    for index, part in enumerate(() if summary else _parts(item, "content")):
        yield "response.reasoning_text.delta", {**at, "content_index": index, "delta": part.get("text")}
        yield "response.reasoning_text.done", {**at, "content_index": index, "text": part.get("text")}
