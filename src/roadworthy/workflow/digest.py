"""Content addresses: the same content has the same digest on any machine, in any year.

A digest is SHA-256 over canonical JSON: ASCII, sorted keys, no spaces, whole floats as integers, NaN refused.
Fields at their default are left out, so a field that is added later changes no digest; defaults of frozen
structs therefore never change.  Line ends are ``\\n`` since reading.  Unicode is *not* normalised: a model reads
composed and decomposed letters differently.  The key order of schema and tools is kept, for a model that is
held to a schema writes its keys in that order.

Facets: ``behaviour`` (``beh_…``) and ``handling`` (``han_…``).  A release (``rel_…``) is both, plus the name of
its workflow, so two workflows never share a release even when their content is equal.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import msgspec

from roadworthy.workflow.model import Behaviour, Handling, Release, Workflow


class NotReleasable(ValueError):
    """The workflow has no behaviour of its own yet (it is only passed through)."""


def canonical(value: Any, *, keep_order: bool = False) -> str:
    """Canonical JSON text.  Raises ``ValueError`` for NaN and infinities."""
    return json.dumps(_plain(value), sort_keys=not keep_order, separators=(",", ":"), allow_nan=False)


def behaviour_digest(behaviour: Behaviour) -> str:
    facts = _facts(behaviour)
    for ordered in ("schema", "tools"):
        if ordered in facts:
            facts[ordered] = canonical(facts[ordered], keep_order=True)
    for spec in (facts.get("prompt") or {}).get("inputs", {}).values():
        spec.pop("description", None)  # a remark for people: no model ever reads it
    return "beh_" + _sha256(canonical(facts))


def handling_digest(handling: Handling) -> str:
    return "han_" + _sha256(canonical(_facts(handling)))


def release_of(workflow: Workflow) -> Release:
    """The release that this draft freezes into.  Raises ``NotReleasable``."""
    if workflow.behaviour is None:
        raise NotReleasable(f"{workflow.name} has no target, prompt and bypass of its own yet")
    return release(workflow.name, workflow.behaviour, workflow.handling)


def release(name: str, behaviour: Behaviour, handling: Handling) -> Release:
    of_behaviour, of_handling = behaviour_digest(behaviour), handling_digest(handling)
    digest = "rel_" + _sha256(canonical({"workflow": name, "behaviour": of_behaviour, "handling": of_handling}))
    return Release(
        workflow=name,
        digest=digest,
        behaviour_digest=of_behaviour,
        handling_digest=of_handling,
        behaviour=behaviour,
        handling=handling,
    )


def _facts(value: Any) -> Any:
    """Plain data without the fields that equal their default.

    Not ``msgspec.to_builtins``: its ``omit_defaults`` goes by identity for numbers, so a default that was written
    out or read back from storage would count.
    """
    if isinstance(value, msgspec.Struct):
        out = {}
        for field in msgspec.structs.fields(value):
            item = getattr(value, field.name)
            default = field.default
            if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            if default is msgspec.NODEFAULT or item != default:
                out[field.name] = _facts(item)
        return out
    if isinstance(value, dict):
        return {key: _facts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_facts(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """Numbers that are equal become the same number: ``1.0`` is ``1`` and ``-0.0`` is ``0``."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
