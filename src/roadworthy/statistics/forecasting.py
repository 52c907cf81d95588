"""What the next days will bring: volume by a gamma-Poisson model with growth, the cost of a call by a bootstrap over
days, then calls.

**Volume.**  Calls of day t are Poisson with mean λ(t) · w(t) · ε(t): a level λ, a factor w of the weekday and a gamma
noise ε of mean 1 and variance φ (so calls are negative binomial).  From day to day the level grows by g and drifts by a
normal step of variance q, both of its logarithm.  The level is gamma and stays so: a day updates its shape and rate by
what it tells, 1 / (1 + μφ) of a Poisson day, and a day's drift discounts both (M. West and J. Harrison, Bayesian
Forecasting and Dynamic Models, 2nd ed. 1997, ch. 10 and 14; A. Harvey and C. Fernandes, J. Business & Economic
Statistics 7 (1989) 407-417).  g, q and φ are not known: each has a prior on a grid, that of g as
whoever asks states it, and every point of the grid counts for how well it foretold each day from those before it.

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
_GROWTHS = np.linspace(-2.5, 2.5, 11)
"""Of the prior's standard deviation."""
_DRIFTS: tuple[tuple[float, float], ...] = (
    (0.0, 16.0), (0.0004, 3.0), (0.001, 2.5), (0.0025, 2.0), (0.006, 1.5), (0.015, 1.0), (0.04, 0.7), (0.1, 0.5),
)  # fmt: skip
"""(q, prior weight): most workflows keep their level for weeks, some do not."""
_NOISES: tuple[tuple[float, float], ...] = (
    (0.002, 1.0), (0.006, 1.5), (0.015, 2.0), (0.035, 2.0), (0.08, 2.0), (0.18, 1.0), (0.4, 0.5), (1.0, 0.3),
    (2.5, 0.2),
)  # fmt: skip
"""(φ, prior weight): days vary by 4 to 160 per cent beyond chance."""
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
    """What days of the past say of those to come: a grid of models, each with its weight and its gamma level.

    Arrays have a value for each point of the grid."""

    days: int
    effective_days: float
    """As many independent days would tell as much of today's level."""
    weekdays: NDArray[np.float64]
    """Factor of each day of the season, mean 1."""
    weight: NDArray[np.float64]
    """Posterior: adds up to 1."""
    growth: NDArray[np.float64]
    """A day, of the logarithm."""
    drift: NDArray[np.float64]
    """q."""
    noise: NDArray[np.float64]
    """φ."""
    shape: NDArray[np.float64]
    """Of the gamma posterior of the level on the last day…"""
    rate: NDArray[np.float64]
    """…and its rate."""

    @property
    def level(self) -> float:
        """Calls of a mean day, now."""
        return float((self.weight * self.shape / self.rate).sum())

    @property
    def growing(self) -> float:
        """A day, of the logarithm: posterior mean."""
        return float((self.weight * self.growth).sum())


def fit_volume(counts: Sequence[int], first: int, prior: Prior, season: int = WEEK) -> Volume:
    """``counts``: calls of consecutive days, oldest first, none left out; ``first``: weekday of the first one.

    Raises ``ValueError`` when there are neither days nor a stated level.
    """
    y = np.asarray(counts, dtype=float)
    if prior.level is None and not y.sum():
        raise ValueError("no calls and no stated volume: state one")
    slots = (first + np.arange(y.size)) % season
    found = _filtered(y, np.ones(y.size), prior, np.ones(season))
    if y.size >= season:
        trend = np.exp(found.growing * np.arange(y.size))
        weekdays = _weekdays(y / trend, slots, season)
        found = _filtered(y, weekdays[slots], prior, weekdays)
    return found


def _filtered(
    y: NDArray[np.float64], factor: NDArray[np.float64], prior: Prior, weekdays: NDArray[np.float64]
) -> Volume:
    """Each day foretold and then seen, at every point of the grid at once."""
    growth, drift, noise, log_weight = _grid(prior)
    if prior.level is not None:
        shape, rate = np.full(growth.size, prior.shape), np.full(growth.size, prior.shape / prior.level)
    else:  # knows next to nothing, about where the first days lie
        shape, rate = np.full(growth.size, 0.5), np.full(growth.size, 0.5 / max(float(y[:3].mean()), 0.5))
    told = np.zeros(growth.size)
    for calls, times in zip(y, factor, strict=True):
        kept = 1.0 / (1.0 + shape * drift)
        shape, rate = shape * kept, rate * kept * np.exp(-growth)
        told = told * kept
        mean = times * shape / rate
        log_weight = log_weight + _log_negative_binomial(float(calls), mean, 1.0 / (1.0 / shape + noise))
        worth = 1.0 / (1.0 + mean * noise)
        shape, rate, told = shape + worth * calls, rate + worth * times, told + 1.0
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    return Volume(int(y.size), float((weight * told).sum()), weekdays, weight, growth, drift, noise, shape, rate)


def _grid(prior: Prior) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(growth, drift, noise, logarithm of the prior weight), each flat."""
    sd = max(prior.growth_sd, 1e-6) / GROWTH_SPAN
    axes = np.meshgrid(_GROWTHS, np.arange(len(_DRIFTS)), np.arange(len(_NOISES)), indexing="ij")
    steps, at_drift, at_noise = (axis.ravel() for axis in axes)
    drifts, noises = np.asarray(_DRIFTS), np.asarray(_NOISES)
    log_weight = -steps * steps / 2.0 + np.log(drifts[at_drift, 1]) + np.log(noises[at_noise, 1])
    return prior.growth / GROWTH_SPAN + steps * sd, drifts[at_drift, 0], noises[at_noise, 0], log_weight


def _log_negative_binomial(k: float, mean: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the probability of ``k``, but for what does not depend on the parameters."""
    mean = np.maximum(mean, 1e-12)
    return np.asarray(
        _log_gamma(k + size) - _log_gamma(size)
        + size * np.log(size / (size + mean)) + k * np.log(mean / (size + mean))
    )  # fmt: skip


def _log_gamma(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """For positive arguments, to 1e-7: Stirling's series (NIST DLMF 5.11.1) eight steps further up."""
    steps = np.zeros_like(x)
    for step in range(8):
        steps += np.log(x + step)
    z = x + 8.0
    return np.asarray(
        (z - 0.5) * np.log(z) - z + 0.5 * math.log(2.0 * math.pi) + 1 / (12 * z) - 1 / (360 * z**3) - steps
    )


def _weekdays(y: NDArray[Any], slots: NDArray[np.int64], season: int) -> NDArray[np.float64]:
    """Each weekday over the mean, drawn a little towards 1."""
    mean, factors = y.mean(), np.ones(season)
    if not mean > 0.0:  # days without one call, and a stated volume
        return factors
    for slot in range(season):
        mine = y[slots == slot]
        factors[slot] = (mine.sum() / mean + _SHRINK) / (mine.size + _SHRINK)
    return np.asarray(factors / factors.mean())


def volume_draws(found: Volume, next_slot: int, horizon: int, draws: int, rng: np.random.Generator) -> Draws:
    """Calls of the next ``horizon`` days, draws × days.  ``next_slot``: weekday of the first of them."""
    points = rng.choice(found.weight.size, size=draws, p=found.weight)
    growth, drift, noise = (each[points][:, None] for each in (found.growth, found.drift, found.noise))
    level = rng.gamma(found.shape[points], 1.0 / found.rate[points])[:, None]
    steps = rng.normal(-drift / 2.0, np.sqrt(drift), size=(draws, horizon)).cumsum(axis=1)
    shape = np.broadcast_to(1.0 / noise, (draws, horizon))
    season = found.weekdays[(next_slot + np.arange(horizon)) % found.weekdays.size]
    rates = level * np.exp(growth * np.arange(1, horizon + 1) + steps) * season * rng.gamma(shape, 1.0 / shape)
    return np.asarray(rng.poisson(np.minimum(rates, 1e15)), dtype=float)


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
    volume: Volume, next_slot: int, days: Sequence[DayCalls], *, horizons: Sequence[int],
    cost_sd: float = 0.0, covers: float = 0.8, draws: int = 2000, seed: int = 0,
) -> Futures:  # fmt: skip
    """``cost_sd``: how far the cost of a call may lie from what ``days`` say (standard deviation of the logarithm),
    beside what they say themselves.  The same seed gives the same figures.  Raises ``ValueError`` for no calls."""
    rng = np.random.default_rng(seed)
    longest = max(horizons)
    calls = volume_draws(volume, next_slot, longest, draws, rng)
    costs = cost_draws(days, longest, draws, rng)
    if cost_sd > 0.0:
        costs = costs * np.exp(rng.normal(-cost_sd * cost_sd / 2.0, cost_sd, size=(draws, 1)))
    spent = (calls * costs).cumsum(axis=1)
    totals = {horizon: interval(spent[:, horizon - 1], covers) for horizon in sorted(horizons)}
    each, volumes = costs.mean(axis=1), calls.sum(axis=1)
    of_volume, of_cost = log_variance(volumes), log_variance(each)
    spread = of_volume + of_cost
    share = of_volume / spread if spread > 0.0 else 0.0
    return Futures(interval(each, covers), float(volumes.mean()), totals, share)
