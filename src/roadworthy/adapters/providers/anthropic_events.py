"""Events of a Messages stream as chunks of chat completions.

Source: Anthropic API reference, "Streaming messages".
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.adapters.providers import refusals
from roadworthy.adapters.providers.common import reported, split_events
from roadworthy.adapters.providers.sse import EventSplitter
from roadworthy.formats.messages import endings
from roadworthy.formats.messages.answer import THOUGHTS, Block, Message
from roadworthy.formats.messages.usage import Usage, chat_usage
from roadworthy.formats.messages.usage import counts as counts_of
from roadworthy.formats.messages.words import ANSWER_TOOL
from roadworthy.formats.model import compact
from roadworthy.gateway.ports import Chunk, Unusable
from roadworthy.workflow.inference import Tokens


class Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: endings.StopDetails | None = None


class Event(msgspec.Struct, gc=False):
    type: str
    message: Message | None = None
    index: int = 0
    content_block: Block | None = None
    delta: Delta | None = None
    usage: Usage | None = None
    error: Any = None


_event = msgspec.json.Decoder(Event)


def tokens_of(usage: Usage | None) -> Tokens | None:
    counts = counts_of(usage)
    return None if counts is None else Tokens(*counts)


class Reading:
    """What every reading of a Messages stream shares: its events in order, and what is no event of it."""

    def __init__(self) -> None:
        self.done = False
        self.failed: Unusable | None = None
        self.request_id: str | None = None
        self._splitter = EventSplitter()
        self._usage = Usage()

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
            if (chunk := self._chunk(event, data_of_event)) is not None:
                chunks.append(chunk)
            if self.done:
                break
        return chunks

    def _chunk(self, event: Event, data: bytes) -> Chunk | None:
        raise NotImplementedError

    def _count(self, usage: Usage | None) -> None:
        """Counts are cumulative: what a later event reports replaces what an earlier one did."""
        if usage is not None:
            told = {name: value for name in Usage.__struct_fields__ if (value := getattr(usage, name)) is not None}
            self._usage = msgspec.structs.replace(self._usage, **told)


class AnthropicEvents(Reading):
    """Reads Messages events into ``chat.completion.chunk`` (see ``gateway.ports.EventReader``)."""

    def __init__(self, created: int) -> None:
        super().__init__()
        self._id = ""
        self._model: str | None = None
        self._created = created
        self._calls: dict[int, int] = {}
        """Index of a tool_use block → index of its tool call."""
        self._silent: set[int] = set()
        """tool_use blocks whose input has not come yet."""
        self._thoughts: dict[int, Block] = {}
        """Thinking blocks as far as they came; each is told whole, signed, once it ends."""
        self._answer_block: int | None = None
        """Block of our own tool, whose input is the content."""

    def _chunk(self, event: Event, data: bytes) -> Chunk | None:
        """``None``: nothing of this event concerns the caller (``ping``, kinds that we do not know)."""
        delta = event.delta
        if event.type == "content_block_delta" and delta is not None:
            return self._content(event.index, delta)
        if event.type == "content_block_start" and event.content_block is not None:
            return self._block(event.index, event.content_block)
        if event.type == "content_block_stop":
            return self._stop(event.index)
        if event.type == "message_start" and event.message is not None:
            self._id, self._model = event.message.id, event.message.model
            self._count(event.message.usage)
            return self._made({"role": "assistant", "content": ""}, model=self._model, reports=True)
        if event.type == "message_delta" and delta is not None:
            self._count(event.usage)
            return self._end(delta)
        if event.type == "message_stop":
            self.done = True
            if (counts := counts_of(self._usage)) is not None:
                body = {**self._head(), "choices": [], "usage": chat_usage(counts)}
                return Chunk(compact(body), tokens=Tokens(*counts), usage=True, usage_only=True)
        return None

    def _content(self, index: int, delta: Delta) -> Chunk | None:
        if delta.type == "text_delta" and delta.text:
            return self._made({"content": delta.text}, text=True)
        if delta.type == "input_json_delta" and delta.partial_json:
            return self._arguments(index, delta.partial_json)
        if index in self._thoughts:
            self._thoughts[index].thinking += delta.thinking
            self._thoughts[index].signature += delta.signature
        if delta.type == "thinking_delta" and delta.thinking:
            return self._made({"reasoning_content": delta.thinking}, reasons=True)
        return None

    def _block(self, index: int, block: Block) -> Chunk | None:
        if block.type == "text" and block.text:
            return self._made({"content": block.text}, text=True)
        if block.type in THOUGHTS:
            self._thoughts[index] = block
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

    def _stop(self, index: int) -> Chunk | None:
        if index in self._silent:
            return self._arguments(index, "{}")
        thought = self._thoughts.get(index)
        return None if thought is None else self._made({"thinking_blocks": [thought.thought()]}, reasons=True)

    def _arguments(self, index: int, json: str) -> Chunk | None:
        self._silent.discard(index)
        if index == self._answer_block:
            return self._made({"content": json}, text=True)
        if index not in self._calls:
            return None
        return self._made({"tool_calls": [{"index": self._calls[index], "function": {"arguments": json}}]}, text=True)

    def _end(self, delta: Delta) -> Chunk | None:
        finish = endings.finish_of(delta.stop_reason)
        if finish is None:
            return None
        if self._answer_block is not None:
            finish = endings.plain(finish)
        refused = delta.stop_reason == "refusal"
        said = {"refusal": endings.refusal_of("", delta.stop_details)} if refused else {}
        return self._made(said, text=refused, refused=refused, finish=finish, stopped=delta.stop_sequence)

    def _head(self) -> dict[str, Any]:
        return {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": self._model}

    def _made(
        self,
        delta: dict[str, Any],
        *,
        text: bool = False,
        refused: bool = False,
        finish: str | None = None,
        stopped: str | None = None,
        model: str | None = None,
        reasons: bool = False,
        reports: bool = False,
    ) -> Chunk:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        if stopped is not None:
            choice["stop_reason"] = stopped
        return Chunk(
            compact({**self._head(), "choices": [choice]}),
            text=text,
            refused=refused,
            finishes=((0, finish),) if finish else (),
            tokens=tokens_of(self._usage) if finish or reports else None,
            model=model,
            reasons=reasons,
        )
