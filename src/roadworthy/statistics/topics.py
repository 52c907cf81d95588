"""Kinds of questions, without a model: texts that share their rarer words are alike.

Words are hashed into a fixed number of places, weighted by how rare they are, and grouped by spherical k-means.  Good
enough to see that another kind of question comes in; not to say what it is about, so a kind is named by an example.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

KINDS: Final = 8
PLACES: Final = 1024
ROUNDS: Final = 12
BEGINNINGS: Final = 5
"""Of which the best is kept: one may end where two kinds are one."""
LEAST_TEXTS: Final = 5 * KINDS
"""Under which there are no kinds to tell apart."""
LONGEST: Final = 4_000
"""Characters that are read of a text."""
_WORD = re.compile(r"[^\W_]{2,}")
_Matrix = NDArray[np.float64]


class Topics:
    """The kinds of a reference; others are assigned to them.

    Source: I. Dhillon and D. Modha, Machine Learning 42 (2001) 143-175; hashing: K. Weinberger et al., ICML 2009.
    """

    def __init__(self, reference: Sequence[str], *, kinds: int = KINDS, seed: int = 1) -> None:
        self._rarity = np.ones(PLACES)
        self._centres: _Matrix | None = None
        self._nearest: list[int] = []
        """Of each kind: the text of the reference that is most like it."""
        if len(reference) < LEAST_TEXTS:
            return
        counts = _counts(reference)
        self._rarity = np.log((1 + len(reference)) / (1 + (counts > 0).sum(axis=0)))
        vectors = self._vectors(counts)
        rng = np.random.default_rng(seed)
        tried = [_grouped(vectors, kinds, rng) for _ in range(BEGINNINGS)]
        self._centres = max(tried, key=lambda centres: float((vectors @ centres.T).max(axis=1).sum()))
        self._nearest = [int(at) for at in (vectors @ self._centres.T).argmax(axis=0)]

    def assign(self, texts: Sequence[str]) -> list[int | None]:
        """For each text the index of the reference text that stands for its kind; ``None``: it has no words, or there
        are no kinds."""
        if self._centres is None or not texts:
            return [None] * len(texts)
        vectors = self._vectors(_counts(texts))
        kinds = (vectors @ self._centres.T).argmax(axis=1)
        known = np.asarray(vectors.any(axis=1))
        return [self._nearest[kind] if known[at] else None for at, kind in enumerate(kinds)]

    def _vectors(self, counts: _Matrix) -> _Matrix:
        weighted = np.log1p(counts) * self._rarity
        norms = np.linalg.norm(weighted, axis=1, keepdims=True)
        return np.asarray(weighted / np.where(norms > 0, norms, 1.0))


def _counts(texts: Sequence[str]) -> _Matrix:
    found = np.zeros((len(texts), PLACES))
    for row, text in enumerate(texts):
        for word in _WORD.findall(text[:LONGEST].lower()):
            found[row, zlib.crc32(word.encode("utf-8", "replace")) % PLACES] += 1
    return found


def _grouped(vectors: _Matrix, kinds: int, rng: np.random.Generator) -> _Matrix:
    """Centres; begun far apart from one another, as k-means++ does."""
    centres = [vectors[int(rng.integers(len(vectors)))]]
    for _ in range(kinds - 1):
        far = np.clip(1 - (vectors @ np.array(centres).T).max(axis=1), 0.0, None)
        total = far.sum()
        at = int(rng.choice(len(vectors), p=far / total)) if total > 1e-9 else int(rng.integers(len(vectors)))
        centres.append(vectors[at])
    found = np.array(centres)
    for _ in range(ROUNDS):
        kind = (vectors @ found.T).argmax(axis=1)
        sums = np.array([vectors[kind == at].sum(axis=0) for at in range(kinds)])
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        moved = np.where(norms > 1e-9, sums / np.where(norms > 1e-9, norms, 1.0), found)
        if np.allclose(moved, found):
            break
        found = moved
    return found
