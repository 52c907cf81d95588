"""Anthropic's Messages API, natively: answers and events in OpenAI's shape (requests: ``anthropic_request``).

Source: Anthropic API reference, "Messages", "Streaming messages", "Errors" (api version 2023-06-01).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from roadworthy.adapters.providers import refusals
from roadworthy.adapters.providers.anthropic_request import ANSWER_TOOL, translate
from roadworthy.adapters.providers.common import BaseWire, invalid, reported, split_events
from roadworthy.adapters.providers.openai_shape import MOST_TOKENS
from roadworthy.adapters.providers.sse import EventSplitter
from roadworthy.gateway.admission.body import with_messages
from roadworthy.gateway.ports import (
    ANY_MODEL,
    Answer,
    Chunk,
    EventReader,
    Fields,
    Headers,
    Operation,
    Outgoing,
    Unusable,
)
from roadworthy.gateway.verdict import says_nothing
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Target

API_VERSION = "2023-06-01"
_REFUSED = "The model declined to answer."
_FINISHES: dict[str, str | None] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": None,  # the turn is not finished
}
_encode = msgspec.json.Encoder().encode


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: dict[str, Any] | None = None
    output_tokens_details: dict[str, Any] | None = None


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    id: str = ""
    name: str = ""
    input: Any = None
    thinking: str = ""


class _Message(msgspec.Struct, gc=False):
    id: str = ""
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None
    error: Any = None


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    message: _Message | None = None
    index: int = 0
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None
    error: Any = None


_message = msgspec.json.Decoder(_Message)
_event = msgspec.json.Decoder(_Event)


class AnthropicWire(BaseWire):
    """One target's wire (see ``gateway.ports.Wire``)."""

    _auth = (b"x-api-key", "")

    def __init__(
        self, target: Target, base: bytes, secret: str | None, *, now: Callable[[], float] = time.time
    ) -> None:
        headers = {"anthropic-version": API_VERSION, **{name.lower(): value for name, value in target.headers.items()}}
        super().__init__(msgspec.structs.replace(target, headers=headers), base, secret, now=now)
        self._path = self._base + b"/messages"

    def encode(self, operation: Operation, fields: Fields, *, stream: bool, forwarded: Headers = ()) -> Outgoing:
        if operation != "chat":
            message = f"Anthropic has no {operation}; use another target"
            raise Unusable("bad_request", message, status=400, message=message, param="model")
        model = self._target.model
        if model == ANY_MODEL:
            model = msgspec.json.decode(fields["model"])
        enforce = self._target.capabilities.response_schema
        try:
            body = translate(fields, model=model, stream=stream, enforce_schema=enforce)
        except RecursionError:
            message = "the request is nested too deeply to be translated for Anthropic"
            raise Unusable("bad_request", message, status=400, message=message) from None
        return Outgoing(self._path, self._fixed_headers(), _encode(body))

    def answer(self, operation: Operation, headers: Headers, body: bytes) -> Answer:
        request_id = self.request_id(headers)
        try:
            found = _message.decode(body)
            if found.error is not None:
                raise reported(found.error, request_id)
            if found.content is None:
                raise msgspec.ValidationError("no `content`")
        except refusals.UNREADABLE as error:
            raise invalid(body, error, request_id) from error
        return _answer(found, found.content, request_id, int(self._now()))

    def prefilled(self, fields: Fields, said: str) -> Fields:
        return {**fields, "messages": with_messages(fields, {"role": "assistant", "content": said})}

    def events(self, operation: Operation = "chat") -> EventReader:
        return AnthropicEvents(int(self._now()))


def tokens_of(usage: _Usage | None) -> Tokens | None:
    """Anthropic's ``input_tokens`` leaves out what was read from and written to the cache; output includes thinking."""
    if usage is None or usage.input_tokens is None:
        return None
    counts = (usage.input_tokens, usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0)
    output = usage.output_tokens or 0
    thought = (usage.output_tokens_details or {}).get("thinking_tokens")
    reasoning = thought if isinstance(thought, int) else 0
    hour = (usage.cache_creation or {}).get("ephemeral_1h_input_tokens")
    hour = hour if isinstance(hour, int) and hour > 0 else 0
    if min(*counts, output, reasoning) < 0 or not 0 < sum(counts) + output <= MOST_TOKENS:
        return None
    return Tokens(counts[0], counts[1], counts[2], output, min(reasoning, output), min(hour, counts[2]))


def _openai_usage(tokens: Tokens) -> dict[str, Any]:
    prompt = tokens.input + tokens.cache_read + tokens.cache_write
    return {
        "prompt_tokens": prompt,
        "completion_tokens": tokens.output,
        "total_tokens": prompt + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cache_read, "cache_write_tokens": tokens.cache_write},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def _answer(found: _Message, blocks: list[_Block], request_id: str | None, created: int) -> Answer:
    text = "".join(block.text for block in blocks if block.type == "text")
    thoughts = "".join(block.thinking for block in blocks if block.type == "thinking")
    calls: list[dict[str, Any]] = []
    finish = _finish(found.stop_reason)
    for block in blocks:
        if block.type != "tool_use":
            continue
        arguments = _encode(block.input if block.input is not None else {}).decode()
        if block.name == ANSWER_TOOL:
            text, finish = text + arguments, _plain(finish)
        else:
            function = {"name": block.name, "arguments": arguments}
            calls.append({"id": block.id, "type": "function", "function": function})
    refused = found.stop_reason == "refusal"
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if refused:
        message.update(content=None, refusal=text or _REFUSED)
    if calls:
        message["tool_calls"] = calls
    if thoughts:
        message["reasoning_content"] = thoughts
    tokens = tokens_of(found.usage)
    body = {
        "id": found.id,
        "object": "chat.completion",
        "created": created,
        "model": found.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }
    if tokens is not None:
        body["usage"] = _openai_usage(tokens)
    return Answer(
        body=_encode(body),
        tokens=tokens,
        model=found.model,
        request_id=request_id,
        finishes=(finish,),
        empty=says_nothing(text) and not (calls or refused),
        refused=refused,
    )


def _finish(stop_reason: str | None) -> str | None:
    """OpenAI's word; a reason that Anthropic adds later is passed on as it is."""
    return None if stop_reason is None else _FINISHES.get(stop_reason, stop_reason)


def _plain(finish: str | None) -> str | None:
    """The answer came as the input of our own tool: to the caller it is text."""
    return "stop" if finish == "tool_calls" else finish


class AnthropicEvents:
    """Reads Messages events into ``chat.completion.chunk`` (see ``gateway.ports.EventReader``)."""

    def __init__(self, created: int) -> None:
        self.done = False
        self.failed: Unusable | None = None
        self.request_id: str | None = None
        self._splitter = EventSplitter()
        self._id = ""
        self._model: str | None = None
        self._created = created
        self._usage = _Usage()
        self._calls: dict[int, int] = {}
        """Index of a tool_use block → index of its tool call."""
        self._silent: set[int] = set()
        """tool_use blocks whose input has not come yet."""
        self._answer_block: int | None = None
        """Block of our own tool, whose input is the content."""

    def feed(self, data: bytes) -> list[Chunk]:
        if self.done or self.failed is not None:
            return []
        events = split_events(self._splitter, data)
        chunks: list[Chunk] = []
        for data_of_event in events:
            try:
                event = _event.decode(data_of_event)
            except refusals.UNREADABLE as error:
                what = "of another shape" if isinstance(error, msgspec.ValidationError) else "that is not JSON"
                self.failed = Unusable("invalid", f"the provider sent a stream event {what}")
                break
            if event.type == "error":
                self.failed = reported(event.error, self.request_id)
                break
            if (chunk := self._chunk(event)) is not None:
                chunks.append(chunk)
            if self.done:
                break
        return chunks

    def _chunk(self, event: _Event) -> Chunk | None:
        """``None``: nothing of this event concerns the caller (``ping``, kinds that we do not know)."""
        delta = event.delta
        if event.type == "content_block_delta" and delta is not None:
            return self._content(event.index, delta)
        if event.type == "content_block_start" and event.content_block is not None:
            return self._block(event.index, event.content_block)
        if event.type == "content_block_stop" and event.index in self._silent:
            return self._arguments(event.index, "{}")
        if event.type == "message_start" and event.message is not None:
            self._id, self._model = event.message.id, event.message.model
            self._count(event.message.usage)
            return self._made({"role": "assistant", "content": ""}, model=self._model)
        if event.type == "message_delta" and delta is not None:
            self._count(event.usage)
            return self._end(delta.stop_reason)
        if event.type == "message_stop":
            self.done = True
            tokens = tokens_of(self._usage)
            if tokens is not None:
                body = {**self._head(), "choices": [], "usage": _openai_usage(tokens)}
                return Chunk(_encode(body), tokens=tokens, usage=True, usage_only=True)
        return None

    def _content(self, index: int, delta: _Delta) -> Chunk | None:
        if delta.type == "text_delta" and delta.text:
            return self._made({"content": delta.text}, text=True)
        if delta.type == "input_json_delta" and delta.partial_json:
            return self._arguments(index, delta.partial_json)
        if delta.type == "thinking_delta" and delta.thinking:
            return self._made({"reasoning_content": delta.thinking}, reasons=True)
        return None

    def _block(self, index: int, block: _Block) -> Chunk | None:
        if block.type == "text" and block.text:
            return self._made({"content": block.text}, text=True)
        if block.type != "tool_use":
            return None
        self._silent.add(index)
        if block.name == ANSWER_TOOL:
            self._answer_block = index
            return None
        self._calls[index] = number = len(self._calls)
        function = {"name": block.name, "arguments": ""}
        call = {"index": number, "id": block.id, "type": "function", "function": function}
        return self._made({"tool_calls": [call]}, text=True)

    def _arguments(self, index: int, json: str) -> Chunk | None:
        self._silent.discard(index)
        if index == self._answer_block:
            return self._made({"content": json}, text=True)
        if index not in self._calls:
            return None
        return self._made({"tool_calls": [{"index": self._calls[index], "function": {"arguments": json}}]}, text=True)

    def _end(self, stop_reason: str | None) -> Chunk | None:
        finish = _finish(stop_reason)
        if finish is None:
            return None
        if self._answer_block is not None:
            finish = _plain(finish)
        refused = stop_reason == "refusal"
        return self._made({"refusal": _REFUSED} if refused else {}, text=refused, refused=refused, finish=finish)

    def _count(self, usage: _Usage | None) -> None:
        """Counts are cumulative: what a later event reports replaces what an earlier one did."""
        if usage is not None:
            told = {name: value for name in _Usage.__struct_fields__ if (value := getattr(usage, name)) is not None}
            self._usage = msgspec.structs.replace(self._usage, **told)

    def _head(self) -> dict[str, Any]:
        return {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": self._model}

    def _made(
        self,
        delta: dict[str, Any],
        *,
        text: bool = False,
        refused: bool = False,
        finish: str | None = None,
        model: str | None = None,
        reasons: bool = False,
    ) -> Chunk:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return Chunk(
            _encode({**self._head(), "choices": [choice]}),
            text=text,
            refused=refused,
            finishes=((0, finish),) if finish else (),
            tokens=tokens_of(self._usage) if finish else None,
            model=model,
            reasons=reasons,
        )
