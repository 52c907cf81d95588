"""What calls were made of: their attempts and checks, split into parts.  Pure.

A first attempt is split by kind of token at the price of its target, and scaled to what it was charged (the price may
have been another then).  Everything else is charged whole to what caused it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

from roadworthy.cost.model import Part, PartName
from roadworthy.cost.rules import breakdown
from roadworthy.workflow.inference import Attempt, Inference
from roadworthy.workflow.model import Price

Step = Literal["first", "retry", "repair", "target", "hedge", "continuation"]

PARTS: Final[dict[Step, PartName]] = {
    "retry": "retries",
    "repair": "repairs",
    "target": "other_targets",
    "hedge": "hedges",
    "continuation": "continuations",
}
"""Step of an attempt → the part that it is; ``first`` is split by kind of token."""

PriceOf = Callable[[str], Price | None]
"""Name of a target → its price of now."""


class Tally:
    """Running sums: part → (US dollars, how many)."""

    def __init__(self) -> None:
        self.usd: dict[PartName, float] = {}
        self.count: dict[PartName, float] = {}

    def add(self, name: PartName, usd: float, count: float) -> None:
        if usd or count:
            self.usd[name] = self.usd.get(name, 0.0) + usd
            self.count[name] = self.count.get(name, 0.0) + count

    @property
    def total(self) -> float:
        return sum(self.usd.values())


def tallied(calls: Iterable[Inference], price_of: PriceOf) -> Tally:
    """Parts of the calls whose cost is known; what is not known of one attempt is known of no part of its call."""
    found = Tally()
    prices: dict[str, Price | None] = {}
    for call in calls:
        if call.cost_usd is None:
            continue
        for attempt in call.attempts:
            name = PARTS.get(attempt.step)
            if name is None:
                if attempt.target not in prices:
                    prices[attempt.target] = price_of(attempt.target)  # may be slow: once a target
                _split(found, attempt, prices[attempt.target])
            else:
                found.add(name, attempt.cost_usd or 0.0, 1)
        for check in call.checks:
            if check.cost_usd:
                found.add("checks", check.cost_usd, 1)
    return found


def _split(found: Tally, attempt: Attempt, price: Price | None) -> None:
    tokens, charged = attempt.tokens, attempt.cost_usd or 0.0
    if tokens is None:
        found.add("request", charged, 1 if charged else 0)
        return
    if price is None:  # by tokens alone: a price must have been known then, or nothing was charged
        price = Price(input=1.0, output=1.0)
    made = breakdown(tokens, price)
    scale = charged / made.total if made.total else 0.0
    silent = tokens.reasoning / tokens.output if tokens.output else 0.0
    found.add("input", made.input * scale, tokens.input)
    found.add("cache_read", made.cache_read * scale, tokens.cache_read)
    found.add("cache_write", made.cache_write * scale, tokens.cache_write)
    found.add("output", made.output * scale * (1.0 - silent), tokens.output - tokens.reasoning)
    found.add("reasoning", made.output * scale * silent, tokens.reasoning)
    found.add("request", made.request * scale, 1 if made.request else 0)


def parts(tally: Tally, usd: float, more: float, beside: Mapping[PartName, tuple[float | None, float]]) -> list[Part]:
    """Parts of everything, dearest first.

    ``usd``: what all calls cost, to which the tally of a sample is scaled; ``more``: calls for each that was read;
    ``beside``: parts that no call holds → (US dollars or ``None``, how many).
    """
    scale = usd / tally.total if tally.total else 0.0
    found: list[tuple[PartName, float | None, float]] = [
        (name, dollars * scale, tally.count[name] * more) for name, dollars in tally.usd.items()
    ]
    found += [(name, dollars, count) for name, (dollars, count) in beside.items() if dollars or count]
    total = sum(dollars for _, dollars, _ in found if dollars is not None)
    made = [Part(name, dollars, count, dollars / total if dollars and total else 0.0) for name, dollars, count in found]
    return sorted(made, key=lambda part: (-(part.usd or 0.0), part.name))


def known(calls: Sequence[Inference]) -> list[float]:
    """US dollars of the calls whose cost is known."""
    return [call.cost_usd for call in calls if call.cost_usd is not None]
