"""A stream of chat chunks, told as the events of a Responses stream.

Texts are never decoded: a delta's JSON string goes into its event as it is, and the strings of all deltas, joined
without their quotes, are the JSON of the whole.

Source: OpenAI API reference, "Streaming events" of the Responses API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadworthy.formats.model import Broken, compact, spliced
from roadworthy.formats.responses import shapes
from roadworthy.formats.responses.chunks import NONE, CallDelta, ChatChunk, Logprobs, arguments_of, piece_of, read
from roadworthy.formats.responses.items import Call, Item, Message, Reasoning
from roadworthy.formats.responses.words import Names

_DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":%d,'
    b'"item_id":"%b","output_index":%d,"content_index":%d,"delta":%b,"logprobs":%b}\n\n'
)


def framed(kind: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


class Translating:
    """A ``formats.model.Teller`` of chat chunks.  A finish and usage come in ``end`` only: the core holds them back."""

    def __init__(self, asked: Mapping[str, msgspec.Raw], *, ident: str, model: str, created: int) -> None:
        """``asked``: the caller's own fields.  ``created``: Unix seconds."""
        self._asked = asked
        self._ident = ident
        self._model = model
        self._created = created
        self._whole: dict[str, Any] | None = None
        self._sequence = 0
        self._items: list[Item] = []
        self._message: Message | None = None
        self._message_id = b""
        self._reasoning: Reasoning | None = None
        self._calls: dict[int, Call] = {}
        self._names: Names | None = None
        self._finish: str | None = None
        self._usage: shapes.ChatUsage | None = None
        self._tier: str | None = None

    def chunk(self, data: bytes) -> bytes:
        found = read(data)
        choices = found.choices
        if choices and (delta := choices[0].delta) is not None and (message := self._message) is not None:
            content = bytes(delta.content)
            if (  # a token of text, as most chunks are
                message.kind == "output_text"
                and len(content) > 2
                and content[0] == 34
                and delta.tool_calls is None
                and choices[0].finish_reason is None
                and choices[0].logprobs is None
                and delta.refusal == NONE
                and delta.reasoning_content == NONE
                and delta.reasoning == NONE
            ):
                message.pieces.append(content[1:-1])
                self._sequence += 1
                return _DELTA % (
                    self._sequence - 1, self._message_id, message.place, len(message.parts), content, b"[]",
                )  # fmt: skip
        return b"".join(self._take(found))

    def end(self, held: list[bytes], extension: bytes | None) -> bytes:
        made = []
        for data in held:
            made += self._take(read(data))
        if self._whole is None:
            made += self._begin(ChatChunk())
        status, details = shapes.ending(self._finish)
        made += self._close_message(status) + self._close_reasoning() + self._close_calls(status)
        whole = self._as_far_as_it_came(status)
        whole["incomplete_details"] = details
        made.append(self._last(f"response.{status}", whole, extension))
        return b"".join(made)

    def broken(self, why: Broken, extension: bytes | None) -> bytes:
        """``response.failed`` for who follows the protocol (Codex), then ``error``, at which OpenAI's clients raise."""
        made = self._begin(ChatChunk()) if self._whole is None else []
        whole = {**self._as_far_as_it_came("failed"), "error": {"code": why.code, "message": why.message}}
        made.append(self._last("response.failed", whole, extension))
        made.append(error_event(self._sequence, why, extension))
        return b"".join(made)

    def _as_far_as_it_came(self, status: str) -> dict[str, Any]:
        assert self._whole is not None
        inner = "completed" if status == "completed" else "incomplete"
        return {
            **self._whole,
            "status": status,
            "model": self._model,
            "output": [item.whole(inner) for item in self._items],
            "service_tier": self._tier,
            "usage": shapes.usage_from_chat(self._usage),
        }

    def _last(self, kind: str, whole: dict[str, Any], extension: bytes | None) -> bytes:
        data = last_event(kind, self._sequence, compact(whole), extension)
        self._sequence += 1
        return framed(kind, data)

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = compact({"type": kind, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        return framed(kind, data)

    def _begin(self, found: ChatChunk) -> list[bytes]:
        self._model = found.model or self._model
        self._whole = shapes.outline(self._asked, ident=self._ident, model=self._model, created=self._created)
        return [self._event(f"response.{word}", response=self._whole) for word in ("created", "in_progress")]

    def _take(self, found: ChatChunk) -> list[bytes]:
        made = self._begin(found) if self._whole is None else []
        self._usage = found.usage or self._usage
        self._tier = found.service_tier or self._tier
        for choice in found.choices or ():
            self._finish = choice.finish_reason or self._finish
            if (delta := choice.delta) is None:
                continue
            for thought in (delta.reasoning_content, delta.reasoning):
                if piece := piece_of(thought):
                    made += self._think(piece)
                    break
            if piece := piece_of(delta.content):
                made += self._say("output_text", piece, choice.logprobs)
            if piece := piece_of(delta.refusal):
                made += self._say("refusal", piece, None)
            for call in delta.tool_calls or ():
                made += self._call(call)
            if delta.function_call is not None:
                made += self._call(CallDelta(0, None, delta.function_call))
        return made

    def _place(self, kind: str) -> tuple[str, int]:
        place = len(self._items)
        return shapes.item_id(kind, self._ident, place), place

    def _think(self, piece: bytes) -> list[bytes]:
        made = self._close_message("completed")
        item = self._reasoning
        if item is None:
            item = self._reasoning = Reasoning(*self._place("rs"))
            item.summary = shapes.summarized(self._asked)
            self._items.append(item)
            begun = {**item.whole(""), "summary": [], "content": [], "status": "in_progress"}
            made.append(self._event("response.output_item.added", output_index=item.place, item=begun))
            if item.summary:
                part = {"type": "summary_text", "text": ""}
                made.append(self._of(item, "response.reasoning_summary_part.added", summary_index=0, part=part))
        item.pieces.append(piece)
        delta = msgspec.Raw(b'"%b"' % piece)
        if item.summary:
            made.append(self._of(item, "response.reasoning_summary_text.delta", summary_index=0, delta=delta))
        else:
            made.append(self._of(item, "response.reasoning_text.delta", content_index=0, delta=delta))
        return made

    def _close_reasoning(self) -> list[bytes]:
        item, self._reasoning = self._reasoning, None
        if item is None:
            return []
        text = item.text()
        if item.summary:
            part = {"type": "summary_text", "text": text}
            made = [
                self._of(item, "response.reasoning_summary_text.done", summary_index=0, text=text),
                self._of(item, "response.reasoning_summary_part.done", summary_index=0, part=part),
            ]
        else:
            made = [self._of(item, "response.reasoning_text.done", content_index=0, text=text)]
        return [*made, self._done(item, "completed")]

    def _say(self, kind: str, piece: bytes, logprobs: Logprobs | None) -> list[bytes]:
        made = self._close_reasoning()
        message = self._message
        if message is None:
            message = self._message = Message(*self._place("msg"))
            self._message_id = message.ident.encode()
            self._items.append(message)
            begun = message.whole("in_progress")
            made.append(self._event("response.output_item.added", output_index=message.place, item=begun))
        if message.kind != kind:
            made += self._close_part(message)
            message.kind = kind
            made.append(self._in(message, "response.content_part.added", part=message.part()))
        message.pieces.append(piece)
        delta = msgspec.Raw(b'"%b"' % piece)
        if kind == "refusal":
            return [*made, self._in(message, "response.refusal.delta", delta=delta)]
        told = bytes(logprobs.content) if logprobs is not None else b""
        told = told if told.startswith(b"[") else b"[]"
        if told != b"[]":
            message.logprobs.append(told[1:-1])
        return [*made, self._in(message, "response.output_text.delta", delta=delta, logprobs=msgspec.Raw(told))]

    def _close_part(self, message: Message) -> list[bytes]:
        if not message.kind:
            return []
        part = message.part()
        if message.kind == "refusal":
            done = self._in(message, "response.refusal.done", refusal=part["refusal"])
        else:
            told = {"text": part["text"], "logprobs": part["logprobs"]}
            done = self._in(message, "response.output_text.done", **told)
        made = [done, self._in(message, "response.content_part.done", part=part)]
        message.parts.append(part)
        message.kind, message.pieces, message.logprobs = "", [], []
        return made

    def _close_message(self, status: str) -> list[bytes]:
        message, self._message = self._message, None
        return [] if message is None else [*self._close_part(message), self._done(message, status)]

    def _call(self, delta: CallDelta) -> list[bytes]:
        made = self._close_message("completed") + self._close_reasoning()
        index = delta.index if delta.index is not None else max(len(self._calls) - (delta.id is None), 0)
        call, said = self._calls.get(index), delta.function or delta.custom
        if call is None:
            custom = delta.custom is not None
            ident, place = self._place("ctc" if custom else "fc")
            if self._names is None:
                self._names = Names(self._asked.get("tools"))
            call = Call(ident, place, delta.id or f"call_{ident}", custom, self._names)
            self._calls[index] = call
            self._items.append(call)
        if said is None:
            return made
        call.name = call.name or said.name or ""
        piece = piece_of(said.input) if call.custom else arguments_of(said.arguments)
        if piece:
            call.pieces.append(piece)
        if not call.added and call.name:
            made.append(self._add(call))
            piece = b"".join(call.pieces)
        if piece and call.added:
            kind = "custom_tool_call_input" if call.custom else "function_call_arguments"
            made.append(self._of(call, f"response.{kind}.delta", delta=msgspec.Raw(b'"%b"' % piece)))
        return made

    def _add(self, call: Call) -> bytes:
        call.added = True
        begun = {**call.whole("in_progress"), ("input" if call.custom else "arguments"): ""}
        return self._event("response.output_item.added", output_index=call.place, item=begun)

    def _close_calls(self, status: str) -> list[bytes]:
        """Only at the end: providers may tell several calls at once, piece by piece."""
        made = []
        for call in self._calls.values():
            if not call.added:
                made.append(self._add(call))
            if call.custom:
                made.append(self._of(call, "response.custom_tool_call_input.done", input=call.text()))
            else:
                done = "response.function_call_arguments.done"
                made.append(self._of(call, done, name=call.names.of(call.name)["name"], arguments=call.text()))
            made.append(self._done(call, status))
        return made

    def _of(self, item: Item, kind: str, **fields: Any) -> bytes:
        return self._event(kind, item_id=item.ident, output_index=item.place, **fields)

    def _in(self, message: Message, kind: str, **fields: Any) -> bytes:
        return self._of(message, kind, content_index=len(message.parts), **fields)

    def _done(self, item: Item, status: str) -> bytes:
        return self._event("response.output_item.done", output_index=item.place, item=item.whole(status))


def last_event(kind: str, sequence: int, response: bytes, extension: bytes | None) -> bytes:
    """Data of an event that holds the whole ``response``, our object in it."""
    if extension is not None:
        response = spliced(response, extension)
    return b'{"type":"%b","sequence_number":%d,"response":%b}' % (kind.encode(), sequence, response)


def error_event(sequence: int, why: Broken, extension: bytes | None) -> bytes:
    """``message`` and ``code`` as documented, and ``error`` with the same, at which OpenAI's clients raise."""
    said = {"type": why.type, "code": why.code, "message": why.message, "param": why.param}
    flat = {"code": why.code, "message": why.message, "param": why.param}
    data = compact({"type": "error", "sequence_number": sequence, **flat, "error": said})
    return framed("error", data if extension is None else spliced(data, extension))
