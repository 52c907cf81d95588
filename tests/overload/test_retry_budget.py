"""Retries and repairs stay a fifth of the calls, whatever share of them fails."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.gateway.limits.retries import FLOOR, Allowance, RetryBudget


def amplification(failing: float, *, inferences: int, per_second: float, times: int = 2, seed: int = 1) -> float:
    """Attempts per inference of callers that retry ``times`` while the budget grants it."""
    dice, budget, attempts = random.Random(seed), RetryBudget(), 0
    for number in range(inferences):
        now = 100.0 + number / per_second
        for retry in range(times + 1):
            if retry:
                if not budget.grants(now):
                    break
                budget.spend(now)
            attempts += 1
            if dice.random() >= failing:
                budget.earned += 1
                break
    return attempts / inferences


def test_a_target_that_fails_a_fifth_of_the_time_is_called_at_most_1_3_times() -> None:
    assert 1.15 <= amplification(0.2, inferences=10_001, per_second=200.0) <= 1.3


def test_a_target_that_is_down_gets_no_more_retries_than_the_floor() -> None:
    budget = RetryBudget()
    granted = 0
    for number in range(1000):
        now = number / 100.0
        if budget.grants(now):
            budget.spend(now)
            granted += 1
    assert granted <= FLOOR + 2
    assert amplification(1.0, inferences=10_000, per_second=500.0) < 1.01


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(20.0, 1000.0), st.integers(0, 1000))
def test_whatever_fails_the_amplification_is_bounded(failing: float, per_second: float, seed: int) -> None:
    inferences = 1500
    floor = FLOOR * (1.0 + inferences / per_second / 60.0) / inferences
    assert amplification(failing, inferences=inferences, per_second=per_second, seed=seed) <= 1.26 + floor


def test_a_quiet_workflow_can_retry() -> None:
    assert amplification(1.0, inferences=30, per_second=1 / 60.0) == 3.0


def test_what_was_earned_long_ago_is_forgotten() -> None:
    budget = Allowance(0.25, floor=0.0)
    assert not budget.grants(0.0)
    budget.earned = 1_000
    assert budget.grants(1.0)
    assert not budget.grants(200.0)


def test_an_hour_of_good_answers_saves_up_ten_seconds_worth() -> None:
    budget = Allowance(0.25, floor=0.0)
    budget.grants(0.0)
    budget.earned = 3600 * 100
    granted = 0
    while budget.grants(3600.0):
        budget.spend(3600.0)
        granted += 1
    assert granted == 250
