"""Location and spread that a few wild values cannot move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAD_TO_SIGMA = 1.4826
"""MAD x 1.4826 estimates the standard deviation of normal data: 1 / Phi^-1(3/4).

Source: F. R. Hampel, JASA 69 (1974) 383-393.
"""

OUTLIER_SCORE = 3.5
"""A modified z-score beyond this is an outlier.

Source: B. Iglewicz and D. Hoaglin, How to Detect and Handle Outliers, ASQC 1993.
"""


def median(values: Sequence[float]) -> float:
    """Middle value (mean of the middle two).  Raises ``ValueError`` for no values."""
    if not len(values):
        raise ValueError("no values: a median needs at least one")
    return float(np.median(np.asarray(values, dtype=float)))


def mad(values: Sequence[float], centre: float | None = None) -> float:
    """Median absolute deviation from ``centre`` (default: the median), in the unit of the values."""
    middle = median(values) if centre is None else centre
    return median(np.abs(np.asarray(values, dtype=float) - middle))  # type: ignore[arg-type]


def robust_score(value: float, reference: Sequence[float], least_spread: float = 0.0) -> tuple[float, float, float]:
    """How far ``value`` lies from ``reference`` → (modified z-score, median, spread).

    Spread is MAD x 1.4826, but never under ``least_spread``: a constant history (MAD 0) would otherwise call
    every change infinite.  With both 0 the score is 0 for the median itself and infinite for anything else.
    """
    middle = median(reference)
    spread = max(mad(reference, middle) * MAD_TO_SIGMA, least_spread)
    if spread == 0.0:
        return (0.0 if value == middle else float(np.copysign(np.inf, value - middle))), middle, spread
    return (value - middle) / spread, middle, spread


def percentile(values: Sequence[float], share: float) -> float | None:
    """Linear-interpolation percentile (Hyndman and Fan type 7, as SQL ``percentile_cont``); ``None`` for no values."""
    if not len(values):
        return None
    return float(np.quantile(np.asarray(values, dtype=float), share))
