"""The exact tests of a share: right however often one looks, and fast when something is wrong."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.statistics.eprocess import calls_to_prove, log_above, log_below, share_bounds

THRESHOLD = log(1 / 0.05)
CALLS = 1500


@pytest.fixture(scope="module")
def rolls_back_from() -> np.ndarray:
    """Bad calls of 1, 2, … at which a budget of 2 % is found to be exceeded."""
    edges, bad = [], 1
    for n in range(1, CALLS + 1):
        while bad <= n and log_above(bad, n, 0.02) < THRESHOLD:
            bad += 1
        edges.append(bad)
    return np.array(edges)


@pytest.fixture(scope="module")
def proves_up_to() -> np.ndarray:
    """Bad calls up to which "under 5 %" is proven; -1: not even without one."""
    edges, bad = [], 0
    for n in range(1, CALLS + 1):
        while bad <= n and log_below(bad, n, 0.05) >= THRESHOLD:
            bad += 1
        edges.append(bad - 1)
    return np.array(edges)


def _chances_of_rollback(edges: np.ndarray, truth: float) -> np.ndarray:
    """Of having been rolled back by call 1, 2, …: exact, by following the distribution of the count of bad calls."""
    alive = np.zeros(len(edges) + 2)
    alive[0] = 1.0
    chances, back = [], 0.0
    for edge in edges:
        alive[1:] = alive[1:] * (1 - truth) + alive[:-1] * truth
        alive[0] *= 1 - truth
        back += alive[edge:].sum()
        alive[edge:] = 0.0
        chances.append(back)
    return np.array(chances)


def _bad_calls(truth: float, runs: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((runs, CALLS), dtype=np.float32) < truth).cumsum(axis=1, dtype=np.int32)


def test_four_times_the_budget_is_found_after_a_median_of_69_calls(rolls_back_from: np.ndarray) -> None:
    chances = _chances_of_rollback(rolls_back_from, 0.08)
    assert int((chances >= 0.5).argmax()) + 1 == 69
    assert chances[-1] > 0.999


def test_a_release_at_its_budget_is_hardly_ever_rolled_back_whatever_the_number_of_looks(
    rolls_back_from: np.ndarray,
) -> None:
    assert _chances_of_rollback(rolls_back_from, 0.02)[-1] <= 0.05


def test_a_release_at_the_limit_is_hardly_ever_proven_whatever_the_number_of_looks(proves_up_to: np.ndarray) -> None:
    assert (_bad_calls(0.05, 4000, seed=3) <= proves_up_to).any(axis=1).mean() <= 0.05


def test_under_5_percent_is_proven_by_73_calls_without_a_bad_one() -> None:
    assert log_below(0, 72, 0.05) < THRESHOLD <= log_below(0, 73, 0.05)
    assert calls_to_prove(0.0, 0.05, 0.05) == 73


def test_the_calls_planned_with_80_percent_certainty_prove_it_in_80_percent_of_the_runs(
    proves_up_to: np.ndarray,
) -> None:
    planned = calls_to_prove(0.01, 0.05, 0.05, sure=0.8)
    assert planned is not None
    proven = (_bad_calls(0.01, 4000, seed=4)[:, :planned] <= proves_up_to[:planned]).any(axis=1)
    assert proven.mean() >= 0.8


def test_what_is_not_below_the_limit_is_never_planned_to_be_proven() -> None:
    assert calls_to_prove(0.05, 0.05, 0.05) is None


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.001, 0.9))
def test_another_bad_call_never_speaks_for_the_release(bad: int, good: int, share: float) -> None:
    n = bad + good + 1
    assert log_above(bad + 1, n, share) >= log_above(bad, n, share) - 1e-9
    assert log_below(bad + 1, n, share) <= log_below(bad, n, share) + 1e-9


@given(st.floats(0.01, 0.5), st.integers(1, 12))
def test_the_next_call_is_expected_to_win_nothing_at_the_boundary(share: float, n: int) -> None:
    for bad in range(n + 1):
        for test in (log_above, log_below):
            after = share * exp(test(bad + 1, n + 1, share)) + (1 - share) * exp(test(bad, n + 1, share))
            assert after == pytest.approx(exp(test(bad, n, share)), rel=1e-6)


def test_calls_of_one_user_that_are_all_alike_deceive_unless_they_are_divided() -> None:
    users = _bad_calls(0.02, 150, seed=5)
    of_each, looks = 5, range(10, 201, 10)

    def rolled_back(design: float) -> float:
        found = [
            any(log_above(run[n - 1] * of_each / design, n * of_each / design, 0.02) >= THRESHOLD for n in looks)
            for run in users
        ]
        return float(np.mean(found))

    assert rolled_back(design=of_each) <= 0.05
    assert rolled_back(design=1) > 0.1


def test_the_bounds_hold_the_truth_at_every_look() -> None:
    bad = _bad_calls(0.1, 100, seed=6)
    missed = 0
    for run in bad:
        looks = [share_bounds(int(run[n - 1]), n, 0.05) for n in range(10, CALLS, 30)]
        missed += any(not lower <= 0.1 <= upper for lower, upper in looks)
    assert missed / len(bad) <= 0.05


def test_no_calls_bound_nothing() -> None:
    assert share_bounds(0, 0, 0.05) == (0.0, 1.0)
    assert share_bounds(0, 40, 0.05)[0] == 0.0
    assert share_bounds(40, 40, 0.05)[1] == 1.0


@pytest.mark.parametrize(("bad", "n", "share"), [(-1, 5, 0.1), (6, 5, 0.1), (1, 5, 0.0), (1, 5, 1.0)])
def test_what_cannot_be_tested_is_refused(bad: int, n: int, share: float) -> None:
    with pytest.raises(ValueError, match=r"not a share|cannot be tested"):
        log_above(bad, n, share)
