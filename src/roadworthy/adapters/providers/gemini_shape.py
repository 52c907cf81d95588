"""What Gemini answers, read as far as chat can say it.

Beyond chat, and so not passed on: citations, safety ratings, grounding and URL metadata (the tools that make the last
two cannot be asked for), images and sound that a model makes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from roadworthy.formats.chat import MOST_TOKENS
from roadworthy.workflow.inference import Tokens

LOCKED_OUT: Final = "PUP_LIMITED_DISABLED"

_FINISHES: dict[str, str | None] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",  # the limit of one request; chat cannot ask for the rest
    "FINISH_REASON_UNSPECIFIED": None,
}
_WITHHELD = frozenset(
    [
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "ESCALATION",
        "MODEL_ARMOR",
    ]
)
"""Finish reasons of an answer that a filter withheld.  Any other passes in small letters; those that tell of a failure
are known to ``gateway.verdict``."""


class _Struct(msgspec.Struct, gc=False, rename="camel"):
    pass


class _Call(_Struct):
    id: str | None = None
    name: str = ""
    args: dict[str, Any] | None = None


class _Part(_Struct):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _Call | None = None


class _Content(_Struct):
    parts: list[_Part] | None = None


class _Logprob(_Struct):
    token: str | None = None
    log_probability: float | None = None


class _Top(_Struct):
    candidates: list[_Logprob] | None = None


class _Logprobs(_Struct):
    chosen_candidates: list[_Logprob] | None = None
    top_candidates: list[_Top] | None = None


class Candidate(_Struct):
    index: int = 0
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    logprobs_result: _Logprobs | None = None


class _Feedback(_Struct):
    block_reason: str | None = None
    block_reason_message: str | None = None


class Response(_Struct):
    candidates: list[Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: dict[str, Any] | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None


class _Vector(_Struct):
    values: list[float] | None = None


class Embeddings(_Struct):
    embeddings: list[_Vector] | None = None
    usage_metadata: dict[str, Any] | None = None
    error: Any = None


response = msgspec.json.Decoder(Response)
embeddings = msgspec.json.Decoder(Embeddings)


class Said(msgspec.Struct, gc=False):
    """What one candidate says in an answer or an event, in chat's terms."""

    text: str = ""
    thoughts: str = ""
    refusal: str = ""
    calls: list[dict[str, Any]] = []
    signature: str | None = None
    """Of the text; a call has its own."""


def candidates_of(found: Response) -> list[Candidate]:
    """The candidates; for a prompt that was blocked, one that says so."""
    feedback = found.prompt_feedback
    if found.candidates or feedback is None or feedback.block_reason is None:
        return found.candidates or []
    told = feedback.block_reason_message
    return [Candidate(finish_reason="PROHIBITED_CONTENT", finish_message=told or blocked(feedback.block_reason))]


def blocked(reason: str) -> str:
    return f"The prompt was blocked ({reason})."


def said(candidate: Candidate, mint: Callable[[], str]) -> Said:
    out = Said()
    for part in (candidate.content.parts or ()) if candidate.content is not None else ():
        call = part.function_call
        if call is not None:
            function = {"name": call.name, "arguments": msgspec.json.encode(call.args or {}).decode()}
            made = {"id": call.id or mint(), "type": "function", "function": function}
            out.calls.append(made | signed(part.thought_signature))
        elif part.thought:
            out.thoughts += part.text or ""
        else:
            out.text += part.text or ""
            out.signature = part.thought_signature or out.signature
    if candidate.finish_reason in _WITHHELD:
        out.refusal = candidate.finish_message or f"The answer was withheld ({candidate.finish_reason})."
    return out


def signed(signature: str | None) -> dict[str, Any]:
    """Where Google's own OpenAI-compatible endpoint keeps a thought signature."""
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def message(told: Said) -> dict[str, Any]:
    made: dict[str, Any] = {"content": told.text or None, "refusal": told.refusal or None}
    if told.calls:
        made["tool_calls"] = told.calls
    if told.thoughts:
        made["reasoning_content"] = told.thoughts
    return made | signed(told.signature)


def delta(told: Said, before: int) -> dict[str, Any]:
    """``before``: calls of earlier events."""
    made: dict[str, Any] = {}
    if told.text:
        made["content"] = told.text
    if told.refusal:
        made["refusal"] = told.refusal
    if told.calls:
        made["tool_calls"] = [{"index": before + place, **call} for place, call in enumerate(told.calls)]
    if told.thoughts:
        made["reasoning_content"] = told.thoughts
    return made | signed(told.signature)


def finish(candidate: Candidate, told: Said, *, called: bool = False) -> str | None:
    """Chat's word; ``called``: earlier events held calls."""
    reason = candidate.finish_reason
    if reason is None:
        return None
    if reason in _WITHHELD:
        return "content_filter"
    if reason == "STOP" and (told.calls or called):
        return "tool_calls"
    return _FINISHES.get(reason, reason.lower())


def logprobs(found: _Logprobs | None) -> dict[str, Any] | None:
    if found is None or not found.chosen_candidates:
        return None
    tops = found.top_candidates or []
    content = []
    for place, chosen in enumerate(found.chosen_candidates):
        others = (tops[place].candidates or []) if place < len(tops) else []
        content.append({**_logprob(chosen), "top_logprobs": [_logprob(other) for other in others]})
    return {"content": content, "refusal": None}


def _logprob(found: _Logprob) -> dict[str, Any]:
    token = found.token or ""
    # proto JSON leaves out a zero: a token that is certain
    return {"token": token, "logprob": found.log_probability or 0.0, "bytes": list(token.encode())}


def tokens_of(usage: dict[str, Any] | None) -> Tokens | None:
    """Counts in our words; ``None`` where usage is missing, absurd, negative or all zero.

    ``promptTokenCount`` includes what came from a cache; thoughts are counted beside the candidates and billed as
    output; what tools of Google's read is billed as input.  Where the total shows that the candidates' count includes
    the thoughts already (some models of Vertex AI), they are not counted twice.
    """
    if usage is None:
        return None
    prompt, cached, tools = (_count(usage, name) for name in ("prompt", "cachedContent", "toolUsePrompt"))
    written, thoughts, total = (_count(usage, name) for name in ("candidates", "thoughts", "total"))
    if (
        min(cached, tools, written, thoughts) < 0
        or not 0 < prompt <= prompt + tools + written + thoughts <= MOST_TOKENS
    ):
        return None
    included = thoughts > 0 and total == prompt + tools + written and thoughts <= written
    output = written if included else written + thoughts
    read = min(cached, prompt)
    return Tokens(input=prompt - read + tools, cache_read=read, output=output, reasoning=thoughts)


def _count(usage: dict[str, Any], name: str) -> int:
    """0 where it is not told (proto JSON leaves out a zero), -1 where it is no count."""
    found = usage.get(f"{name}TokenCount", 0)
    return found if isinstance(found, int) and not isinstance(found, bool) else -1
