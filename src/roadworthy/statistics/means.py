"""Means of scores and of differences of scores, with one-sided bounds; examples of one cluster are alike.

A score is in [0, 1], a difference in [-1, 1].  No numpy.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import sqrt
from statistics import NormalDist

from roadworthy.statistics.paired import paired_lower
from roadworthy.statistics.rates import wilson_lower, wilson_upper

_NORMAL = NormalDist()


def squared_error(values: Sequence[float]) -> float:
    """SE² of the mean: sd² / n, with n - 1 in the variance.  Under two values: 0."""
    n = len(values)
    if n < 2:
        return 0.0
    mean = sum(values) / n
    return sum((value - mean) ** 2 for value in values) / (n - 1) / n


def clustered_error(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """SE² of the mean of values that come in clusters, one label each:

    SE² + n⁻² Σ_c Σ_{i≠j} (s_ic - s̄)(s_jc - s̄).  Never under ``squared_error``: that those of one cluster differ more
    than others do is taken for chance.  Source: E. Miller, arXiv 2411.00640, section 2.2.
    """
    n, plain = len(values), squared_error(values)
    if n < 2:
        return plain
    mean, sums, squares = sum(values) / n, dict[Hashable, float](), dict[Hashable, float]()
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
        squares[cluster] = squares.get(cluster, 0.0) + (value - mean) ** 2
    return max(plain, plain + sum(total**2 - squares[each] for each, total in sums.items()) / n**2)


def design_effect(values: Sequence[float], clusters: Sequence[Hashable] | None) -> float:
    """Examples that count as one: SE² in clusters over SE² without; at least 1, and 1 where nothing differs."""
    if clusters is None or (plain := squared_error(values)) <= 0:
        return 1.0
    return clustered_error(values, clusters) / plain


def share_bounds(
    scores: Sequence[float], clusters: Sequence[Hashable] | None = None, confidence: float = 0.95
) -> tuple[float, float]:
    """One-sided Wilson bounds of a mean score, (lower, upper): each true with ``confidence``.

    For scores between 0 and 1 they are too wide, never too narrow.  No score says nothing: (0, 1).
    """
    effect = design_effect(scores, clusters)
    good, n = min(max(sum(scores), 0.0), len(scores)) / effect, len(scores) / effect
    return wilson_lower(good, n, confidence), wilson_upper(good, n, confidence)


def difference_lower(
    differences: Sequence[float], clusters: Sequence[Hashable] | None = None, confidence: float = 0.95
) -> float:
    """One-sided lower bound of a mean difference.  No difference says nothing: -1.

    Differences of scores that are 0 or 1 have Tango's bound (``paired_lower``); others d̄ - z SE, and never nearer to d̄
    than Tango's bound is to 0 where nothing differs at all: what was not seen in n examples may be there.
    """
    n = len(differences)
    if n == 0:
        return -1.0
    mean = sum(differences) / n
    if all(each in (-1.0, 0.0, 1.0) for each in differences):
        low = paired_lower(differences.count(1.0), differences.count(-1.0), n, confidence)
    else:
        z = _NORMAL.inv_cdf(confidence)
        low = mean - max(z * sqrt(squared_error(differences)), z * z / (n + z * z))
    effect = design_effect(differences, clusters)
    return low if effect == 1.0 else max(mean - (mean - low) * sqrt(effect), -1.0)


def difference_upper(
    differences: Sequence[float], clusters: Sequence[Hashable] | None = None, confidence: float = 0.95
) -> float:
    """One-sided upper bound: the lower one of old minus new, mirrored."""
    return -difference_lower([-each for each in differences], clusters, confidence)
