"""From what was seen to a forecast: a call, the expected month, the month at the projected peak, 5× and 10× of it.

Figures of the expected month come from simulated futures (``statistics.forecasting``); those at the peak and beyond
take the load as given, so their interval is that of the cost of a call alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from roadworthy.cost import forecast as rules
from roadworthy.cost.forecast import Money, Place, Size
from roadworthy.cost.model import (
    COVERS,
    LEAST_DAYS,
    Assumptions,
    Basis,
    Driver,
    Interval,
    Limit,
    Part,
    Scenario,
    ScenarioName,
    Track,
)
from roadworthy.statistics.forecasting import DayCalls, Futures, Prior, fit_volume, futures
from roadworthy.statistics.robust import median

HORIZONS: Final = (1, 7, 30)
"""Days ahead that are kept, so that a forecast can be held against what came before its month is over."""
MULTIPLES: Final[tuple[tuple[ScenarioName, float], ...]] = (("peak", 1.0), ("5x", 5.0), ("10x", 10.0))
WORDS: Final[dict[ScenarioName, str]] = {"expected": "the expected month", "peak": "the peak", "5x": "5×", "10x": "10×"}
TOP_PARTS: Final = 3
_DAYS: Final = 30.0


class Seen(msgspec.Struct, frozen=True):
    """What the log says of a workflow, or of its evals before there is traffic."""

    counts: Sequence[int]
    """Served live calls of consecutive whole days, oldest first."""
    first: int
    """Weekday of the first of them, Monday is 0."""
    next: int
    """Weekday of the first day ahead."""
    days: Sequence[DayCalls]
    """What calls cost, by day."""
    hours: Sequence[int]
    """Live calls of consecutive hours; empty: too few."""
    size: Size
    parts: Sequence[Part]


class Plant(msgspec.Struct, frozen=True):
    """What serves the calls, and what bounds them."""

    workflow: str
    places: Sequence[Place]
    """The first target and, where the ladder names one for calls that find no room, the next."""
    money: Money = Money()
    peak: float | None = None
    """Calls a second, as declared."""
    retries: int = 0
    """Of a call that finds no room."""


class Foreseen(msgspec.Struct, frozen=True):
    """A forecast's figures, before they are kept."""

    basis: Basis
    days: int
    effective_days: float
    scenarios: list[Scenario]
    drivers: list[Driver]
    limits: list[Limit]
    horizons: dict[int, Interval]
    assumptions: Assumptions


def foresee(seen: Seen, plant: Plant, asked: Assumptions) -> Foreseen:
    """Raises ``ValueError`` when nothing says how many calls there will be, or what one costs."""
    live = sum(count > 0 for count in seen.counts)
    basis: Basis = "forecast" if live >= LEAST_DAYS and asked.calls_a_day is None else "assumption"
    prior = Prior(math.log1p(asked.growth_a_month), asked.growth_sd, asked.calls_a_day)
    # a stated volume replaces what was seen once there is enough of it: then it asks "what if"
    counts = [] if asked.calls_a_day is not None and live >= LEAST_DAYS else seen.counts
    volume = fit_volume(counts, seen.first, prior)
    future = futures(
        volume, seen.next, seen.days, horizons=HORIZONS, cost_sd=asked.cost_sd, covers=COVERS, seed=asked.seed
    )
    mean_rate = future.calls / rules.MONTH
    asked, peak = _peak(seen, plant, asked, mean_rate)
    load = _Load(seen, plant, asked, peak, mean_rate, Interval(*future.each))
    at_peak = load.month("peak", 1.0, [])
    limits = rules.limits(plant.places, seen.size, peak, plant.money, at_peak.usd.point, plant.workflow)
    expected = Interval(*future.totals[max(HORIZONS)])
    scenarios = [
        Scenario("unit", load.each, 1.0, mean_rate / asked.load_factor),
        load.expected(expected, future.calls, limits),
        *(load.month(name, multiple, limits) for name, multiple in MULTIPLES),
    ]
    worth = min(volume.effective_days, live) if counts else 0.0
    return Foreseen(
        basis, live, worth, scenarios, _drivers(future, seen.parts), limits,
        {days: Interval(*total) for days, total in future.totals.items()}, asked,
    )  # fmt: skip


def _peak(seen: Seen, plant: Plant, asked: Assumptions, mean_rate: float) -> tuple[Assumptions, float]:
    """The load factor and the peak that figures are made for, with where they come from."""
    factor, source = asked.load_factor, "assumed"
    if len(seen.hours) >= LEAST_DAYS * 24:
        factor, source = rules.load_factor(seen.hours), f"seen in {len(seen.hours) // 24} days"
    if plant.peak is not None:
        peak, peak_from = plant.peak, "policy.projected_peak"
    else:
        peak, peak_from = mean_rate / factor, "policy.projected_peak is not set: the busiest hour of the expected month"
    return msgspec.structs.replace(asked, load_factor=factor, load_factor_from=source, peak_from=peak_from), peak


class _Load:
    """Months under a given load."""

    def __init__(
        self, seen: Seen, plant: Plant, asked: Assumptions, peak: float, mean_rate: float, each: Interval
    ) -> None:
        self.each = each
        self._seen, self._plant, self._asked = seen, plant, asked
        self._peak, self._mean_rate = peak, mean_rate
        self._rates = rules.shape(seen.hours, asked.load_factor)
        first, *others = plant.places or [Place("")]
        self._first, self._other = first, others[0] if others else None
        self._room = rules.room(first, seen.size, peak)
        self._other_room = 0.0 if self._other is None else rules.room(self._other, seen.size, peak)

    def month(self, name: ScenarioName, multiple: float, limits: Sequence[Limit]) -> Scenario:
        """Thirty days whose busiest hour has ``multiple`` × the peak."""
        rate = multiple * self._peak
        return self._scenario(name, rate * self._asked.load_factor * rules.MONTH, rate, multiple, limits, None)

    def expected(self, usd: Interval, calls: float, limits: Sequence[Limit]) -> Scenario:
        rate = self._mean_rate / self._asked.load_factor
        return self._scenario("expected", calls, rate, rate / self._peak if self._peak else 0.0, limits, usd)

    def _scenario(
        self, name: ScenarioName, calls: float, rate: float, multiple: float, limits: Sequence[Limit],
        usd: Interval | None,
    ) -> Scenario:  # fmt: skip
        """``usd``: as it was simulated; ``None``: calls × cost of a call, as the load makes it."""
        served = rules.served(self._rates, multiple, self._room, self._other_room)
        first, mean = self._first, rate * self._asked.load_factor
        hits = 1.0 if usd is not None else rules.hit_factor(
            self._seen.size, first.price, mean, self._mean_rate, self._asked.cached_for
        )  # fmt: skip
        other = 1.0 if self._other is None else rules.other_factor(self._seen.size, first.price, self._other.price)
        amplifies = rules.amplified(1.0 - served.first, self._plant.retries)
        reached = rules.reach(limits, multiple, WORDS[name], 1.0 - served.all, amplifies)
        notes = [reached] if reached else []
        if name == "expected" and multiple > 1.005:
            notes.append(f"its busiest hour has {multiple:.2g}× the projected peak, so the peak is projected too low")
        if abs(hits - 1.0) >= 0.005:
            notes.append(f"the provider's cache would make a call {100 * abs(hits - 1):.0f} % "
                         f"{'cheaper' if hits < 1 else 'dearer'}")  # fmt: skip
        if served.other >= 0.001 and self._other is not None:
            notes.append(f"{100 * served.other:.0f} % would go to {self._other.name}, at {other:.2g} × the cost")
        # the money is what the load costs where all of it is served: once the limits are raised
        mixed = served.first + served.other * other + (1.0 - served.all)
        money = usd if usd is not None else rules.times(self.each, calls * hits)
        return Scenario(
            name, rules.times(money, mixed), calls, rate, not reached, served.all, "; ".join(notes)
        )  # fmt: skip


def _drivers(future: Futures, parts: Sequence[Part]) -> list[Driver]:
    volume, each = future.of_volume, 1.0 - future.of_volume
    found = [
        Driver("volume", volume, f"{100 * volume:.0f} % of the width of the month's interval"),
        Driver("cost of a call", each, f"{100 * each:.0f} % of the width of the month's interval"),
    ]
    paid = [part for part in parts if part.usd]
    found.sort(key=lambda driver: -driver.share)
    return found + [
        Driver(part.name, part.share, f"{100 * part.share:.0f} % of what calls cost") for part in paid[:TOP_PARTS]
    ]


def track(pairs: Sequence[tuple[Interval, float]]) -> Track:
    """How forecasts did.  ``pairs``: (what was foretold, what came)."""
    held = sum(told.low <= came <= told.high for told, came in pairs)
    widths = [(told.high - told.low) / came for told, came in pairs if came > 0.0]
    ratios = [came / told.point for told, came in pairs if told.point > 0.0]
    return Track(
        len(pairs), held, median(widths) if widths else None, median(ratios) if ratios else None
    )  # fmt: skip
