"""One inference in words, for whoever shows it: who answered, how each attempt ended, what it cost, what was said.

Pure, over plain JSON as the journal and the admin API have it (``msgspec.to_builtins`` of an ``Inference``).  Nothing
here is escaped: a surface does that for its own medium.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from roadworthy.formats import reading
from roadworthy.workflow import words

_KINDS = (("input", "in"), ("cache_read", "cache read"), ("cache_write", "cache write"), ("output", "out"))

Facts = Mapping[str, Any]

DROPPED = {
    "policy": "the policy keeps no bodies",
    "disk_full": "the disk was full",
    "too_large": "they were too large",
    "expired": "their retention has ended",
}
"""Why bodies are missing → in words."""


def served(facts: Facts, entry: Facts) -> str:
    """Which release, by which route: ``release 3 (rel_1a2b…), route previous``.  ``entry`` may hold its ``release``."""
    route = str(facts.get("route", "release"))
    digest = facts.get("digest")
    number = (entry.get("release") or {}).get("number") if isinstance(entry.get("release"), dict) else None
    name = f"release {number} ({str(digest)[:16]})" if number else str(digest)[:16] if digest else "no release"
    return name if route == "release" and digest else f"{name}, route {route}"


def answered(facts: Facts) -> str:
    """Who wrote what the caller read: ``main / gpt-4o-mini``, ``nobody: the declared canned text``."""
    if facts.get("target"):
        answered = facts.get("model_answered")
        asked = facts.get("model_asked")
        model = f" / {answered or asked}" if answered or asked else ""
        return f"{facts['target']}{model}" + (
            f" (asked for {asked})" if answered and asked and answered != asked else ""
        )
    if facts.get("outcome") == "cached":
        age = facts.get("cached_age")
        source = f", made by {facts['cached_from']}" if facts.get("cached_from") else ""
        return f"an earlier call's answer, {words.seconds(age)} old{source}"
    return {
        "canned": "nobody: the declared canned text",
        "escalated": "nobody yet: the holding text; a human answers",
        "blocked": "nobody: the answer was withheld",
        "limited": "nobody: a limit or a budget was reached",
        "bypassed": "the bypass, no model",
        "error": "nobody",
        "abandoned": "nobody: the caller left",
    }.get(str(facts.get("outcome")), "nobody")


def user(facts: Facts) -> str:
    """Whose call, and where that was read."""
    source = facts.get("unit_source", "random")
    if source == "random":
        return "unknown: the call named nobody"
    return f"{facts.get('unit')} (from {str(source).replace('_', ' ')})"


def result(attempt: Facts) -> str:
    """How an attempt ended: ``good``, ``slow 504``."""
    status = f" {attempt['status']}" if attempt.get("status") not in (None, 200) else ""
    return f"{attempt.get('failure') or attempt.get('finish') or 'good'}{status}"


def span(attempt: Facts) -> str:
    """From when to when, counted from admission."""
    return f"{words.seconds(attempt.get('started') or 0.0)} – {words.seconds(attempt.get('ended') or 0.0)}"


def tokens(counted: Facts | None) -> str:
    """``1,200 in, 300 out``."""
    if not counted:
        return ""
    return ", ".join(f"{counted[kind]:,} {name}" for kind, name in _KINDS if counted.get(kind))


def breakdown(attempt: Facts, price: Facts | None) -> Iterator[str]:
    """An attempt's price, a line a kind of token: ``main: 1,200 in × $0.15/M = $0.00018``."""
    counted = attempt.get("tokens")
    name = str(attempt.get("target"))
    if not counted:
        if attempt.get("cost_unknown"):
            yield f"{name}: unknown, {attempt['cost_unknown']}"
        return
    estimated = " (estimated)" if attempt.get("tokens_estimated") else ""
    if price is None:
        yield f"{name}: {tokens(counted)}{estimated} = {words.dollars(attempt.get('cost_usd'))}"
        return
    total = float(price.get("per_request") or 0.0)
    for kind, label in _KINDS:
        count = counted.get(kind, 0)
        if not count:
            continue
        each = price.get(kind) if price.get(kind) is not None else price.get("input", 0.0)
        part = count * float(each or 0.0)
        total += part
        yield f"{name}: {count:,} {label} × ${float(each or 0.0) * 1e6:g}/M = {words.dollars(part)}{estimated}"
    if price.get("per_request"):
        yield f"{name}: 1 call × {words.dollars(price['per_request'])}"
    paid = attempt.get("cost_usd")
    if paid is not None and abs(total - paid) > max(1e-9, 1e-6 * abs(paid)):
        yield f"{name}: recorded {words.dollars(paid)} at the price of that time; {words.dollars(total)} at today's"


class Said(NamedTuple):
    """One text of an inference."""

    title: str
    text: str


def texts(facts: Facts) -> Iterator[Said]:
    """What was asked and answered, in order: system prompt, messages, answers."""
    request, response = _as_chat(facts)
    if facts.get("prompt"):
        yield Said("System prompt", str(facts["prompt"]))
    for message in (request.get("messages") or []) if isinstance(request, dict) else []:
        if isinstance(message, dict):
            yield Said(str(message.get("role", "message")).capitalize(), content_text(message))
    if isinstance(request, dict) and request.get("input") is not None:
        yield Said("Input", plain(request["input"]))
    answers = (response.get("choices") or []) if isinstance(response, dict) else []
    for number, choice in enumerate(answers, 1):
        message = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(message, dict):
            finish = f" ({choice['finish_reason']})" if choice.get("finish_reason") else ""
            yield Said(f"Answer{f' {number}' if len(answers) > 1 else ''}{finish}", content_text(message))
    error = response.get("error") if isinstance(response, dict) else None
    if isinstance(error, dict):
        yield Said("Answer (error)", f"{error.get('code') or error.get('type')}: {error.get('message')}")


def _as_chat(facts: Facts) -> tuple[Any, Any]:
    """(request, answer) as chat completions, whatever the caller spoke."""
    request, response = decoded(facts.get("request")), decoded(facts.get("response"))
    surface = facts.get("surface", "chat")
    if surface == "chat":
        return request, response
    asked = reading.asked(surface, None if request is None else msgspec.Raw(msgspec.json.encode(request)))
    said = reading.said(surface, None if response is None else msgspec.Raw(msgspec.json.encode(response)))
    return asked and msgspec.json.decode(asked), said and msgspec.json.decode(said)


def content_text(message: Facts) -> str:
    """The content of a message in words: text, refusal, tool calls, parts that are no text named."""
    parts = []
    content = message.get("content")
    if isinstance(content, list):
        for part in content:
            kind = part.get("type") if isinstance(part, dict) else None
            parts.append(str(part.get("text", "")) if kind == "text" else f"[{kind or 'part'}]")
    elif content is not None:
        parts.append(str(content))
    if message.get("refusal"):
        parts.append(f"[refusal] {message['refusal']}")
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        parts.append(f"[tool call] {function.get('name')}({function.get('arguments')})")
    return "\n".join(parts) or "(empty)"


def decoded(value: Any) -> Any:
    """A body as JSON; ``None`` for what is none."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return None
    return value


def plain(value: Any) -> str:
    """Text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
