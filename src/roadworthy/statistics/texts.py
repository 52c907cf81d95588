"""Short texts as vectors: which are nearly the same, which belong together, which are like no other.

No language model: words and pairs of words, hashed and weighted by how rare they are.  Good enough to draw a sample
that is varied; nothing is decided by it.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 2048
BLOCK = 512
"""Rows that are compared with all others at once."""
ROUNDS = 12
FEWEST_LETTERS = 4
"""Of a word that may name a theme."""
COMMON = 0.08
"""Share of the texts from which on a word tells nothing about one."""
ENOUGH = 50
"""Texts from which on that can be told."""

Vectors = NDArray[np.float32]
_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")


class Theme(msgspec.Struct, frozen=True):
    """Texts that belong together."""

    name: str
    """Its most telling words."""
    members: list[int]


def vectors(texts: Sequence[str]) -> Vectors:
    """(n, DIMENSIONS), rows of length 1: words and pairs of words, 1 + log tf, by idf.

    Numbers count as one word, so that two orders are one question.  A text without words is a row of zeros.
    Source: G. Salton and C. Buckley, Inf. Process. Manage. 24 (1988) 513-523; hashing: Weinberger et al., ICML 2009.
    """
    found = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, text in enumerate(texts):
        for gram, times in Counter(_grams(text)).items():
            found[row, zlib.crc32(gram.encode("utf-8", "replace")) % DIMENSIONS] += 1 + math.log(times)
    idf = np.log((1 + len(texts)) / (1 + (found > 0).sum(0))) + 1
    return unit(found * idf.astype(np.float32))


def unit(rows: Vectors) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def repeats(rows: Vectors, alike: float = 0.9) -> list[int]:
    """For each text the first one that is nearly the same (cosine at or above ``alike``): its own index if none is."""
    first = list(range(len(rows)))
    for start in range(0, len(rows), BLOCK):
        near = rows[start : start + BLOCK] @ rows.T >= alike
        for offset in range(len(near)):
            at = start + offset
            for other in np.flatnonzero(near[offset, :at]):
                if first[other] == other:
                    first[at] = int(other)
                    break
    return first


def oddness(rows: Vectors) -> NDArray[np.float32]:
    """How unlike its nearest neighbour each text is, in [0, 1]."""
    found = np.zeros(len(rows), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        near = rows[start : start + BLOCK] @ rows.T
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -1
        found[start : start + BLOCK] = 1 - np.clip(near.max(1, initial=0.0), 0, 1)
    return found


def themes(texts: Sequence[str], rows: Vectors, count: int, seed: int = 1) -> list[Theme]:
    """At most ``count`` groups, largest first, named by what tells them apart.

    Spherical k-means from k-means++ starts (Dhillon and Modha, Mach. Learn. 42 (2001) 143-175).
    """
    if not len(rows):
        return []
    if len(rows) >= ENOUGH:
        rows = unit(np.where((rows > 0).mean(0) > COMMON, 0, rows).astype(np.float32))
    random = np.random.default_rng(seed)
    centres = _starts(rows, min(count, len(rows)), random)
    label = np.zeros(len(rows), dtype=np.int64)
    for _ in range(ROUNDS):
        after = np.argmax(rows @ centres.T, axis=1)
        if (after == label).all() and _:
            break
        label = after
        for at in range(len(centres)):
            mine = rows[label == at]
            if len(mine):
                centres[at] = mine.sum(0)
        centres = unit(centres)
    groups = [np.flatnonzero(label == at).tolist() for at in range(len(centres))]
    groups = sorted((group for group in groups if group), key=lambda group: (-len(group), group[0]))
    names = _names(texts, groups)
    return [Theme(name, group) for name, group in zip(names, groups, strict=True)]


def _starts(rows: Vectors, count: int, random: np.random.Generator) -> Vectors:
    chosen = [int(random.integers(len(rows)))]
    apart = np.full(len(rows), np.inf)
    while len(chosen) < count:
        apart = np.minimum(apart, 1 - np.clip(rows @ rows[chosen[-1]], 0, 1))
        if apart.sum() <= 0:
            break
        chosen.append(int(random.choice(len(rows), p=apart / apart.sum())))
    return rows[chosen].copy()


def _names(texts: Sequence[str], groups: Sequence[Sequence[int]]) -> list[str]:
    """Two words each, those that are more frequent inside than anywhere else."""
    everywhere: Counter[str] = Counter()
    inside: list[Counter[str]] = []
    for group in groups:
        mine: Counter[str] = Counter()
        for at in group:
            mine.update({word for word in words(texts[at]) if len(word) >= FEWEST_LETTERS and not word.isdigit()})
        inside.append(mine)
        everywhere.update(mine)
    total = len(texts)
    found = []
    for group, mine in zip(groups, inside, strict=True):
        telling = {
            word: times / len(group) * math.log(total / everywhere[word])
            for word, times in mine.items()
            if times >= 2 or len(group) < ENOUGH
        }
        best = sorted(telling, key=lambda word: (-telling[word], word))[:2]
        found.append(" ".join(best) or "other")
    return [name if found.count(name) == 1 else f"{name} {at + 1}" for at, name in enumerate(found)]


def words(text: str) -> list[str]:
    """In small letters, every number as 0."""
    return [_DIGITS.sub("0", word) for word in _WORD.findall(text.casefold())]


def _grams(text: str) -> list[str]:
    found = words(text)
    return found + [f"{a} {b}" for a, b in pairwise(found)]
