"""What recorded traffic would have cost on other models.  Pure.

Tokens are taken as they were recorded.  Another model's tokenizer may count the same text otherwise (``TOKENIZERS``),
may write longer answers, and may be worse: what is compared is price, and the page says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from roadworthy.cost.rules import cost_of
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Price

BATCH_OFF = 0.5
"""What OpenAI, Anthropic and Google take off calls that are sent as a batch, answered within a day."""
TOKENIZERS = 0.15
"""Share by which another tokenizer's count of the same English text may differ, about; more in other languages."""
Caching = Literal["as recorded", "none"]


class Recorded(msgspec.Struct, frozen=True):
    """The traffic."""

    calls: int
    attempts: float
    tokens: Tokens
    """Of all attempts."""
    usd: float | None
    """That it cost; ``None``: nobody knows."""
    unpriced: int
    """Calls that are not in ``usd``."""
    days: float
    """That it took."""


class Candidate(msgspec.Struct, frozen=True):
    """A model that it is priced on."""

    name: str
    provider: str
    price: Price | None
    why_unknown: str = ""
    note: str = ""
    """What its price leaves out."""
    serves: bool = False
    """It is what the workflow calls first now."""


class Compared(msgspec.Struct, frozen=True):
    """The same traffic on one model.  US dollars of thirty days at the rate of the recorded time."""

    candidate: Candidate
    month: float | None
    uncached: float | None
    """With nothing read from a cache."""
    batch: float | None
    """Sent as batches, which no caller waits for; ``None``: the provider sells none."""
    low: float | None
    """``month``, should its tokenizer count less."""
    high: float | None
    """``month``, should its tokenizer count more."""
    saved: float | None
    """Share of what is paid now, by the list; negative: it is dearer."""


BATCHES = ("openai", "anthropic", "gemini")


def compare(recorded: Recorded, candidates: Sequence[Candidate]) -> list[Compared]:
    """Cheapest first, unknown prices last.  ``saved`` is held against the candidate that serves now."""
    months = 30.0 / recorded.days if recorded.days else 0.0
    now = next((each.price for each in candidates if each.serves), None)
    base = None if now is None else _usd(recorded, now) * months
    found = [_on(recorded, each, months, base) for each in candidates]
    return sorted(found, key=lambda each: (each.month is None, each.month or 0.0, each.candidate.name))


def _on(recorded: Recorded, candidate: Candidate, months: float, base: float | None) -> Compared:
    price = candidate.price
    if price is None:
        return Compared(candidate, None, None, None, None, None, None)
    month = _usd(recorded, price) * months
    tokens = recorded.tokens
    flat = replace(tokens, input=tokens.input + tokens.cache_read + tokens.cache_write, cache_read=0, cache_write=0,
                   cache_write_1h=0)  # fmt: skip
    uncached = _usd(replace(recorded, tokens=flat), price) * months
    fees = price.per_request * recorded.attempts * months
    off = TOKENIZERS * (month - fees)
    return Compared(
        candidate, month, uncached,
        month * (1.0 - BATCH_OFF) if candidate.provider in BATCHES else None,
        month if candidate.serves else month - off, month if candidate.serves else month + off,
        None if not base else 1.0 - month / base,
    )  # fmt: skip


def _usd(recorded: Recorded, price: Price) -> float:
    """Of the recorded time.  The fee a call is per attempt."""
    return cost_of(recorded.tokens, replace(price, per_request=0.0)) + price.per_request * recorded.attempts


ASSUMPTIONS = (
    "Tokens are counted as they were recorded. Another model's tokenizer may count the same text up to about "
    f"{TOKENIZERS * 100:.0f} % otherwise, which is the range shown; how long its answers are is not known.",
    "Cached input is priced as if the other provider had cached the same share; without any cache, see that column.",
    f"A batch takes {BATCH_OFF * 100:.0f} % off at OpenAI, Anthropic and Google, and its answers may take a day.",
    "Quality is unknown until a gate was run: this compares prices.",
)
