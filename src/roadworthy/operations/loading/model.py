"""A load test as it is ordered, foretold, followed and kept.

Instants are Unix seconds, durations seconds, rates calls a second, shares in [0, 1], money US dollars.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.evidence.kinds import Verdict
from roadworthy.latency.model import Body, Interval, Measured, Shape

Kind = Literal["live", "rehearsal", "limit"]
"""Against the real targets; against a simulated one fitted to them; up to the highest rate that they bear."""
Phase = Literal["starting", "simulated probe", "load", "kill", "live probe", "closing", ""]
StateWord = Literal["running", "done", "interrupted", "stopped", "failed"]
"""``interrupted`` by a person, a lost lease or the end of control; ``stopped`` by one of the test's own limits."""

FULL_SECONDS = 3600.0
"""What evidence asks for."""
PEAKS = 2.0
"""Times the projected peak that evidence asks for."""


class LoadRefused(Exception):
    """No such test can be made; the message says why and what to do."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to do.  Everything that is left out has the default of an honest test."""

    workflow: str
    release: str = ""
    """Number or digest; empty: the one that readiness judges."""
    kind: Kind = "live"
    peak: float | None = None
    """Projected peak; ``None``: the policy's, else what the log says."""
    factor: float = PEAKS
    growth: float = 1.0
    """Times by which the peak of the log is thought to grow."""
    seconds: float = FULL_SECONDS
    shape: Shape = "poisson"
    cv: float = 3.0
    """``gamma`` only."""
    compression: float = 1.0
    """``replay`` only."""
    bodies: Literal["any", "log", "examples", "file"] = "any"
    rows: list[Body] = []
    """``bodies: file`` only."""
    trace: list[tuple[float, int | None, int | None]] = []
    """``replay`` of another's trace: (Unix seconds, input tokens, output tokens) of each call; empty: our own log's."""
    trace_from: str = ""
    """Name of its file."""
    usd: float | None = None
    """Most that it may cost; ``None``: twice the estimate."""
    errors: float = 0.2
    """Share of errors at which it stops by itself."""
    on_objective: bool = True
    """Stop as soon as the objective cannot be met any more (a limit search always goes by it)."""
    past_limits: bool = False
    """Go past what the provider grants, though it is foretold: live calls are refused with the test's then."""
    kill: bool = False
    probe: int = 40
    """Live calls that validate a rehearsal; 0: none, and it proves nothing."""
    stream: bool = True
    seed: int = 1
    most_under_way: int = 0
    """0: four times what is expected to be under way."""


class Peak(msgspec.Struct, frozen=True):
    """The projected peak and where it came from."""

    rate: float
    source: Literal["policy", "order", "log"]
    said: str


class PerCall(msgspec.Struct, frozen=True):
    """What a call takes, on average, with where it is known from."""

    input: float
    """Tokens, cached ones included."""
    output: float
    usd: float | None
    usd_lower: float | None
    """Of a 95 % interval of the mean."""
    usd_upper: float | None
    seconds: float
    said: str


class Headroom(msgspec.Struct, frozen=True):
    """One granted limit of one target, and what the test wants of it."""

    target: str
    what: Literal["requests a minute", "tokens a minute", "calls at once"]
    granted: float | None
    """``None``: the configuration names none."""
    live: float
    """What live traffic took of it in its busiest minute of the last day."""
    wanted: float
    """Of the test."""
    refused: float
    """Share of the test's calls above it (predicted 429s)."""


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """What a test would do, said before its first call."""

    workflow: str
    number: int
    release: str
    """Digest."""
    target: str
    provider: str
    kind: Kind
    peak: Peak | None
    """``None``: nobody knows it, so the test is no evidence."""
    factor: float
    rate: float
    seconds: float
    shape: Shape
    calls: int
    per_call: PerCall
    input_tokens: int
    output_tokens: int
    usd: float | None
    """``None``: nobody knows the price."""
    usd_lower: float | None
    usd_upper: float | None
    max_usd: float
    live_calls: int
    """Calls that reach the real targets."""
    headroom: list[Headroom]
    predicted_429: float
    """Share of its calls."""
    bodies: int
    bodies_from: str
    workers: int
    proves: str
    """The most that it can be evidence for."""
    does: list[str] = []
    """What it will do, in words."""
    stops: list[str] = []
    """When it stops by itself."""
    warnings: list[str] = []


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """A test under way, as the generator tells it."""

    phase: Phase = ""
    seconds: float = 0.0
    of: float = 0.0
    rate: float = 0.0
    """Calls that were meant to start, a second."""
    planned: int = 0
    started: int = 0
    ended: int = 0
    errors: int = 0
    dropped: int = 0
    under_way: int = 0
    usd: float = 0.0
    p50: float | None = None
    """Of the whole answer, from the intended start, in the last seconds."""
    p95: float | None = None
    first_token: float | None = None
    """Its median."""
    said: str = ""


class Distance(msgspec.Struct, frozen=True):
    """Two-sample Kolmogorov distance of one clock between the simulated target and the real one."""

    clock: Literal["first token", "whole answer"]
    distance: float
    allowed: float
    """What it may be at these sample sizes."""
    simulated: int
    live: int
    simulated_p50: float
    live_p50: float

    @property
    def close(self) -> bool:
        return self.distance <= self.allowed


class Fit(msgspec.Struct, frozen=True):
    """What a rehearsal's target was fitted to, and how well the real one agrees."""

    calls: int
    """Recorded calls that it was fitted to."""
    since: float
    until: float
    traffic: str
    profile: dict[str, object]
    """As ``provider: simulated`` takes it."""
    distances: list[Distance] = []
    probe: int = 0
    """Live calls that were answered."""
    why: str = ""
    """Why it does not hold; empty: it does."""


class LimitStep(msgspec.Struct, frozen=True):
    """One rate that a search for the limit held."""

    rate: float
    seconds: float
    held: bool
    why: str
    p50: float | None
    p99: float | None
    error_share: float


class Limit(msgspec.Struct, frozen=True):
    """The highest rate within the objective, as far as it was found."""

    steps: list[LimitStep]
    held: float
    """0: none was."""
    broke: float | None = None
    """The lowest rate that did not hold; ``None``: every one did."""


class Kill(msgspec.Struct, frozen=True):
    """The kill switch, pressed under the load."""

    workflow: str
    said: str
    """What was pressed, and why that."""
    seconds: float | None
    """From the press to the last attempt that the upstream saw; ``None``: not known."""
    late: int = 0
    """Attempts after the acknowledgement."""
    acknowledged: float | None = None
    """Seconds until every gateway had confirmed."""


class Figure(msgspec.Struct, frozen=True):
    """One of the three figures of the verdict."""

    name: str
    ratio: Interval | None
    most: float
    passes: bool | None
    """``None``: it could not be measured, or its interval holds the limit."""


class Slot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stretch of a test, for its plots."""

    at: float
    seconds: float
    started: int = 0
    good: int = 0
    errors: int = 0
    dropped: int = 0
    under_way: float = 0.0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    first_p50: float | None = None
    first_p99: float | None = None


class Part(msgspec.Struct, frozen=True):
    """Where a share of the time of the calls went."""

    name: Literal["queue", "provider", "checks", "overhead"]
    share: float
    p50: float
    p99: float


class Came(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a test came to."""

    verdict: Verdict
    why: list[str]
    measured: Measured | None
    """``None``: nothing was sent."""
    figures: list[Figure] = []
    parts: list[Part] = []
    helps: list[str] = []
    slots: list[Slot] = []
    spread: list[tuple[float, float]] = []
    """(share, seconds): quantiles of the whole answer."""
    first_spread: list[tuple[float, float]] = []
    fit: Fit | None = None
    limit: Limit | None = None
    kill: Kill | None = None
    judged: str = ""
    """What readiness makes of it; empty: it is no evidence."""
    allows: float | None = None
    """Largest share of traffic that this evidence allows by itself."""
    objective: dict[str, float] = {}


class LoadRun(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A test as it is kept."""

    id: str
    """``lod_`` + 16 hex digits."""
    team: str
    workflow: str
    digest: str
    behaviour: str
    began: float
    by: str
    order: Order
    plan: Preflight
    state: StateWord = "running"
    detail: str = ""
    ended: float | None = None
    progress: Progress = Progress()
    steps: list[LimitStep] = []
    permits: list[str] = []
    came: Came | None = None
    evidence: str = ""
    """Id; empty: none was kept."""
    before: str = ""
    """Id of the test before it, with which it is compared."""
