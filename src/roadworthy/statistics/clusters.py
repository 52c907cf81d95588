"""Calls of one user are alike: how many of them count as one.

No numpy.
"""

from __future__ import annotations

PRIOR = 0.1
"""Correlation of two calls of a user that is assumed until bad ones were seen…"""
PRIOR_WORTH = 5.0
"""…and how many bad ones the assumption is worth."""


def design_effect(
    n: float, total: float, squares: float, *, sizes: float, totals: float, products: float, bad: float | None = None
) -> float:
    """Calls that count as one: 1 when a user's calls are independent, at most the calls that a user makes.

    ``n`` calls with values whose sum is ``total`` and whose squares sum to ``squares``; over users, the sums of the
    squared numbers of calls (``sizes``), of the squared sums (``totals``) and of number x sum (``products``).  ``bad``:
    calls that say something of the correlation, default ``total``.

    1 + (m - 1) ρ, m the calls of the user to whom a call belongs (sizes / n) and ρ the correlation within users: what
    the spread between users shows, mixed with a prior while few bad calls were seen.
    Source: L. Kish, Survey Sampling (1965), 5.4 and 8.2.
    """
    if n <= 0 or sizes <= n:
        return 1.0
    alike = sizes / n
    mean = total / n
    within = squares - n * mean * mean
    between = totals - 2 * mean * products + mean * mean * sizes
    seen = min(max((between / within - 1) / (alike - 1), 0.0), 1.0) if within > 1e-12 else PRIOR
    weight = max(total if bad is None else bad, 0.0)
    correlation = (PRIOR * PRIOR_WORTH + seen * weight) / (PRIOR_WORTH + weight)
    return 1 + (alike - 1) * correlation
