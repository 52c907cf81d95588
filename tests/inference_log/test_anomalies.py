"""Unusual is found, usual is left alone, and every finding names its regime and counts."""

from __future__ import annotations

import random
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from records import NOON, batch, inference

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.engine.anomalies import AnomalyWatch
from roadworthy.inference_log.analysis import DAY, HOUR, Bounds, Counts, Finding, Hour, burning, unusual
from roadworthy.inference_log.service import Log, Shipper

UTC = ZoneInfo("UTC")


def usual(days: float, until: float = NOON, errors: float = 0.02, calls: int = 100, seed: int = 1) -> list[Hour]:
    """Hours with chance only: more calls by day than by night."""
    rng = random.Random(seed)
    hours = []
    for n in range(int(days * 24), 0, -1):
        start = until - n * HOUR
        level = calls if 8 <= start / HOUR % 24 < 20 else calls // 4
        count = max(0, round(rng.gauss(level, level**0.5)))
        bad = sum(rng.random() < errors for _ in range(count))
        hours.append(Hour(start, count, bad, bad, 2.0 * rng.lognormvariate(0, 0.05), 0.001 * rng.uniform(0.95, 1.05)))
    return hours


def with_last(hours: list[Hour], last: int, **fields: float) -> list[Hour]:
    changed = [Hour(**{**{f: getattr(h, f) for f in h.__struct_fields__}, **fields}) for h in hours[-last:]]
    return [*hours[:-last], *changed]


def judge(hours: list[Hour], bounds: Bounds = Bounds()) -> list[Finding]:  # noqa: B008
    return unusual("triage", hours, bounds, NOON, UTC)


@pytest.mark.parametrize(("days", "regime"), [(4, "median + MAD by hour block"), (25, "seasonal")])
def test_a_rise_of_errors_is_found_under_the_regime_that_the_history_allows(days: int, regime: str) -> None:
    found = judge(with_last(usual(days), 2, calls=100, errors=30, fallbacks=2))
    assert [(f.metric, f.regime, f.bad, f.calls) for f in found] == [("errors", regime, 60, 200)]
    assert "60 of 200 calls" in found[0].text
    assert regime in found[0].text


def test_three_bad_of_eleven_calls_are_enough_to_be_named_and_two_are_not() -> None:
    quiet = usual(10, calls=8, errors=0.0)
    few = [*quiet[:-2], Hour(quiet[-2].start, 5, 1, 0, 2.0), Hour(quiet[-1].start, 6, 2, 0, 2.0)]
    errors = [f for f in judge(few) if f.metric == "errors"]
    assert "3 of 11 calls" in errors[0].text
    fewer = [*quiet[:-2], Hour(quiet[-2].start, 5, 1, 0, 2.0), Hour(quiet[-1].start, 6, 1, 0, 2.0)]
    assert [f for f in judge(fewer) if f.metric == "errors"] == []


def test_one_odd_hour_is_no_finding() -> None:
    assert judge(with_last(usual(10), 1, calls=100, errors=50)) == []


def test_an_oddity_that_is_over_is_no_finding() -> None:
    hours = usual(10)
    assert judge([*with_last(hours[:-1], 2, calls=100, errors=50), hours[-1]]) == []


@pytest.mark.parametrize(
    ("fields", "metric", "words"),
    [
        ({"p95": 9.0}, "latency", "p95 latency 9.00 s"),
        ({"calls": 2000}, "volume", "high traffic"),
        ({"calls": 0, "errors": 0, "fallbacks": 0}, "volume", "low traffic"),
        ({"cost_per_call": 0.01}, "cost", "$0.01000 a call"),
        ({"fallbacks": 60}, "fallbacks", "fallback share"),
    ],
)
def test_latency_traffic_cost_and_fallbacks_are_watched_too(fields: dict[str, float], metric: str, words: str) -> None:
    found = [f for f in judge(with_last(usual(10), 3, **fields)) if f.metric == metric]
    assert len(found) == 1
    assert words in found[0].text


def test_a_busy_morning_is_not_held_against_the_night() -> None:
    night_to_morning = usual(10, until=NOON - 3 * HOUR)  # ends at 9:00
    assert unusual("triage", night_to_morning, Bounds(), NOON - 3 * HOUR, UTC) == []


@pytest.mark.parametrize(("days", "calls"), [(5, 100), (22, 100), (10, 12)])
def test_chance_alone_is_seldom_a_finding(days: int, calls: int) -> None:
    """Five metrics of an unchanged workflow, 150 looks."""
    assert sum(len(judge(usual(days, seed=seed, calls=calls))) for seed in range(150)) <= 1


def test_on_day_0_only_what_was_declared_is_held_against_a_workflow() -> None:
    bad = with_last(usual(1), 2, calls=100, errors=30, p95=9.0)
    assert judge(bad) == []
    found = judge(bad, Bounds(error_share=0.05, latency_p95=5.0, calls_per_second=1.0))
    assert {(f.metric, f.regime) for f in found} == {("errors", "forecast bound"), ("latency", "forecast bound")}
    assert judge(with_last(usual(1), 2, calls=8000), Bounds(calls_per_second=1.0))[0].metric == "volume"


def test_a_workflow_without_calls_has_no_findings() -> None:
    assert judge([]) == []


BURNS = [
    ({HOUR: Counts(15, 1000), 300.0: Counts(2, 100)}, "page", "15.0x"),
    ({6 * HOUR: Counts(60, 10_000), 1800.0: Counts(7, 1000)}, "page", "6.0x"),
    ({DAY: Counts(30, 10_000), 2 * HOUR: Counts(4, 1000)}, "ticket", "3.0x"),
    ({3 * DAY: Counts(10, 10_000), 6 * HOUR: Counts(2, 1000)}, "ticket", "1.0x"),
]


@pytest.mark.parametrize(("windows", "severity", "rate"), BURNS)
def test_each_burn_rule_fires_at_its_rate(windows: dict[float, Counts], severity: str, rate: str) -> None:
    found = burning("triage", windows, 0.001, NOON)
    assert [finding.severity for finding in found] == [severity]
    assert rate in found[0].text
    long = max(windows)
    assert str(windows[long]) in found[0].text


def test_a_burn_needs_both_windows_a_budget_and_a_minimum_of_bad_calls() -> None:
    assert burning("t", {HOUR: Counts(15, 1000)}, 0.001, NOON) == []
    assert burning("t", {HOUR: Counts(15, 1000), 300.0: Counts(0, 100)}, 0.001, NOON) == []
    assert burning("t", {HOUR: Counts(4, 10), 300.0: Counts(2, 5)}, 0.001, NOON) == []
    assert burning("t", {HOUR: Counts(15, 1000), 300.0: Counts(2, 100)}, None, NOON) == []


def test_the_log_s_own_sums_are_judged_live_traffic_only_and_told_once(tmp_path: Path) -> None:
    store = MemoryLog()
    for hour in range(4 * 24):
        odd = hour >= 94
        for n in range(12):
            outcome = "error" if odd and n < 6 else "answered"
            at = NOON - (4 * 24 - hour) * HOUR + n
            store.ship(batch(inference(at, outcome=outcome), inference(at, outcome="error", traffic="tester")))
    log = Log(store, Shipper(tmp_path, store), zone=UTC, now=lambda: NOON)
    told: list[Finding] = []
    watch = AnomalyWatch(log, lambda: {"triage": Bounds(error_share=0.01)}, tell=told.append)
    watch.look()
    watch.look()
    assert {(f.metric, f.severity) for f in watch.findings} >= {("errors", "notice")}
    assert "12 of 24 calls" in told[0].text
    assert len(told) == len(watch.findings) == watch.told
    assert log.anomalies({}, workflow="other") == []
