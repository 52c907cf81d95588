"""The figures of the statistics page, to the digit."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.statistics.rates import exact_lower, exact_upper, wilson_interval, wilson_lower, zero_failure_bound


def test_wilson_gives_the_published_figures() -> None:
    lower, upper = wilson_interval(90, 100)
    assert (round(lower, 3), round(upper, 3)) == (0.826, 0.945)
    assert round(wilson_lower(45, 50), 3) == 0.808
    assert round(wilson_lower(43, 50), 3) == 0.761


@pytest.mark.parametrize(("n", "bound"), [(50, 0.058), (100, 0.030), (300, 0.010)])
def test_no_failure_in_n_bounds_the_failure_share(n: int, bound: float) -> None:
    assert round(zero_failure_bound(n), 3) == bound


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_interval_holds_the_observed_share_and_stays_within_0_and_1(k: int, extra: int) -> None:
    n = k + extra
    lower, upper = wilson_interval(k, n)
    assert 0 <= lower <= upper <= 1
    if n:
        assert lower <= k / n <= upper


def test_no_trials_say_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert zero_failure_bound(0) == 1.0


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5)])
def test_an_impossible_share_is_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a share"):
        wilson_interval(k, n)


def test_exact_bounds_are_those_of_clopper_and_pearson() -> None:
    assert (round(exact_lower(90, 100, 0.975), 4), round(exact_upper(90, 100, 0.975), 4)) == (0.8238, 0.9510)
    assert round(exact_lower(45, 50), 4) == 0.8012
    assert (exact_lower(0, 50), exact_upper(50, 50)) == (0.0, 1.0)
    assert round(exact_lower(59, 59), 4) == 0.9505  # 59 without a failure prove 95 %
    assert (exact_lower(0, 0), exact_upper(0, 0)) == (0.0, 1.0)


@given(st.integers(1, 300), st.data())
def test_exact_bounds_hold_the_share_between_them_and_agree_where_nothing_failed(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    assert exact_lower(k, n) <= k / n <= exact_upper(k, n)
    assert exact_upper(0, n) == pytest.approx(zero_failure_bound(n))


@pytest.mark.parametrize("share", [0.3, 0.8, 0.95])
def test_an_exact_bound_is_right_at_least_as_often_as_it_says(share: float) -> None:
    chance, n = random.Random(3), 60
    wrong = sum(exact_lower(sum(chance.random() < share for _ in range(n)), n) > share for _ in range(2000))
    assert wrong / 2000 <= 0.05 + 0.01
