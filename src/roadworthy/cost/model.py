"""What a call costs and where its price came from; what a workflow's calls came to; what they will come to.

Money is US dollars, shares are in [0, 1], durations seconds, instants Unix seconds.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.workflow.inference import Tokens
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


# --- what calls came to ----------------------------------------------------------------------------------------

PartName = Literal[
    "input", "cache_read", "cache_write", "output", "reasoning", "request",
    "retries", "repairs", "other_targets", "hedges", "continuations", "checks", "judges", "people",
]  # fmt: skip
"""What the cost of a workflow is made of.  The first six are of first attempts, by kind of token; ``output`` leaves out
``reasoning``.  Then whole attempts that a fault caused, checks that ask a target, judges that scored answers, and the
minutes of people who answered what was escalated."""

PART_WORDS: dict[str, str] = {
    "input": "input", "cache_read": "read from the cache", "cache_write": "written to the cache",
    "output": "output", "reasoning": "reasoning", "request": "fee a call", "retries": "retries",
    "repairs": "repairs", "other_targets": "other targets", "hedges": "hedges", "continuations": "continuations",
    "checks": "checks that ask a model", "judges": "judges of answers", "people": "people's minutes",
}  # fmt: skip
"""Part → in words."""


class Part(msgspec.Struct, frozen=True):
    """One thing that a workflow's calls cost."""

    name: PartName
    usd: float | None
    """In the whole time; ``None``: unknown."""
    count: float
    """Tokens, attempts, checks, or minutes."""
    share: float
    """Of the known cost of all parts."""


class OutcomeCost(msgspec.Struct, frozen=True):
    """What calls that ended alike cost."""

    outcome: str
    calls: int
    usd: float | None
    """Of those whose cost is known; ``None``: of none."""
    unknown: int = 0
    """Calls whose cost is not known."""

    @property
    def each(self) -> float | None:
        """Of a call whose cost is known."""
        known = self.calls - self.unknown
        return self.usd / known if self.usd is not None and known else None


class Unit(msgspec.Struct, frozen=True):
    """What one call, one outcome and one customer of a workflow cost."""

    workflow: str
    since: float
    until: float
    calls: int
    """Live ones."""
    usd: float | None
    """That they cost; ``None``: of none is it known."""
    unknown: int
    """Calls whose cost is not known: no part of any figure here."""
    outcomes: list[OutcomeCost]
    customers: int
    """Different named users who got an answer."""
    unnamed: int
    """Calls that were answered for nobody in particular: in no cost per customer."""
    per_call: float | None
    per_customer: float | None
    """Of an answered customer: the cost of all of the time's calls, failed ones too, that name a user."""
    parts: list[Part]
    """Dearest first."""
    read: int
    """Calls whose attempts were read to tell the parts apart; the others are taken to be like them."""
    minutes: float = 0.0
    """Of people, from claim to answer of what was escalated."""
    minute_usd: float | None = None
    """As it was stated; ``None``: minutes have no price."""
    other_classes: dict[str, float] = {}
    """Class of traffic that is not live → what it cost in this time."""


class DayCost(msgspec.Struct, frozen=True):
    """One calendar day of one class of traffic."""

    day: str
    """``2026-11-23`` in the zone that was asked for."""
    calls: int
    usd: float | None
    """Of the calls whose cost is known."""
    unknown: int
    tokens: Tokens

    @property
    def each(self) -> float | None:
        known = self.calls - self.unknown
        return self.usd / known if self.usd is not None and known else None


# --- what they will come to --------------------------------------------------------------------------------------

LEAST_DAYS = 7
"""Days with live calls under which figures are an assumption, no forecast."""
COVERS = 0.8
"""Of an interval: how often it should hold what comes."""

ScenarioName = Literal["unit", "expected", "peak", "5x", "10x"]
Basis = Literal["forecast", "assumption"]


class Interval(msgspec.Struct, frozen=True):
    """A figure and the 80 % interval about it."""

    point: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Of the interval, as a share of the point."""
        return (self.high - self.low) / self.point if self.point else 0.0


class Scenario(msgspec.Struct, frozen=True):
    """What a call, or a month under some load, costs."""

    name: ScenarioName
    usd: Interval
    """Of one call for ``unit``, else of thirty days."""
    calls: float
    """In thirty days; 1 for ``unit``."""
    rate: float
    """Calls a second in the busiest hour."""
    feasible: bool = True
    served: float = 1.0
    """Share of the calls that today's limits let through to some target."""
    note: str = ""
    """Why it is not reachable, or what is not linear about it."""


class Limit(msgspec.Struct, frozen=True):
    """A limit of today and the load at which it binds."""

    name: str
    """``tokens a minute``, ``requests a minute``, ``calls at once``, ``budget of a month``…"""
    of: str
    """The target, the key, or the workflow."""
    granted: float
    used: float
    """At the projected peak."""
    binds_at: float
    """Times the projected peak."""


class Driver(msgspec.Struct, frozen=True):
    """What moves the expected month most."""

    name: str
    share: float
    """Of the width of the interval (``volume``, ``cost of a call``) or of the point (parts)."""
    text: str


class Assumptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything in a forecast that no call has shown."""

    calls_a_day: float | None = None
    """As stated; ``None``: as observed."""
    growth_a_month: float = 0.0
    """Median of the prior of growth: 0.1 is ten per cent in thirty days."""
    growth_sd: float = 0.1
    """Its standard deviation, of the logarithm in thirty days."""
    load_factor: float = 1 / 3
    """Mean rate of a month over the rate of its busiest hour."""
    load_factor_from: str = ""
    """Where it comes from: seen, or assumed."""
    cost_from: str = ""
    """Where the cost of a call comes from: live calls, or calls of evals."""
    cost_sd: float = 0.0
    """How far the cost of a live call may lie from that, as a share: assumed while data is short."""
    peak_from: str = ""
    cached_for: float = 300.0
    """Seconds that a provider keeps a prompt's beginning."""
    seed: int = 0


class Track(msgspec.Struct, frozen=True):
    """How earlier forecasts of a workflow did, each over the longest of its horizons that is over."""

    scored: int = 0
    """Forecasts that could be held against what came."""
    held: int = 0
    """Of them, those whose interval held what came."""
    width: float | None = None
    """Median width of their intervals, as a share of what came."""
    ratio: float | None = None
    """Median of what came over the point."""


class ForecastFigures(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A forecast, as it is kept."""

    id: str
    """``fct_`` + 16 hex digits."""
    team: str
    workflow: str
    behaviour: str = ""
    """Digest of the release's behaviour; empty: there is no release."""
    made_at: float
    by: str
    starts: float
    """The midnight after it was made: where its horizons begin."""
    basis: Basis
    days: int
    """With live calls."""
    effective_days: float
    """Worth of them: days that resemble their neighbours tell less."""
    scenarios: list[Scenario]
    drivers: list[Driver]
    limits: list[Limit]
    """The one that binds first at the head."""
    horizons: dict[int, Interval]
    """Days from ``starts`` → what all live calls of these days will cost."""
    assumptions: Assumptions
    prices: str
    """Hash of the prices that it was made with; empty: some are unknown."""
    month_spent: float
    """In the thirty days before."""
    unpriced: float = 0.0
    """Share of live calls whose cost is not known: in no figure."""
    notes: list[str] = []
    """What a reader should know of what it was made from."""

    def scenario(self, name: ScenarioName) -> Scenario:
        return next(each for each in self.scenarios if each.name == name)
