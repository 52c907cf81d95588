"""What a load test says before its first call."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from load_cases import call, grounds, order

from roadworthy.operations.loading.model import LoadRefused, Peak
from roadworthy.operations.loading.planning import vet
from roadworthy.operations.loading.preflight import preflight, projected
from roadworthy.workflow.model import Policy, Target, TargetLimits

PEAK = Peak(10.0, "policy", "10 calls/s, policy.projected_peak")


def test_the_peak_is_whose_word_comes_first() -> None:
    policy, minutes = Policy(projected_peak=7.0), dict.fromkeys(range(100), 60)
    assert projected(order(peak=3.0), policy, minutes) == Peak(3.0, "order", "3 calls/s, given with the command")
    told = projected(order(), policy, minutes)
    assert told is not None
    assert (told.rate, told.source) == (7.0, "policy")
    seen = projected(order(growth=2.0), Policy(), minutes)
    assert seen is not None
    assert (seen.rate, seen.source) == (2.0, "log")
    assert "p99 minute of 100 recorded ones × 2 growth" in seen.said


def test_too_short_a_log_knows_no_peak() -> None:
    assert projected(order(), Policy(), dict.fromkeys(range(59), 60)) is None
    assert projected(order(), Policy(), {0: 1, 100: 1}) is None, "two calls"


def test_quiet_minutes_count() -> None:
    minutes = Counter({0: 600, **dict.fromkeys(range(50, 250), 6), 299: 600})
    seen = projected(order(), Policy(), minutes)
    assert seen is not None
    assert seen.rate == pytest.approx(0.1), "two of three hundred minutes are above the p99 one"


def test_it_says_calls_tokens_cost_and_what_it_proves() -> None:
    found = preflight(order(seconds=60.0), grounds(), 1200.0, PEAK)
    assert (found.calls, found.live_calls, found.rate) == (1200, 1200, 20.0)
    assert (found.input_tokens, found.output_tokens) == (120_000, 60_000)
    assert found.usd == pytest.approx(1.2)
    assert found.max_usd == pytest.approx(2.4), "twice the estimate, unless said otherwise"
    assert found.proves == "pilot only, INSUFFICIENT: 60 s of 3,600 s"
    assert "100 recorded live calls" in found.per_call.said


@pytest.mark.parametrize(
    ("change", "calls", "says"),
    [
        ({}, 72_000, "up to 100 %"),
        ({"kind": "rehearsal"}, 72_000, "up to 25 %"),
        ({"kind": "rehearsal", "probe": 0}, 72_000, "nothing"),
        ({"kind": "limit"}, 72_000, "nothing"),
        ({"shape": "ramp"}, 72_000, "nothing"),
        ({"factor": 1.0}, 36_000, "less than full traffic"),
    ],
)
def test_what_it_can_prove_is_said_before(change: dict[str, Any], calls: float, says: str) -> None:
    assert preflight(order(**change), grounds(), calls, PEAK).proves.startswith(says)


def test_a_simulated_target_is_said_to_prove_nothing() -> None:
    simulated = msgspec.structs.replace(grounds().target, provider="simulated")
    found = preflight(order(), grounds(target=simulated), 72_000, PEAK)
    assert found.proves.startswith("nothing: main is simulated")


def test_limits_that_bind_are_foretold_with_the_share_that_will_be_refused() -> None:
    found = preflight(order(seconds=60.0), grounds(), 1200.0, PEAK)
    requests, tokens, _ = found.headroom
    assert (requests.wanted, requests.granted, requests.live) == (1200.0, 900, 60.0)
    assert requests.refused == pytest.approx(0.30, abs=0.01), "840 of 1,200 fit"
    assert tokens.refused == pytest.approx(0.533, abs=0.01), "84,000 of 180,000 fit"
    assert found.predicted_429 == tokens.refused
    assert any("tokens a minute of main bind" in warning for warning in found.warnings)


def test_undeclared_limits_are_not_taken_for_none() -> None:
    free = Target("main", "openai", "m", limits=TargetLimits())
    found = preflight(order(seconds=60.0), grounds(target=free), 1200.0, PEAK)
    assert found.predicted_429 == 0.0
    assert any("429s cannot be foretold" in warning for warning in found.warnings)


def test_without_recorded_calls_the_longest_answer_counts_and_is_said() -> None:
    found = preflight(order(seconds=60.0), grounds(recorded={}), 60.0, PEAK)
    assert found.per_call.output == 1000
    assert "estimated" in found.per_call.said
    assert found.usd is not None
    assert found.usd > 60 * 1000 * 2e-6


def test_an_unknown_price_is_a_warning_and_no_zero() -> None:
    found = preflight(order(seconds=60.0), grounds(recorded={}, price=None), 60.0, PEAK)
    assert found.usd is None
    assert any("nobody knows what main costs" in warning for warning in found.warnings)


def test_classes_are_never_pooled_for_a_mean() -> None:
    recorded = {"live": [call(n) for n in range(5)], "eval": [call(n, tokens=500) for n in range(30)]}
    found = preflight(order(), grounds(recorded=recorded), 60.0, PEAK)
    assert "30 recorded eval calls" in found.per_call.said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"peak": 0.0}, "peak: found 0"),
        ({"seconds": 9 * 3600.0}, "duration: found 32,400 s"),
        ({"usd": float("nan")}, "max cost"),
        ({"errors": 0.0}, "errors"),
        ({"kind": "limit", "kill": True}, "presses no kill switch"),
        ({"bodies": "file"}, "holds no question"),
        ({"kind": "limit", "shape": "replay"}, "replay has its own rate"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_in_words(change: dict[str, Any], says: str) -> None:
    with pytest.raises(LoadRefused, match=says):
        vet(order(**change))


@given(st.floats(0.1, 1000), st.floats(1, 5000), st.integers(1, 10_000))
def test_the_share_refused_is_a_share_and_grows_with_the_rate(rate: float, live: float, granted: int) -> None:
    target = Target("main", "openai", "m", limits=TargetLimits(requests_per_minute=granted))
    known = grounds(target=target, usage={"main": (live, 0.0, 0.0)})
    little, much = (preflight(order(seconds=60.0), known, calls * 60, PEAK) for calls in (rate, rate * 2))
    assert 0.0 <= little.predicted_429 <= much.predicted_429 + 1e-9 <= 1.0 + 1e-9
