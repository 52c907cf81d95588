"""What answers and events are made of, and what a chat completion says of its end and its usage in these words.

Source: OpenAI API reference, "The response object".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Text = str | msgspec.Raw
"""A text, or its JSON."""
_NULL = msgspec.Raw(b"null")
_ECHOED: dict[str, msgspec.Raw] = {
    name: msgspec.Raw(json)
    for name, json in {
        "background": b"false",
        "instructions": b"null",
        "max_output_tokens": b"null",
        "max_tool_calls": b"null",
        "metadata": b"{}",
        "parallel_tool_calls": b"true",
        "previous_response_id": b"null",
        "prompt_cache_key": b"null",
        "reasoning": b'{"effort":null,"summary":null}',
        "safety_identifier": b"null",
        "service_tier": b"null",
        "store": b"false",
        "temperature": b"null",
        "text": b'{"format":{"type":"text"}}',
        "tool_choice": b'"auto"',
        "tools": b"[]",
        "top_logprobs": b"0",
        "top_p": b"null",
        "truncation": b'"disabled"',
        "user": b"null",
    }.items()
}
"""What an answer says of its request → what it says where the request did not."""
_CUT: dict[str | None, str | None] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
    None: None,
    "error": None,
    "abort": None,
    "network_error": None,
    "insufficient_system_resource": None,
}
"""Chat's finish reasons of what is not whole (the last four: of providers that broke off) → the reason that Responses
have a word for."""


class ChatUsage(msgspec.Struct, gc=False):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: dict[str, Any] | None = None
    completion_tokens_details: dict[str, Any] | None = None


def ending(finish: str | None) -> tuple[str, dict[str, str] | None]:
    """``status`` and ``incomplete_details`` for chat's finish reason (``None``: it never came)."""
    if finish not in _CUT:
        return "completed", None
    reason = _CUT[finish]
    return "incomplete", None if reason is None else {"reason": reason}


def outline(asked: Mapping[str, msgspec.Raw], *, ident: str, model: str, created: int) -> dict[str, Any]:
    """The ``response`` of a call that has just begun."""
    made: dict[str, Any] = {
        "id": f"resp_{ident}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        **_ECHOED,
        "usage": None,
    }
    for name, said in asked.items():
        if name in _ECHOED and said != _NULL:
            made[name] = _on_one_line(said)
    made["service_tier"] = None  # the provider's word, not the caller's
    return made


def _on_one_line(said: msgspec.Raw) -> msgspec.Raw:
    """A caller may have written its JSON over several lines, which events cannot hold."""
    json = bytes(said)
    return msgspec.Raw(msgspec.json.format(json, indent=-1)) if b"\n" in json or b"\r" in json else said


def summarized(asked: Mapping[str, msgspec.Raw]) -> bool:
    """Does the caller want to read what the model thinks, as a summary?"""
    raw = asked.get("reasoning")
    if raw is None or raw == _NULL:
        return False
    wanted = msgspec.json.decode(raw)
    return isinstance(wanted, dict) and bool(wanted.get("summary") or wanted.get("generate_summary"))


def reasoning_item(ident: str, thoughts: Text, *, summary: bool) -> dict[str, Any]:
    """``content`` is what goes back to the model; ``summary`` is what clients show."""
    return {
        "id": ident,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": thoughts}] if summary else [],
        "content": [{"type": "reasoning_text", "text": thoughts}],
        "encrypted_content": None,
        "status": "completed",
    }


def message_item(ident: str, parts: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {"id": ident, "type": "message", "status": status, "role": "assistant", "content": parts}


def text_part(text: Text, logprobs: Any = None) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs or []}


def call_item(ident: str, call: str, name: dict[str, str], arguments: Text, status: str) -> dict[str, Any]:
    """``name``: as ``words.Names`` tells it."""
    head = {"id": ident, "type": "function_call", "status": status, "call_id": call}
    return {**head, **name, "arguments": arguments}


def custom_item(ident: str, call: str, name: dict[str, str], said: Text, status: str) -> dict[str, Any]:
    return {"id": ident, "type": "custom_tool_call", "status": status, "call_id": call, **name, "input": said}


def item_id(kind: str, ident: str, place: int) -> str:
    """``place``: of the item in the output."""
    return f"{kind}_{ident}_{place}"


def usage_from_chat(usage: ChatUsage | None) -> dict[str, Any] | None:
    """``None`` where the target reported none."""
    if usage is None:
        return None
    read, thought = usage.prompt_tokens_details or {}, usage.completion_tokens_details or {}
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": read.get("cached_tokens") or 0,
            "cache_write_tokens": read.get("cache_write_tokens") or 0,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": thought.get("reasoning_tokens") or 0},
        "total_tokens": usage.total_tokens or usage.prompt_tokens + usage.completion_tokens,
    }
