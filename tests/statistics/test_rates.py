"""The figures of the statistics page, to the digit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.statistics.rates import wilson_interval, wilson_lower, zero_failure_bound


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
