"""When calls are meant to start: pure pacers, seeded, of any length in constant memory.

``starts`` and what it calls use the standard library only and nothing else of this package: ``locust.py`` writes their
very source into the file that it makes, so that Locust's workers play the same plan.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Iterable, Iterator, Sequence

from roadworthy.latency.model import Arrival, Arrivals, Shape
from roadworthy.latency.traces import Traced


class Unplannable(ValueError):
    """No plan can be made of these arrivals; the message names the field, what was found and how to mend it."""


def plan(
    arrivals: Arrivals, bodies: int, trace: Sequence[Traced] = (), *, sizes: Sequence[int] = ()
) -> Iterator[Arrival]:
    """The calls of a test in order of their intended start, made one by one while they are asked for.

    Bodies are dealt in shuffled rounds: each is asked as often as any other, give or take one.  ``trace`` is what a
    ``replay`` plays, oldest first; its lengths of answer become ``max_tokens`` (``None`` where they are unknown), and
    with ``sizes`` (tokens of input of every body) each call asks the body nearest to it in length.
    Raises ``Unplannable``.
    """
    check(arrivals, bodies, trace)
    if arrivals.shape == "replay":
        return _replayed(arrivals, bodies, trace, sizes)
    rng = _seeded(arrivals.seed)
    begin = starts(arrivals.shape, arrivals.rate, arrivals.seconds, arrivals.cv, arrivals.start_rate, rng)
    return map(Arrival, begin, dealt(bodies, _seeded(arrivals.seed + 1)))


def check(arrivals: Arrivals, bodies: int, trace: Sequence[Traced] = ()) -> None:
    """Raise ``Unplannable`` for what no plan can be made of."""
    if bodies < 1:
        raise Unplannable("bodies: there are none, and a test needs at least one question to ask: import examples")
    numbers = {
        "rate": arrivals.rate, "seconds": arrivals.seconds, "cv": arrivals.cv,
        "start_rate": arrivals.start_rate, "compression": arrivals.compression,
    }  # fmt: skip
    for name, value in numbers.items():
        least = "at least 0" if name in ("start_rate", "rate") else "above 0"
        if not math.isfinite(value) or value < 0 or (value == 0 and least == "above 0"):
            raise Unplannable(f"{name}: {value:g}, expected a number {least}")
    if arrivals.shape == "replay":
        if not trace:
            raise Unplannable("trace: it holds no calls, so there is nothing to replay: widen its window")
    elif arrivals.rate == 0:
        raise Unplannable("rate: 0 calls a second, expected more: no call would ever start")


def expected(arrivals: Arrivals, trace: Sequence[Traced] = ()) -> float:
    """How many calls the plan has: exactly of a constant rate and a replay, the mean of the others."""
    if arrivals.shape == "replay":
        first = trace[0].at if trace else 0.0
        return float(sum((each.at - first) / arrivals.compression < arrivals.seconds for each in trace))
    if arrivals.shape == "ramp":
        return (arrivals.start_rate + arrivals.rate) / 2 * arrivals.seconds
    return arrivals.rate * arrivals.seconds


def starts(
    shape: Shape, rate: float, seconds: float, cv: float, start_rate: float, rng: random.Random
) -> Iterator[float]:
    """Intended starts in [0, seconds), ascending.

    ``constant``: every 1/rate.  ``poisson``: independent exponential gaps (CV 1).  ``gamma``: independent gamma gaps of
    shape 1/cv² and mean 1/rate, so that their coefficient of variation is ``cv``.  ``ramp``: a Poisson process whose
    rate grows linearly from ``start_rate`` to ``rate``, by inversion of its cumulated rate (Çinlar 1975, 4.7).
    """
    if shape == "constant":
        number = 0
        while number / rate < seconds:
            yield number / rate
            number += 1
        return
    at = calls = 0.0
    grown = (rate - start_rate) / seconds
    gamma = 1.0 / (cv * cv)
    while True:
        if shape == "gamma":
            at += rng.gammavariate(gamma, 1.0 / (rate * gamma))
        elif shape == "poisson":
            at += rng.expovariate(rate)
        else:
            calls += rng.expovariate(1.0)
            at = when_reached(calls, start_rate, grown)
        if not at < seconds:
            return
        yield at


def when_reached(calls: float, start_rate: float, grown: float) -> float:
    """When start_rate x t + grown x t²/2 comes to ``calls``; infinite when it never does."""
    if grown == 0.0:
        return calls / start_rate
    root = start_rate * start_rate + 2.0 * grown * calls
    return math.inf if root < 0.0 else 2.0 * calls / (start_rate + math.sqrt(root))


def dealt(bodies: int, rng: random.Random) -> Iterator[int]:
    """Indices below ``bodies`` for ever, in shuffled rounds."""
    order = list(range(bodies))
    while True:
        rng.shuffle(order)
        yield from order


def _replayed(arrivals: Arrivals, bodies: int, trace: Sequence[Traced], sizes: Sequence[int]) -> Iterator[Arrival]:
    first = trace[0].at
    nearest = _Nearest(sizes) if sizes else None
    deal = dealt(bodies, _seeded(arrivals.seed + 1))
    for each in trace:
        at = (each.at - first) / arrivals.compression
        if at >= arrivals.seconds:
            return
        body = next(deal) if nearest is None or each.input_tokens is None else nearest.to(each.input_tokens)
        yield Arrival(at, body, each.output_tokens or None)  # nobody can ask for an answer of no tokens


def _seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  repeatable, and nobody's secret


class _Nearest:
    """Bodies by length; those of the same length take turns."""

    def __init__(self, sizes: Iterable[int]) -> None:
        by_size: dict[int, list[int]] = {}
        for index, size in enumerate(sizes):
            by_size.setdefault(size, []).append(index)
        self._sizes = sorted(by_size)
        self._bodies = by_size

    def to(self, tokens: int) -> int:
        above = bisect.bisect_left(self._sizes, tokens)
        near = self._sizes[max(above - 1, 0) : above + 1]
        turns = self._bodies[min(near, key=lambda size: abs(size - tokens))]
        turns.append(turns.pop(0))
        return turns[-1]
