"""When an hour costs far more than such an hour does.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

HOUR = 3600.0
DAY_HOURS = 24
LEAST_HOURS = 24
"""Hours of history under which nothing is usual yet: until then thresholds tell."""
LEAST_USD = 1.0
"""An hour that costs less is nobody's alert…"""
LEAST_OF_DAY = 0.1
"""…unless it is this share of a day's budget."""


def usual(hours: Mapping[int, float], hour: int) -> float | None:
    """US dollars that such an hour costs; ``None``: too little is known.

    ``hours``: number of the hour (Unix time ÷ 3600) → its dollars, those without calls left out; ``hour``: the one to
    judge.  The larger of two: the median of the same hour of earlier days and those beside it, and the mean of all
    hours since the first one, so that a workflow that is called now and then is not a spike each time it is.
    """
    earlier = {at: usd for at, usd in hours.items() if at < hour}
    if not earlier or hour - min(earlier) < LEAST_HOURS:
        return None
    first = min(earlier)
    mean = sum(earlier.values()) / (hour - first)
    days = range(1, (hour - first) // DAY_HOURS + 1)
    same = [earlier.get(hour - DAY_HOURS * day + beside, 0.0) for day in days for beside in (-1, 0, 1)]
    return max(mean, median(same) if same else 0.0)


def least(day_budget: float | None) -> float:
    """US dollars under which an hour is no spike."""
    return LEAST_USD if day_budget is None else min(LEAST_USD, LEAST_OF_DAY * day_budget)


def spikes(usd: float, expected: float | None, times: float, floor: float) -> bool:
    """Is an hour that cost ``usd`` a spike, where one costs ``expected``?"""
    return expected is not None and usd >= floor and usd >= times * expected
