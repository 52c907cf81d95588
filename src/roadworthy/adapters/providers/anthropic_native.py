"""The Messages API as its own callers are told it: answers and events read as far as they are judged, and left as they
are.

Source: Anthropic API reference, "Messages", "Streaming messages".
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.adapters.providers.anthropic_events import Event, Reading, tokens_of
from roadworthy.adapters.providers.common import reported
from roadworthy.formats.messages import endings
from roadworthy.formats.messages.answer import THOUGHTS
from roadworthy.formats.messages.usage import Usage
from roadworthy.gateway.ports import Answer, Chunk
from roadworthy.gateway.verdict import says_nothing


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""


class _Message(msgspec.Struct, gc=False):
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    error: Any = None


_message = msgspec.json.Decoder(_Message)


def read(body: bytes, request_id: str | None) -> Answer:
    """A whole answer, with what is judged of it.

    Raises ``Unusable`` for a reported error, and what ``refusals.UNREADABLE`` names for what is no message.
    """
    if not body.isascii():
        body.decode()  # what msgspec skips it does not look at, and it goes on to the caller and into the journal
    found = _message.decode(body)
    if found.error is not None:
        raise reported(found.error, request_id)
    if found.content is None:
        raise msgspec.ValidationError("no `content`")
    refused = found.stop_reason == "refusal"
    return Answer(
        body=body,
        tokens=tokens_of(found.usage),
        model=found.model,
        request_id=request_id,
        finishes=(finish_of(found.stop_reason),),
        empty=not refused and not _carries(found.content),
        refused=refused,
        format="messages",
    )


def finish_of(stop_reason: str | None) -> str | None:
    """Who speaks this format knows how to go on after ``pause_turn``: to them it is a whole answer."""
    return "stop" if stop_reason == "pause_turn" else endings.finish_of(stop_reason)


def _carries(content: list[_Block]) -> bool:
    for block in content:
        if block.type == "text":
            if not says_nothing(block.text):
                return True
        elif block.type not in THOUGHTS:
            return True  # calls of tools, and what server tools found
    return False


class NativeEvents(Reading):
    """Reads Messages events as they are (see ``gateway.ports.EventReader``); pings are signs of life, no chunks."""

    def _chunk(self, event: Event, data: bytes) -> Chunk | None:
        kind = event.type
        if kind == "ping":
            return None
        if b"\n" in data:
            data = data.replace(b"\n", b" ")
        delta = event.delta
        if kind == "content_block_delta" and delta is not None:
            text = delta.text != "" or delta.partial_json != ""
            thought = delta.thinking != "" or delta.signature != ""
            return Chunk(data, text=text, reasons=thought, plain=delta.text != "")
        if kind == "content_block_start" and event.content_block is not None:
            block = event.content_block
            says = block.text != "" or (block.type != "text" and block.type not in THOUGHTS)
            return Chunk(data, text=says, reasons=block.type in THOUGHTS)
        if kind == "message_start" and event.message is not None:
            self._count(event.message.usage)
            return Chunk(data, model=event.message.model, tokens=tokens_of(self._usage))
        if kind == "message_delta" and delta is not None:
            self._count(event.usage)
            return self._end(data, delta.stop_reason)
        if kind == "message_stop":
            self.done = True
            return Chunk(data, tokens=tokens_of(self._usage), ends=True)
        return Chunk(data)

    def _end(self, data: bytes, stop_reason: str | None) -> Chunk:
        finish, refused = finish_of(stop_reason), stop_reason == "refusal"
        return Chunk(
            data,
            text=refused,
            refused=refused,
            finishes=((0, finish),) if finish else (),
            tokens=tokens_of(self._usage),
            ends=finish is not None,
        )
