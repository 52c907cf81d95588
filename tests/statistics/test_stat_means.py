"""Claims about means of scores and of differences: their bounds, clusters, and how often nothing changed would pass."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.statistics.means import (
    clustered_error,
    design_effect,
    difference_lower,
    difference_upper,
    share_bounds,
    squared_error,
)
from roadworthy.statistics.paired import paired_lower, pairs_to_pass, pass_share
from roadworthy.statistics.rates import wilson_interval, wilson_lower, wilson_upper


def test_one_sided_wilson_bounds_at_95_percent_are_the_two_sided_ones_at_90() -> None:
    assert (wilson_lower(90, 100), wilson_upper(90, 100)) == pytest.approx(wilson_interval(90, 100, 0.9))
    assert [round(wilson_lower(good, 50), 3) for good in (45, 43)] == [0.808, 0.761]


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4)), min_size=2, max_size=14))
def test_the_clustered_error_is_millers_sum_over_pairs_of_one_cluster(drawn: list[tuple[float, int]]) -> None:
    values, clusters = [value for value, _ in drawn], [cluster for _, cluster in drawn]
    n, mean = len(values), sum(values) / len(values)
    pairs = [
        (values[i] - mean) * (values[j] - mean) for i, j in permutations(range(n), 2) if clusters[i] == clusters[j]
    ]
    plain = squared_error(values)
    assert clustered_error(values, clusters) == pytest.approx(max(plain, plain + sum(pairs) / n**2), abs=1e-12)


def test_a_thread_that_says_the_same_every_time_counts_as_one() -> None:
    values = [float(at < 5) for at in range(10) for _ in range(10)]  # ten threads of ten, half of them good
    clusters = [at for at in range(10) for _ in range(10)]
    assert design_effect(values, clusters) == pytest.approx(10.0, rel=0.15)
    assert share_bounds(values, clusters)[0] == pytest.approx(wilson_lower(5, 10), abs=0.02)
    assert share_bounds(values)[0] == wilson_lower(50, 100)


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=80))
def test_differences_of_good_and_bad_have_tangos_bounds(differences: list[float]) -> None:
    n, gained, lost = len(differences), differences.count(1.0), differences.count(-1.0)
    assert difference_lower(differences) == paired_lower(gained, lost, n)
    assert difference_upper(differences) == -paired_lower(lost, gained, n)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60))
def test_bounds_hold_the_mean_between_them(differences: list[float]) -> None:
    mean = sum(differences) / len(differences)
    assert difference_lower(differences) - 1e-9 <= mean <= difference_upper(differences) + 1e-9


def test_no_difference_of_graded_scores_is_no_certainty() -> None:
    flat = [0.001] * 50
    assert difference_lower(flat) < -0.04  # what was not seen in fifty examples may be there


def test_clustered_bounds_are_right_as_often_as_they_say() -> None:
    """Threads of five whose answers agree: the bound fails in one of twenty runs, where the plain one fails in four."""
    chance = random.Random(11)
    wrong = plain = 0
    runs = 400
    for _ in range(runs):
        values, clusters = [], []
        for thread in range(40):
            share = chance.betavariate(1.6, 0.4)  # mean 0.8, the threads far apart
            values += [float(chance.random() < share) for _ in range(5)]
            clusters += [thread] * 5
        wrong += share_bounds(values, clusters)[0] > 0.8
        plain += share_bounds(values)[0] > 0.8
    assert wrong / runs < 0.08
    assert plain / runs > 0.10


@pytest.mark.parametrize(
    ("discordant", "shares"), [(0.1, {50: 0.63, 100: 0.90, 200: 1.0}), (0.2, {50: 0.44, 100: 0.71, 200: 0.93})]
)
def test_an_unchanged_release_passes_as_often_as_simulations_found(discordant: float, shares: dict[int, float]) -> None:
    for n, simulated in shares.items():
        assert pass_share(n, discordant, 0.10) == pytest.approx(simulated, abs=0.01)


def test_the_planning_formula_and_the_exact_share_agree() -> None:
    n = pairs_to_pass(0.05, 0.2)
    assert n == pytest.approx(492, abs=2)
    assert pass_share(n, 0.2, 0.05) == pytest.approx(0.8, abs=0.02)


def test_more_examples_or_a_larger_margin_let_it_pass_more_often() -> None:
    assert pass_share(50, 0.2, 0.1) < pass_share(200, 0.2, 0.1) < pass_share(200, 0.2, 0.15)
    assert pass_share(100, 0.0, 0.1) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="margin"):
        pass_share(100, 0.2, 0.0)
