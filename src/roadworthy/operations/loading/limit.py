"""The search for the highest rate within the objective: doubling, then halving what is left.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roadworthy.operations.loading.model import LimitStep

DOUBLINGS: Final = 6
CLOSE: Final = 1.15
"""The search ends when what broke is no more than this many times what held."""
LEAST_CALLS: Final = 100
"""Of a step, so that its p95 rests on something."""
LONGEST_STEP: Final = 300.0


def first_rate(peak: float | None) -> float:
    """Where the search begins: a quarter of the projected peak, where one is known."""
    return 1.0 if peak is None else max(0.25, peak / 4)


def next_rate(steps: Sequence[LimitStep], first: float) -> float | None:
    """``None``: the search is over."""
    if not steps:
        return first
    held = max((step.rate for step in steps if step.held), default=0.0)
    broke = min((step.rate for step in steps if not step.held), default=None)
    if broke is None:
        return held * 2 if held < first * 2**DOUBLINGS * 0.999 else None
    if held == 0.0:
        return broke / 2 if broke > first / 8 else None
    return (held + broke) / 2 if broke / held > CLOSE else None


def seconds_of(rate: float, least: float) -> float:
    """How long a step at a rate lasts; ``least``: as ordered."""
    return min(max(least, LEAST_CALLS / rate), max(least, LONGEST_STEP))


def most_calls(first: float, least: float) -> float:
    """Of a search that every rate holds, the last step bisected: what is said before it."""
    rates = [first * 2.0**power for power in range(DOUBLINGS + 1)]
    return float(sum(rate * seconds_of(rate, least) for rate in rates))
