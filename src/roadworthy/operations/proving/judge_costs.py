"""About the most that asking judges costs, before anybody is asked.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from roadworthy.evals.scorers.base import Asking, Case
from roadworthy.evals.scorers.embedding import Embedding
from roadworthy.evals.scorers.judge import RubricJudge
from roadworthy.evals.scorers.pairwise import Pairwise
from roadworthy.evals.scorers.verdicts import question_of
from roadworthy.workflow.model import FrozenRelease, Price

CHARACTERS_A_TOKEN: Final = 3.0
"""On the safe side for European languages."""
LONGEST_ANSWER: Final = 1000
"""Tokens that an answer is thought to have at most where the release sets no limit."""
AROUND: Final = 400
"""Characters around what a judge is shown."""


def most_tokens(frozen: FrozenRelease) -> int:
    """That an answer of the release has."""
    parameters = frozen.release.behaviour.parameters
    most = parameters.get("max_tokens") or parameters.get("max_completion_tokens")
    return most if isinstance(most, int) else LONGEST_ANSWER


def usd_of(
    scorer: Asking, cases: Sequence[Case], frozen: FrozenRelease | None, prices: Mapping[str, Price]
) -> float | None:
    """``frozen``: the newest release of the workflow that it asks.  ``None``: nobody knows.

    Functions and endpoints cost nothing that is counted here.
    """
    if not isinstance(scorer, RubricJudge | Pairwise | Embedding) or not cases:
        return 0.0
    price = None if frozen is None else prices.get(frozen.release.behaviour.target)
    if frozen is None or price is None:
        return None
    prompt = frozen.release.behaviour.prompt
    if isinstance(scorer, Embedding):
        times, around, output = 1, 0, 0
    else:
        times, output = 2 if isinstance(scorer, Pairwise) else 1, most_tokens(frozen)
        around = AROUND + len(scorer.rubric) + (len(prompt.system) if prompt else 0)
    total = 0.0
    for case in cases:
        shown = around + len(case.text) + len(case.other or case.expected_text or "") + len(question_of(case))
        total += times * (shown / CHARACTERS_A_TOKEN * price.input + output * price.output + price.per_request)
    return total
