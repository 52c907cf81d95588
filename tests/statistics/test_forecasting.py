"""Volume and the cost of a call answer as arithmetic says where it can (how often intervals hold: tests/bench)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from roadworthy.statistics.forecasting import (
    DayCalls,
    Prior,
    _log_negative_binomial,
    cost_draws,
    fit_volume,
    futures,
    interval,
    volume_draws,
)

FLAT = [DayCalls(100, 0.002, [0.002])] * 14


def draws(counts: list[int], ahead: int = 30, prior: Prior | None = None, n: int = 2000) -> np.ndarray:
    prior = prior or Prior()
    found = fit_volume(counts, 0, prior)
    return volume_draws(found, len(counts) % 7, ahead, n, np.random.default_rng(1))


def test_the_same_seed_gives_the_same_figures() -> None:
    volume = fit_volume([100] * 14, 0, Prior())
    one, two = (futures(volume, 0, FLAT, horizons=(7, 30), seed=3) for _ in range(2))
    assert one == two
    assert futures(volume, 0, FLAT, horizons=(7, 30), seed=4) != one


def test_a_steady_workflow_goes_on_as_it_was() -> None:
    month = draws([1000] * 28).sum(axis=1)
    mean, low, high = interval(month)
    assert mean == pytest.approx(30_000, rel=0.05)
    assert low < 30_000 < high


def test_weekends_are_seen_and_foretold() -> None:
    week = [1000] * 5 + [200] * 2
    found = fit_volume(week * 4, 0, Prior())
    assert 3.5 < found.weekdays[0] / found.weekdays[6] < 5.5  # drawn a little towards none, as there are four of each
    days = draws(week * 4, 7).mean(axis=0)
    assert days[5] < 0.4 * days[0]


def test_growth_that_is_seen_is_carried_on_as_far_as_days_and_prior_agree() -> None:
    grows = [int(1000 * np.exp(0.01 * day)) for day in range(42)]
    found = fit_volume(grows, 0, Prior())
    assert 0.002 < found.growing < 0.01
    stated = fit_volume([1000] * 7, 0, Prior(growth=0.3, growth_sd=0.05))
    assert stated.growing * 30 == pytest.approx(0.3, abs=0.1)


def test_a_stated_volume_gives_way_to_what_is_seen() -> None:
    nothing, a_day, a_week = (fit_volume([1000] * days, 0, Prior(level=100.0)) for days in (0, 1, 7))
    levels = [each.level for each in (nothing, a_day, a_week)]
    assert levels[0] == pytest.approx(100)
    assert levels == sorted(levels)
    assert levels[2] > 600
    with pytest.raises(ValueError, match="state one"):
        fit_volume([], 0, Prior())
    silent = fit_volume([0] * 9, 0, Prior(level=2000.0))  # a few calls on a day that was left out, then none
    assert 0.0 < silent.level < 2000.0
    assert silent.weekdays.tolist() == [1.0] * 7


def test_a_level_that_drifts_is_known_from_fewer_days_and_foretold_less_surely() -> None:
    rng = np.random.default_rng(2)
    steady = rng.poisson(1000 * rng.gamma(100, 0.01, 42)).tolist()
    swings = rng.poisson(1000 * np.exp(0.5 * np.sin(np.arange(42) / 6))).tolist()
    kept, drifts = (fit_volume(counts, 0, Prior()) for counts in (steady, swings))
    assert drifts.effective_days < 0.5 * kept.effective_days
    months = [interval(draws(counts).sum(axis=1)) for counts in (steady, swings)]
    relative = [(high - low) / mean for mean, low, high in months]
    assert relative[1] > 2 * relative[0]


def test_the_grid_weighs_models_as_the_negative_binomial_does() -> None:
    mean, size = np.asarray([3.0, 900.0]), np.asarray([0.7, 40.0])
    exact = [
        math.lgamma(5 + s) - math.lgamma(s) + s * math.log(s / (s + m)) + 5 * math.log(m / (s + m))
        for m, s in zip(mean, size, strict=True)
    ]
    assert _log_negative_binomial(5.0, mean, size) == pytest.approx(exact, rel=1e-7)
    found = fit_volume([100] * 14, 0, Prior())
    assert found.weight.sum() == pytest.approx(1.0)
    assert (found.weight * found.noise).sum() < 0.02  # a constant workflow does not vary beyond chance


def test_one_odd_day_widens_the_cost_of_a_call_and_calls_within_a_day_do_less() -> None:
    rng = np.random.default_rng(0)
    even = [DayCalls(1000, 0.002, [0.001, 0.003] * 50) for _ in range(14)]
    odd = [*even[:-1], DayCalls(1000, 0.02, [0.02] * 100)]
    narrow, wide = (cost_draws(days, 30, 2000, rng).mean(axis=1).std() for days in (even, odd))
    assert wide > 10 * narrow
    assert cost_draws(odd, 30, 2000, rng).mean() == pytest.approx((13 * 0.002 + 0.02) / 14, rel=0.1)
    with pytest.raises(ValueError, match="cost is known"):
        cost_draws([], 30, 10, rng)


def test_the_width_is_split_between_volume_and_cost() -> None:
    volume = fit_volume([100] * 28, 0, Prior(growth_sd=0.01))
    steady = futures(volume, 0, FLAT, horizons=(30,))
    assert steady.of_volume > 0.99
    unsure = futures(volume, 0, FLAT, horizons=(30,), cost_sd=0.5)
    assert unsure.of_volume < 0.3
