"""What travels on the surfaces beside chat completions: the same conversation, answer and words as in ``payloads``.

A request is 1.7 KB; the answer's text is the same, and its body as large as the format makes it; every upstream sends
54 events a stream.
"""

from __future__ import annotations

from typing import Any

from bench import payloads
from bench.payloads import compact
from roadworthy.formats.model import Format

FORMATS: tuple[Format, ...] = ("chat", "responses", "messages")
PATHS: dict[Format, str] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
CLIENT: dict[Format, dict[str, str]] = {
    "chat": {},
    "responses": {},
    "messages": {"anthropic-version": "2023-06-01", "User-Agent": "AsyncAnthropic/Python 0.80.0"},
}
"""What a client of the surface sends beside ``payloads.CLIENT_HEADERS``."""

PARAMETERS: dict[Format, dict[str, Any]] = {
    "chat": {"temperature": 0.2, "max_tokens": 256},
    "responses": {"temperature": 0.2, "max_completion_tokens": 256},
    "messages": {"temperature": 0.2, "max_tokens": 256},
}
"""What a release fixes, in chat's words, so that the callers here ask for nothing else."""

_EVENTS = 54
_RESPONSE = "resp_68e5a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6"
_ITEM = "msg_68e5a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f7"
_MESSAGE = "msg_01XFDUDYJgAACzvnptvVoYEL"
_CLAUDE = "claude-sonnet-4-5-20250929"


def request(format: Format, model: str, *, stream: bool) -> bytes:
    """The caller's body."""
    if format == "chat":
        return payloads.request("stream256" if stream else "instant", model)
    turns = payloads.TURNS
    body: dict[str, Any] = {"model": model, "temperature": 0.2}
    if format == "responses":
        body |= {"instructions": payloads.SYSTEM, "input": turns, "max_output_tokens": 256, "user": payloads.USER}
    else:
        body |= {"system": payloads.SYSTEM, "messages": turns, "max_tokens": 256}
        body["metadata"] = {"user_id": payloads.USER}
    return compact(body | ({"stream": True} if stream else {})).encode()


def answer(format: Format) -> str:
    """The upstream's JSON answer."""
    if format == "chat":
        return payloads.answer()
    return compact(_response(payloads.ANSWER, 97) if format == "responses" else _message(payloads.ANSWER, 97))


def events(format: Format) -> list[str]:
    """The upstream's stream."""
    if format == "chat":
        return payloads.events()
    return _response_events() if format == "responses" else _message_events()


def _words(count: int) -> list[str]:
    words = payloads.STREAMED.split()
    return [" " + words[at % len(words)] for at in range(count)]


def _item(text: str, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}] if text else []
    return {"id": _ITEM, "type": "message", "status": status, "content": content, "role": "assistant"}


def _response(text: str | None, output: int, status: str = "completed") -> dict[str, Any]:
    """A ``response`` object as the API sends it (API reference, "The response object")."""
    usage = {
        "input_tokens": 312,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 312 + output,
    }
    return {
        "id": _RESPONSE,
        "object": "response",
        "created_at": 1763860000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": 256,
        "model": f"{payloads.MODEL}-2024-07-18",
        "output": [] if text is None else [_item(text)],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 0.2,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if text is None else usage,
        "user": payloads.USER,
        "metadata": {},
    }


def _response_events() -> list[str]:
    words = _words(_EVENTS - 8)
    text = "".join(words)
    at = {"output_index": 0, "content_index": 0, "item_id": _ITEM}
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    made: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": _response(None, 0, "in_progress")}),
        ("response.in_progress", {"response": _response(None, 0, "in_progress")}),
        ("response.output_item.added", {"output_index": 0, "item": _item("", "in_progress")}),
        ("response.content_part.added", {**at, "part": part}),
        *(("response.output_text.delta", {**at, "delta": word, "logprobs": []}) for word in words),
        ("response.output_text.done", {**at, "text": text, "logprobs": []}),
        ("response.content_part.done", {**at, "part": {**part, "text": text}}),
        ("response.output_item.done", {"output_index": 0, "item": _item(text)}),
        ("response.completed", {"response": _response(text, len(words))}),
    ]
    return [
        f"event: {kind}\ndata: {compact({'type': kind, 'sequence_number': number, **data})}\n\n"
        for number, (kind, data) in enumerate(made)
    ]


def _message(text: str | None, output: int) -> dict[str, Any]:
    """A ``message`` object as the API sends it (API reference, "Messages")."""
    usage = {
        "input_tokens": 312,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }
    return {
        "model": _CLAUDE,
        "id": _MESSAGE,
        "type": "message",
        "role": "assistant",
        "content": [] if text is None else [{"type": "text", "text": text}],
        "stop_reason": None if text is None else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def _message_events() -> list[str]:
    words = _words(_EVENTS - 6)
    made: list[dict[str, Any]] = [
        {"type": "message_start", "message": _message(None, 1)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in words),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 312,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": len(words),
            },
        },
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {compact(event)}\n\n" for event in made]
