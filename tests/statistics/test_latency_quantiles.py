"""Percentiles of latencies, and intervals that hold."""

import numpy as np
import pytest

from roadworthy.statistics.latency import matched, quantiles, windows


def test_percentiles_are_values_that_were_seen() -> None:
    found = quantiles([float(value) for value in range(1, 101)])
    assert (found.p50.value, found.p95.value, found.p99.value, found.ratio.value) == (50, 95, 99, 1.98)


def test_one_value_is_every_percentile() -> None:
    found = quantiles([2.0])
    assert found.p99 == (2.0, 2.0, 2.0)
    assert found.ratio == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("values", [[], [0.0], [1.0, -1.0], [float("nan")], [float("inf")]])
def test_what_is_no_duration_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError):
        quantiles(values)


def test_the_same_calls_have_the_same_intervals() -> None:
    values = np.random.default_rng(0).lognormal(0, 1, 3000).tolist()
    assert quantiles(values) == quantiles(values)


def _covered(made: list[np.ndarray], truth: list[float]) -> list[float]:
    hits = [
        [low <= each <= high for (_, low, high), each in zip(quantiles(values)[:4], truth, strict=True)]
        for values in made
    ]
    return [float(share) for share in np.mean(hits, axis=0)]


def test_intervals_of_independent_calls_cover_what_they_claim() -> None:
    rng = np.random.default_rng(4)
    p50, p95, p99 = 1.0, np.exp(0.6 * 1.6449), np.exp(0.6 * 2.3263)
    covered = _covered([rng.lognormal(0, 0.6, 2000) for _ in range(60)], [p50, p95, p99, p99 / p50])
    assert min(covered) >= 0.88


def test_intervals_of_calls_that_wait_for_the_same_queue_are_wider_than_those_of_independent_ones() -> None:
    rng = np.random.default_rng(6)
    steps = rng.normal(0, np.sqrt(1 - 0.98**2), 20_000)
    level = np.zeros(20_000)
    for place in range(1, len(level)):
        level[place] = 0.98 * level[place - 1] + steps[place]
    together = quantiles(np.exp(0.4 * level).tolist())
    apart = quantiles(np.exp(0.4 * rng.permutation(level)).tolist())
    assert together.p99.upper - together.p99.lower > 2 * (apart.p99.upper - apart.p99.lower)


def test_matching_takes_length_out_and_leaves_the_rest() -> None:
    rng = np.random.default_rng(8)
    lengths = np.ceil(rng.lognormal(5, 1, 5000))
    noise = rng.lognormal(0, 0.3, 5000)
    exact = np.array(matched(0.3 + 0.02 * lengths, lengths))
    assert exact.max() == pytest.approx(1.0, abs=1e-9)
    assert np.quantile(exact, 0.02) == pytest.approx(1.0, abs=1e-9)
    found = quantiles(matched((0.3 + 0.02 * lengths) * noise, lengths)).ratio
    assert found.value == pytest.approx(np.exp(0.3 * 2.3263), rel=0.06)


def test_matching_works_for_one_length_and_for_a_handful_of_calls() -> None:
    assert matched([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]) == [0.5, 1.0, 1.5]
    assert matched([4.0], [5.0]) == [1.0]


def test_windows_hold_the_mean_number_under_way() -> None:
    starts = [float(at) for at in range(101)]
    found = windows(starts, [at + 2.0 for at in starts], [1.0] * 101, 10)
    assert len(found) == 10
    assert found[5].under_way == pytest.approx(2.0, abs=0.01)
    assert found[5].waited == 1.0
    assert windows([], [], [], 4) == []
