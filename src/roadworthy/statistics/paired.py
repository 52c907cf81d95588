"""Two versions on the same examples, scored good or bad: how much better or worse, and how many examples it takes.

Of n pairs only the *discordant* ones tell: ``gained`` (bad before, good now) and ``lost`` (good before, bad now).
Differences are new minus old, in [-1, 1].
"""

from __future__ import annotations

from math import ceil, exp, floor, lgamma, log, log1p, sqrt
from statistics import NormalDist

_NORMAL = NormalDist()
_STEPS = 60
_SIGMAS = 6.0
"""Beyond which a number of discordant pairs is left out."""


def paired_lower(gained: int, lost: int, n: int, confidence: float = 0.95) -> float:
    """One-sided lower bound of the difference of shares: Tango's score interval.

    With no discordant pair it is -z²/(n + z²).  ``n = 0``: -1.  Raises ``ValueError`` unless
    0 <= gained + lost <= n.  Source: T. Tango, Statistics in Medicine 17 (1998) 891-908.
    """
    _vet(gained, lost, n, confidence)
    if n == 0:
        return -1.0
    z = _NORMAL.inv_cdf(confidence)
    low, high = -1.0, (gained - lost) / n
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _score(gained, lost, n, middle) > z:
            low = middle
        else:
            high = middle
    return low


def paired_upper(gained: int, lost: int, n: int, confidence: float = 0.95) -> float:
    """One-sided upper bound: the lower one of old minus new, mirrored."""
    return -paired_lower(lost, gained, n, confidence)


def pairs_to_pass(
    margin: float, discordant: float, power: float = 0.8, confidence: float = 0.95, drop: float = 0.0
) -> int:
    """Examples for which a release that is worse by ``drop`` is shown to be within ``margin`` with ``power``.

    One-sided: n = (z_confidence √ψ + z_power √(ψ - δ²))² / δ², with δ = margin - drop and ψ = ``discordant``, the share
    of examples on which the two differ.  Raises ``ValueError`` unless 0 <= drop < margin and δ² <= ψ <= 1.
    Source: R. J. Connor, Biometrics 43 (1987) 207-211 (McNemar's test).
    """
    return _pairs(margin - drop, discordant, _NORMAL.inv_cdf(confidence), power)


def pairs_to_see(drop: float, discordant: float, power: float = 0.8, confidence: float = 0.95) -> int:
    """Examples for which a drop of this size is seen with ``power``; two-sided.  As ``pairs_to_pass`` otherwise."""
    return _pairs(drop, discordant, _NORMAL.inv_cdf(0.5 + confidence / 2), power)


def smallest_visible_drop(n: int, discordant: float, power: float = 0.8, confidence: float = 0.95) -> float:
    """The drop that ``n`` examples see with ``power``; two-sided; √ψ when they see none that can be."""
    if n < 1:
        raise ValueError(f"{n} examples see nothing: expected at least 1")
    low, high = 0.0, sqrt(discordant)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _pairs(middle, discordant, _NORMAL.inv_cdf(0.5 + confidence / 2), power) > n:
            low = middle
        else:
            high = middle
    return high


def pass_share(n: int, discordant: float, margin: float, confidence: float = 0.95) -> float:
    """How often an unchanged release is shown to be within ``margin`` on ``n`` examples, in [0, 1].

    Summed over what may happen, no simulation: the examples on which two runs differ are binomial with share
    ``discordant``, and each is gained or lost with equal chances.  Raises ``ValueError`` for a margin that is not in
    (0, 1) or a share that is not.
    """
    if not 0 < margin < 1 or not 0 <= discordant <= 1:
        raise ValueError(f"margin {margin} and {discordant} of the examples differing cannot be")
    if n < 1:
        return 0.0
    z, total = _NORMAL.inv_cdf(confidence), 0.0
    spread = _SIGMAS * sqrt(n * discordant * (1 - discordant)) + 1
    first, last = max(0, floor(n * discordant - spread)), min(n, ceil(n * discordant + spread))
    for differ in range(first, last + 1):
        least = _least_gained(differ, n, margin, z)
        if least <= differ:
            total += _binomial(differ, n, discordant) * _binomial_tail(least, differ)
    return min(total, 1.0)


def _least_gained(differ: int, n: int, margin: float, z: float) -> int:
    """Of so many discordant pairs, how many must be gained for the lower bound to be above the margin;
    ``differ + 1``: not even all would do."""
    low, high = -1, differ + 1
    while high - low > 1:
        middle = (low + high) // 2
        if _score(middle, differ - middle, n, -margin) > z:
            high = middle
        else:
            low = middle
    return high


def _binomial(k: int, n: int, share: float) -> float:
    if share in (0.0, 1.0):
        return float(k == n * share)
    chosen = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return exp(chosen + k * log(share) + (n - k) * log1p(-share))


def _binomial_tail(least: int, n: int) -> float:
    """Of n fair coins at least so many."""
    return sum(_binomial(k, n, 0.5) for k in range(max(least, 0), n + 1))


def _score(gained: int, lost: int, n: int, difference: float) -> float:
    """Tango's z of ``difference``; falls as the difference rises."""
    b = -gained - lost + (2 * n - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    share = (sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    distance = gained - lost - n * difference
    if variance <= 0:
        return 0.0 if distance == 0 else float("inf") * distance
    return distance / sqrt(variance)


def _pairs(difference: float, discordant: float, z: float, power: float) -> int:
    if not (difference > 0 and difference**2 <= discordant <= 1):
        raise ValueError(f"a difference of {difference} cannot be when {discordant} of the examples differ")
    z_power = _NORMAL.inv_cdf(power)
    exact = (z * sqrt(discordant) + z_power * sqrt(discordant - difference**2)) ** 2 / difference**2
    return ceil(round(exact, 6))


def _vet(gained: int, lost: int, n: int, confidence: float) -> None:
    if gained < 0 or lost < 0 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost of {n} pairs cannot be")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
