"""The default ladder: the steps of every failure for which a workflow declares none.

They are merged in when the files are read, so that a release's digest binds them.  Only steps whose resources are
declared are merged: ``escalate`` needs a holding answer, ``cache`` a cache, ``canned`` a canned answer.  Embeddings
know neither text nor humans, so theirs only retry and take from the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

import msgspec

from roadworthy.workflow.inference import FINAL_FAILURES, Failure, StepKind
from roadworthy.workflow.model import Ladder, Step

LADDER_FAILURES: Final[tuple[Failure, ...]] = tuple(
    failure for failure in get_args(Failure) if failure != "gateway_lost"
)
"""Failures that have a ladder; a gateway that was lost can take no step."""

WITH_OUTPUT: Final[frozenset[Failure]] = frozenset({"unsafe", "invalid", "refused"})
"""Failures of an answer that was read: there is something to ``drop``."""

REPAIRABLE: Final[frozenset[Failure]] = frozenset({"invalid"})

NEVER_RETRIED: Final[frozenset[Failure]] = FINAL_FAILURES | {"overspent", "gateway_lost"}
"""The same call fails again."""

NOT_ADMITTED: Final[frozenset[Failure]] = frozenset({"throttled", "overspent"})
"""Failures by which a call may be turned away before any target is called."""

WITHOUT_CALL: Final[frozenset[StepKind]] = frozenset({"cache", "canned", "escalate", "drop"})

_RETRY, _CACHE, _ESCALATE, _CANNED = Step("retry"), Step("cache"), Step("escalate"), Step("canned")
_LATER: Final = [_CACHE, _ESCALATE, _CANNED]
_TWICE: Final = [Step("retry", times=2), *_LATER]
_ONCE: Final = [_RETRY, *_LATER]

DEFAULT_LADDER: Final[Mapping[Failure, list[Step]]] = {
    "unavailable": _TWICE,
    "overlimit": _TWICE,
    "slow": _ONCE,
    "truncated": _ONCE,
    "throttled": [msgspec.structs.replace(step, admitted_only=True) for step in _ONCE],
    "invalid": [Step("repair"), _ESCALATE, _CANNED],
    "refused": [_ESCALATE, _CANNED],
    "unsafe": [Step("drop"), _ESCALATE, _CANNED],
    "overspent": [],
    "misconfigured": _LATER,
    "context_length": [],
    "bad_request": [],
}
"""A caller whose key or budget is used up reads 429 by default (``throttled`` and ``overspent`` of a call that was not
admitted); one whose request is bad reads why."""

_OF_EMBEDDINGS: Final[frozenset[StepKind]] = frozenset({"retry", "target", "cache"})


def default_steps(
    failure: Failure, *, canned: bool, cache: bool, holding: bool, embeddings: bool = False
) -> list[Step]:
    """The default steps after ``failure`` of a workflow that declares these resources."""
    steps = DEFAULT_LADDER.get(failure, [])
    if embeddings:
        steps = [_RETRY if step.kind == "repair" else step for step in steps]
        steps = [step for step in steps if step.kind in _OF_EMBEDDINGS]
    missing = {"canned": not canned, "cache": not cache, "escalate": not holding}
    return [step for step in steps if not missing.get(step.kind, False)]


def merged(declared: Ladder, *, canned: bool, cache: bool, holding: bool, embeddings: bool = False) -> Ladder:
    """The whole ladder: what is declared, and the default of every other failure.  A declared empty list stays."""
    return {
        failure: declared[failure]
        if failure in declared
        else default_steps(failure, canned=canned, cache=cache, holding=holding, embeddings=embeddings)
        for failure in LADDER_FAILURES
    }
