"""Did the mix of what comes in change?  Distances between two sets of counts, against what chance makes of them.

Calls of one user are alike, so users change places in the null, not calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

DRAWS = 1999
_AT_ONCE = 200
"""Draws that are made together; bounds the memory."""


class Shift(msgspec.Struct, frozen=True):
    """How far two mixes are apart."""

    bits: float
    """Jensen-Shannon divergence, in [0, 1]: 0 the same, 1 nothing in common."""
    p: float
    """Of "both periods are the same to a user", by permutation."""
    bucket: str
    """The one whose share changed most, and its shares before and now."""
    before: float
    now: float


def jensen_shannon(one: Sequence[float], other: Sequence[float]) -> float:
    """Divergence of two mixes in bits, from counts of the same buckets.  Raises ``ValueError`` for an empty one.

    Source: J. Lin, IEEE Trans. Inf. Theory 37 (1991) 145-151.
    """
    a, b = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if a.shape != b.shape or a.sum() <= 0 or b.sum() <= 0:
        raise ValueError("two mixes of the same buckets are needed, each with something in it")
    return float(_bits(a[None], b[None])[0])


def mix_shift(
    before: Sequence[Mapping[str, int]], now: Sequence[Mapping[str, int]], *, seed: int = 1, draws: int = DRAWS
) -> Shift:
    """``before``, ``now``: bucket → calls, one mapping a user.  Raises ``ValueError`` when either period is empty.

    The null: users of both periods shuffled together, and the divergence taken again, ``draws`` times; p counts the
    real one in, so it is valid for any number of draws.
    Source: B. Phipson and G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39 (permutation p-values are never 0).
    """
    names = sorted({name for user in (*before, *now) for name in user})
    table = np.array([[float(user.get(name, 0)) for name in names] for user in (*before, *now)])
    split = len(before)
    if not split or split == len(table) or not names or not table[:split].sum() or not table[split:].sum():
        raise ValueError("two periods are needed, each with calls in it")
    whole = table.sum(axis=0)
    old, new = table[:split].sum(axis=0), table[split:].sum(axis=0)
    seen = float(_bits(old[None], new[None])[0])
    rng, reached = np.random.default_rng(seed), 0
    for start in range(0, draws, _AT_ONCE):
        many = min(_AT_ONCE, draws - start)
        order = rng.random((many, len(table))).argsort(axis=1)
        first = (order < split).astype(float) @ table
        reached += int((_bits(first, whole - first) >= seen - 1e-12).sum())
    a, b = old / old.sum(), new / new.sum()
    at = int(np.abs(a - b).argmax())
    return Shift(seen, (reached + 1) / (draws + 1), names[at], float(a[at]), float(b[at]))


def _bits(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of rows of counts."""
    a = one / np.maximum(one.sum(axis=1, keepdims=True), 1e-300)
    b = other / np.maximum(other.sum(axis=1, keepdims=True), 1e-300)
    middle = (a + b) / 2
    return np.asarray((_entropy(middle) - (_entropy(a) + _entropy(b)) / 2).clip(0.0, 1.0))


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-(shares * np.log2(np.where(shares > 0, shares, 1.0))).sum(axis=1))
