"""The incomplete beta function, in logarithms: tails of 10^-300 and counts of 10^7 keep their digits.

No numpy: counts come one at a time.
"""

from __future__ import annotations

from math import exp, inf, lgamma, log, log1p

_TINY = 1e-300
_PRECISION = 1e-13
_MOST_TERMS = 200_000
"""The fraction needs some sqrt(a + b) terms; this is enough for 10^9 counts."""


def log_beta(a: float, b: float) -> float:
    """log B(a, b) for a, b > 0."""
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def log_incomplete_beta(a: float, b: float, x: float) -> float:
    """log I_x(a, b): of the share of a Beta(a, b) distribution that lies at or below ``x``.

    Raises ``ValueError`` unless a, b > 0 and 0 <= x <= 1.  Source: the continued fraction DLMF 8.17.22, evaluated as
    Lentz does (Press et al., Numerical Recipes, 3rd ed., §6.4).
    """
    if not (a > 0 and b > 0 and 0 <= x <= 1):
        raise ValueError(f"I_{x}({a}, {b}) is not defined: expected a, b > 0 and 0 <= x <= 1")
    if x in (0.0, 1.0):
        return -inf if x == 0.0 else 0.0
    if x <= (a + 1) / (a + b + 2):
        return _lower_tail(a, b, x)
    return log1p(-exp(_lower_tail(b, a, 1 - x)))


def binomial_quantile(sure: float, n: int, share: float) -> int:
    """Smallest k with P(X <= k) >= ``sure`` for X ~ Binomial(n, share): what is not exceeded with that certainty."""
    low, high = -1, n
    while high - low > 1:
        k = (low + high) // 2
        if exp(log_incomplete_beta(n - k, k + 1, 1 - share)) >= sure:
            high = k
        else:
            low = k
    return high


def _lower_tail(a: float, b: float, x: float) -> float:
    return a * log(x) + b * log1p(-x) - log_beta(a, b) - log(a) + log(_fraction(a, b, x))


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, _inverse(1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = _inverse(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            return value
    raise ArithmeticError(f"I_{x}({a}, {b}) did not converge in {_MOST_TERMS} terms")


def _inverse(value: float) -> float:
    return 1.0 / _away_from_zero(value)


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
