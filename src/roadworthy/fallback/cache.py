"""The exact cache's rules: what two calls must share to share an answer, and which answers may be kept.  Pure.

The key binds everything that decides an answer and nothing else: team, workflow, release digest, traffic class, the
whole request that a target would get (rendered prompt, parameters, tools, schema), and the user, unless the release
declares its answers safe for others.  Key order and insignificant whitespace do not count; who asks
(``user``, ``metadata``) and how it is told (``stream``) are no part of the question.

Fails closed: where the caller's JSON can be read in two ways (a member named twice), or nobody knows on whose behalf
it asks, there is no key, and nothing is kept or served.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

from roadworthy.workflow.inference import SERVED_BY_MODEL, Check, Outcome, TrafficClass, UnitSource

NOT_ASKED: frozenset[str] = frozenset(
    {
        "model", "stream", "stream_options", "user", "safety_identifier", "metadata", "store", "service_tier",
        "prompt_cache_key", "prompt_cache_retention", "roadworthy",
    }
)  # fmt: skip
"""Request fields that do not change what a model is asked.  ``model`` is the workflow's name; the release names the
exact model."""

WHOLE_FINISHES: frozenset[str | None] = frozenset({"stop", None})
"""How a kept answer ended (``None``: embeddings).  A tool call is an act that the app takes upon it: told again it
would be done again, so it is never kept."""


class _Ambiguous(ValueError):
    """JSON that two parsers may read differently."""


def cache_key(
    *,
    team: str,
    workflow: str,
    release: str,
    traffic: TrafficClass,
    unit: str | None,
    unit_source: UnitSource,
    shared: bool,
    operation: str,
    fields: Mapping[str, msgspec.Raw],
) -> bytes | None:
    """32 bytes; ``None``: this call is neither served from the cache nor kept in it.

    ``fields``: the request as it goes to a target, ``Raw`` JSON by top-level name.
    """
    if not shared and (unit is None or unit_source == "random"):
        return None
    try:
        asked = _canonical({name: fields[name] for name in fields if name not in NOT_ASKED})
    except (ValueError, RecursionError):
        return None
    whom = ["shared"] if shared else ["unit", unit_source, unit]
    scope = msgspec.json.encode([team, workflow, release, traffic, operation, whom])
    made = hashlib.blake2b(scope, digest_size=32)
    made.update(b"\n")
    made.update(asked)
    return made.digest()


def may_keep(outcome: Outcome, finish: str | None, checks: list[Check], body: bytes) -> bool:
    """Is this answer good enough to be given again?"""
    if outcome not in SERVED_BY_MODEL or finish not in WHOLE_FINISHES:
        return False
    if not all(check.passed and not check.broke for check in checks):
        return False
    return b'"tool_calls"' not in body or not _calls_tools(body)


def _canonical(fields: Mapping[str, msgspec.Raw]) -> bytes:
    """JSON with sorted members and no whitespace.  Raises ``ValueError`` for what can be read in two ways."""
    read = {name: _strict.decode(bytes(raw).decode()) for name, raw in fields.items()}
    return json.dumps(read, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise _Ambiguous("a member is named twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise _Ambiguous(f"{text} is no JSON number")


_strict = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)


def _calls_tools(body: bytes) -> bool:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return True
    choices = found.get("choices") if isinstance(found, dict) else None
    messages = [choice.get("message") for choice in choices or () if isinstance(choice, dict)]
    return any(isinstance(message, dict) and message.get("tool_calls") for message in messages)
