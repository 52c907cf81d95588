"""The profile of a simulated target: what it answers, how fast, and what goes wrong when.  Pure and seeded.

Everything random comes from ``Seeded``, seeded by the profile's seed, the request's bytes and how often those bytes
came before, so that a run repeats whatever the order in which its calls arrive.  A profile is parsed strictly:
``ProfileError`` names the field, what was found and what was expected.  docs/targets.md describes the format.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

_MASK = (1 << 64) - 1
_inverse = statistics.NormalDist().inv_cdf
_Z95 = 1.6448536269514722


class ProfileError(ValueError):
    """A profile that cannot be run."""

    def __init__(self, field: str, found: object, expected: str) -> None:
        super().__init__(f"{field}: found {found!r}, expected {expected}")
        self.field = field
        self.found = found
        self.expected = expected


class Seeded:
    """A small random stream (SplitMix64, Steele et al. 2014): seeding is free, unlike ``random.Random``."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def bits(self) -> int:
        """64 random bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def share(self) -> float:
        """Uniform in (0, 1)."""
        return ((self.bits() >> 11) + 0.5) / (1 << 53)

    def below(self, bound: int) -> int:
        return self.bits() % bound


class Distribution(msgspec.Struct, frozen=True):
    """A number drawn from one uniform: fixed, log-normal, or linear between empirical quantiles."""

    kind: Literal["fixed", "lognormal", "quantiles"] = "fixed"
    value: float = 0.0
    """``fixed``: the value; ``lognormal``: the median."""
    sigma: float = 0.0
    points: tuple[tuple[float, float], ...] = ()
    """``quantiles``: (share, value), rising, from share 0 to share 1."""

    def draw(self, random: Seeded) -> float:
        if self.kind == "fixed":
            return self.value
        share = random.share()
        if self.kind == "lognormal":
            return self.value * math.exp(self.sigma * _inverse(share))
        for (low, at_low), (high, at_high) in zip(self.points, self.points[1:], strict=False):
            if share <= high:
                return at_low + (at_high - at_low) * (share - low) / (high - low)
        return self.points[-1][1]


class Fault(msgspec.Struct, frozen=True):
    """Something that goes wrong, and its details (see ``FAULTS``)."""

    name: str
    options: dict[str, Any] = {}


class FaultRule(msgspec.Struct, frozen=True):
    """A fault and when it strikes; conditions are joined by *and*."""

    fault: Fault
    share: float | None = None
    every: int | None = None
    calls: tuple[int, int] | None = None
    """First and last call (1, 2, 3… since the start)."""
    marker: str | None = None
    """Text in any message of the request."""
    times: int | None = None
    """Strikes at most so often."""


class Profile(msgspec.Struct, frozen=True):
    seed: int = 1
    first_token: Distribution = Distribution()
    """Seconds from the request to the first token."""
    inter_token: Distribution = Distribution()
    """Seconds between tokens."""
    pace: Literal["token", "answer"] = "token"
    """Is the time between tokens drawn for each of them, or once an answer?"""
    output_tokens: Distribution = Distribution(value=40.0)
    reasoning_tokens: Distribution = Distribution()
    cached_share: float = 0.0
    """Share of the prompt that usage reports as read from the cache."""
    embedding_dimensions: int = 64
    answers: tuple[str, ...] = ()
    """Texts to choose from; empty: made-up words."""
    tools: Literal["call", "ignore"] = "call"
    inline_faults: bool = True
    """May a message order a fault with ``[[fault NAME key=value …]]``?"""
    faults: tuple[FaultRule, ...] = ()


Parse = Callable[[str, Any], Any]


def number(low: float, high: float) -> Parse:
    def parse(field: str, found: Any) -> float:
        if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
            raise ProfileError(field, found, f"a number from {low:g} to {high:g}")
        return float(found)

    return parse


def whole(low: int, high: int) -> Parse:
    def parse(field: str, found: Any) -> int:
        if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
            raise ProfileError(field, found, f"a whole number from {low} to {high}")
        return found

    return parse


def one_of(*words: str) -> Parse:
    def parse(field: str, found: Any) -> str:
        if found not in words:
            raise ProfileError(field, found, f"one of {', '.join(words)}")
        return str(found)

    return parse


def text(field: str, found: Any) -> str:
    if not isinstance(found, str) or not found:
        raise ProfileError(field, found, "a text")
    return found


def flag(field: str, found: Any) -> bool:
    if not isinstance(found, bool):
        raise ProfileError(field, found, "true or false")
    return found


def share(field: str, found: Any) -> float:
    """``1%`` or ``0.01``."""
    try:
        value = float(found[:-1]) / 100 if isinstance(found, str) and found.endswith("%") else float(found)
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(found, bool) or not 0 <= value <= 1:
        raise ProfileError(field, found, "a share such as 1% or 0.01")
    return value


def duration(field: str, found: Any) -> float:
    """Seconds: ``300ms``, ``2s``, ``5m`` or a number of seconds."""
    if isinstance(found, str):
        for unit, seconds in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
            if found.endswith(unit) and found[: -len(unit)].replace(".", "", 1).isdigit():
                return float(found[: -len(unit)]) * seconds
    elif isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < 1e6:
        return float(found)
    raise ProfileError(field, found, "a duration such as 300ms or 2s")


def calls(field: str, found: Any) -> tuple[int, int]:
    """``100-200`` or ``7``."""
    low, dash, high = str(found).partition("-")
    if not low.isdigit() or (dash and not high.isdigit()):
        raise ProfileError(field, found, "call numbers such as 100-200")
    window = (int(low), int(high) if dash else int(low))
    if not 1 <= window[0] <= window[1]:
        raise ProfileError(field, found, "a window that starts at 1 or later and ends after its start")
    return window


def retry_after(field: str, found: Any) -> str:
    """Seconds; ``date+SECONDS`` for an HTTP date; any other text as it is (``banana``)."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        raise ProfileError(field, found, "seconds, date+SECONDS or any text")
    return str(found)


_PLACES = one_of("before_first_byte", "after_headers", "mid_body")

FAULTS: dict[str, dict[str, Parse]] = {
    "status": {
        "code": whole(400, 599),
        "retry_after": retry_after,
        "error": one_of("context_length", "content_filter", "insufficient_quota"),
        "html": flag,
    },
    "reset": {"at": _PLACES},
    "stall": {"at": _PLACES, "seconds": duration},
    "slow": {"first_token": duration, "inter_token": duration},
    "slow_close": {"seconds": duration},
    "cut": {},
    "no_done": {},
    "error_event": {},
    "malformed_chunk": {},
    "duplicate_chunk": {},
    "reordered_chunk": {},
    "split_utf8": {},
    "long_line": {"bytes": whole(1, 64 * 1024 * 1024)},
    "mixed_newlines": {},
    "usage": {"as": one_of("missing", "zero", "negative", "huge", "delta_chunk")},
    "body": {"as": one_of("empty", "invalid_json", "truncated_json", "html", "no_choices", "extra_fields")},
    "finish": {"reason": one_of("length", "content_filter")},
    "model": {"name": text},
    "tool": {"as": one_of("unknown", "bad_arguments")},
    "content": {
        "as": one_of("null", "text", "refusal", "prose", "schema_violation", "html", "nul", "huge"),
        "text": text,
        "bytes": whole(1, 64 * 1024 * 1024),
    },
}
"""Fault → its options.  What each does: docs/targets.md."""

_DEFAULTS: dict[str, dict[str, Any]] = {
    "status": {"code": 503},
    "reset": {"at": "before_first_byte"},
    "stall": {"at": "mid_body", "seconds": 30.0},
    "slow_close": {"seconds": 5.0},
    "long_line": {"bytes": 5 * 1024 * 1024},
    "usage": {"as": "missing"},
    "body": {"as": "truncated_json"},
    "finish": {"reason": "length"},
    "model": {"name": "simulated:another-model"},
    "tool": {"as": "unknown"},
    "content": {"as": "null"},
}

_CONDITIONS: dict[str, Parse] = {
    "share": share,
    "every": whole(1, 10**9),
    "calls": calls,
    "marker": text,
    "times": whole(1, 10**9),
}


def fault(field: str, name: Any, options: Mapping[str, Any]) -> Fault:
    """A checked fault with its defaults filled in."""
    if not isinstance(name, str) or name not in FAULTS:
        raise ProfileError(field, name, f"one of {', '.join(FAULTS)}")
    known = FAULTS[name]
    read = dict(_DEFAULTS.get(name, {}))
    for key, found in options.items():
        if key not in known:
            allowed = ", ".join(known) or "no option"
            raise ProfileError(f"{field}.{key}", found, f"{allowed} (fault {name} has no {key})")
        read[key] = known[key](f"{field}.{key}", found)
    if name == "content" and read["as"] == "text" and "text" not in read:
        raise ProfileError(f"{field}.text", None, "the text to answer (as: text)")
    return Fault(name, read)


def parse(data: Any) -> Profile:
    """A profile from plain data (YAML or JSON, already decoded).  Raises ``ProfileError``."""
    if data is None:
        return Profile()
    if not isinstance(data, dict):
        raise ProfileError("profile", data, "a mapping of fields")
    read: dict[str, Any] = {}
    for key, found in data.items():
        if key not in _FIELDS:
            raise ProfileError(str(key), found, f"one of {', '.join(_FIELDS)}")
        read[key] = _FIELDS[key](key, found)
    return Profile(**read)


def _distribution(kind: Parse) -> Parse:
    def parse(field: str, found: Any) -> Distribution:
        if not isinstance(found, dict):
            return Distribution(value=kind(field, found))
        if len(found) == 1:
            ((name, inner),) = found.items()
            at = f"{field}.{name}"
            if name == "fixed":
                return Distribution(value=kind(at, inner))
            if name == "lognormal" and isinstance(inner, dict):
                return _lognormal(kind, at, inner)
            if name == "quantiles" and isinstance(inner, dict):
                return _quantiles(kind, at, inner)
        raise ProfileError(field, found, "a value, {fixed: …}, {lognormal: {median, p95}} or {quantiles: {0: …, 1: …}}")

    return parse


def _lognormal(kind: Parse, field: str, found: dict[str, Any]) -> Distribution:
    if set(found) != {"median", "p95"}:
        raise ProfileError(field, sorted(found), "exactly median and p95")
    median, p95 = kind(f"{field}.median", found["median"]), kind(f"{field}.p95", found["p95"])
    if not 0 < median <= p95:
        raise ProfileError(f"{field}.p95", found["p95"], "more than the median, which must be above 0")
    return Distribution("lognormal", median, math.log(p95 / median) / _Z95)


def _quantiles(kind: Parse, field: str, found: dict[Any, Any]) -> Distribution:
    points = sorted((share(f"{field}.{at}", at), kind(f"{field}.{at}", value)) for at, value in found.items())
    shares, values = [point[0] for point in points], [point[1] for point in points]
    if len(points) < 2 or shares[0] != 0 or shares[-1] != 1 or len(set(shares)) != len(shares):
        raise ProfileError(field, found, "shares from 0 to 1, each once, such as {0: 80ms, 0.5: 300ms, 1: 4s}")
    if values != sorted(values):
        raise ProfileError(field, found, "values that rise with their share")
    return Distribution("quantiles", points=tuple(points))


def _answers(field: str, found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not found:
        raise ProfileError(field, found, "a list of texts or JSON objects")
    return tuple(item if isinstance(item, str) else msgspec.json.encode(item).decode() for item in found)


def _rules(field: str, found: Any) -> tuple[FaultRule, ...]:
    if not isinstance(found, list):
        raise ProfileError(field, found, "a list of faults")
    return tuple(_rule(f"{field}[{index}]", item) for index, item in enumerate(found))


def _rule(field: str, found: Any) -> FaultRule:
    if not isinstance(found, dict) or "fault" not in found:
        raise ProfileError(field, found, "a mapping with `fault` and when it strikes")
    conditions = {key: _CONDITIONS[key](f"{field}.{key}", found[key]) for key in _CONDITIONS if key in found}
    options = {key: value for key, value in found.items() if key != "fault" and key not in conditions}
    return FaultRule(fault=fault(field, found["fault"], options), **conditions)


_tokens = _distribution(number(0, 1_000_000))
_seconds = _distribution(duration)
_FIELDS: dict[str, Parse] = {
    "seed": whole(0, _MASK),
    "first_token": _seconds,
    "inter_token": _seconds,
    "pace": one_of("token", "answer"),
    "output_tokens": _tokens,
    "reasoning_tokens": _tokens,
    "cached_share": share,
    "embedding_dimensions": whole(1, 8192),
    "answers": _answers,
    "tools": one_of("call", "ignore"),
    "inline_faults": flag,
    "faults": _rules,
}
