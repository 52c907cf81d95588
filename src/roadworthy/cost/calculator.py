"""What calls of stated sizes cost by a price, before there is any data.  Pure; US dollars."""

from __future__ import annotations

import math
import re
from typing import Final

import msgspec

from roadworthy.cost.model import Breakdown
from roadworthy.workflow.model import Price

MONTH_DAYS: Final = 30
BATCH_OFF: Final = 0.5
"""What OpenAI, Anthropic and Google take off for answers within a day (their price pages, November 2026)."""

_SECONDS: Final = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0,
    "d": 86_400.0, "day": 86_400.0, "week": 7 * 86_400.0, "month": MONTH_DAYS * 86_400.0,
}  # fmt: skip
_SCALES: Final = {"": 1.0, "k": 1e3, "m": 1e6}
_VOLUME: Final = re.compile(r"\s*([0-9][0-9,_]*\.?[0-9]*|\.[0-9]+)\s*([kKmM]?)\s*(?:/|per|a)?\s*([a-z]*)\s*", re.ASCII)
MOST_A_DAY: Final = 1e12


class Unreadable(ValueError):
    """A number that people gave is none: says what was found and what is expected."""


def volume(text: str) -> float:
    """``2000/day``, ``50k/month``, ``3/s``, ``1500`` (a day) → calls a day.  Raises ``Unreadable``."""
    found = _VOLUME.fullmatch(text)
    expected = "give calls in a time, for example 2000/day, 50k/month or 3/s"
    if found is None:
        raise Unreadable(f"volume {text[:40]!r} is not readable: {expected}")
    number, scale, unit = found.groups()
    seconds = _SECONDS.get(unit or "day")
    if seconds is None:
        raise Unreadable(f"volume {text[:40]!r}: {unit!r} is no time; {expected}")
    calls = float(number.replace(",", "").replace("_", "")) * _SCALES[scale.lower()] * 86_400.0 / seconds
    if not 0.0 < calls <= MOST_A_DAY:
        raise Unreadable(f"volume {text[:40]!r} is {calls:g} calls a day: {expected}")
    return calls


class Call(msgspec.Struct, frozen=True):
    """The size of one call and how it is sent."""

    given: float
    """Input tokens."""
    written: float
    """Output tokens, reasoning included."""
    reads: float = 0.0
    """Share of the input that is read from the provider's cache."""
    writes: float = 0.0
    """Share of the input that is written to it."""
    off: float = 0.0
    """Share that a batch or a contract takes off everything."""


class Calculation(msgspec.Struct, frozen=True):
    """What such calls cost."""

    call: Breakdown
    """Of one."""
    uncached: float
    """What one would cost without a cache and in no batch."""
    calls_a_day: float
    day: float
    month: float
    """Thirty days."""
    year: float
    """365 days."""


def calculate(price: Price, call: Call, calls_a_day: float) -> Calculation:
    """Raises ``Unreadable`` for shares and sizes that cannot be."""
    _vet(call)
    plain = _cost(price, msgspec.structs.replace(call, reads=0.0, writes=0.0, off=0.0))
    found = _cost(price, call)
    day = found.total * calls_a_day
    return Calculation(found, plain.total, calls_a_day, day, day * MONTH_DAYS, day * 365)


def _cost(price: Price, call: Call) -> Breakdown:
    """Of fractions of tokens too: an average of calls need not be whole."""
    left = 1.0 - call.off
    reads = price.input if price.cache_read is None else price.cache_read
    writes = price.input if price.cache_write is None else price.cache_write
    return Breakdown(
        input=call.given * (1.0 - call.reads - call.writes) * price.input * left,
        cache_read=call.given * call.reads * reads * left,
        cache_write=call.given * call.writes * writes * left,
        output=call.written * price.output * left,
        request=price.per_request * left,
    )


def _vet(call: Call) -> None:
    for name, value in (("--in", call.given), ("--out", call.written)):
        if not 0.0 <= value < 1e9 or not math.isfinite(value):
            raise Unreadable(f"{name} {value:g} is no number of tokens: give 0 or more")
    for name, value in (("--cache-read", call.reads), ("--cache-write", call.writes), ("--batch-off", call.off)):
        if not 0.0 <= value <= 1.0:
            raise Unreadable(f"{name} {value:g} is no share: give 0 to 100 %")
    if call.reads + call.writes > 1.0 + 1e-9:
        raise Unreadable(
            f"--cache-read {100 * call.reads:g} % and --cache-write {100 * call.writes:g} % are more than all of the "
            "input: what is read from the cache is not written to it"
        )
