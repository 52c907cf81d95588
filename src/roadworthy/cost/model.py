"""What a call costs, split by kind of token, and where its price came from."""

from __future__ import annotations

import msgspec

from roadworthy.workflow.model import Price


class Breakdown(msgspec.Struct, frozen=True):
    """US dollars of one attempt (or a sum of attempts), by what was charged."""

    input: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0
    output: float = 0.0
    """Reasoning included."""
    request: float = 0.0
    """The fee per call, whatever its tokens."""

    @property
    def total(self) -> float:
        return self.input + self.cache_read + self.cache_write + self.output + self.request

    def __add__(self, other: Breakdown) -> Breakdown:
        return Breakdown(
            self.input + other.input,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.output + other.output,
            self.request + other.request,
        )


class Priced(msgspec.Struct, frozen=True):
    """The answer of a price look-up: a price, or the reason why there is none."""

    price: Price | None
    unknown: str = ""
    """Why ``price`` is ``None``, for a person; empty when it is known."""
    note: str = ""
    """What the price leaves out ("above 200,000 input tokens it is dearer"); empty when it is exact."""
