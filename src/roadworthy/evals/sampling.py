"""Which calls become examples, and how much of the traffic they stand for.  Pure, but for ``statistics``.

Every *kind* of call (outcome, length, theme) that there is room for gets one; the rest goes by the square root of how
often each kind comes, so that what is rare is seen more often than it comes, and a tenth goes to the calls that are
like no other.  Calls that say nearly the same count as one.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

RARE: Final = 0.1
"""Of a sample, for calls that are like no other."""
MOST_THEMES: Final = 12
SHOWN: Final = 5
"""Kinds without an example that are named."""
LENGTHS: Final = ("short", "middle", "long")

Kind = tuple[str, str, str]
"""(outcome, length, theme)"""


class Call(msgspec.Struct, frozen=True):
    """What a call asked, and how it ended."""

    id: str
    text: str
    outcome: str
    known: bool = False
    """It is an example already."""


class Part(msgspec.Struct, frozen=True):
    """One value of one dimension, in the traffic and in the sample."""

    dimension: str
    value: str
    traffic: float
    """Share of the calls."""
    sample: float
    """Share of the chosen ones."""


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How well a sample stands for the calls it was drawn from."""

    calls: int
    different: int
    """Without those that say nearly the same as another."""
    kinds: int
    covered: int
    """Kinds with an example, those counted that are in the set or the pool already."""
    share: float
    """Of the calls that are of a covered kind."""
    unseen: float
    """Share of calls to come whose kind was never seen, by Good and Turing."""
    parts: list[Part]
    missing: list[tuple[str, float]]
    """The most frequent kinds without an example: (in words, share of the calls)."""


class Drawn(msgspec.Struct, frozen=True):
    """The sample."""

    calls: list[Call]
    kinds: dict[str, Kind]
    """Call → kind, of the chosen ones."""
    coverage: Coverage


def draw(calls: Sequence[Call], count: int, seed: str = "") -> Drawn:
    """At most ``count`` of them.  The same calls and seed give the same sample on any machine."""
    from roadworthy.statistics import texts

    often = Counter(call.outcome for call in calls)
    # the first of those that are nearly the same stands for them: what is known, then what ended as few did
    ordered = sorted(calls, key=lambda call: (not call.known, often[call.outcome], call.id))
    rows = texts.vectors([call.text for call in ordered])
    first = texts.repeats(rows)
    themes = texts.themes([call.text for call in ordered], rows, themes_for(len(ordered)))
    theme = {at: found.name for found in themes for at in found.members}
    length = _lengths([len(call.text) for call in ordered])
    kind: list[Kind] = [(call.outcome, length[at], theme.get(at, "other")) for at, call in enumerate(ordered)]
    odd = texts.oddness(rows)
    sizes = Counter(kind)
    free = [at for at in range(len(ordered)) if first[at] == at and not ordered[at].known]
    free.sort(key=lambda at: _shuffled(seed, ordered[at].id))
    chosen = _chosen(free, kind, {at: float(odd[at]) for at in free}, sizes, count)
    known = [at for at in range(len(ordered)) if ordered[at].known]
    taken = [ordered[at] for at in chosen]
    coverage = _coverage(kind, chosen, known, len(set(first)))
    return Drawn(taken, {ordered[at].id: kind[at] for at in chosen}, coverage)


def themes_for(calls: int) -> int:
    """Few enough that each has calls: the square root of half of them, two to twelve."""
    return max(2, min(MOST_THEMES, round(math.sqrt(calls / 2))))


def allocate(sizes: Mapping[Kind, int], available: Mapping[Kind, int], count: int) -> dict[Kind, int]:
    """Kind → how many: one each, the most frequent first, then by the square root of their sizes.

    Never more than there are.  Equal remainders go to the more frequent kind.
    """
    order = sorted((kind for kind in sizes if available.get(kind)), key=lambda kind: (-sizes[kind], kind))
    given = dict.fromkeys(order[:count], 1)
    left = min(count, sum(available.get(kind, 0) for kind in order)) - len(given)
    while left > 0:
        open_ = [kind for kind in order if given.get(kind, 0) < available[kind]]
        neediest = max(open_, key=lambda kind: (math.sqrt(sizes[kind]) / (given.get(kind, 0) + 1), sizes[kind]))
        given[neediest] = given.get(neediest, 0) + 1
        left -= 1
    return given


def _chosen(
    free: Sequence[int], kind: Sequence[Kind], odd: Mapping[int, float], sizes: Mapping[Kind, int], count: int
) -> list[int]:
    rare = sorted(free, key=lambda at: -odd[at])[: int(count * RARE)]
    of_kind: dict[Kind, list[int]] = defaultdict(list)
    for at in free:
        if at not in rare:
            of_kind[kind[at]].append(at)
    wanted = allocate(sizes, {each: len(found) for each, found in of_kind.items()}, count - len(rare))
    return sorted([*rare, *(at for each, many in wanted.items() for at in of_kind[each][:many])])


def _coverage(kind: Sequence[Kind], chosen: Sequence[int], known: Sequence[int], different: int) -> Coverage:
    sizes, total = Counter(kind), len(kind)
    covered = {kind[at] for at in (*chosen, *known)}
    missing = sorted(((each, size) for each, size in sizes.items() if each not in covered), key=lambda row: -row[1])
    parts = []
    for at, dimension in enumerate(("outcome", "length", "theme")):
        traffic = Counter(each[at] for each in kind)
        sample = Counter(kind[index][at] for index in chosen)
        order = LENGTHS if dimension == "length" else [value for value, _ in traffic.most_common()]
        parts += [
            Part(dimension, value, traffic[value] / total, sample[value] / len(chosen) if chosen else 0.0)
            for value in order
            if traffic[value]
        ]
    return Coverage(
        calls=total, different=different, kinds=len(sizes), covered=len(covered),
        share=sum(size for each, size in sizes.items() if each in covered) / total if total else 0.0,
        unseen=sum(size == 1 for size in sizes.values()) / total if total else 1.0, parts=parts,
        missing=[(", ".join(each), size / total) for each, size in missing[:SHOWN]],
    )  # fmt: skip


def _lengths(sizes: Sequence[int]) -> list[str]:
    """By thirds of the calls."""
    ordered = sorted(sizes)
    if not ordered:
        return []
    low, high = ordered[(len(ordered) - 1) // 3], ordered[2 * (len(ordered) - 1) // 3]
    return ["short" if size <= low else "long" if size > high else "middle" for size in sizes]


def _shuffled(seed: str, ident: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{ident}".encode()).digest()
