"""Calls of one user are alike: how many of them count as one.

No numpy.
"""

from __future__ import annotations

PRIOR = 0.1
"""Correlation of two calls of a user that is assumed until bad ones were seen…"""
PRIOR_WORTH = 5.0
"""…and how many bad ones the assumption is worth."""


def correlation(
    n: float, total: float, squares: float, *, sizes: float, totals: float, products: float, bad: float
) -> float:
    """How alike two calls of a user are, in [0, 1]: what the spread between users shows, mixed with a prior.

    ``n`` calls with values whose sum is ``total`` and whose squares sum to ``squares``; over users, the sums of the
    squared numbers of calls (``sizes``), of the squared sums (``totals``) and of number x sum (``products``).  ``bad``:
    calls that say something of it (for shares the bad ones, for means all).
    Source: L. Kish, Survey Sampling (1965), 5.4: 1 + (m - 1) ρ is the spread between clusters over that within.
    """
    if n <= 0 or sizes <= n:
        return 0.0
    alike = sizes / n
    mean = total / n
    within = squares - n * mean * mean
    between = totals - 2 * mean * products + mean * mean * sizes
    seen = min(max((between / within - 1) / (alike - 1), 0.0), 1.0) if within > 1e-12 else PRIOR
    weight = max(bad, 0.0)
    return (PRIOR * PRIOR_WORTH + seen * weight) / (PRIOR_WORTH + weight)


def worth(calls: float, correlation: float) -> float:
    """What one call of a user counts who made so many: 1 / (1 + (calls - 1) ρ).

    So a user who calls in a loop counts as little more than one, and takes no other user's weight.
    """
    return 1.0 / (1.0 + max(calls - 1.0, 0.0) * correlation)
