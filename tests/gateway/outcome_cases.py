"""Every outcome and every failure: what a release declares, what its provider says, and what must come of it.

One table for all surfaces: ``said`` is the provider's wire format.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway_support import release
from speech import SPEECH, Speech

from roadworthy.http1.errors import Disconnected, ReadTimeout
from roadworthy.http1.errors import Refused as ConnectionRefused
from roadworthy.workflow.model import Bypass, CacheSpec, Canned, CheckSpec, Handling, Prompt, Release, Step

CHAT = SPEECH["chat"]
SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string"}},
    "required": ["topic"],
    "additionalProperties": False,
}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "look", "strict": True, "description": "",
        "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    },
}  # fmt: skip
SHAPES = ["plain", "schema_with_json", "schema_with_text", "tools", "callers_schema", "callers_tools"]
STRUCTURED = {shape for shape in SHAPES if shape != "plain"}

LADDER: dict[Any, list[Step]] = {
    "unavailable": [Step("canned")],
    "slow": [Step("escalate")],
    "truncated": [Step("cache")],
    "refused": [Step("drop")],
    "invalid": [Step("repair")],
    "overlimit": [Step("retry", backoff=0.0)],
    "misconfigured": [Step("target", target="backup")],
    "throttled": [],
    "overspent": [],
}
TEXTS = {"canned": "We will write to you.", "escalated": "A colleague looks at it.", "blocked": "We cannot say."}


def declared(outcome: str, shape: str) -> Canned:
    return Canned(TEXTS[outcome], {"topic": outcome} if shape == "schema_with_json" else None)


def served(shape: str, name: str = "", overrides: Any = ("response_format", "tools")) -> Release:
    handling = Handling(
        ladder=LADDER, canned=declared("canned", shape), holding=declared("escalated", shape),
        blocked=declared("blocked", shape), cache=CacheSpec(),
        stream="buffered" if "schema" in shape else "passthrough",
    )  # fmt: skip
    behaviour: dict[str, Any] = {"caller_overrides": overrides if isinstance(overrides, str) else list(overrides)}
    if shape.startswith("schema"):
        behaviour["schema"] = SCHEMA
    if shape == "tools":
        behaviour["tools"] = [TOOL]
    return release(name or shape, behaviour=behaviour, handling=handling)


def bare() -> Release:
    nothing: dict[Any, list[Step]] = {failure: [] for failure in LADDER} | {"unsafe": []}
    return release("bare", handling=Handling(ladder=nothing))


def strict() -> Release:
    """Unsafe answers, and no step after them."""
    promise = CheckSpec(kind="forbidden", failure="unsafe", options={"patterns": ["(?i)we guarantee"]})
    return release("strict", handling=Handling(ladder={"unsafe": []}, checks={"promises": promise}, stream="buffered"))


def bypassing(name: str, bypass: Bypass) -> Release:
    handling = Handling(bypass=bypass, holding=Canned(TEXTS["escalated"]))
    return release(name, behaviour={"prompt": Prompt("app", "You help.")}, handling=handling)


def both(said: Speech, *words: str, finish: str = "stop") -> dict[str, Any]:
    """An answer, by how it is asked for."""
    return {"whole": said.whole("".join(words), finish), "stream": said.stream(*words, finish=finish)}


"""What the provider answers, call by call; the first word is the outcome."""


def good(shape: str, said: Speech = CHAT) -> dict[str, Any]:
    return both(said, '{"topic": "bill"}' if "schema" in shape else "Hello")


def bad(shape: str, said: Speech = CHAT) -> dict[str, Any]:
    """An answer that is ``invalid``."""
    return both(said, "The topic is: bill" if shape.startswith("schema") else "")


def filtered(said: Speech = CHAT) -> dict[str, Any]:
    return both(said, finish="content_filter")


OVERLIMIT = (429, [(b"retry-after", b"0")], b"{}")
OUTCOMES: dict[str, Callable[[str, Speech], list[Any]]] = {
    "answered": lambda shape, said: [good(shape, said)],
    "recovered by a retry": lambda shape, said: [OVERLIMIT, good(shape, said)],
    "recovered by a repair": lambda shape, said: [bad(shape, said), good(shape, said)],
    "recovered by another target": lambda shape, said: [(401, [], b"{}"), good(shape, said)],
    "cached": lambda shape, said: [good(shape, said), Disconnected("cut", "in_body")],
    "canned": lambda shape, said: [(500, [], b"{}")],
    "escalated": lambda shape, said: [ReadTimeout("total", 1.0)],
    "blocked": lambda shape, said: [filtered(said)],
}
"""What the provider answers, call by call; the first word is the outcome."""

TERMINAL: list[tuple[str, Any, int, str]] = [
    ("unavailable", (500, [], b"{}"), 503, "unavailable"),
    ("unavailable", (529, [], b"{}"), 503, "unavailable"),
    ("unavailable", ConnectionRefused("nobody listens"), 503, "unavailable"),
    ("unavailable", Disconnected("reset", "before_first_byte"), 503, "unavailable"),
    ("slow", ReadTimeout("total", 1.0), 503, "slow"),
    ("truncated", Disconnected("cut", "in_body"), 503, "truncated"),
    ("invalid", (200, [(b"content-type", b"text/html")], b"<html>"), 503, "invalid"),
    ("refused", filtered, 503, "refused"),
    ("overlimit", (429, [(b"retry-after", b"7")], b"{}"), 503, "overlimit"),
    ("misconfigured", (401, [], b"{}"), 503, "misconfigured"),
    ("misconfigured", (402, [], b"{}"), 503, "misconfigured"),
    ("misconfigured", (403, [], b"{}"), 503, "misconfigured"),
    ("misconfigured", (404, [], b"{}"), 503, "misconfigured"),
    ("bad_request", (400, [], b'{"error":{"message":"no","code":"x"}}'), 400, "bad_request"),
    ("bad_request", (422, [], b'{"error":{"message":"no","code":"x"}}'), 422, "bad_request"),
    (
        "context_length",
        (400, [], b'{"error":{"message":"too long","code":"context_length_exceeded"}}'),
        400,
        "context_length_exceeded",
    ),
]
"""(failure, reply, status, code) where no step is left; a callable makes the reply of what the provider speaks."""
