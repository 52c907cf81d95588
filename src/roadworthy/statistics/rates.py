"""Intervals for shares: how sure ``k`` of ``n`` makes us.

No numpy: the quantiles come from the standard library.
"""

from __future__ import annotations

from math import ceil, exp, log1p, sqrt
from statistics import NormalDist

from roadworthy.statistics.beta import log_incomplete_beta

_NORMAL = NormalDist()
_STEPS = 60


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided Wilson score interval of a share, as (lower, upper) in [0, 1].

    ``n = 0`` says nothing: (0, 1).  Raises ``ValueError`` unless 0 <= successes <= n and 0 < confidence < 1.
    Source: E. B. Wilson, JASA 22 (1927) 209-212.
    """
    _vet(successes, n, confidence)
    return _wilson(successes, n, _NORMAL.inv_cdf(0.5 + confidence / 2))


def wilson_lower(successes: float, n: float, confidence: float = 0.95) -> float:
    """One-sided Wilson lower bound of a share: true with probability ``confidence``.

    Both may be fractions: scores between 0 and 1, or examples of clusters that count as fewer.
    """
    _vet(successes, n, confidence)
    return _wilson(successes, n, _NORMAL.inv_cdf(confidence))[0]


def wilson_upper(successes: float, n: float, confidence: float = 0.95) -> float:
    """One-sided Wilson upper bound of a share.  As ``wilson_lower``."""
    _vet(successes, n, confidence)
    return _wilson(successes, n, _NORMAL.inv_cdf(confidence))[1]


def exact_lower(successes: int, n: int, confidence: float = 0.95) -> float:
    """One-sided exact lower bound of a share: the share is at or above it with at least that confidence.

    The share p at which so many successes, or more, come with probability 1 - ``confidence``; 0 successes → 0.
    Source: Clopper and Pearson, Biometrika 26 (1934) 404-413.
    """
    _vet(successes, n, confidence)
    if successes == 0:
        return 0.0
    low, high = 0.0, successes / n
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if exp(log_incomplete_beta(successes, n - successes + 1, middle)) < 1.0 - confidence:
            low = middle
        else:
            high = middle
    return low


def exact_upper(successes: int, n: int, confidence: float = 0.95) -> float:
    """One-sided exact upper bound of a share: one minus the lower one of the failures.  As ``exact_lower``."""
    _vet(successes, n, confidence)
    return 1.0 - exact_lower(n - successes, n, confidence)


def zero_failure_bound(n: int, confidence: float = 0.95) -> float:
    """Upper bound of a failure share after ``n`` trials without a failure: 1 - (1 - confidence)^(1/n).

    The exact binomial bound (Clopper and Pearson, Biometrika 26 (1934) 404-413); about 3/n at 95 %.  ``n = 0``
    → 1.
    """
    _vet(0, n, confidence)
    return 1.0 if n == 0 else float(1.0 - (1.0 - confidence) ** (1.0 / n))


def trials_without_failure(limit: float, confidence: float = 0.95) -> int:
    """Trials without a failure after which one single look proves the failure share under ``limit``: 5 % → 59.

    The smallest n whose ``zero_failure_bound`` is at or below the limit.  Raises ``ValueError`` outside (0, 1).
    """
    if not 0 < limit < 1 or not 0 < confidence < 1:
        raise ValueError(f"no number of trials proves a share under {limit} with confidence {confidence}")
    return ceil(round(log1p(-confidence) / log1p(-limit), 9))


def _wilson(successes: float, n: float, z: float) -> tuple[float, float]:
    if n == 0:
        return 0.0, 1.0
    share = successes / n
    centre = share + z * z / (2 * n)
    margin = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    lower = 0.0 if successes == 0 else max(0.0, (centre - margin) / scale)
    upper = 1.0 if successes == n else min(1.0, (centre + margin) / scale)
    return lower, upper


def _vet(successes: float, n: float, confidence: float) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not a share: expected 0 <= successes <= n")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")


def poisson_interval(events: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of the expected number of events where so many were seen, by Byar's approximation.

    Within 1 % of the exact one from 5 events on.  Raises ``ValueError`` unless events >= 0 and 0 < confidence < 1.
    Source: N. E. Breslow and N. E. Day, Statistical Methods in Cancer Research II (1987), p. 69.
    """
    if events < 0 or not 0 < confidence < 1:
        raise ValueError(f"events {events}, confidence {confidence}: expected >= 0, and between 0 and 1")
    z, more = _NORMAL.inv_cdf(0.5 + confidence / 2), events + 1
    lower = 0.0 if events == 0 else events * (1 - 1 / (9 * events) - z / (3 * sqrt(events))) ** 3
    return lower, more * (1 - 1 / (9 * more) + z / (3 * sqrt(more))) ** 3
