"""Messages answers and chat.completion answers, each as the other.

Thoughts are told as they were signed (``thinking_blocks``).  Thoughts in words alone (``reasoning_content`` of other
models) are not told to a caller of Messages: a thinking block without a signature could be sent back to no model, and
who asked for thinking is served by targets that sign it.

Source: Anthropic API reference, "Create a Message".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from roadworthy.formats import fitting
from roadworthy.formats.chat import arguments_text
from roadworthy.formats.messages.endings import (
    StopDetails,
    finish_of,
    plain,
    refusal_details,
    refusal_of,
    stop_reason_of,
)
from roadworthy.formats.messages.usage import ChatUsage, Counts, Usage, chat_usage, counts, own_usage
from roadworthy.formats.messages.words import ANSWER_TOOL
from roadworthy.formats.model import compact

THOUGHTS = frozenset(["thinking", "redacted_thinking"])


class Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    id: str = ""
    name: str = ""
    input: Any = None
    thinking: str = ""
    signature: str = ""
    data: str = ""

    def thought(self) -> dict[str, Any]:
        """A thinking block as it goes on, and comes back in the conversation."""
        if self.type == "thinking":
            return {"type": self.type, "thinking": self.thinking, "signature": self.signature}
        return {"type": self.type, "data": self.data}


class Message(msgspec.Struct, gc=False):
    id: str = ""
    model: str | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: Usage | None = None
    error: Any = None


class _Call(msgspec.Struct, gc=False):
    class Function(msgspec.Struct, gc=False):
        name: str = ""
        arguments: Any = None

    id: str = ""
    function: Function | None = None


class _Said(msgspec.Struct, gc=False):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    thinking_blocks: list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Said = msgspec.field(default_factory=_Said)
    finish_reason: str | None = None
    stop_reason: Any = None


class _Completion(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] = []
    usage: ChatUsage | None = None


class _Config(msgspec.Struct, gc=False):
    format: Any = None


_message = msgspec.json.Decoder(Message)
_completion = msgspec.json.Decoder(_Completion)
_config = msgspec.json.Decoder(_Config | None)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Told(NamedTuple):
    """An answer in chat's shape."""

    body: bytes
    finish: str | None
    text: str
    calls: bool
    refused: bool


def read(body: bytes) -> Message:
    """Raises ``msgspec.DecodeError``."""
    return _message.decode(body)


def told(found: Message, usage: Counts | None, created: int) -> Told:
    """``created``: Unix seconds, which this format does not tell."""
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    blocks = found.content or []
    finish = finish_of(found.stop_reason)
    for block in blocks:
        if block.type == "text":
            texts.append(block.text)
        elif block.type == "tool_use":
            arguments = compact(block.input if block.input is not None else {}).decode()
            if block.name == ANSWER_TOOL:
                texts.append(arguments)
                finish = plain(finish)
            else:
                function = {"name": block.name, "arguments": arguments}
                calls.append({"id": block.id, "type": "function", "function": function})
    text, refused = "".join(texts), found.stop_reason == "refusal"
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if refused:
        message.update(content=None, refusal=refusal_of(text, found.stop_details))
    if calls:
        message["tool_calls"] = calls
    thoughts = [block for block in blocks if block.type in THOUGHTS]
    if thoughts:
        if words := "".join([block.thinking for block in thoughts]):
            message["reasoning_content"] = words
        message["thinking_blocks"] = [block.thought() for block in thoughts]
    choice: dict[str, Any] = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    if found.stop_sequence is not None:
        choice["stop_reason"] = found.stop_sequence
    body: dict[str, Any] = {
        "id": found.id,
        "object": "chat.completion",
        "created": created,
        "model": found.model,
        "choices": [choice],
    }
    if usage is not None:
        body["usage"] = chat_usage(usage)
    return Told(compact(body), finish, text, bool(calls), refused)


def to_chat(body: bytes) -> bytes:
    """Raises ``msgspec.DecodeError`` for what is no message.  Of one that is, what has another type than it should is
    left out: it has been judged by then, and may have been told."""
    found = fitting.read(_message, body)
    if found.content is None:
        raise msgspec.ValidationError("no `content`")
    return told(found, counts(found.usage), 0).body


def from_chat(body: bytes, *, asked: Mapping[str, msgspec.Raw], ident: str, model: str) -> bytes:
    """``model``: told where the answer names none.  Raises ``msgspec.DecodeError`` for what is no completion."""
    found = fitting.read(_completion, body)
    choice = found.choices[0] if found.choices else _Choice()
    said = choice.message
    content: list[Any] = list(said.thinking_blocks or ())
    reason, details = stop_reason_of(choice.finish_reason, calls=bool(said.tool_calls)), None
    if said.refusal:
        reason, details = "refusal", refusal_details(said.refusal)
        if not wants_schema(asked):
            content.append({"type": "text", "text": said.refusal})
    if text := _text(said.content):
        content.append({"type": "text", "text": text})
    content += map(_tool_use, said.tool_calls or ())
    stopped = choice.stop_reason if isinstance(choice.stop_reason, str) and reason == "end_turn" else None
    made = {
        "id": ident_of(found.id, ident),
        "type": "message",
        "role": "assistant",
        "model": found.model or model,
        "content": content,
        "stop_reason": "stop_sequence" if stopped is not None else reason,
        "stop_sequence": stopped,
        "usage": own_usage(found.usage),
    }
    if details is not None:
        made["stop_details"] = details
    return compact(made)


def ident_of(found: str | None, ident: str) -> str:
    """The upstream's id where it is one of this format, else the inference's in its dress."""
    return found if found and found.startswith("msg_") else f"msg_{ident}"


def wants_schema(asked: Mapping[str, msgspec.Raw]) -> bool:
    """Is the answer's text to be JSON of a schema?  Then a refusal is told in ``stop_details`` alone: the official
    clients parse every text block of such an answer and raise for what is no JSON."""
    raw = asked.get("output_config")
    if raw is None:
        return False
    config = _config.decode(raw)
    return config is not None and config.format is not None


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, list):
        return "".join([part["text"] for part in content if isinstance(part.get("text"), str)])
    return content or ""


def _tool_use(call: _Call) -> dict[str, Any]:
    function = call.function or _Call.Function()
    return {"type": "tool_use", "id": call.id, "name": function.name, "input": tool_input(function.arguments)}


def tool_input(arguments: Any) -> Any:
    """``arguments``: see ``arguments_text``.

    Anthropic knows only objects: what is none stands in one, so that whoever checks it sees what the model wrote.
    """
    text = arguments_text(arguments)
    if not text.strip():
        return {}
    try:
        _object.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {"invalid_arguments": text}
    return msgspec.Raw(text.encode())
