"""Is the share of bad calls above a budget, or below a limit?  Two exact tests that may be looked at after every call.

An *e-process* for a null hypothesis is wealth won by betting against it: it starts at 1 and, while the null is true,
grows to 1/α with probability at most α, **whenever and however often one looks** (Ville's inequality).  Here the bets
are a mixture: the likelihood ratio against the boundary, averaged over all shares on the far side of it with a
Beta(0.45, 1.25) prior cut off at the boundary.  Since every one of them lies on the far side, the ratio is a
supermartingale for each share on the near side too, so the tests are exact for the composite nulls "at or below the
budget" and "at or above the limit", at every sample size.

The prior is nearly Jeffreys' Beta(0.5, 0.5); a little more of it lies near 0, where shares of bad calls are.  With
α = 5 %: budget 2 % and truth 8 % → found after a median of 69 calls; under 5 % is proven by 73 calls without a
bad one (one single look would need 59).

Calls of one user are alike.  Divide both counts by the calls of a user (the design effect, Kish 1965) before they are
given here: the geometric mean of the m processes that take one call of each user is an e-process again, whatever the
dependence within a user (Hölder's inequality), and that is what fractional counts compute.

Source: H. Robbins, Ann. Math. Stat. 41 (1970) 1397-1409 (mixtures); A. Ramdas, P. Grünwald, V. Vovk, G. Shafer,
Game-theoretic statistics and safe anytime-valid inference, Statistical Science 38 (2023) 576-601.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log, log1p

from roadworthy.statistics.beta import binomial_quantile, log_beta, log_incomplete_beta

PRIOR = (0.45, 1.25)
"""Beta(a, b) before it is cut off."""

MOST_CALLS = 10**9
"""Where looking for a sample size is given up."""


def log_above(bad: float, n: float, budget: float) -> float:
    """log of the e-value against "the share is at or below ``budget``" after ``bad`` of ``n``.

    Reject at level α when it reaches log(1/α).  Raises ``ValueError`` unless 0 <= bad <= n and 0 < budget < 1.
    """
    _vet(bad, n, budget)
    a, b = PRIOR
    inside = log_incomplete_beta(b + n - bad, a + bad, 1 - budget) - log_incomplete_beta(b, a, 1 - budget)
    return _against(bad, n, budget) + inside


def log_below(bad: float, n: float, limit: float) -> float:
    """log of the e-value against "the share is at or above ``limit``" after ``bad`` of ``n``; as ``log_above``."""
    _vet(bad, n, limit)
    a, b = PRIOR
    inside = log_incomplete_beta(a + bad, b + n - bad, limit) - log_incomplete_beta(a, b, limit)
    return _against(bad, n, limit) + inside


def share_bounds(bad: float, n: float, alpha: float) -> tuple[float, float]:
    """Confidence sequence of a share, as (lower, upper): holds the truth at all times at once with 1 - ``alpha``.

    The shares that the untruncated mixture does not reject (Robbins 1970).  ``n = 0``: (0, 1).
    """
    _vet(bad, n, 0.5)
    if n == 0:
        return 0.0, 1.0
    threshold = log(1 / _level(alpha))
    peak = min(max(bad / n, 0.0), 1.0)
    lower = 0.0 if bad == 0 else _edge(bad, n, threshold, 0.0, peak)
    upper = 1.0 if bad == n else _edge(bad, n, threshold, 1.0, peak)
    return lower, upper


def calls_to_prove(share: float, limit: float, alpha: float, sure: float = 0.5) -> int | None:
    """Calls after which "below ``limit``" is proven with probability ``sure`` when the truth is ``share``.

    For planning.  ``None``: never, since the share is not below the limit.  Raises ``ValueError`` for an α or a
    limit outside (0, 1).
    """
    threshold = log(1 / _level(alpha))
    if share >= limit:
        return None
    return _first(lambda n: log_below(_planned(share, n, sure), n, limit) >= threshold)


def _against(bad: float, n: float, share: float) -> float:
    a, b = PRIOR
    return log_beta(a + bad, b + n - bad) - log_beta(a, b) - bad * log(share) - (n - bad) * log1p(-share)


def _edge(bad: float, n: float, threshold: float, outside: float, inside: float) -> float:
    """The share between the two at which the mixture just rejects; given on the outside."""
    for _ in range(60):
        middle = (outside + inside) / 2
        if 0 < middle < 1 and _against(bad, n, middle) < threshold:
            inside = middle
        else:
            outside = middle
    return outside


def _planned(share: float, n: int, sure: float) -> float:
    return share * n if sure == 0.5 or share == 0 else binomial_quantile(sure, n, share)


def _first(holds: Callable[[int], bool]) -> int | None:
    """Smallest n >= 1 for which ``holds``, found by doubling and halving; ``None`` beyond ``MOST_CALLS``."""
    high = 1
    while not holds(high):
        high *= 2
        if high > MOST_CALLS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def _level(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise ValueError(f"level {alpha} is not between 0 and 1")
    return alpha


def _vet(bad: float, n: float, share: float) -> None:
    if not 0 <= bad <= n < inf:
        raise ValueError(f"{bad} of {n} is not a share: expected 0 <= bad <= n")
    if not 0 < share < 1:
        raise ValueError(f"a share of {share} cannot be tested: expected one between 0 and 1, both excluded")
