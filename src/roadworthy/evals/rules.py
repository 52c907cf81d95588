"""What an answer counts, how askings are averaged, which examples a sample holds.  Pure; ``gate.py`` judges."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from roadworthy.evals.model import Example, Standing
from roadworthy.workflow.digest import canonical
from roadworthy.workflow.inference import SERVED_BY_MODEL, Failure, Outcome
from roadworthy.workflow.model import Behaviour, Handling, Policy

SAYS_NOTHING: Final[frozenset[Failure]] = frozenset(
    {"unavailable", "slow", "overlimit", "throttled", "overspent", "misconfigured", "gateway_lost"}
)
"""Failures that say nothing about what the model does; the example is asked again."""

Scores = Mapping[str, Mapping[str, float]]
"""Score → example → score; an example that was not answered is left out."""


def standing(outcome: Outcome | None, failure: Failure | None) -> Standing:
    """Only what a model wrote can be good; a canned or a human's answer is none of the release's."""
    if outcome in SERVED_BY_MODEL:
        return "good"
    if outcome is None or failure is None or failure in SAYS_NOTHING:
        return "unanswered"
    return "bad"


def averaged(runs: Iterable[Scores]) -> Scores:
    """Score by score and example by example, over those that answered it."""
    sums: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for name, found in run.items():
            for example, score in found.items():
                sums.setdefault(name, {}).setdefault(example, []).append(score)
    return {name: {example: sum(each) / len(each) for example, each in found.items()} for name, found in sums.items()}


def sampled(items: Sequence[Example], count: int, seed: str) -> list[Example]:
    """So many examples, every critical one among them, the others by lot: the same for the same ``seed``.

    0, or as many as there are: all, in their order.  More critical ones than ``count``: all of those.
    """
    if count <= 0 or count >= len(items):
        return list(items)
    drawn = sorted(items, key=lambda each: (not each.critical, _lot(seed, each.id)))
    least = sum(each.critical for each in items)
    chosen = {each.id for each in drawn[: max(count, least)]}
    return [each for each in items if each.id in chosen]


def other_targets(behaviour: Behaviour, handling: Handling) -> list[str]:
    """Targets that may answer in the place of the first one: of the ladder, and of a hedge."""
    named = {step.target for steps in handling.ladder.values() for step in steps if step.kind == "target"}
    if handling.hedge is not None:
        named.add(handling.hedge.target)
    return sorted(name for name in named if name and name != behaviour.target)


def policy_hash(policy: Policy) -> str:
    """``pol_`` + 64 hex digits of everything in it."""
    return "pol_" + hashlib.sha256(canonical(msgspec.to_builtins(policy)).encode("ascii")).hexdigest()


def rubric_digest(text: str) -> str:
    """``rub_`` + 64 hex digits of the text with plain line ends, without space at its end."""
    plain = text.replace("\r\n", "\n").rstrip()
    return "rub_" + hashlib.sha256(plain.encode()).hexdigest()


def _lot(seed: str, example: str) -> str:
    return hashlib.sha256(f"{seed} {example}".encode()).hexdigest()
