"""The scorers that there are, and which of them judge a set.

A new one: a file beside this one, a line in ``SCORERS``, and, where examples ask for it, a line in ``scorers_of``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from roadworthy.evals.model import Examples
from roadworthy.evals.scorers.base import Pure, Scorer
from roadworthy.evals.scorers.exact import Exact
from roadworthy.evals.scorers.valid_json import ValidJson
from roadworthy.workflow.digest import canonical

SCORERS: Final[dict[str, Any]] = {kind.word: kind for kind in (Exact, ValidJson)}
"""Word → what makes one."""


class UnknownScorer(Exception):
    """What was recorded cannot be rebuilt by this version."""


def scorers_of(examples: Examples) -> list[Pure]:
    """Those that a set asks for: each field, the whole text, and whether the answer is JSON at all where it must be."""
    found: list[Pure] = [ValidJson()] if examples.fields else []
    found += [Exact(field) for field in examples.fields]
    if examples.whole:
        found.append(Exact())
    return found


def recorded(scorer: Scorer) -> dict[str, Any]:
    """Name, arguments and version, as JSON."""
    return {"scorer": scorer.word, "version": scorer.version, "arguments": msgspec.to_builtins(scorer)}


def rebuilt(record: Mapping[str, Any]) -> Scorer:
    """Raises ``UnknownScorer``."""
    kind = SCORERS.get(str(record.get("scorer")))
    if kind is None or kind.version != record.get("version"):
        raise UnknownScorer(f"there is no scorer {record.get('scorer')} of version {record.get('version')} here")
    made: Scorer = msgspec.convert(record.get("arguments", {}), kind)
    return made


def hash_of(scorers: Sequence[Scorer]) -> str:
    """``scr_`` + 64 hex digits: another argument or version gives another."""
    text = canonical([recorded(scorer) for scorer in sorted(scorers, key=lambda each: each.name)])
    return "scr_" + hashlib.sha256(text.encode("ascii")).hexdigest()
