"""Responses answers and chat.completion answers, each as the other.

Source: OpenAI API reference, "The response object", "The chat completion object".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadworthy.formats import chat, fitting
from roadworthy.formats.model import compact
from roadworthy.formats.responses import shapes
from roadworthy.formats.responses.words import Names, full_name

NAMELESS = Names(None)


class _Function(msgspec.Struct, gc=False):
    name: str = ""
    arguments: Any = None


class _Custom(msgspec.Struct, gc=False):
    name: str = ""
    input: str = ""


class _Call(msgspec.Struct, gc=False):
    id: str = ""
    function: _Function | None = None
    custom: _Custom | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | list[Any] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Logprobs(msgspec.Struct, gc=False):
    content: list[Any] | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message = msgspec.field(default_factory=_Message)
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct, gc=False):
    choices: list[_Choice]
    created: int = 0
    model: str | None = None
    usage: shapes.ChatUsage | None = None
    service_tier: str | None = None


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    refusal: str = ""
    logprobs: list[Any] | None = None


class _Item(msgspec.Struct, gc=False):
    type: str = ""
    content: list[_Part] | None = None
    summary: list[_Part] | None = None
    call_id: str = ""
    name: str = ""
    namespace: str | None = None
    arguments: str = ""
    input: str = ""


class _Details(msgspec.Struct, gc=False):
    reason: str | None = None


class Usage(msgspec.Struct, gc=False):
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_details: dict[str, Any] | None = None
    output_tokens_details: dict[str, Any] | None = None


class _Response(msgspec.Struct, gc=False):
    output: list[_Item]
    id: str = ""
    created_at: float = 0
    model: str | None = None
    status: str | None = None
    incomplete_details: _Details | None = None
    usage: Usage | None = None
    service_tier: str | None = None


_completion = msgspec.json.Decoder(_Completion)
_response = msgspec.json.Decoder(_Response)


def from_chat(body: bytes, *, asked: Mapping[str, msgspec.Raw], ident: str, model: str) -> bytes:
    """A ``chat.completion`` of one choice as a ``response``; see ``formats.model`` for the arguments' shapes.

    ``model``: named where the answer names none.  Raises ``msgspec.DecodeError``.
    """
    found = fitting.read(_completion, body)
    choice = found.choices[0] if found.choices else _Choice()
    status, details = shapes.ending(choice.finish_reason)
    made = shapes.outline(asked, ident=ident, model=found.model or model, created=found.created)
    made["status"] = status
    made["incomplete_details"] = details
    names = Names(asked.get("tools")) if choice.message.tool_calls else NAMELESS
    made["output"] = _items(choice, ident, status, shapes.summarized(asked), names)
    if found.service_tier is not None:
        made["service_tier"] = found.service_tier
    made["usage"] = shapes.usage_from_chat(found.usage)
    return compact(made)


def _items(choice: _Choice, ident: str, status: str, summary: bool, names: Names) -> list[dict[str, Any]]:
    message = choice.message
    items: list[dict[str, Any]] = []
    if thoughts := message.reasoning_content or message.reasoning:
        items.append(shapes.reasoning_item(shapes.item_id("rs", ident, 0), thoughts, summary=summary))
    parts = _parts(message, choice.logprobs)
    calls = message.tool_calls or []
    if message.function_call is not None:
        calls = [*calls, _Call(f"call_{ident}", message.function_call)]
    if parts or not calls:
        items.append(shapes.message_item(shapes.item_id("msg", ident, len(items)), parts, status))
    for call in calls:
        if (said := call.custom) is not None:
            at = shapes.item_id("ctc", ident, len(items))
            items.append(shapes.custom_item(at, call.id, names.of(said.name), said.input, status))
        else:
            function = call.function or _Function()
            at = shapes.item_id("fc", ident, len(items))
            arguments = chat.arguments_text(function.arguments)
            items.append(shapes.call_item(at, call.id, names.of(function.name), arguments, status))
    return items


def _parts(message: _Message, logprobs: _Logprobs | None) -> list[dict[str, Any]]:
    content = message.content
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if isinstance(part, dict) and _told(part))
    parts = []
    if content:
        parts.append(shapes.text_part(content, logprobs.content if logprobs is not None else None))
    if message.refusal:
        parts.append({"type": "refusal", "refusal": message.refusal})
    return parts


def _told(part: dict[str, Any]) -> bool:
    return isinstance(part.get("text"), str)


def chat_usage(usage: Usage) -> dict[str, Any]:
    read, thought = usage.input_tokens_details or {}, usage.output_tokens_details or {}
    return chat.usage(
        prompt=usage.input_tokens, completion=usage.output_tokens, total=usage.total_tokens,
        cached=read.get("cached_tokens") or 0, written=read.get("cache_write_tokens") or 0,
        reasoning=thought.get("reasoning_tokens") or 0,
    )  # fmt: skip


def to_chat(body: bytes) -> bytes:
    """A ``response`` as a ``chat.completion``.  Raises ``msgspec.DecodeError``."""
    found = fitting.read(_response, body)
    text, refusal, thoughts = "", "", ""
    logprobs: list[Any] = []
    calls: list[dict[str, Any]] = []
    for item in found.output:
        if item.type == "message":
            for part in item.content or ():
                text += part.text
                refusal += part.refusal
                logprobs += part.logprobs or ()
        elif item.type == "reasoning":
            thoughts += "".join(part.text for part in (item.content or item.summary or ()))
        elif item.type == "function_call":
            function = {"name": full_name(item.namespace, item.name), "arguments": item.arguments}
            calls.append({"id": item.call_id, "type": "function", "function": function})
        elif item.type == "custom_tool_call":
            custom = {"name": full_name(item.namespace, item.name), "input": item.input}
            calls.append({"id": item.call_id, "type": "custom", "custom": custom})
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": refusal or None}
    if calls:
        message["tool_calls"] = calls
    if thoughts:
        message["reasoning_content"] = thoughts
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
        "finish_reason": finish_of(found.status, found.incomplete_details, called=bool(calls)),
    }
    made: dict[str, Any] = {
        "id": found.id,
        "object": "chat.completion",
        "created": int(found.created_at),
        "model": found.model,
        "choices": [choice],
    }
    if found.service_tier is not None:
        made["service_tier"] = found.service_tier
    if found.usage is not None:
        made["usage"] = chat_usage(found.usage)
    return compact(made)


def finish_of(status: str | None, details: _Details | None, *, called: bool) -> str | None:
    """Chat's finish reason; ``None``: the answer is not finished (failed, cancelled, under way, broken off)."""
    if status == "completed":
        return "tool_calls" if called else "stop"
    reason = details.reason if status == "incomplete" and details is not None else None
    return "length" if reason == "max_output_tokens" else reason
