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

    def calling(self, tool: str, arguments: str) -> dict[str, Any]:
        """A call of a tool, by how it is asked for."""
        ...


class _Chat:
    def whole(self, text: str = "Hello", finish: str = "stop") -> bytes:
        return completion(text, finish)

    def begun(self, *words: str) -> list[bytes]:
        return [chunk(word) for word in words]

    def stream(self, *words: str, finish: str = "stop") -> list[bytes]:
        return [*self.begun(*words), chunk(finish=finish), USAGE, DONE]

    def calling(self, tool: str, arguments: str) -> dict[str, Any]:
        call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": arguments}}
        whole = completion(None, "tool_calls", message={"tool_calls": [call]})
        delta = {"index": 0, "delta": {"tool_calls": [{"index": 0, **call}]}, "finish_reason": None}
        event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
        told = b"data: %b\n\n" % msgspec.json.encode({**event, "choices": [delta]})
        return {"whole": whole, "stream": [told, chunk(finish="tool_calls"), USAGE, DONE]}


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

    def calling(self, tool: str, arguments: str) -> dict[str, Any]:
        item = {
            "id": "fc_1", "type": "function_call", "call_id": "call_1", "name": tool, "arguments": arguments,
            "status": "completed",
        }  # fmt: skip
        response, at = {**self._response(""), "output": [item]}, {"output_index": 0, "item_id": "fc_1"}
        begun = {**item, "arguments": "", "status": "in_progress"}
        made = [
            *self._opening(()),
            {"type": "response.output_item.added", "output_index": 0, "item": begun},
            {"type": "response.function_call_arguments.delta", **at, "delta": arguments},
            {"type": "response.function_call_arguments.done", **at, "name": tool, "arguments": arguments},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": response},
        ]
        return {"whole": msgspec.json.encode(response), "stream": self._numbered(made)}

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
    _reasons = {
        "stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use",
    }  # fmt: skip

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
        return [*self.begun(*words), *([self._stop] if words else []), *self._end(finish)]

    def calling(self, tool: str, arguments: str) -> dict[str, Any]:
        block = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": msgspec.json.decode(arguments)}
        whole = msgspec.json.encode(self._message([block], "tool_use", 5))
        start = _event(type="content_block_start", index=0, content_block={**block, "input": {}})
        delta = {"type": "input_json_delta", "partial_json": arguments}
        told = [start, _event(type="content_block_delta", index=0, delta=delta), self._stop]
        return {"whole": whole, "stream": [*self.begun(), *told, *self._end("tool_calls")]}

    _stop = _event(type="content_block_stop", index=0)

    def _end(self, finish: str) -> list[bytes]:
        ended = {"stop_reason": self._reasons[finish], "stop_sequence": None}
        return [_event(type="message_delta", delta=ended, usage={"output_tokens": 5}), _event(type="message_stop")]

    def _message(self, content: list[dict[str, Any]], reason: str | None, output: int) -> dict[str, Any]:
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": content,
            "stop_reason": reason, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": output},
        }  # fmt: skip


SPEECH: dict[Format, Speech] = {"chat": _Chat(), "responses": _Responses(), "messages": _Messages()}
