"""When a load test stops by itself, how it looks for the limit, where time went, and what it comes to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from load_cases import FROZEN, call, order, plan, sample

from roadworthy.latency.generator import Progress
from roadworthy.latency.model import Arrivals, Sample
from roadworthy.operations.loading import limit
from roadworthy.operations.loading.concluding import concluded, evidence, slots
from roadworthy.operations.loading.job import Limits
from roadworthy.operations.loading.leading import Seen, judged
from roadworthy.operations.loading.model import Distance, Fit, Kill, LimitStep, LoadRefused
from roadworthy.operations.loading.planning import Ready
from roadworthy.operations.loading.runs import LoadRuns
from roadworthy.operations.loading.stopping import Watch
from roadworthy.operations.loading.whereabouts import helps, parts, spent
from roadworthy.workflow.inference import Attempt, Check
from roadworthy.workflow.model import Objective, Policy
from roadworthy.workflow.service import Actor


def now(**more: Any) -> Progress:
    known: dict[str, Any] = {
        "seconds": 5.0, "planned": 100, "dropped": 0, "under_way": 2, "ended": 98, "answered": 98, "errors": 0,
        "usd": 0.1, "unpriced": 0, "late": 0.0, "first_token": 0.2,
    }  # fmt: skip
    return Progress(**{**known, **more})


# --- stopping


def test_it_stops_before_the_dollars_are_spent_for_calls_under_way_count() -> None:
    watch = Watch(Limits(usd=1.0, usd_each=0.1))
    assert watch.why_stop(now(usd=0.7, under_way=2, planned=10)) == ""
    assert watch.why_stop(now(usd=0.7, under_way=3, planned=10)).startswith("its $1 are spent")
    assert watch.why_stop(now(usd=0.7, under_way=2, planned=100)) != "", "five more would start before the next look"


def test_it_stops_when_the_workflow_is_stopped_under_it() -> None:
    watch = Watch(Limits())
    watch.seen(sample(0.0))
    assert watch.why_stop(now()) == ""
    watch.seen(sample(1.0, outcome="bypassed"))
    assert "the workflow was stopped under the test" in watch.why_stop(now())


def test_it_stops_on_the_error_share_of_the_last_seconds_only() -> None:
    watch = Watch(Limits(errors=0.2))
    for place in range(100):
        watch.seen(sample(place / 100, outcome="error" if place < 15 else "answered"))
    assert watch.why_stop(now(seconds=1.0)) == ""
    for place in range(30):
        watch.seen(sample(20 + place / 100, outcome="error"))
    assert "30 of the last 30 calls failed" in watch.why_stop(now(seconds=25.0))


def test_it_stops_once_the_objective_cannot_be_met_by_any_future() -> None:
    watch = Watch(Limits(slower_than=[(1.0, 0.05)], planned=100))
    for place in range(5):
        watch.seen(sample(float(place), 2.0))
    assert watch.why_stop(now()) == "", "five of a hundred are allowed"
    watch.seen(sample(5.0, 2.0))
    assert "6 of 100 calls took over 1 s" in watch.why_stop(now())


def test_it_stops_when_calls_cannot_start() -> None:
    assert "could not start" in Watch(Limits()).why_stop(now(dropped=6))


def test_it_stops_when_calls_under_way_and_first_token_both_keep_rising() -> None:
    watch, flat = Watch(Limits()), Watch(Limits())
    said = [watch.why_stop(now(seconds=5.0 * n, under_way=4 * n, first_token=0.1 * n)) for n in range(1, 25)]
    assert any("over-saturated" in text for text in said)
    assert not any(flat.why_stop(now(seconds=5.0 * n, under_way=40, first_token=0.1 * n)) for n in range(1, 25))


def test_a_test_that_the_provider_s_limits_would_refuse_is_not_begun_unless_that_is_said() -> None:
    planned = msgspec.structs.replace(ready(), plan=plan(predicted_429=0.3))
    planner: Any = SimpleNamespace(ready=lambda _: planned)
    runs = LoadRuns(None, None, planner, None)  # type: ignore[arg-type]
    with pytest.raises(LoadRefused, match=r"30 % of the calls would be refused .* --past-limits"):
        runs.start(order(), Actor("ada"))


# --- the search


@given(st.floats(0.3, 500.0), st.floats(0.5, 40.0))
def test_the_search_ends_close_to_the_limit(true_limit: float, peak: float) -> None:
    first, steps = limit.first_rate(peak), []
    while (rate := limit.next_rate(steps, first)) is not None:
        steps.append(LimitStep(rate, 60.0, rate <= true_limit, "", 0.1, 0.2, 0.0))
        assert len(steps) < 20
    held = max((step.rate for step in steps if step.held), default=0.0)
    assert held <= true_limit
    if first / 8 <= true_limit < first * 2**limit.DOUBLINGS:
        assert held * limit.CLOSE >= true_limit * 0.999 or held == 0.0


def test_a_step_lasts_long_enough_for_a_hundred_calls() -> None:
    assert limit.seconds_of(0.5, 60.0) == 200.0
    assert limit.seconds_of(20.0, 60.0) == 60.0


def test_a_rate_holds_within_the_objective_only() -> None:
    fast = [sample(n / 10, 0.5) for n in range(100)]
    objective = Objective(latency_p95=1.0, error_share=0.02)
    assert judged(10.0, 10.0, fast, "", objective, 0.2).held
    slow = [*fast[:90], *(sample(9.0 + n, 3.0) for n in range(10))]
    assert judged(10.0, 10.0, slow, "", objective, 0.2).why == "p95 3.00 s, over 1 s"
    wrong = [*fast[:97], *(sample(9.0, outcome="error") for _ in range(3))]
    assert "3.0 % of the calls failed" in judged(10.0, 10.0, wrong, "", objective, 0.2).why


# --- where the time went


def test_the_parts_of_a_call_add_up_to_its_latency() -> None:
    attempts = [
        Attempt("main", started=0.1, ended=0.5, failure="unavailable"),
        Attempt("main", step="retry", started=0.6, ended=1.8, queued=0.2),
    ]
    record = call(1, seconds=2.0)
    record.attempts = attempts
    record.checks = [Check("safe", True, seconds=0.3)]
    found = spent(record)
    assert (found.queue, found.checks) == (0.2, 0.3)
    assert found.provider == pytest.approx(0.4 + 1.0 - 0.3)
    assert found.queue + found.provider + found.checks + found.overhead == pytest.approx(2.0)


def test_hedged_attempts_are_not_counted_twice() -> None:
    record = call(1, seconds=1.0)
    record.attempts = [Attempt("main", ended=1.0), Attempt("main", step="hedge", started=0.4, ended=0.9)]
    assert spent(record).provider == pytest.approx(1.0)


def test_waiting_for_slots_is_named_and_what_helps() -> None:
    records = []
    for number in range(10):
        record = call(number, seconds=2.0)
        record.attempts = [Attempt("main", queued=1.0, ended=2.0)]
        records.append(record)
    found = parts(records)
    assert {part.name: round(part.share, 2) for part in found} == {
        "queue": 0.5, "provider": 0.5, "checks": 0.0, "overhead": 0.0,
    }  # fmt: skip
    came = concluded(ready(), Seen(samples=[sample(n / 20) for n in range(1200)], records=records))
    assert came is not None
    assert came.measured is not None
    assert any("waiting for a slot" in text for text in helps(came.measured, found, plan(), records))


# --- what it comes to


def ready(**more: Any) -> Ready:
    asked = order(**{key: value for key, value in more.items() if key != "objective"})
    policy = Policy(projected_peak=10.0, objective=more.get("objective", Objective(latency_p95=2.0)))
    arrivals = Arrivals(shape=asked.shape, rate=20.0, seconds=60.0)
    made = plan(kind=asked.kind)
    return Ready(asked, None, policy, FROZEN, made, [], arrivals, [], made.per_call, 1.0)  # type: ignore[arg-type]


def samples(count: int = 1200) -> list[Sample]:
    return [sample(n / 20, 0.4 + 0.2 * (n * 7919 % 101) / 101) for n in range(count)]


def test_a_steady_test_passes_and_its_figures_are_kept() -> None:
    came = concluded(ready(), Seen(samples=samples()))
    assert came is not None
    assert came.verdict == "PASS"
    assert [figure.passes for figure in came.figures] == [True, True, True]
    kept = evidence(ready(), Seen(samples=samples()), came)
    assert kept is not None
    assert (kept.rate, kept.seconds, kept.calls, kept.judged) == (20.0, 60.0, 1200, "PASS")


def test_a_rehearsal_without_a_probe_that_agrees_is_never_a_pass() -> None:
    near = Distance("whole answer", 0.1, 0.3, 40, 40, 1.0, 1.0)
    fit = Fit(400, 0.0, 1.0, "live", {}, [near], 40)
    for fitted, live_probe in (
        (fit, True),
        (msgspec.structs.replace(fit, why="too far"), False),
        (msgspec.structs.replace(fit, distances=[]), False),
    ):
        seen = Seen(samples=samples(), fit=fitted)
        came = concluded(ready(kind="rehearsal"), seen)
        assert came is not None
        assert came.verdict == ("PASS" if live_probe else "INSUFFICIENT")
        kept = evidence(ready(kind="rehearsal"), seen, came)
        assert kept is not None
        assert kept.live_probe is live_probe


def test_calls_of_a_stopped_workflow_and_out_of_the_cache_are_no_load() -> None:
    answered = samples()
    stopped = [msgspec.structs.replace(one, outcome="bypassed") if one.at > 30 else one for one in answered]
    came = concluded(ready(), Seen(samples=stopped))
    assert came is not None
    assert came.verdict == "FAIL"
    cached = Seen(samples=[msgspec.structs.replace(one, outcome="cached") if one.at >= 30 else one for one in answered])
    came = concluded(ready(), cached)
    assert came is not None
    assert "600 of 1,200 calls were answered out of the cache" in came.why[-1]
    kept = evidence(ready(), cached, came)
    assert kept is not None
    assert kept.rate == 10.0


def test_bursts_that_never_came_are_no_rate() -> None:
    sparse = Seen(samples=samples()[::3])
    came = concluded(ready(), sparse)
    assert came is not None
    kept = evidence(ready(), sparse, came)
    assert kept is not None
    assert kept.rate == pytest.approx(20 / 3, rel=0.01)


def test_attempts_after_the_kill_switch_fail_the_test() -> None:
    came = concluded(ready(), Seen(samples=samples(), kill=Kill("support", "in the copy", 0.4, late=2)))
    assert came is not None
    assert came.verdict == "FAIL"


def test_a_test_that_was_stopped_held_its_rate_until_then() -> None:
    came = concluded(ready(), Seen(samples=samples(600), stopped="its $1 are spent"))
    assert came is not None
    assert came.measured is not None
    assert came.measured.seconds == pytest.approx(30.0, abs=0.1)
    assert "it ended early: its $1 are spent" in came.why


def test_a_search_and_a_ramp_are_evidence_of_no_rate() -> None:
    step = LimitStep(20.0, 60.0, True, "", 0.5, 0.6, 0.0)
    seen = Seen(samples=samples(), steps=[step], limit=True)
    came = concluded(ready(kind="limit"), seen)
    assert came is not None
    assert came.why[0].startswith("holds 20 calls/s")
    assert evidence(ready(kind="limit"), seen, came) is None
    ramp = evidence(ready(shape="ramp"), Seen(samples=samples()), came)
    assert ramp is not None
    assert ramp.seconds == 0.0


def test_nothing_sent_comes_to_nothing() -> None:
    assert concluded(ready(), Seen()) is None


@given(st.lists(st.tuples(st.floats(0, 59), st.floats(0.01, 90)), min_size=1, max_size=60))
def test_plots_lose_no_call_and_no_second_of_one(calls: list[tuple[float, float]]) -> None:
    every = [sample(at, seconds) for at, seconds in sorted(calls)]
    made = slots(every, 60.0)
    assert sum(slot.started for slot in made) == len(every)
    inside = sum(max(0.0, min(at + seconds, 60.0) - at) for at, seconds in calls)
    assert sum(slot.under_way * slot.seconds for slot in made) == pytest.approx(inside, rel=0.02, abs=1.0)
