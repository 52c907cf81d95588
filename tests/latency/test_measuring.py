"""What samples come to."""

import heapq
import random
from collections.abc import Sequence

import pytest

from roadworthy.latency.measuring import held, measure
from roadworthy.latency.model import Arrivals, Sample
from roadworthy.latency.saturation import Point, judge, trend
from roadworthy.latency.verdict import LONG_ANSWERS
from roadworthy.latency.verdict import judge as verdict
from roadworthy.workflow.model import Objective


def _answered(at: float, ended: float, **fields: object) -> Sample:
    given = {"sent": 0.0, "status": 200, "outcome": "answered", "usd": 0.01, **fields}
    return Sample(at=at, ended=ended, **given)  # type: ignore[arg-type]


def _ideal(count: int = 4000) -> list[Sample]:
    """A provider whose time is exactly 0.3 s and 20 ms a token, asked for answers as long as real ones vary."""
    rng = random.Random(5)
    lengths = [max(1, int(rng.lognormvariate(4.8, 0.9))) for _ in range(count)]
    return [
        _answered(at / 5, 0.3 + 0.02 * tokens, first_token=0.3, output_tokens=tokens)
        for at, tokens in enumerate(lengths)
    ]


def test_an_ideal_provider_has_a_raw_ratio_above_three_and_one_of_one_at_matched_length() -> None:
    found = measure(_ideal(), Objective(), seconds=800)
    assert found.whole is not None
    assert found.whole.ratio.lower > 3
    assert found.matched_ratio is not None
    assert found.matched_ratio.upper < 1.01
    passed = verdict(found, Objective(latency_p99=60))
    assert passed.verdict == "PASS"
    assert LONG_ANSWERS in passed.why


def test_a_slow_tail_that_is_not_long_answers_shows_at_matched_length() -> None:
    samples = [
        _answered(each.at, (each.ended or 0) * (6 if number % 40 == 0 else 1), output_tokens=each.output_tokens)
        for number, each in enumerate(_ideal())
    ]
    found = measure(samples, Objective(), seconds=800)
    assert found.matched_ratio is not None
    assert found.matched_ratio.lower > 3
    assert verdict(found, Objective(latency_p99=600)).verdict == "FAIL"


def test_errors_drops_fallbacks_and_cached_answers_are_counted_and_have_no_clock() -> None:
    samples = [
        _answered(0, 1.0), _answered(1, 2.0, outcome="recovered"),
        _answered(2, 0.001, outcome="cached"), _answered(3, 0.001, outcome="bypassed"),
        _answered(4, 30.0, outcome="canned", failure="slow"), _answered(5, 0.4, outcome="canned", failure="unsafe"),
        _answered(6, 9.0, outcome="error", failure="unavailable", usd=None),
        _answered(7, 9.0, outcome="limited", failure="throttled"), Sample(at=8, sent=0.0, code="cut_off"), Sample(at=9),
    ]  # fmt: skip
    found = measure(samples, Objective(latency_p95=1.5), seconds=10)
    assert (found.planned, found.sent, found.dropped, found.answered, found.errors) == (10, 9, 1, 2, 3)
    assert found.fell_back == 2, "what was bypassed asked no model either"
    assert found.whole is not None
    assert found.whole.count == 4
    assert found.whole.p99.value == 30.0
    assert found.goodput == pytest.approx(0.2)
    assert (found.unpriced, found.usd) == (2, pytest.approx(0.07))
    assert found.outcomes["canned"] == 2
    assert found.failures == {"slow": 1, "unsafe": 1, "unavailable": 1, "throttled": 1}


def test_answers_that_were_not_streamed_have_no_first_token() -> None:
    found = measure([_answered(at, 1.0, first_token=1.0) for at in range(9)], Objective(), seconds=9)
    assert found.first_token is None
    assert found.matched_ratio is None


def test_the_generators_own_lateness_is_its_p99() -> None:
    samples = [_answered(at, 1.0, late=0.5 if at >= 98 else 0.001) for at in range(100)]
    assert measure(samples, Objective(), seconds=9).timing_error_p99 == 0.5


def test_no_samples_measure_nothing() -> None:
    found = measure([], Objective(), seconds=0)
    assert (found.planned, found.whole, found.usd, found.rate) == (0, None, None, 0)


def test_a_test_that_was_stopped_held_its_rate_until_then() -> None:
    plan = Arrivals(shape="poisson", rate=1, seconds=60)
    samples = [_answered(at, 1.0) for at in (0.0, 20.0, 55.0)]
    assert held(plan, samples, stopped=False) == 60
    assert held(plan, samples, stopped=True) == 55


def _queue(load: float, calls: int, seed: int) -> list[Sample]:
    """Ten servers with exponential service of a second, Poisson arrivals."""
    rng = random.Random(seed)
    free, now, made = [0.0] * 10, 0.0, []
    for _ in range(calls):
        now += rng.expovariate(10 * load)
        begins, takes = max(now, heapq.heappop(free)), rng.expovariate(1.0)
        heapq.heappush(free, begins + takes)
        made.append(_answered(now, begins - now + takes + 0.01, first_token=begins - now + 0.2 * takes + 0.01))
    return made


def _saturated(load: float, seeds: Sequence[int]) -> int:
    return sum(measure(_queue(load, 2000, seed), Objective(), seconds=1).saturation.saturated for seed in seeds)


def test_a_queue_that_grows_for_ever_is_saturated_and_a_busy_one_is_not() -> None:
    assert _saturated(1.3, range(5)) == 5
    assert _saturated(0.8, range(5)) == 0


def test_more_calls_alone_or_a_slower_provider_alone_is_no_saturation() -> None:
    assert not judge([Point(at, at + 1, 1.0) for at in range(20)]).saturated
    assert not judge([Point(at, 5, at + 1) for at in range(20)]).saturated
    both = judge([Point(at, at + 1, 0.2 * at + 1) for at in range(20)])
    assert both.saturated
    assert both.at is not None


def test_calls_that_were_dropped_count_as_waiting() -> None:
    sent = [_answered(at / 10, 5 + at / 100, first_token=4 + at / 100) for at in range(1000)]
    dropped = [Sample(at=at / 10 + 0.05) for at in range(1000)]
    together = sorted(sent + dropped, key=lambda sample: sample.at)
    assert measure(together, Objective(), seconds=100).saturation.saturated


def test_a_trend_is_corrected_for_ties() -> None:
    assert trend([1.0] * 20) == 0.0
    assert trend(list(range(20))) == pytest.approx(6.13, abs=0.02)
    assert trend(list(range(20, 0, -1))) == pytest.approx(-6.13, abs=0.02)
