"""What a set of examples can see, said before a run and after it.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import Final

from roadworthy.evals.wording import percent
from roadworthy.evidence.receipt.rules import LEAST_EXAMPLES
from roadworthy.statistics.paired import pairs_to_pass, pass_share, smallest_visible_drop
from roadworthy.statistics.rates import wilson_lower

USUAL_DISCORDANT: Final = 0.2
"""Share of examples on which two releases differ, for planning (Miller, arXiv 2411.00640)."""
LIKELY_DISCORDANT: Final = (0.1, USUAL_DISCORDANT)
MOST_NEEDED: Final = 20_000
_TINY: Final = 1e-9


def needed_for(share: float, least: float) -> int | None:
    """Examples at which this share would prove the floor; ``None``: more than ``MOST_NEEDED``, or it never would."""
    if share <= least or not proves(share, least, MOST_NEEDED):
        return None
    low, high = 0, MOST_NEEDED
    while high - low > 1:
        middle = (low + high) // 2
        if proves(share, least, middle):
            high = middle
        else:
            low = middle
    return max(high, LEAST_EXAMPLES)


def proves(share: float, least: float, n: int) -> bool:
    return wilson_lower(floor(share * n + _TINY), n) >= least


def most_misses(n: int, least: float) -> int | None:
    """Bad answers with which ``n`` examples still prove the floor; ``None``: not even a run without one does."""
    if n < 1 or wilson_lower(n, n) < least:
        return None
    low, high = 0, n
    while high - low > 1:
        middle = (low + high) // 2
        if wilson_lower(n - middle, n) >= least:
            low = middle
        else:
            high = middle
    return low


def what_it_sees(n: int, floors: Mapping[str, float], margin: float, *, compared: bool) -> str:
    """What a set of this size can and cannot show, in words.  ``compared``: with a release before."""
    if n < 1:
        return "no examples see nothing"
    said = [] if compared else [_proven(n, name, least) for name, least in floors.items()]
    drop = smallest_visible_drop(n, USUAL_DISCORDANT)
    said.append(f"beside another release, {n} examples see a drop of {percent(drop, 0)} or more (four times in five)")
    if compared and 0 < margin < 1:
        said.append(unchanged(n, margin))
        most = pairs_to_pass(margin, max(USUAL_DISCORDANT, margin**2))
        if n < most:
            said.append(f"about {most} would let one that did not change pass four times in five")
    return "; ".join(said)


def unchanged(n: int, margin: float) -> str:
    """How often a release that did not change would PASS."""
    if n < LEAST_EXAMPLES:
        return f"under {LEAST_EXAMPLES} examples nothing passes, not even a release that did not change"
    shares = [f"{percent(pass_share(n, each, margin), 0)} where {percent(each, 0)} do" for each in LIKELY_DISCORDANT]
    shares[0] = shares[0].removesuffix("do") + "of the answers differ"
    return f"one that did not change passes the margin of {percent(margin, 0)} so often: {', '.join(shares)}"


def _proven(n: int, name: str, least: float) -> str:
    most = most_misses(n, least)
    if most is None:
        return f"{name} ≥ {percent(least, 0)} cannot be proven by {n} examples, all good"
    return f"{name} ≥ {percent(least, 0)} is proven by {n - most} good answers of {n}"
