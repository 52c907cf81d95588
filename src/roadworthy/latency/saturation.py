"""Over-saturation: calls under way and the time to the first token both keep rising.  Pure, no numpy.

An open-loop test above what a system can do has no steady state: each call waits for more calls than the one before.
Each series must rise by the Mann-Kendall test (Mann, Econometrica 13 (1945) 245-259; Kendall 1975), one-sided at 0.1 %,
and by so much that it matters; either alone is a longer question or a slower provider.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import median
from typing import NamedTuple

from roadworthy.latency.model import Saturation

WINDOWS = 24
"""Stretches into which a test is cut."""
FEWEST = 8
"""With fewer nothing is said."""
_Z = 3.09
_CALLS_GROWN = 1.25
_WAIT_GROWN = 1.5
"""Least growth from the first quarter to the last."""
_ONSET = 1.25


class Point(NamedTuple):
    """One stretch of a test."""

    at: float
    under_way: float
    """Calls under way, those included that were dropped before because too many were."""
    first_token: float
    """Median seconds to the first token."""


def judge(points: Sequence[Point]) -> Saturation:
    """Did both rise over these stretches, given in the order of time?"""
    if len(points) < FEWEST:
        return Saturation(False, None, f"{len(points)} stretches of time, of {FEWEST} that would show it")
    calls = [point.under_way for point in points]
    waits = [point.first_token for point in points]
    if not (_rises(calls, _CALLS_GROWN) and _rises(waits, _WAIT_GROWN)):
        return Saturation(False)
    usual = median(waits[: len(waits) // 4])
    first = next(
        (index for index in range(len(waits)) if all(wait > _ONSET * usual for wait in waits[index:])), len(waits) - 1
    )
    why = (
        f"calls under way rose from {_quarter(calls, first=True):.3g} to {_quarter(calls, first=False):.3g} and the "
        f"time to the first token from {usual:.2f} s to {_quarter(waits, first=False):.2f} s"
    )
    return Saturation(True, points[first].at, why)


def trend(values: Sequence[float]) -> float:
    """Mann-Kendall z of a series, corrected for ties: above 0 it rises.  0 for under three values."""
    count = len(values)
    rising = sum(
        (later > earlier) - (later < earlier) for index, earlier in enumerate(values) for later in values[index + 1 :]
    )
    ties = [values.count(value) for value in set(values)]
    spread = (count * (count - 1) * (2 * count + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if count < 3 or spread <= 0 or rising == 0:
        return 0.0
    return (rising - 1 if rising > 0 else rising + 1) / sqrt(spread)


def _rises(values: Sequence[float], least: float) -> bool:
    before, after = _quarter(values, first=True), _quarter(values, first=False)
    return after >= least * before and after > 0 and trend(values) > _Z


def _quarter(values: Sequence[float], *, first: bool) -> float:
    size = len(values) // 4
    return median(values[:size] if first else values[-size:])
