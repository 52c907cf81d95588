"""Why spend changed: the whole difference between two times, split over six causes.  Pure.

What a group of calls (one class, one model) cost is a product:

    calls × share of the group × attempts a call × tokens an attempt × what such a token costs by the price list,
    given how much of it came from a cache × what was charged in relation to that list

Each cause's part is its Shapley value (Shapley 1953; as a decomposition of change: Ang, Huang and Mu, Energy Policy 37,
2009): the mean of what changing it alone adds, over every order in which the causes can change.  So the parts add up to
the difference with no rest, no order is preferred, and a cause that did not change has no part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import factorial
from typing import Final, Literal

import msgspec

from roadworthy.cost.budgets import NANO
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Price

Factor = Literal["volume", "mix", "retries", "tokens", "cache", "price"]
FACTORS: Final[tuple[Factor, ...]] = ("volume", "mix", "retries", "tokens", "cache", "price")

Group = tuple[str, str]
"""(class of traffic, model that answered); empty texts where nothing answered."""

WORTH = 0.05
"""Share of the whole change below which a cause is not worth a word."""


class Spent(msgspec.Struct, frozen=True):
    """What one group of calls took.  Sums over some time, or means over several such times, so no whole numbers."""

    calls: float
    attempts: float
    usd: float
    """Of the calls whose cost is known."""
    input: float = 0.0
    """Uncached input tokens, those of retries included, as the others."""
    cache_read: float = 0.0
    cache_write: float = 0.0
    output: float = 0.0
    cache_write_1h: float = 0.0

    @classmethod
    def of(cls, calls: float, attempts: float, tokens: Tokens, usd: float) -> Spent:
        return cls(
            calls, attempts, usd, tokens.input, tokens.cache_read, tokens.cache_write, tokens.output,
            tokens.cache_write_1h,
        )  # fmt: skip

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))

    def scaled(self, by: float) -> Spent:
        return Spent(*(getattr(self, name) * by for name in self.__struct_fields__))

    @property
    def given(self) -> float:
        return self.input + self.cache_read + self.cache_write


class Cause(msgspec.Struct, frozen=True):
    """One cause's part of a difference."""

    factor: Factor
    nano: int
    """Whole nanodollars; negative: it made things cheaper."""
    before: float
    """The factor itself: calls; index of the mix and of the price (1 is as before); attempts a call; tokens an attempt;
    share of the input that came from a cache."""
    after: float

    @property
    def usd(self) -> float:
        return self.nano / NANO


class Split(msgspec.Struct, frozen=True):
    """A difference in spend and what it is made of.  The causes add up to it, to the nanodollar."""

    before: float
    """US dollars."""
    after: float
    causes: list[Cause]
    """In the order of ``FACTORS``."""

    @property
    def difference(self) -> float:
        return sum(cause.nano for cause in self.causes) / NANO

    def largest(self) -> list[Cause]:
        """Causes worth a word, the largest first."""
        floor = WORTH * max((abs(cause.nano) for cause in self.causes), default=0)
        told = [cause for cause in self.causes if cause.nano and abs(cause.nano) >= floor]
        return sorted(told, key=lambda cause: -abs(cause.nano))


Listed = Callable[[str], Price | None]
"""Model → what the price list says now; ``None``: nothing."""


def split(before: Mapping[Group, Spent], after: Mapping[Group, Spent], listed: Listed) -> Split:
    """The difference between two times of the same length.

    A group that only one of them has differs in the mix alone.  ``listed`` weighs kinds of tokens against one another;
    for a model that it does not know, and for one that is free by it and was charged for, all tokens weigh the same,
    and what a cache saved counts as price.
    """
    sides = _Sides.of(before, after, listed)
    worth = [sides.cost(subset) for subset in range(1 << len(FACTORS))]
    exact = [_shapley(worth, number) for number in range(len(FACTORS))]
    parts = _whole([round(part * NANO) for part in exact], round(worth[-1] * NANO) - round(worth[0] * NANO))
    measures = sides.measures()
    causes = [
        Cause(factor, part, *measures[factor]) for factor, part in zip(FACTORS, parts, strict=True)
    ]  # fmt: skip
    return Split(worth[0], worth[-1], causes)


def _shapley(worth: Sequence[float], player: int) -> float:
    """``worth[s]``: of the factors whose bits are set in ``s`` having changed."""
    count, bit = len(FACTORS), 1 << player
    total = 0.0
    for subset in range(1 << count):
        if not subset & bit:
            size = subset.bit_count()
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            total += weight * (worth[subset | bit] - worth[subset])
    return total


def _whole(parts: Sequence[int], total: int) -> list[int]:
    """The largest takes what rounding left over."""
    found = list(parts)
    largest = max(range(len(found)), key=lambda index: abs(found[index]))
    found[largest] += total - sum(found)
    return found


class _Traits(msgspec.Struct, frozen=True):
    """One group in one time, as the factors see it."""

    share: float
    retries: float
    given: float
    """Input tokens of an attempt, cached or not."""
    written: float
    read: float
    """Share of the input that was read from a cache."""
    kept: float
    """Share that was written to one, the next one among it."""
    kept_1h: float
    index: float
    """Charged ÷ price list."""


class _Sides:
    """Both times, ready to be mixed."""

    def __init__(
        self, volumes: tuple[float, float], groups: list[tuple[_Traits, _Traits, Price]], usd: tuple[float, float]
    ) -> None:
        self._volumes = volumes
        self._groups = groups
        self._usd = usd

    @classmethod
    def of(cls, before: Mapping[Group, Spent], after: Mapping[Group, Spent], listed: Listed) -> _Sides:
        volumes = sum(each.calls for each in before.values()), sum(each.calls for each in after.values())
        groups = []
        for group in sorted({*before, *after}):
            one, other = before.get(group), after.get(group)
            price = _weights(listed(group[1]), [each for each in (one, other) if each is not None])
            found = _traits(one, volumes[0], price), _traits(other, volumes[1], price)
            first, second = found
            if first is None and second is None:
                continue
            if first is None or second is None:
                known = first or second
                assert known is not None
                absent = msgspec.structs.replace(known, share=0.0)
                first, second = first or absent, second or absent
            groups.append((first, second, price))
        if not volumes[0]:  # nothing before: whatever came is volume
            groups = [(other, other, price) for _, other, price in groups]
        elif not volumes[1]:
            groups = [(one, one, price) for one, _, price in groups]
        usd = sum(each.usd for each in before.values()), sum(each.usd for each in after.values())
        return cls(volumes, groups, usd)

    def cost(self, changed: int) -> float:
        """US dollars with the factors whose bits are set as after, the others as before."""
        if changed == 0:
            return self._usd[0]
        if changed == (1 << len(FACTORS)) - 1:
            return self._usd[1]
        volume, mix, retries, tokens, cache, price = ((changed >> bit) & 1 for bit in range(len(FACTORS)))
        total = 0.0
        for one, other, listed in self._groups:
            both = (one, other)
            cached = both[cache]
            paid = _listed_cost(listed, both[tokens].given, both[tokens].written, cached)
            total += both[mix].share * both[retries].retries * paid * both[price].index
        return self._volumes[volume] * total

    def measures(self) -> dict[Factor, tuple[float, float]]:
        """Each factor as one number, before and after."""
        base = self.cost(0)
        told = base * NANO >= 0.5  # what is no nanodollar is the base of no index
        alone = {factor: self.cost(1 << bit) / base if told else 1.0 for bit, factor in enumerate(FACTORS)}
        found: dict[Factor, tuple[float, float]] = {
            "volume": self._volumes,
            "mix": (1.0, alone["mix"]),
            "retries": self._mean(lambda each: each.retries),
            "tokens": self._mean(lambda each: each.given + each.written),
            "cache": self._mean(lambda each: each.read),
            "price": (1.0, alone["price"]),
        }
        return found

    def _mean(self, of: Callable[[_Traits], float]) -> tuple[float, float]:
        sums = [0.0, 0.0]
        for one, other, _ in self._groups:
            sums[0] += one.share * of(one)
            sums[1] += other.share * of(other)
        return sums[0], sums[1]


def _traits(spent: Spent | None, volume: float, price: Price) -> _Traits | None:
    if spent is None or not spent.calls or not volume:
        return None
    attempts = spent.attempts or spent.calls
    by_list = _by_list(price, spent)
    return _Traits(
        spent.calls / volume, attempts / spent.calls, spent.given / attempts, spent.output / attempts, *_shares(spent),
        index=spent.usd / by_list if by_list else 1.0,
    )  # fmt: skip


def _shares(spent: Spent) -> tuple[float, float, float]:
    """Of the input: (read from a cache, written to one, written for an hour)."""
    if not spent.given:
        return 0.0, 0.0, 0.0
    return spent.cache_read / spent.given, spent.cache_write / spent.given, spent.cache_write_1h / spent.given


def _listed_cost(price: Price, given: float, written: float, cached: _Traits) -> float:
    """US dollars of one attempt by the list."""
    read = price.input if price.cache_read is None else price.cache_read
    kept = price.input if price.cache_write is None else price.cache_write
    kept_1h = kept if price.cache_write_1h is None else price.cache_write_1h
    a_token = (
        (1.0 - cached.read - cached.kept) * price.input
        + cached.read * read
        + (cached.kept - cached.kept_1h) * kept
        + cached.kept_1h * kept_1h
    )
    return given * a_token + written * price.output + price.per_request


_FLAT: Final = Price(input=1e-6, output=1e-6, per_request=1e-6)


def _weights(price: Price | None, sides: Sequence[Spent]) -> Price:
    """The list's price, unless it is unknown or free while something was charged; then every token weighs the same."""
    if price is None or any(side.usd > 0.0 and _by_list(price, side) <= 0.0 for side in sides):
        return _FLAT
    return price


def _by_list(price: Price, spent: Spent) -> float:
    attempts = spent.attempts or spent.calls
    traits = _Traits(0.0, 0.0, spent.given, spent.output, *_shares(spent), index=1.0)
    return _listed_cost(price, spent.given, spent.output, traits) + (attempts - 1.0) * price.per_request


# --- in words


def sentence(found: Split, *, whose: str, when: str, usual: str) -> str:
    """One plain sentence for whoever is told.

    ``whose``: "support-reply"; ``when``: "today by 14:00"; ``usual``: what it is compared with, "the same hours of the
    last 7 days".
    """
    change = found.difference
    if round(abs(change) * NANO) == 0:
        return f"{whose} spent {dollars(found.after)} {when}, as in {usual}."
    more = "more" if change > 0 else "less"
    told = [f"{signed(cause.usd)} {in_words(cause)}" for cause in found.largest()]
    rest = change - sum(cause.usd for cause in found.largest())
    if round(abs(rest), 6) >= max(0.000001, 0.01 * abs(change)):
        told.append(f"{signed(rest)} everything else")
    return (
        f"{whose} spent {dollars(found.after)} {when}, {dollars(abs(change))} {more} than in {usual} "
        f"({dollars(found.before)}): {'; '.join(told)}."
    )


def in_words(cause: Cause) -> str:
    """What happened to the factor, as an operator would say it."""
    one, other = cause.before, cause.after
    match cause.factor:
        case "volume":
            return f"from {'more' if other > one else 'fewer'} calls ({_count(one)} → {_count(other)})"
        case "mix":
            return f"from {'dearer' if cause.nano > 0 else 'cheaper'} models or kinds of calls in the mix"
        case "retries":
            return f"from {'more' if other > one else 'fewer'} attempts a call ({one:.2f} → {other:.2f})"
        case "tokens":
            longer = "longer" if cause.nano > 0 else "shorter"
            return f"from {longer} calls ({_count(one)} → {_count(other)} tokens an attempt)"
        case "cache":
            less = "less" if cause.nano > 0 else "more"
            return f"from {less} read from caches ({one * 100:.0f} % → {other * 100:.0f} % of the input)"
        case "price":
            return f"from {'higher' if cause.nano > 0 else 'lower'} prices ({(other - 1.0) * 100:+.0f} %)"


def dollars(value: float) -> str:
    """``$41.20``; what is under a dollar with four digits."""
    return f"${value:,.2f}" if round(abs(value), 4) >= 1.0 or value == 0 else f"${value:.4f}"


def signed(value: float) -> str:
    return f"{'+' if value >= 0 else '−'}{dollars(abs(value))}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
