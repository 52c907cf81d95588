"""What a chat.completions request asks for, read for whoever says it in another format."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from roadworthy.formats.model import HINTS, compact, refuse

MOST_TOKENS = 10**12
"""A count beyond this is no count: no model reads or writes so much, and no log could keep it."""
CORES = frozenset({"model", "stream", "stream_options"})
"""Fields that every wire says in its own way: they are no parameters."""


def asked_for(
    fields: Mapping[str, msgspec.Raw], nothing: Mapping[str, tuple[Any, ...]], *, besides: Collection[str] = CORES
) -> dict[str, Any]:
    """The fields that ask for something, decoded: without ``besides``, hints and ``null``.

    ``nothing``: field → values by which it asks for nothing.
    """
    asked: dict[str, Any] = {}
    for name, raw in fields.items():
        if name in besides or name in HINTS:
            continue
        value = msgspec.json.decode(raw)
        if value is not None and not any(value == unasked for unasked in nothing.get(name, ())):
            asked[name] = value
    return asked


def most_tokens(asked: dict[str, Any]) -> int | None:
    """Take both fields that limit an answer, of which the lower one holds.  Raises ``Inexpressible``."""
    found = [asked.pop(name) for name in ("max_completion_tokens", "max_tokens") if name in asked]
    if any(not isinstance(value, int) or isinstance(value, bool) or value < 1 for value in found):
        refuse("max_tokens", "expected an integer of at least 1")
    return min(found) if found else None


def nothing_else(said: Mapping[str, Any], where: str, known: Collection[str], format: str) -> None:
    """Raises ``Inexpressible`` for a member beside ``known`` that says something.

    ``format``: what cannot say it (``Gemini's generateContent``).
    """
    for name, value in said.items():
        if name not in known and value:
            refuse(f"{where}.{name}", f"{format} has no counterpart; leave it out")


def function_of(tool: Any, where: str, taker: str) -> dict[str, Any]:
    """The function, with its name, that a tool is.  Raises ``Inexpressible``."""
    found = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        refuse(where, f'expected {{"type": "function", "function": {{"name": …}}}}; {taker} takes no other kind here')
    return found


def schema_of(wanted: Any, taker: str) -> dict[str, Any] | None:
    """``json_schema`` of a ``response_format``, with its ``schema``; ``None``: text is asked for.

    Raises ``Inexpressible``.
    """
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if wanted is None or kind == "text":
        return None
    if kind != "json_schema":
        refuse("response_format", f"{taker} takes text or json_schema, found {kind!r}")
    found = wanted.get("json_schema")
    if not isinstance(found, dict) or not isinstance(found.get("schema"), dict):
        refuse("response_format.json_schema.schema", "expected a JSON Schema object")
    return found


def arguments_of(function: Mapping[str, Any], where: str, taker: str) -> dict[str, Any]:
    """Arguments of a call, which are text in chat completions, for a ``taker`` of objects alone.

    ``where``: of the call.  Raises ``Inexpressible``.
    """
    try:
        found = msgspec.json.decode(function.get("arguments") or "{}")
    except (msgspec.DecodeError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        refuse(f"{where}.function.arguments", f"is not a JSON object; {taker} takes no other")
    return found


def arguments_text(said: Any) -> str:
    """A model's arguments of a call as the JSON text that they are in chat; some dialects write the object itself."""
    if said is None:
        return ""
    return said if isinstance(said, str) else compact(said).decode()


def inline_data(url: str) -> tuple[str, str]:
    """(media type, base64) of a data URL; empty where it is none in base64."""
    if not url.startswith("data:"):
        return "", ""
    head, _, data = url[5:].partition(",")
    media, *options = head.split(";")
    return (media, data) if "base64" in options else ("", "")


def usage(*, prompt: int, completion: int, cached: int, written: int, reasoning: int, total: int = 0) -> dict[str, Any]:
    """``usage`` of a chat completion, in tokens.  ``prompt`` includes what was ``cached`` and ``written`` to a cache,
    ``completion`` the ``reasoning``; ``total``: as reported, where it was."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total or prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
