"""Looking often is free with a confidence sequence, and ruinous with a fixed z."""

from __future__ import annotations

from math import inf, log, sqrt

import numpy as np
import pytest

from roadworthy.statistics.sequences import LEAST, margin, mean_bounds, one_sided_margin, tuned_rho

RUNS, LOOKS = 600, range(50, 2001, 10)


@pytest.fixture(scope="module")
def null_runs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """600 comparisons without a difference, ψ = .2, at each look: n, means and variances [run, look]."""
    drawn = np.random.default_rng(11).random((RUNS, LOOKS[-1]))
    values = np.where(drawn < 0.1, -1.0, np.where(drawn < 0.2, 1.0, 0.0))
    n = np.array(LOOKS)
    means = values.cumsum(axis=1)[:, n - 1] / n
    variances = (values**2).cumsum(axis=1)[:, n - 1] / n - means**2
    return n, means, variances


def test_a_fixed_z_raises_a_false_alarm_in_about_41_percent_of_the_runs(
    null_runs: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    n, means, variances = null_runs
    alarms = (np.abs(means) > 1.96 * np.sqrt(variances / n)).any(axis=1).mean()
    assert alarms == pytest.approx(0.41, abs=0.06)  # three standard errors of 600 runs


def test_the_sequence_raises_one_in_under_5_percent_of_them(
    null_runs: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    n, means, variances = null_runs
    rho = tuned_rho(1000, 0.2, 0.05)
    two_sided = np.vectorize(lambda n, v: margin(n, v, rho, 0.05))(n, variances)
    assert (np.abs(means) > two_sided).any(axis=1).mean() < 0.05
    one_sided = np.vectorize(lambda n, v: one_sided_margin(n, v, rho, 0.05))(n, variances)
    assert (means > one_sided).any(axis=1).mean() < 0.05
    assert (means < -one_sided).any(axis=1).mean() < 0.05


def test_the_margin_is_the_published_formula() -> None:
    n, v, rho = 500, 0.2, 0.3
    published = sqrt((n * v * rho**2 + 1) / (n**2 * rho**2) * log((n * v * rho**2 + 1) / 0.05**2))
    assert margin(n, v, rho, 0.05) == pytest.approx(published)


@pytest.mark.parametrize("expected", [50, 1000, 40_000])
def test_rho_is_tuned_to_be_narrowest_at_the_expected_sample(expected: int) -> None:
    best = tuned_rho(expected, 0.2, 0.05)
    width = margin(expected, 0.2, best, 0.05)
    assert all(width <= margin(expected, 0.2, best * factor, 0.05) for factor in (0.5, 0.9, 1.1, 2.0))


def test_a_real_difference_is_found() -> None:
    values = np.random.default_rng(3).normal(0.3, 1.0, 2000)
    lower, upper = mean_bounds(2000, float(values.mean()), float(values.var()), 0.05, 1000)
    assert 0 < lower < 0.3 < upper


def test_a_few_values_have_no_bounds() -> None:
    assert mean_bounds(LEAST - 1, 5.0, 1.0, 0.05, 100) == (-inf, inf)
    assert margin(0, 1.0, 0.1, 0.05) == inf
