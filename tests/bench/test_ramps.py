"""A few dozen of the ramps of ``python -m bench.ramps``."""

from __future__ import annotations

from bench.ramps import CALLS_PER_DAY, calls_to_rollback, planned_days, ramp, truths

from roadworthy.rollout.model import DAY

EVERY = 6 * 3600.0


def test_healthy_ramps_reach_everybody_in_the_days_that_the_calendar_named() -> None:
    days = planned_days()
    ran = [ramp(seed, truths(0.5), EVERY) for seed in range(20)]
    assert sum(one.full_at is not None and one.full_at <= days * DAY for one in ran) >= 16
    assert not any(one.rolled_back for one in ran)


def test_a_release_exactly_at_its_budgets_is_not_rolled_back() -> None:
    assert sum(ramp(seed, truths(1.0), EVERY).rolled_back for seed in range(100, 112)) <= 1


def test_a_bad_release_is_rolled_back_before_it_leaves_one_percent() -> None:
    ran = [ramp(seed, truths(0.5, worst=10), EVERY) for seed in range(200, 220)]
    assert all(one.rolled_back and one.full_at is None for one in ran)
    assert max(one.live_calls for one in ran) < CALLS_PER_DAY * 0.01


def test_the_worse_the_sooner() -> None:
    assert [calls_to_rollback(times, 0.05) for times in (2, 4, 10)] == [547, 69, 12]
