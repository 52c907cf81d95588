"""A stream of the Responses API, read as chat chunks: for callers of another format, and for what works on texts."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.adapters.providers.common import chat_usage
from roadworthy.adapters.providers.openai_responses import (
    CALLS,
    Event,
    Item,
    Response,
    ResponsesEvents,
    finish_of,
    tokens_of,
    told_by,
)
from roadworthy.gateway.ports import Chunk

_encode = msgspec.json.Encoder().encode


class ResponsesAsChat(ResponsesEvents):
    """Makes ``chat.completion.chunk`` of each event (see ``gateway.ports.EventReader``)."""

    def __init__(self, created: int) -> None:
        """``created``: Unix seconds, where the provider tells none."""
        super().__init__()
        self._head: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": created, "model": None}
        self._numbers: dict[int, int] = {}
        """Place of a call in the output → its number among the calls."""
        self._silent: set[int] = set()
        """Calls whose arguments have not come yet."""

    def _chunks(self, data: bytes, event: Event) -> list[Chunk]:
        kind, item = event.type, event.item
        if kind == "response.output_text.delta":
            return self._text("content", event)
        if kind == "response.refusal.delta":
            return self._text("refusal", event)
        if kind in ("response.reasoning_text.delta", "response.reasoning_summary_text.delta"):
            return self._made({"reasoning_content": event.delta}, reasons=True) if len(bytes(event.delta)) > 2 else []
        if kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            self._silent.discard(event.output_index)
            return self._arguments(event.output_index, event.delta, custom="custom" in kind)
        if kind == "response.output_item.added" and item is not None and item.type in CALLS:
            return self._call(event.output_index, item)
        if kind == "response.output_item.done" and item is not None and item.type in CALLS:
            return self._whole_call(event.output_index, item)
        if event.response is not None and kind in ("response.created", "response.completed", "response.incomplete"):
            return self._end(event.response) if kind != "response.created" else self._begin(event.response)
        if kind in ("error", "response.failed"):
            return super()._chunks(data, event)
        return []

    def _text(self, name: str, event: Event) -> list[Chunk]:
        if len(bytes(event.delta)) <= 2:
            return []
        self._said = True
        return self._made({name: event.delta}, text=True, refused=name == "refusal")

    def _begin(self, found: Response) -> list[Chunk]:
        self._head.update(id=found.id or "", model=found.model)
        if found.created_at is not None:
            self._head["created"] = int(found.created_at)
        return self._made({"role": "assistant", "content": ""}, model=found.model)

    def _call(self, place: int, item: Item) -> list[Chunk]:
        self._said = self._called = True
        number = self._numbers[place] = len(self._numbers)
        self._silent.add(place)
        if item.type == "custom_tool_call":
            call = {"index": number, "id": item.call_id, "type": "custom", "custom": {"name": item.name, "input": ""}}
        else:
            function = {"name": item.name, "arguments": ""}
            call = {"index": number, "id": item.call_id, "type": "function", "function": function}
        return self._made({"tool_calls": [call]}, text=True)

    def _whole_call(self, place: int, item: Item) -> list[Chunk]:
        """What no delta has told."""
        made = [] if place in self._numbers else self._call(place, item)
        said = item.input if item.type == "custom_tool_call" else item.arguments
        if place in self._silent and said:
            self._silent.discard(place)
            raw = msgspec.Raw(_encode(said))
            made += self._arguments(place, raw, custom=item.type == "custom_tool_call")
        return made

    def _arguments(self, place: int, delta: msgspec.Raw, *, custom: bool) -> list[Chunk]:
        if place not in self._numbers:
            return []
        told = {"custom": {"input": delta}} if custom else {"function": {"arguments": delta}}
        return self._made({"tool_calls": [{"index": self._numbers[place], **told}]}, text=True)

    def _end(self, found: Response) -> list[Chunk]:
        self.done = True
        output = found.output or []
        made: list[Chunk] = []
        carries, refused, called = told_by(output)
        if not self._said and (carries or refused):
            for item in output:
                for part in (item.content or ()) if item.type == "message" else ():
                    name, said = ("refusal", part.refusal) if part.refusal else ("content", part.text)
                    made += self._made({name: said}, text=True, refused=name == "refusal") if said else []
        if not self._called and called:
            for place, item in enumerate(output):
                made += self._whole_call(place, item) if item.type in CALLS else []
        finish, tokens = finish_of(found, called=called or self._called), tokens_of(found.usage)
        if finish is not None:
            made += self._made({}, finish=finish, model=found.model)
        if tokens is not None:
            body = {**self._head, "choices": [], "usage": chat_usage(tokens)}
            made.append(Chunk(_encode(body), tokens=tokens, usage=True, usage_only=True))
        return made

    def _made(
        self,
        delta: dict[str, Any],
        *,
        text: bool = False,
        refused: bool = False,
        finish: str | None = None,
        model: str | None = None,
        reasons: bool = False,
    ) -> list[Chunk]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return [
            Chunk(
                _encode({**self._head, "choices": [choice]}),
                text=text,
                refused=refused,
                finishes=((0, finish),) if finish else (),
                model=model,
                reasons=reasons,
            )
        ]
