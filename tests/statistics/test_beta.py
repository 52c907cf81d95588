"""Tails keep their digits."""

from __future__ import annotations

from math import comb, exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.statistics.beta import binomial_quantile, log_incomplete_beta


def _upper_tail(k: int, n: int, share: float) -> float:
    return sum(comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k, n + 1))


@given(st.integers(1, 60), st.integers(0, 60), st.floats(0.01, 0.99))
def test_it_is_the_tail_of_the_binomial(k: int, more: int, share: float) -> None:
    n = k + more
    assert exp(log_incomplete_beta(k, n - k + 1, share)) == pytest.approx(_upper_tail(k, n, share), rel=1e-9)


def test_half_of_a_symmetric_distribution_lies_on_each_side() -> None:
    assert exp(log_incomplete_beta(0.5, 0.5, 0.5)) == pytest.approx(0.5)
    assert exp(log_incomplete_beta(1e6, 1e6, 0.5)) == pytest.approx(0.5)


def test_a_tail_that_no_float_can_hold_has_a_logarithm() -> None:
    assert log_incomplete_beta(5000, 1, 0.01) == pytest.approx(5000 * log(0.01))


def test_the_ends_hold_nothing_and_everything() -> None:
    assert exp(log_incomplete_beta(2, 3, 0.0)) == 0.0
    assert log_incomplete_beta(2, 3, 1.0) == 0.0


@given(st.integers(1, 400), st.floats(0.01, 0.6), st.sampled_from([0.5, 0.8, 0.9]))
def test_the_quantile_is_the_smallest_count_that_is_not_exceeded(n: int, share: float, sure: float) -> None:
    k = binomial_quantile(sure, n, share)
    assert 1 - _upper_tail(k + 1, n, share) >= sure - 1e-9
    assert k == 0 or 1 - _upper_tail(k, n, share) < sure + 1e-9


def test_what_is_not_defined_is_refused() -> None:
    with pytest.raises(ValueError, match="not defined"):
        log_incomplete_beta(0, 1, 0.5)
