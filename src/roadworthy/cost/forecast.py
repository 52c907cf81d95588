"""What a load does to the cost of a call and to today's limits.  Pure rules, no numpy.

A multiple of a load is not that multiple of its cost: a provider's cache is hit more often at a higher rate, calls past
a limit go down the ladder or are turned away, and what is turned away is retried.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from roadworthy.cost.model import Interval, Limit
from roadworthy.workflow.model import Price

MONTH: Final = 30 * 86_400.0
"""Seconds."""


class Size(msgspec.Struct, frozen=True):
    """A call as it is on average, all of its attempts included."""

    input: float = 0.0
    """Uncached input tokens."""
    cache_read: float = 0.0
    cache_write: float = 0.0
    output: float = 0.0
    attempts: float = 1.0
    seconds: float = 0.0
    """That it keeps a place at its target."""

    @property
    def given(self) -> float:
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> float:
        return self.given + self.output


class Place(msgspec.Struct, frozen=True):
    """A target that serves calls, and what it is granted."""

    name: str
    requests_a_minute: float | None = None
    tokens_a_minute: float | None = None
    at_once: float | None = None
    """Over all workers."""
    price: Price | None = None


class Money(msgspec.Struct, frozen=True):
    """What a workflow may spend."""

    day: float | None = None
    month: float | None = None


class Served(msgspec.Struct, frozen=True):
    """Where the calls of a load end up, as shares that add up to at most 1."""

    first: float
    """At the first target."""
    other: float = 0.0
    """At the next one that the ladder names when the first has no room."""

    @property
    def all(self) -> float:
        return self.first + self.other


def limits(places: Sequence[Place], size: Size, peak: float, money: Money, month_usd: float, of: str) -> list[Limit]:
    """Today's limits with the multiple of the peak at which each binds, the first one to bind at the head.

    ``peak``: calls a second; ``month_usd``: what a month at the peak costs; ``of``: the workflow.  Only the first place
    is filled by every call.
    """
    found = []
    for place in places[:1]:
        for name, granted, used in (
            ("requests a minute", place.requests_a_minute, 60.0 * peak * size.attempts),
            ("tokens a minute", place.tokens_a_minute, 60.0 * peak * size.total),
            ("calls at once", place.at_once, peak * size.seconds),
        ):
            if granted is not None and used > 0.0:
                found.append(Limit(name, place.name, granted, used, granted / used))
    for name, granted, used in (
        ("budget of a day", money.day, month_usd / 30.0), ("budget of a month", money.month, month_usd),
    ):  # fmt: skip
        if granted is not None and used > 0.0:
            found.append(Limit(name, of, granted, used, granted / used))
    return sorted(found, key=lambda limit: limit.binds_at)


def room(place: Place, size: Size, peak: float) -> float:
    """Multiples of the peak that a place takes; ``inf``: it has no limit."""
    return min((each.binds_at for each in limits([place], size, peak, Money(), 0.0, "")), default=math.inf)


def shape(hours: Sequence[int], load_factor: float) -> list[float]:
    """Rates of the hours of a month as shares of the busiest one; without hours, a curve with that mean."""
    busiest = max(hours, default=0)
    if busiest:
        return [hour / busiest for hour in hours]
    power = 1.0 / min(max(load_factor, 0.02), 0.98) - 1.0
    return [((n + 0.5) / 100.0) ** power for n in range(100)]


def load_factor(hours: Sequence[int]) -> float:
    """Mean over busiest; of hours without a call, 1."""
    busiest = max(hours, default=0)
    return sum(hours) / len(hours) / busiest if busiest else 1.0


def served(rates: Sequence[float], multiple: float, first: float, other: float) -> Served:
    """Shares of the calls that find a place.  ``rates``: of ``shape``; ``first``, ``other``: room in multiples of the
    peak, of the first target and of the next on the ladder (0: there is none)."""
    wanted = [multiple * rate for rate in rates]
    total = sum(wanted)
    if total <= 0.0:
        return Served(1.0)
    taken = sum(min(each, first) for each in wanted)
    passed = sum(min(max(each - first, 0.0), other) for each in wanted)
    return Served(taken / total, passed / total)


def hit_factor(size: Size, price: Price | None, rate: float, now_rate: float, cached_for: float) -> float:
    """Cost of a call at ``rate`` (calls a second) over its cost at ``now_rate``, for the provider's cache alone.

    A beginning that calls share is found in the cache when another call came within ``cached_for`` seconds: at Poisson
    arrivals with probability 1 - exp(-rate · cached_for).  What is read from the cache now says how much is shared.
    """
    if price is None or size.cache_read <= 0.0 or now_rate <= 0.0 or rate <= 0.0:
        return 1.0
    hit_now, hit_then = (1.0 - math.exp(-each * cached_for) for each in (now_rate, rate))
    shared = min(size.cache_read / max(hit_now, 1e-9), size.given)
    moved = min(shared * hit_then - size.cache_read, size.input + size.cache_write)
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    uncached = size.input + size.cache_write
    paid = (size.input * price.input + size.cache_write * write) / uncached if uncached else price.input
    before = size.input * price.input + size.cache_read * read + size.cache_write * write + size.output * price.output
    return max(0.0, (before + moved * (read - paid)) / before) if before > 0.0 else 1.0


def other_factor(size: Size, first: Price | None, other: Price | None) -> float:
    """Cost of a call at the other target over its cost at the first, at the same size and without a cache there."""
    if first is None or other is None:
        return 1.0
    here = size.given * first.input + size.output * first.output + first.per_request
    there = size.given * other.input + size.output * other.output + other.per_request
    return there / here if here > 0.0 else 1.0


def amplified(turned_away: float, retries: int) -> float:
    """Requests for each call when a share of them finds no room and is tried ``retries`` times more."""
    share = min(max(turned_away, 0.0), 1.0)
    return float(sum(share**n for n in range(retries + 1)))


def times(figure: Interval, factor: float) -> Interval:
    return Interval(figure.point * factor, figure.low * factor, figure.high * factor)


def reach(limits: Sequence[Limit], multiple: float, word: str, away: float, amplifies: float) -> str:
    """Why a load is not reachable, for a person; empty: it is.  ``limits``: the one that binds first at the head."""
    binding = [limit for limit in limits if limit.binds_at < multiple]
    place = next((limit for limit in binding if not limit.name.startswith("budget")), None)
    money = next((limit for limit in binding if limit.name.startswith("budget")), None)
    why = []
    if place is not None:
        text = f"on today's limits: {place.name} of {place.of} bind at {place.binds_at:.2g}×"
        if away >= 0.001:
            text += f", {100 * away:.0f} % of the calls would find no room"
        if amplifies > 1.005:
            text += f", and retries would make {amplifies:.2f} requests of each"
        why.append(text)
    if money is not None:
        why.append(f"within the {money.name}, which is spent at {money.binds_at:.2g}×")
    return f"{word} is not reachable {'; nor '.join(why)}" if why else ""
