"""Arrival plans, what a load generator saw of each call, and what that comes to, as frozen data.

Instants within a test are seconds since its first intended start, durations seconds, rates calls a second, shares in
[0, 1], money US dollars.  Every latency is counted from the *intended* start, so that a generator or a system that
falls behind cannot hide it (no coordinated omission).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.workflow.inference import Failure, Outcome

Shape = Literal["constant", "poisson", "gamma", "ramp", "replay"]


class Arrivals(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """When calls are meant to start, whatever becomes of those before (open loop)."""

    shape: Shape
    rate: float = 0.0
    """Mean calls a second; of a ramp the last rate.  A replay has its own."""
    seconds: float
    """How long; of a replay the most of it that is used, after compression."""
    cv: float = 1.0
    """``gamma`` only: coefficient of variation of the gaps; 1 is Poisson, more is bursty."""
    start_rate: float = 0.0
    """``ramp`` only."""
    compression: float = 1.0
    """``replay`` only: 60 plays an hour in a minute."""
    seed: int = 0


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """One question that a test asks."""

    messages: list[dict[str, object]]
    user: str = ""
    """Hashed or made up, never a real one in clear."""
    inputs: dict[str, str] = {}
    source: str = ""
    """Where it came from: ``log``, ``examples``, ``file``."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One planned call."""

    at: float
    body: int
    """Index of what is asked."""
    max_tokens: int | None = None
    """A replayed trace's length of answer; ``None``: the release's own."""


class Sample(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """What became of one planned call.  Clocks are seconds since its *intended* start."""

    at: float
    """Its intended start, within the test."""
    late: float = 0.0
    """When the generator began it: its own error, without what opening a connection took."""
    sent: float | None = None
    """When its first byte was written; ``None``: it was dropped, too many were under way."""
    first_token: float | None = None
    """First content of a stream; of a whole answer its end."""
    ended: float | None = None
    status: int | None = None
    """``None``: no answer came."""
    outcome: Outcome | None = None
    failure: Failure | None = None
    code: str = ""
    output_tokens: int | None = None
    usd: float | None = None
    """``None``: unknown."""
    between: float | None = None
    """Mean seconds between tokens after the first; ``None`` for whole answers and single tokens."""
    inference: str = ""


class Interval(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval."""

    value: float
    lower: float
    upper: float


class Percentiles(msgspec.Struct, frozen=True):
    """Of one clock, in seconds."""

    p50: Interval
    p95: Interval
    p99: Interval
    ratio: Interval
    """p99 over p50."""
    count: int


class Saturation(msgspec.Struct, frozen=True):
    """Do calls under way and the time to the first token both keep rising?"""

    saturated: bool
    at: float | None = None
    """Second of the test from which on they do."""
    why: str = ""


class Where(msgspec.Struct, frozen=True):
    """Where the time of the calls went, as shares of the whole (from the inference log)."""

    queue: float
    provider: float
    checks: float
    overhead: float


class Measured(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a test measured."""

    planned: int
    sent: int
    dropped: int
    answered: int
    """A model's answer came (``answered``, ``recovered``)."""
    errors: int
    """Everything that was sent and came to no answer of a model, a cache or the ladder that the caller could use."""
    fell_back: int = 0
    """Answered without a model by a step of the ladder, because the system was slow, full or not there; or sent to the
    app's old path, because the workflow was stopped."""
    seconds: float
    """Held at the full rate."""
    rate: float
    """Calls a second that were really sent."""
    whole: Percentiles | None
    """``None``: nothing was answered."""
    first_token: Percentiles | None = None
    between: Percentiles | None = None
    matched_ratio: Interval | None = None
    """p99/p50 among calls of matched output length; ``None``: lengths are not known."""
    goodput: float | None = None
    """Calls a second within the objective; ``None``: none is declared."""
    timing_error_p99: float = 0.0
    """Seconds that the generator itself started calls late, at p99."""
    saturation: Saturation = Saturation(False)
    outcomes: dict[str, int] = {}
    failures: dict[str, int] = {}
    usd: float | None = None
    unpriced: int = 0
    output_tokens: int = 0
    where: Where | None = None
