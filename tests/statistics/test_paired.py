"""The figures of the statistics page about paired examples, to the digit."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.statistics.paired import (
    paired_lower,
    paired_upper,
    pairs_to_pass,
    pairs_to_see,
    smallest_visible_drop,
)
from roadworthy.statistics.rates import trials_without_failure, zero_failure_bound


def test_without_a_discordant_pair_the_bound_is_minus_5_1_points_at_50() -> None:
    z2 = 1.6448536269514722**2
    assert paired_lower(0, 0, 50) == pytest.approx(-z2 / (50 + z2))
    assert round(paired_lower(0, 0, 50), 3) == -0.051


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 120))
def test_the_bounds_hold_what_was_seen_and_mirror_each_other(gained: int, lost: int, equal: int) -> None:
    n = gained + lost + equal
    if n == 0:
        return
    lower, upper = paired_lower(gained, lost, n), paired_upper(gained, lost, n)
    assert -1 <= lower <= (gained - lost) / n + 1e-9 <= upper + 2e-9 <= 1 + 3e-9
    assert paired_upper(lost, gained, n) == -lower


@pytest.mark.parametrize(
    ("discordant", "n", "passes"),
    [(0.1, 50, 0.63), (0.1, 100, 0.90), (0.1, 200, 1.00), (0.2, 50, 0.44), (0.2, 100, 0.71), (0.2, 200, 0.93)],
)
def test_an_identical_release_passes_a_10_point_margin_as_often_as_published(
    discordant: float, n: int, passes: float
) -> None:
    lower = cache(lambda gained, lost: paired_lower(gained, lost, n))
    pairs = np.random.default_rng(17).multinomial(n, [discordant / 2, discordant / 2, 1 - discordant], size=4000)
    assert np.mean([lower(int(g), int(lost)) > -0.10 for g, lost, _ in pairs]) == pytest.approx(passes, abs=0.025)


@pytest.mark.parametrize(("drop", "needed"), [(0.05, [312, 626, 940]), (0.10, [77, 155, 234])])
def test_a_drop_needs_as_many_examples_as_published(drop: float, needed: list[int]) -> None:
    assert [pairs_to_see(drop, discordant) for discordant in (0.1, 0.2, 0.3)] == needed


def test_an_unchanged_release_needs_about_492_examples_at_a_5_point_margin() -> None:
    assert pairs_to_pass(0.05, 0.2) == pytest.approx(492, abs=1)
    assert pairs_to_pass(0.10, 0.2, drop=0.05) == pairs_to_pass(0.05, 0.2)


def test_few_examples_see_large_drops_only() -> None:
    assert [round(smallest_visible_drop(n, 0.2), 2) for n in (50, 100, 200, 400)] == [0.17, 0.12, 0.09, 0.06]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be"):
        paired_lower(3, 3, 5)
    with pytest.raises(ValueError, match="cannot be when"):
        pairs_to_see(0.5, 0.2)
    with pytest.raises(ValueError, match="at least 1"):
        smallest_visible_drop(0, 0.2)


def test_one_look_without_a_failure_needs_59_149_or_299_calls() -> None:
    assert [trials_without_failure(limit) for limit in (0.05, 0.02, 0.01)] == [59, 149, 299]
    assert zero_failure_bound(59) <= 0.05 < zero_failure_bound(58)
    with pytest.raises(ValueError, match="no number of trials"):
        trials_without_failure(0.0)
