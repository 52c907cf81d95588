"""Answers and events of Bedrock's Converse in OpenAI's shape (read by ``bedrock_shape``)."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.adapters.providers import bedrock_shape as shape
from roadworthy.adapters.providers import refusals
from roadworthy.adapters.providers.bedrock_refusals import refused_inside
from roadworthy.adapters.providers.common import chat_usage, expect_events
from roadworthy.adapters.providers.event_stream import BadFrame, FrameSplitter
from roadworthy.formats.messages.words import ANSWER_TOOL
from roadworthy.gateway.ports import Answer, Chunk, Unusable
from roadworthy.gateway.verdict import says_nothing

_encode = msgspec.json.Encoder().encode


def whole(found: shape.Response, blocks: list[shape.Block], head: dict[str, Any], request_id: str | None) -> Answer:
    """``head``: ``id``, ``created`` and ``model`` of the completion; a prompt router's choice replaces the last."""
    texts: list[str] = []
    words: list[str] = []
    thoughts: list[dict[str, str]] = []
    calls: list[dict[str, Any]] = []
    finish = shape.finish_of(found.stop_reason)
    for block in blocks:
        texts.append(block.text)
        if (cited := block.citations_content) is not None:
            texts += [part.text for part in cited.content or ()]
        if (reasoned := block.reasoning_content) is not None:
            said = reasoned.reasoning_text or shape.ReasoningText()
            words.append(said.text)
            if (kept := shape.thought(said.text, said.signature, reasoned.redacted_content)) is not None:
                thoughts.append(kept)
        used = block.tool_use
        if used is None or used.type == "server_tool_use":
            continue
        arguments = _encode(used.input if used.input is not None else {}).decode()
        if used.name == ANSWER_TOOL:
            texts.append(arguments)
            finish = _plain(finish)
        else:
            function = {"name": used.name, "arguments": arguments}
            calls.append({"id": used.tool_use_id, "type": "function", "function": function})
    text = "".join(texts)
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    if told := "".join(words):
        message["reasoning_content"] = told
    if thoughts:
        message["thinking_blocks"] = thoughts
    model = None if found.trace is None else found.trace.model
    tokens = shape.tokens_of(found.usage)
    body = {**head, "object": "chat.completion", "model": model or head["model"],
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}]}  # fmt: skip
    if tokens is not None:
        body["usage"] = chat_usage(tokens)
    return Answer(
        body=_encode(body),
        tokens=tokens,
        model=model,
        request_id=request_id,
        finishes=(finish,),
        empty=says_nothing(text) and not calls,
    )


def _plain(finish: str | None) -> str | None:
    """The answer came as the input of our own tool: to the caller it is text."""
    return "stop" if finish == "tool_calls" else finish


class BedrockEvents:
    """Reads ConverseStream's events into ``chat.completion.chunk`` (see ``gateway.ports.EventReader``)."""

    def __init__(self, head: dict[str, Any]) -> None:
        """``head``: as of ``whole``."""
        self.done = False
        self.failed: Unusable | None = None
        self.request_id: str | None = None
        self._frames = FrameSplitter()
        self._started = False
        self._head = {**head, "object": "chat.completion.chunk"}
        self._calls: dict[int, int] = {}
        """Index of a toolUse block → index of its tool call."""
        self._silent: set[int] = set()
        """toolUse blocks whose input has not come yet."""
        self._answer_block: int | None = None
        """Block of our own tool, whose input is the content."""
        self._thoughts: dict[int, shape.ReasoningText] = {}
        """Reasoning blocks under way."""

    def feed(self, data: bytes) -> list[Chunk]:
        if self.done or self.failed is not None:
            return []
        if not self._started and data:
            expect_events(data)
            self._started = True
        self._frames.feed(data)
        chunks: list[Chunk] = []
        while not self.done:
            try:
                frame = self._frames.next()
                if frame is None:
                    break
                event = shape.event.decode(frame[1] or b"{}")
            except BadFrame as error:
                self.failed = Unusable("invalid", f"the provider's event stream is damaged: {error}")
                break
            except refusals.UNREADABLE as error:
                what = "of another shape" if isinstance(error, msgspec.ValidationError) else "that is not JSON"
                self.failed = Unusable("invalid", f"the provider sent a stream event {what}")
                break
            self.failed = refused_inside(frame[0], event.message or "")
            if self.failed is not None:
                break
            if (chunk := self._chunk(frame[0].get(b":event-type", b""), event)) is not None:
                chunks.append(chunk)
        return chunks

    def _chunk(self, kind: bytes, event: shape.Event) -> Chunk | None:
        """``None``: nothing of this event concerns the caller (kinds that we do not know)."""
        if kind == b"contentBlockDelta" and event.delta is not None:
            return self._content(event.content_block_index, event.delta)
        if kind == b"contentBlockStart" and event.start is not None and event.start.tool_use is not None:
            return self._call(event.content_block_index, event.start.tool_use)
        if kind == b"contentBlockStop":
            return self._ended(event.content_block_index)
        if kind == b"messageStart":
            return self._made({"role": "assistant", "content": ""})
        if kind == b"messageStop":
            finish = shape.finish_of(event.stop_reason)
            return None if finish is None else self._made({}, finish=_plain(finish) if self._by_tool else finish)
        if kind == b"metadata":
            return self._usage(event)
        return None

    @property
    def _by_tool(self) -> bool:
        return self._answer_block is not None

    def _content(self, index: int, delta: shape.Delta) -> Chunk | None:
        if delta.text:
            return self._made({"content": delta.text}, text=True)
        if delta.tool_use is not None and delta.tool_use.input:
            return self._arguments(index, delta.tool_use.input)
        if (reasoned := delta.reasoning_content) is None:
            return None
        if reasoned.redacted_content is not None:
            return self._made({"thinking_blocks": [shape.thought("", None, reasoned.redacted_content)]}, reasons=True)
        so_far = self._thoughts.setdefault(index, shape.ReasoningText())
        so_far.text += reasoned.text
        if reasoned.signature:
            so_far.signature = (so_far.signature or "") + reasoned.signature
        return self._made({"reasoning_content": reasoned.text}, reasons=True) if reasoned.text else None

    def _call(self, index: int, used: shape.ToolUse) -> Chunk | None:
        if used.type == "server_tool_use":
            return None
        self._silent.add(index)
        if used.name == ANSWER_TOOL:
            self._answer_block = index
            return None
        self._calls[index] = number = len(self._calls)
        function = {"name": used.name, "arguments": ""}
        call = {"index": number, "id": used.tool_use_id, "type": "function", "function": function}
        return self._made({"tool_calls": [call]}, text=True)

    def _ended(self, index: int) -> Chunk | None:
        if index in self._silent:
            return self._arguments(index, "{}")
        said = self._thoughts.pop(index, None)
        kept = None if said is None else shape.thought(said.text, said.signature, None)
        return None if kept is None else self._made({"thinking_blocks": [kept]}, reasons=True)

    def _arguments(self, index: int, json: str) -> Chunk | None:
        self._silent.discard(index)
        if index == self._answer_block:
            return self._made({"content": json}, text=True)
        if index not in self._calls:
            return None
        return self._made({"tool_calls": [{"index": self._calls[index], "function": {"arguments": json}}]}, text=True)

    def _usage(self, event: shape.Event) -> Chunk | None:
        """It comes last, behind the end of the message."""
        self.done = True
        model = None if event.trace is None else event.trace.model
        tokens = shape.tokens_of(event.usage)
        if tokens is None:
            return None
        body = {**self._head, "model": model or self._head["model"], "choices": [], "usage": chat_usage(tokens)}
        return Chunk(_encode(body), tokens=tokens, model=model, usage=True, usage_only=True)

    def _made(
        self, delta: dict[str, Any], *, text: bool = False, finish: str | None = None, reasons: bool = False
    ) -> Chunk:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return Chunk(
            _encode({**self._head, "choices": [choice]}),
            text=text,
            finishes=((0, finish),) if finish else (),
            reasons=reasons,
            plain=text and "content" in delta,
        )
