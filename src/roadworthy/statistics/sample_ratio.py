"""Do as many users arrive on each side as were sent there?  When not, the comparison of the two sides is void.

Count users, not calls: sides are given to users, and a user's calls come in bunches.
"""

from __future__ import annotations

from math import erfc, log, log1p, sqrt

from roadworthy.statistics.beta import log_beta
from roadworthy.statistics.eprocess import log_above, log_below

CONCENTRATION = 10.0
"""Users of the smaller side that the prior is worth: it expects the ratio to be off by a third, not by 20-fold."""

TOLERANCE = 2.0
"""A ratio proven to lie within this factor of the intended odds is healthy."""


def log_mismatch(treated: int, control: int, share: float) -> float:
    """log of the e-value against "each user is treated with probability ``share``"; valid at every look.

    Reject at level α when it reaches log(1/α).  Raises ``ValueError`` for negative counts or a share outside (0, 1).
    Source: M. Lindon, A. Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022: the
    Dirichlet-multinomial mixture, centred on the intended share.
    """
    _vet(treated, control, share)
    scale = CONCENTRATION / min(share, 1 - share)
    a, b = scale * share, scale * (1 - share)
    return log_beta(a + treated, b + control) - log_beta(a, b) - treated * log(share) - control * log1p(-share)


def log_healthy(treated: int, control: int, share: float) -> float:
    """log of the e-value for "the odds lie within a factor of ``TOLERANCE`` of the intended ones".

    The smaller of the two against "at least twice" and "at most half": both must be rejected.
    """
    _vet(treated, control, share)
    n = treated + control
    odds = share / (1 - share)
    low, high = (x / (1 + x) for x in (odds / TOLERANCE, odds * TOLERANCE))
    return min(log_above(treated, n, low), log_below(treated, n, high))


def one_look_p(treated: int, control: int, share: float) -> float:
    """p-value of Pearson's χ² (1 degree of freedom) for one single look; never to be repeated until it is small."""
    _vet(treated, control, share)
    n = treated + control
    if n == 0:
        return 1.0
    statistic = (treated - n * share) ** 2 / (n * share * (1 - share))
    return erfc(sqrt(statistic / 2))


def _vet(treated: int, control: int, share: float) -> None:
    if treated < 0 or control < 0:
        raise ValueError(f"{treated} and {control} are not counts")
    if not 0 < share < 1:
        raise ValueError(f"with a share of {share} there are no two sides to compare")
