"""The scorers of a publication or a run: declared by the workflow, kept as records, rebuilt from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roadworthy.evals.model import Examples
from roadworthy.evals.scorers.base import Scorer
from roadworthy.evals.scorers.registry import (
    SCORERS,
    NotReady,
    UnknownScorer,
    World,
    lacking,
    rebuilt,
    scorers_for,
    scorers_of,
)
from roadworthy.workflow.model import Workflow

Records = Sequence[Mapping[str, Any]]


def of_records(records: Records, examples: Examples) -> list[Scorer]:
    """Without records, those that the examples ask for by themselves.  Raises ``UnknownScorer``."""
    return [rebuilt(each) for each in records] if records else list(scorers_of(examples))


def declared(flow: Workflow, examples: Examples, frozen: Callable[[str], str]) -> list[Scorer]:
    """What the workflow declares, else what the examples ask for.  ``frozen``: as ``World`` has it.

    Raises ``NotReady``: one of them cannot be made, or examples do not say what it compares with.
    """
    scorers = scorers_for(flow.evals, examples, World(frozen, flow.rubric or ""))
    problems = lacking(scorers, examples) if flow.evals.scorers else []
    if problems:
        raise NotReady("; ".join(problems))
    return scorers


def of_this_version(records: Records, examples: Examples) -> list[Scorer]:
    """The same scorers as this version has them; where it has one of them no more, what the examples ask for."""
    if not any("title" in each.get("arguments", {}) for each in records):  # nobody declared them
        return list(scorers_of(examples))
    try:
        return [rebuilt({**each, "version": _version(str(each.get("scorer")))}) for each in records]
    except UnknownScorer:
        return list(scorers_of(examples))


def _version(word: str) -> int | None:
    kind = SCORERS.get(word)
    return None if kind is None else kind.version
