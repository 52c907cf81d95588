"""OpenAI's Responses API as targets speak it: answers and events read as far as they are judged, and left as they are.

Source: OpenAI API reference, "Responses", "Streaming events".
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.adapters.providers import refusals
from roadworthy.adapters.providers.common import reported, split_events
from roadworthy.adapters.providers.sse import EventSplitter
from roadworthy.formats.chat import MOST_TOKENS
from roadworthy.gateway.ports import Answer, Chunk, Unusable
from roadworthy.gateway.verdict import says_nothing
from roadworthy.workflow.inference import Tokens


class _Cached(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _Thought(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Cached | None = None
    output_tokens_details: _Thought | None = None


class Part(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class Item(msgspec.Struct, gc=False):
    type: str = ""
    content: list[Part] | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class Response(msgspec.Struct, gc=False):
    output: list[Item] | None = None
    status: str | None = None
    model: str | None = None
    usage: Usage | None = None
    error: Any = None
    incomplete_details: _Incomplete | None = None
    id: str | None = None
    created_at: float | None = None


class Event(msgspec.Struct, gc=False):
    type: str
    sequence_number: int | None = None
    delta: msgspec.Raw = msgspec.Raw()
    """A JSON string, but for kinds of events that are only passed on."""
    output_index: int = 0
    item: Item | None = None
    response: Response | None = None
    error: Any = None
    code: str | None = None
    message: str | None = None
    param: str | None = None


CALLS = frozenset({"function_call", "custom_tool_call"})

_response = msgspec.json.Decoder(Response)
_event = msgspec.json.Decoder(Event)


def read(body: bytes, request_id: str | None) -> Answer:
    """A whole answer, with what is judged of it.

    Raises ``Unusable`` for one that failed, and what ``refusals.UNREADABLE`` names for what is none.
    """
    if not body.isascii():
        body.decode()  # what msgspec skips it does not look at, and it goes on to the caller and into the journal
    found = _response.decode(body)
    output, status = found.output, found.status
    if status == "failed" or output is None:
        if found.error is not None:
            raise failed(found.error, request_id)
        if status == "failed":
            raise Unusable("unavailable", "the provider reported an answer that failed", request_id=request_id)
        raise msgspec.ValidationError("no `output`")
    carries, refused, called = told_by(output)
    finish = "stop" if status == "completed" and not called else finish_of(found, called=called)
    return Answer(
        body,
        tokens_of(found.usage),
        found.model,
        request_id,
        (finish,),
        not (carries or refused or called),
        refused,
        format="responses",
    )


def told_by(output: list[Item]) -> tuple[bool, bool, bool]:
    """Does it say something, refuse, call a tool?"""
    carries = refused = called = False
    for item in output:
        if item.type == "message":
            for part in item.content or ():
                if part.refusal:
                    refused = True
                elif not carries and part.text and not says_nothing(part.text):
                    carries = True
        elif item.type in CALLS:
            called = True
    return carries, refused, called


def finish_of(found: Response, *, called: bool) -> str | None:
    """Chat's finish reason; ``None``: not finished (cancelled, queued, under way, broken off)."""
    if found.status == "completed":
        return "tool_calls" if called else "stop"
    details = found.incomplete_details
    reason = details.reason if found.status == "incomplete" and details is not None else None
    return "length" if reason == "max_output_tokens" else reason


def tokens_of(usage: Usage | None) -> Tokens | None:
    """Counts in our words; ``None`` where usage is missing, absurd, negative or all zero (nothing costs nothing).

    ``input_tokens`` includes what was read from and written to the cache, ``output_tokens`` what was thought.
    """
    if usage is None or usage.input_tokens is None:
        return None
    given, made = usage.input_tokens, usage.output_tokens or 0
    cached, thought = usage.input_tokens_details, usage.output_tokens_details
    read = (cached.cached_tokens if cached is not None else None) or 0
    written = (cached.cache_write_tokens if cached is not None else None) or 0
    reasoning = (thought.reasoning_tokens if thought is not None else None) or 0
    if not written and 0 <= read <= given and 0 <= reasoning <= made and 0 < given + made <= MOST_TOKENS:
        return Tokens(given - read, read, 0, made, reasoning)  # nearly every answer
    if min(given, made, read, written, reasoning) < 0 or given + made == 0 or max(given, made) > MOST_TOKENS:
        return None
    read = min(read, given)
    written = min(written, given - read)
    return Tokens(given - read - written, read, written, made, min(reasoning, made))


_CALLERS_FAULT = ("invalid_", "image_", "unsupported_image", "empty_image", "failed_to_download_image")
"""Beginnings of the codes of ``response.error`` that are about what was sent."""


def failed(error: Any, request_id: str | None) -> Unusable:
    """``response.error``, or an ``error`` event, in our words."""
    if isinstance(error, dict):
        code = error.get("code")
        if not error.get("type") and isinstance(code, str) and code.startswith(_CALLERS_FAULT):
            error = {**error, "type": "invalid_request_error"}
    return reported(error, request_id)


class ResponsesEvents:
    """Reads events and passes them on (see ``gateway.ports.EventReader``): native streams.

    ``error`` and ``response.failed`` end the reading with ``failed``.  An event that came twice, number and all, is
    left out.
    """

    def __init__(self) -> None:
        self.done = False
        self.failed: Unusable | None = None
        self.request_id: str | None = None
        self._splitter = EventSplitter()
        self._last = b""
        self._said = False
        self._called = False

    def feed(self, data: bytes) -> list[Chunk]:
        chunks: list[Chunk] = []
        if self.done or self.failed is not None:
            return chunks
        for event in split_events(self._splitter, data):
            if event == b"[DONE]":
                self.done = True
                break
            chunks += self._read(event)
            if self.done or self.failed is not None:
                break
        return chunks

    def _read(self, data: bytes) -> list[Chunk]:
        try:
            if not data.isascii():
                data.decode()
            event = _event.decode(data)
        except refusals.UNREADABLE as error:
            what = "of another shape" if isinstance(error, msgspec.ValidationError) else "that is not JSON"
            self.failed = Unusable("invalid", f"the provider sent a stream event {what}")
            return []
        if data == self._last and event.sequence_number:
            return []
        self._last = data
        if b"\n" in data:
            data = msgspec.json.format(data, indent=-1)
        return self._chunks(data, event)

    def _chunks(self, data: bytes, event: Event) -> list[Chunk]:
        kind = event.type
        if kind == "response.output_text.delta":
            if len(bytes(event.delta)) > 2:
                self._said = True
                return [Chunk(data, True, plain=True)]
            return [Chunk(data)]
        if kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            return [Chunk(data, True)]
        if kind == "response.refusal.delta":
            self._said = True
            return [Chunk(data, True, refused=True)]
        if kind == "response.output_item.added" and event.item is not None and event.item.type in CALLS:
            self._said = self._called = True
            return [Chunk(data, True)]
        if kind.startswith("response.reasoning") and kind.endswith(".delta"):
            return [Chunk(data, reasons=True)]
        if kind == "error":
            error = event.error or {"code": event.code, "message": event.message, "param": event.param}
            self.failed = failed(error, self.request_id)
        elif kind == "response.failed":
            error = event.response.error if event.response is not None else None
            self.failed = failed(error or {}, self.request_id)
        elif event.response is not None:
            return [self._told(data, kind, event.response)]
        elif kind != "keepalive":
            return [Chunk(data)]
        return []

    def _told(self, data: bytes, kind: str, found: Response) -> Chunk:
        if kind not in ("response.completed", "response.incomplete"):
            return Chunk(data, model=found.model)
        self.done = True
        carries, refused, called = told_by(found.output or [])
        finish = finish_of(found, called=called or self._called)
        return Chunk(
            data,
            text=not self._said and (carries or called),
            refused=refused,
            finishes=((0, finish),) if finish else (),
            tokens=tokens_of(found.usage),
            model=found.model,
            ends=True,
        )
