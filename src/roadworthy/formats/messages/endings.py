"""Why an answer ends, and how a refusal is told, in the words of each side.

Source: Anthropic API reference, "Handling stop reasons".
"""

from __future__ import annotations

from typing import Any

import msgspec

REFUSED = "The model declined to answer."

FINISHES: dict[str, str | None] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": None,  # the turn is not finished
}
STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class StopDetails(msgspec.Struct, gc=False):
    explanation: str | None = None


def finish_of(stop_reason: str | None) -> str | None:
    """OpenAI's word; a reason that Anthropic adds later is passed on as it is."""
    return None if stop_reason is None else FINISHES.get(stop_reason, stop_reason)


def plain(finish: str | None) -> str | None:
    """The answer came as the input of our own tool: to the caller it is text."""
    return "stop" if finish == "tool_calls" else finish


def refusal_of(text: str, details: StopDetails | None) -> str:
    return text or (details.explanation if details is not None else None) or REFUSED


def stop_reason_of(finish: str | None, *, calls: bool) -> str | None:
    """``calls``: it calls tools, which some say with ``stop`` (OpenAI where the tool was forced) and clients go by."""
    if calls and finish == "stop":
        return "tool_use"
    return None if finish is None else STOP_REASONS.get(finish, finish)


def refusal_details(why: str) -> dict[str, Any]:
    return {"type": "refusal", "category": None, "explanation": why}
