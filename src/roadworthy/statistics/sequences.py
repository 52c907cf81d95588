"""Confidence sequences of means: intervals that hold the truth at all times at once, so one may look at every call.

Asymptotic, as the central limit theorem is: they need finite variance and some tens of values before the first look
(``LEAST``).  For shares use ``eprocess``, which is exact.

Source: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, Time-uniform central limit theory and asymptotic
confidence sequences, Annals of Statistics 52(6) (2024) 2613-2640: Theorem 2.2, its one-sided form and its tuning of ρ.
"""

from __future__ import annotations

from math import inf, log, log1p, sqrt

LEAST = 30
"""Values under which a mean has no bounds."""

_STEPS = 60


def tuned_rho(expected_n: float, variance: float, alpha: float) -> float:
    """The ρ at which the two-sided margin is narrowest after ``expected_n`` values of ``variance``.

    With x = n v ρ² the margin is least where x = ln((x + 1) / α²); solved by iteration, which contracts since
    the slope of the right side is 1 / (x + 1).  Any ρ is valid, a tuned one is narrow.  A variance of 0 counts as 1.
    """
    if not (0 < alpha < 1 and expected_n > 0 and variance >= 0):
        raise ValueError(f"no ρ for n = {expected_n}, variance {variance}, α = {alpha}")
    x = -2 * log(alpha)
    for _ in range(_STEPS):
        x = log((x + 1) / alpha**2)
    return sqrt(x / (expected_n * (variance or 1.0)))


def margin(n: float, variance: float, rho: float, alpha: float) -> float:
    """Half the width of the two-sided sequence: √((n v ρ² + 1)/(n² ρ²) · ln((n v ρ² + 1)/α²)).  ``n = 0``: infinite."""
    if n <= 0:
        return inf
    x = n * variance * rho**2 + 1
    return sqrt(x / (n * rho) ** 2 * log(x / alpha**2))


def one_sided_margin(n: float, variance: float, rho: float, alpha: float) -> float:
    """Distance of a lower (or an upper) bound from the mean: √(2(n v ρ² + 1)/(n² ρ²) · ln(1 + √(n v ρ² + 1)/(2α)))."""
    if n <= 0:
        return inf
    x = n * variance * rho**2 + 1
    return sqrt(2 * x / (n * rho) ** 2 * log1p(sqrt(x) / (2 * alpha)))


def mean_bounds(n: float, mean: float, variance: float, alpha: float, expected_n: float) -> tuple[float, float]:
    """One-sided lower and upper bound of a mean, each at level ``alpha``, in the unit of the values.

    Infinite under ``LEAST`` values.  ``expected_n``: where the bounds shall be narrow, named before the first look.
    ρ is tuned with the variance seen, as the paper does: the coverage is asymptotic either way.
    """
    if n < LEAST:
        return -inf, inf
    distance = one_sided_margin(n, variance, tuned_rho(max(expected_n, LEAST), variance, alpha), alpha)
    return mean - distance, mean + distance
