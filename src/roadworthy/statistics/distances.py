"""How far two samples are apart: the two-sample Kolmogorov-Smirnov distance and what it may be by chance.

Source: N. V. Smirnov, "Table for estimating the goodness of fit of empirical distributions", Ann. Math. Stat. 19(2),
1948; the asymptotic bound is c(α) √((n + m)/(n m)) with c(α) = √(−ln(α/2)/2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def kolmogorov(a: Sequence[float], b: Sequence[float]) -> float:
    """Largest difference of the two empirical distribution functions, in [0, 1]; 1 when either is empty."""
    if not a or not b:
        return 1.0
    first, second = sorted(a), sorted(b)
    i = j = 0
    most = 0.0
    while i < len(first) and j < len(second):
        at = min(first[i], second[j])
        while i < len(first) and first[i] <= at:
            i += 1
        while j < len(second) and second[j] <= at:
            j += 1
        most = max(most, abs(i / len(first) - j / len(second)))
    return most


def kolmogorov_bound(n: int, m: int, alpha: float = 0.01) -> float:
    """What the distance of two samples of one distribution exceeds with probability ``alpha`` at most; at most 1."""
    if n < 1 or m < 1:
        return 1.0
    return min(1.0, math.sqrt(-math.log(alpha / 2) / 2) * math.sqrt((n + m) / (n * m)))
