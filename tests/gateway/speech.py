"""What providers say, by wire format: the scripts of a fake upstream."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from gateway_support import DONE, USAGE, chunk, completion

from roadworthy.formats.model import Format

MODEL = "exact-model-2025"


class Speech(Protocol):
    def whole(self, text: str = "Hello", finish: str = "stop") -> bytes:
        """``finish`` in chat's words."""
        ...

    def begun(self, *words: str) -> list[bytes]:
        """A stream up to a word."""
        ...

    def stream(self, *words: str, finish: str = "stop") -> list[bytes]: ...


class _Chat:
    def whole(self, text: str = "Hello", finish: str = "stop") -> bytes:
        return completion(text, finish)

    def begun(self, *words: str) -> list[bytes]:
        return [chunk(word) for word in words]

    def stream(self, *words: str, finish: str = "stop") -> list[bytes]:
        return [*self.begun(*words), chunk(finish=finish), USAGE, DONE]


def _event(**data: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (data["type"].encode(), msgspec.json.encode(data))


class _Responses:
    def whole(self, text: str = "Hello", finish: str = "stop") -> bytes:
        return msgspec.json.encode(self._response(text, finish))

    def begun(self, *words: str) -> list[bytes]:
        return self._numbered(self._opening(words))

    def stream(self, *words: str, finish: str = "stop") -> list[bytes]:
        text, made = "".join(words), self._opening(words)
        at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        if words:
            made += [
                {"type": "response.output_text.done", **at, "text": text},
                {"type": "response.content_part.done", **at, "part": self._part(text)},
                {"type": "response.output_item.done", "output_index": 0, "item": self._item(text)},
            ]
        response = self._response(text, finish)
        made.append({"type": f"response.{response['status']}", "response": response})
        return self._numbered(made)

    def _opening(self, words: tuple[str, ...]) -> list[dict[str, Any]]:
        begun = {**self._response(""), "status": "in_progress", "output": [], "usage": None}
        made: list[dict[str, Any]] = [
            {"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun},
        ]  # fmt: skip
        at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        if words:
            item = {**self._item(""), "status": "in_progress", "content": []}
            made.append({"type": "response.output_item.added", "output_index": 0, "item": item})
            made.append({"type": "response.content_part.added", **at, "part": self._part("")})
        return made + [{"type": "response.output_text.delta", **at, "delta": word, "logprobs": []} for word in words]

    def _numbered(self, made: list[dict[str, Any]]) -> list[bytes]:
        return [_event(**{**event, "sequence_number": number}) for number, event in enumerate(made)]

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _item(self, text: str) -> dict[str, Any]:
        content = [self._part(text)]
        return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}

    def _response(self, text: str, finish: str = "stop") -> dict[str, Any]:
        reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish)
        return {
            "id": "resp_1", "object": "response", "created_at": 1, "model": MODEL, "error": None,
            "status": "completed" if reason is None else "incomplete",
            "incomplete_details": None if reason is None else {"reason": reason},
            "output": [self._item(text)] if text or reason is None else [],
            "usage": {
                "input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15,
            },
            "instructions": None, "tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "metadata": {},
        }  # fmt: skip


class _Messages:
    _reasons = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}

    def whole(self, text: str = "Hello", finish: str = "stop") -> bytes:
        content = [{"type": "text", "text": text}] if text else []
        return msgspec.json.encode(self._message(content, self._reasons[finish], 5))

    def begun(self, *words: str) -> list[bytes]:
        made = [_event(type="message_start", message=self._message([], None, 1)), _event(type="ping")]
        if words:
            made.append(_event(type="content_block_start", index=0, content_block={"type": "text", "text": ""}))
        said = [{"type": "text_delta", "text": word} for word in words]
        return made + [_event(type="content_block_delta", index=0, delta=delta) for delta in said]

    def stream(self, *words: str, finish: str = "stop") -> list[bytes]:
        ended = {"stop_reason": self._reasons[finish], "stop_sequence": None}
        return [
            *self.begun(*words), *([_event(type="content_block_stop", index=0)] if words else []),
            _event(type="message_delta", delta=ended, usage={"output_tokens": 5}), _event(type="message_stop"),
        ]  # fmt: skip

    def _message(self, content: list[dict[str, Any]], reason: str | None, output: int) -> dict[str, Any]:
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": content,
            "stop_reason": reason, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": output},
        }  # fmt: skip


SPEECH: dict[Format, Speech] = {"chat": _Chat(), "responses": _Responses(), "messages": _Messages()}
