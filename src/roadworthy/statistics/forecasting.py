"""What the next days will bring: volume by a gamma-Poisson model with growth, the cost of a call by a bootstrap over
days, then calls.

**Volume.**  Calls of day t are Poisson with mean λ · w(t) · exp(g · t) · ε(t): a level λ, a factor of the weekday,
growth g a day and a gamma noise ε of mean 1 and variance φ (so calls are negative binomial).  Growth has a normal
prior, stated by whoever asks; λ has a gamma prior, and its posterior counts a day for what it tells: 1 / (1 + μφ) of a
Poisson day, less where neighbouring days are alike.  (A. Gelman et al., Bayesian Data Analysis, 3rd ed., ch. 2.6, the
conjugate update; P. McCullagh and J. A. Nelder, Generalized Linear Models, 2nd ed., ch. 6 and 9, the dispersion.)

**Cost of a call.**  Calls of a day are alike (a prompt, a campaign, a long document), so days are resampled first and
the calls within them second (A. C. Davison and D. V. Hinkley, Bootstrap Methods, 1997, ch. 3.8).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Draws = NDArray[np.float64]
"""Simulated futures × days."""

WEEK = 7
GROWTH_SPAN = 30.0
"""Days over which growth is stated."""
_SHRINK = 0.5
"""Days of weight 1 that each weekday is given before it is seen."""
_PHI0, _PHI_DAYS = 0.04, 3.0
"""Before anything is seen, days vary by 20 %; as sure of that as after three days."""
_ALIKE_DAYS = 5.0
"""Days that are needed to believe half of what is seen of the likeness of neighbours."""
_MOST_CALLS = 60
"""Calls of a day that are resampled, spread over it; their spread is then scaled to how many there were."""


class Prior(NamedTuple):
    """What is believed before a day is seen."""

    growth: float = 0.0
    """Median of the logarithm of growth in ``GROWTH_SPAN`` days."""
    growth_sd: float = 0.1
    level: float | None = None
    """Calls a day, as somebody stated; ``None``: nobody did."""
    shape: float = 4.0
    """Of the gamma prior about ``level``: 4 holds 0.44 to 1.67 times of it at 80 %."""


class DayCalls(NamedTuple):
    """A day whose calls' costs are known."""

    calls: int
    mean: float
    """Of all of them."""
    sample: Sequence[float]
    """Costs of some or all of them."""


class Volume(NamedTuple):
    """What days of the past say of those to come."""

    days: int
    effective_days: float
    """As many independent days tell as much."""
    weekdays: NDArray[np.float64]
    """Factor of each day of the season, mean 1."""
    growth: float
    """A day: mean of its posterior, of the logarithm."""
    growth_sd: float
    dispersion: float
    """φ."""
    freedom: float
    """Degrees of freedom by which φ is known."""
    alike: float
    """Correlation of neighbouring days, in [0, 0.9]."""
    shape: float
    """Of the gamma posterior of the level on the last day…"""
    rate: float
    """…and its rate."""
    centre: float
    """Days before the last one at which the level is known best: with more growth since, it is higher now."""


def fit_volume(counts: Sequence[int], first: int, prior: Prior, season: int = WEEK) -> Volume:
    """``counts``: calls of consecutive days, oldest first, none left out; ``first``: weekday of the first one.

    Raises ``ValueError`` when there are neither days nor a stated level.
    """
    y = np.asarray(counts, dtype=float)
    if not y.size or not y.sum():
        if prior.level is None:
            raise ValueError("no calls and no stated volume: state one")
        return Volume(int(y.size), 0.0, np.ones(season), prior.growth / GROWTH_SPAN, prior.growth_sd / GROWTH_SPAN,
                      _PHI0, _PHI_DAYS, 0.0, prior.shape, prior.shape / prior.level, 0.0)  # fmt: skip
    days = np.arange(y.size) - (y.size - 1.0)
    slots = (first + np.arange(y.size)) % season
    weekdays = np.ones(season)
    growth, growth_sd = prior.growth / GROWTH_SPAN, prior.growth_sd / GROWTH_SPAN
    alike, phi = 0.0, _PHI0
    for _ in range(3):  # each is estimated given the others; they settle at once
        trend = np.exp(growth * days)
        weekdays = _weekdays(y / trend, slots, season)
        expected = weekdays[slots] * trend
        mu = expected * y.sum() / expected.sum()
        residual = y / np.maximum(mu, 1e-9) - 1.0
        phi, freedom = _dispersion(y, mu, season)
        alike = _alike(residual)
        growth, growth_sd = _growth(y / weekdays[slots], days, phi, alike, prior)
    expected = weekdays[slots] * np.exp(growth * days)
    mu = expected * y.sum() / expected.sum()
    worth = (1.0 - alike) / (1.0 + alike) / (1.0 + mu * phi)
    shape, rate = float((worth * y).sum()) + 0.5, float((worth * expected).sum())
    centre = -float((worth * expected * days).sum()) / rate
    if prior.level is not None:
        shape, rate = shape + prior.shape, rate + prior.shape / prior.level
    effective = y.size * (1.0 - alike) / (1.0 + alike)
    return Volume(y.size, effective, weekdays, growth, growth_sd, phi, freedom, alike, shape, rate, centre)


def _weekdays(y: NDArray[Any], slots: NDArray[np.int64], season: int) -> NDArray[np.float64]:
    if y.size < season:
        return np.ones(season)
    mean = y.mean()
    factors = np.ones(season)
    for slot in range(season):
        mine = y[slots == slot]
        factors[slot] = (mine.sum() / mean + _SHRINK) / (mine.size + _SHRINK)
    return np.asarray(factors / factors.mean())


def _dispersion(y: NDArray[np.float64], mu: NDArray[np.float64], season: int) -> tuple[float, float]:
    """(φ, degrees of freedom): excess of the squared residuals over Poisson, with ``_PHI_DAYS`` days of ``_PHI0``."""
    spent = 1.0 + (season - 1.0) * min(1.0, y.size / (4.0 * season)) if y.size >= season else 1.0
    free = max(1.0, y.size - spent)
    excess = float((((y - mu) ** 2 - mu) / np.maximum(mu, 1e-9) ** 2).sum()) * y.size / free / y.size
    return (max(excess, 0.0) * free + _PHI0 * _PHI_DAYS) / (free + _PHI_DAYS), free + _PHI_DAYS


def _alike(residual: NDArray[np.float64]) -> float:
    """Correlation of neighbours, drawn towards none while days are few; in [0, 0.9]."""
    n = residual.size
    if n < 4:
        return 0.0
    centred = residual - residual.mean()
    spread = float((centred**2).sum())
    if spread <= 0.0:
        return 0.0
    seen = float((centred[1:] * centred[:-1]).sum()) / spread + 1.0 / n  # its bias in short series
    return min(0.9, max(0.0, seen * n / (n + _ALIKE_DAYS)))


def _growth(y: NDArray[Any], days: NDArray[Any], phi: float, alike: float, prior: Prior) -> tuple[float, float]:
    """(mean, standard deviation) of growth a day: the slope that is seen and the prior, each by its precision."""
    mean0, sd0 = prior.growth / GROWTH_SPAN, max(prior.growth_sd, 1e-6) / GROWTH_SPAN
    if y.size < 4:
        return mean0, sd0
    weight = 1.0 / (phi + 1.0 / np.maximum(y, 1.0))  # of the logarithm of a day
    centre = (weight * days).sum() / weight.sum()
    spread = float((weight * (days - centre) ** 2).sum())
    slope = float((weight * (days - centre) * np.log(np.maximum(y, 0.5))).sum()) / spread
    precision = spread * (1.0 - alike) / (1.0 + alike)
    total = precision + sd0**-2
    return (slope * precision + mean0 * sd0**-2) / total, total**-0.5


def volume_draws(
    found: Volume, next_slot: int, horizon: int, prior: Prior, draws: int, rng: np.random.Generator
) -> Draws:
    """Calls of the next ``horizon`` days, draws × days.  ``next_slot``: weekday of the first of them.

    Days that are alike are given a common part of the noise, so that their sum varies as that of alike days does.
    The growth of days to come is not the growth that was: it gets the prior's spread anew beside its own.
    """
    ahead = np.arange(1, horizon + 1)
    level = rng.gamma(found.shape, 1.0 / found.rate, size=(draws, 1))
    change = prior.growth_sd / GROWTH_SPAN / math.sqrt(2.0)
    grew = rng.normal(0.0, found.growth_sd, size=(draws, 1))
    growth = found.growth + grew + rng.normal(0.0, change, size=(draws, 1))
    phi = np.maximum(found.dispersion * found.freedom / rng.chisquare(found.freedom, size=(draws, 1)), 1e-6)
    common, own = _parted(found.alike, horizon)
    noise = _noise(phi * common, (draws, 1), rng) * _noise(phi * own, (draws, horizon), rng)
    season = found.weekdays[(next_slot + np.arange(horizon)) % found.weekdays.size]
    rates = level * np.exp(grew * found.centre + growth * ahead) * season * noise
    return rng.poisson(np.minimum(rates, 1e15)).astype(float)


def _parted(alike: float, horizon: int) -> tuple[float, float]:
    """(common, own) shares of the noise that give a mean over ``horizon`` alike days its variance."""
    if horizon < 2 or alike <= 0.0:
        return 0.0, 1.0
    lags = np.arange(1, horizon)
    inflation = 1.0 + 2.0 * float(((1.0 - lags / horizon) * alike**lags).sum())
    common = (inflation - 1.0) / (horizon - 1.0)
    return common, 1.0 - common


def _noise(variance: NDArray[np.float64], size: tuple[int, int], rng: np.random.Generator) -> Draws:
    """Gamma of mean 1."""
    shape = np.broadcast_to(1.0 / np.maximum(variance, 1e-9), size)
    return rng.gamma(shape, 1.0 / shape)


def cost_draws(days: Sequence[DayCalls], horizon: int, draws: int, rng: np.random.Generator) -> Draws:
    """Mean cost of a call on each of ``horizon`` days to come, draws × days.

    A draw resamples the days that were (as many as they are worth where neighbours are alike) and the calls within
    each; the days to come are then drawn from those, busy ones as much more often as they were busier.
    Raises ``ValueError`` for no calls.
    """
    seen = [day for day in days if day.calls and len(day.sample)]
    if not seen:
        raise ValueError("no call whose cost is known")
    means = np.asarray([day.mean for day in seen])
    calls = np.asarray([float(day.calls) for day in seen])
    worth = max(1, round((len(seen) - 1) * _worth(means)))  # one less: the spread of n resampled of n is too small
    spreads = np.stack([_within(day, draws, rng) for day in seen], axis=1)  # draws × days
    world = rng.integers(0, len(seen), size=(draws, worth))
    weight = calls[world]
    weight = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
    ahead = max(1, round(horizon * worth / len(seen)))
    picked = (rng.random((draws, ahead, 1)) > weight[:, None, :]).sum(axis=2).clip(max=worth - 1)
    chosen = np.take_along_axis(world, picked, axis=1)
    values = np.maximum(means[chosen] + np.take_along_axis(spreads, chosen, axis=1), 0.0)
    return np.repeat(values, math.ceil(horizon / ahead), axis=1)[:, :horizon]


def _worth(means: NDArray[np.float64]) -> float:
    if means.size < 2 or means.mean() <= 0.0:
        return 1.0
    alike = _alike(means / means.mean() - 1.0)
    return (1.0 - alike) / (1.0 + alike)


def _within(day: DayCalls, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How far the mean of a day's resampled calls lies from the mean that was."""
    sample = np.asarray(day.sample[:: math.ceil(len(day.sample) / _MOST_CALLS)], dtype=float)
    means = sample[rng.integers(0, sample.size, size=(draws, sample.size))].mean(axis=1)
    scale = math.sqrt(sample.size / max(day.calls, sample.size))
    return np.asarray((means - sample.mean()) * scale, dtype=float)


def interval(draws: NDArray[np.float64], covers: float = 0.8) -> tuple[float, float, float]:
    """(mean, lower, upper): the mean of the futures and the central interval that holds ``covers`` of them."""
    tail = (1.0 - covers) / 2.0
    low, high = (float(bound) for bound in np.quantile(draws, [tail, 1.0 - tail]))
    return min(max(float(draws.mean()), low), high), low, high


def log_variance(draws: NDArray[np.float64]) -> float:
    """Variance of the logarithm of what is positive: those of independent factors add up."""
    positive = draws[draws > 0.0]
    return float(np.log(positive).var()) if positive.size else 0.0


class Futures(NamedTuple):
    """Simulated futures, summed up.  Triples are (mean, lower, upper)."""

    each: tuple[float, float, float]
    """Mean cost of a call over the longest horizon."""
    calls: float
    """Mean over the longest horizon."""
    totals: dict[int, tuple[float, float, float]]
    """Days ahead → cost of all of their calls."""
    of_volume: float
    """Share of the (logarithm's) variance of the longest horizon's cost that comes from volume; the rest comes from
    the cost of a call."""


def futures(
    volume: Volume, next_slot: int, days: Sequence[DayCalls], prior: Prior, *, horizons: Sequence[int],
    cost_sd: float = 0.0, covers: float = 0.8, draws: int = 2000, seed: int = 0,
) -> Futures:  # fmt: skip
    """``cost_sd``: how far the cost of a call may lie from what ``days`` say (standard deviation of the logarithm),
    beside what they say themselves.  The same seed gives the same figures.  Raises ``ValueError`` for no calls."""
    rng = np.random.default_rng(seed)
    totals: dict[int, tuple[float, float, float]] = {}
    longest = max(horizons)
    for horizon in sorted(horizons):
        calls = volume_draws(volume, next_slot, horizon, prior, draws, rng)
        costs = cost_draws(days, horizon, draws, rng)
        if cost_sd > 0.0:
            costs = costs * np.exp(rng.normal(-cost_sd * cost_sd / 2.0, cost_sd, size=(draws, 1)))
        totals[horizon] = interval((calls * costs).sum(axis=1), covers)
        if horizon == longest:
            each, volumes = costs.mean(axis=1), calls.sum(axis=1)
    of_volume, of_cost = log_variance(volumes), log_variance(each)
    spread = of_volume + of_cost
    share = of_volume / spread if spread > 0.0 else 0.0
    return Futures(interval(each, covers), float(volumes.mean()), totals, share)
