"""From counts to verdicts: exact for shares, honest about what is not known yet, dated in advance."""

from __future__ import annotations

import numpy as np
import pytest
from rollout_support import PLAN

from roadworthy.evidence.kinds import Verdict
from roadworthy.rollout.analysis import SAMPLE_RATIO, analyse, calendar
from roadworthy.rollout.model import (
    DAY,
    DRAFTS,
    STAGES,
    TESTERS,
    Arms,
    Finding,
    Guardrail,
    Observed,
    Plan,
    Stage,
    Tally,
)
from roadworthy.statistics.eprocess import share_bounds

ONE_PERCENT = STAGES[1]
BAD = Guardrail("bad", 0.02, 0.05)


def _one(guardrail: Guardrail, arms: Arms, stage: Stage = ONE_PERCENT, **other: object) -> Finding:
    plan = Plan(guardrails=(guardrail,))
    seen = Observed(stage.name, 0.0, DAY, int(arms.treated.n), arms={guardrail.name: arms}, **other)  # type: ignore[arg-type]
    return analyse(plan, stage, seen).findings[0]


def _bad(bad: float, n: float, design: float = 1.0) -> Arms:
    return Arms(Tally(n, bad, design=design))


@pytest.mark.parametrize(
    ("bad", "n", "verdict"),
    [(0, 0, "INSUFFICIENT"), (0, 72, "INSUFFICIENT"), (0, 73, "PASS"), (8, 100, "INSUFFICIENT"), (16, 200, "FAIL")],
)
def test_a_share_passes_fails_or_waits(bad: int, n: int, verdict: Verdict) -> None:
    assert _one(BAD, _bad(bad, n)).verdict == verdict


def test_waiting_says_how_long_at_this_rate() -> None:
    found = _one(BAD, _bad(1, 60))
    assert found.needs is not None
    assert found.days == pytest.approx(found.needs / 60)
    assert (
        found.text
        == f"1 of 60 calls (1.67 %): at this rate, decision in {found.days:.1f} days ({found.needs} more calls)"
    )
    after = _one(BAD, _bad((60 + found.needs) / 60, 60 + found.needs))
    assert after.verdict == "PASS"
    assert _one(BAD, _bad(0, 0)).text == "no calls yet: no decision can be foretold yet"


def test_a_verdict_says_what_was_counted_and_proven() -> None:
    assert _one(BAD, _bad(16, 200)).text == "16 of 200 calls (8.00 %): proven above 2.00 %"
    assert _one(BAD, _bad(0, 80)).text == "0 of 80 calls (0.00 %): proven below 5.00 %"


def test_the_level_of_a_rollback_is_split_over_guardrails_and_stages_and_that_of_a_pass_is_not() -> None:
    alone = _one(BAD, _bad(10, 100))
    crowd = Plan(guardrails=(BAD, *(Guardrail(f"other{i}", 0.01, 0.02) for i in range(20))))
    seen = Observed("1 %", 0.0, DAY, 100, arms={"bad": _bad(10, 100)})
    assert (alone.verdict, analyse(crowd, ONE_PERCENT, seen).findings[0].verdict) == ("FAIL", "INSUFFICIENT")
    seen = Observed("1 %", 0.0, DAY, 73, arms={"bad": _bad(0, 73)})
    assert analyse(crowd, ONE_PERCENT, seen).findings[0].verdict == "PASS"


def test_users_who_call_ten_times_count_once() -> None:
    assert _one(BAD, _bad(0, 720, design=10)).verdict == "INSUFFICIENT"
    assert _one(BAD, _bad(0, 730, design=10)).verdict == "PASS"


def _tally(values: np.ndarray) -> Tally:
    return Tally(len(values), float(values.sum()), float((values**2).sum()))


@pytest.mark.parametrize(("truth", "verdict"), [(0.8, "PASS"), (1.6, "FAIL"), (1.2, "INSUFFICIENT")])
def test_the_cost_of_an_inference_is_held_against_that_of_the_release_before(truth: float, verdict: Verdict) -> None:
    rng = np.random.default_rng(4)
    arms = Arms(_tally(rng.lognormal(0, 0.7, 800) * truth), _tally(rng.lognormal(0, 0.7, 7200)))
    cost = Guardrail("cost", 1.1, 1.3, measure="mean", against="ratio")
    found = _one(cost, arms, STAGES[2], compared=True)
    assert found.verdict == verdict
    assert found.observed == pytest.approx(truth, rel=0.12)


def test_a_difference_of_shares_is_bounded_exactly_on_both_sides() -> None:
    worse = Guardrail("fallbacks", 0.01, 0.03, against="difference")
    same = Arms(Tally(4000, 80), Tally(4000, 80))
    much = Arms(Tally(2000, 160), Tally(4000, 80))
    assert _one(worse, same, STAGES[4], compared=True).verdict == "PASS"
    assert _one(worse, much, STAGES[4], compared=True).verdict == "FAIL"
    assert _one(worse, Arms(Tally(50, 1), Tally(50, 1)), STAGES[4], compared=True).verdict == "INSUFFICIENT"


def test_a_comparison_spends_half_of_its_level_on_each_side() -> None:
    arms = Arms(Tally(400, 8), Tally(3600, 72))
    widest = share_bounds(8, 400, 0.025)[1] - share_bounds(72, 3600, 0.025)[0]
    for limit, verdict in ((widest + 1e-6, "PASS"), (widest - 1e-6, "INSUFFICIENT")):
        worse = Guardrail("fallbacks", 0.001, limit, against="difference")
        assert _one(worse, arms, STAGES[2], compared=True).verdict == verdict


def test_a_comparison_waits_for_its_other_side_and_is_left_out_where_there_is_none() -> None:
    worse = Guardrail("fallbacks", 0.01, 0.03, against="difference")
    assert _one(worse, Arms(Tally(4000, 200)), compared=True).verdict == "INSUFFICIENT"
    seen = Observed("1 %", 0.0, DAY, 4000, arms={"fallbacks": Arms(Tally(4000, 200))})
    assert analyse(Plan(guardrails=(worse,)), ONE_PERCENT, seen).findings == ()


def test_a_guardrail_that_nobody_feeds_is_never_a_pass() -> None:
    found = analyse(PLAN, ONE_PERCENT, Observed("1 %", 0.0, DAY, 5000))
    assert {finding.verdict for finding in found.findings} == {"INSUFFICIENT"}


@pytest.mark.parametrize(
    ("users", "verdict"),
    [((0, 0), "INSUFFICIENT"), ((9, 991), "INSUFFICIENT"), ((60, 5940), "PASS"), ((10, 5990), "FAIL")],
)
def test_the_sample_ratio_is_proven_and_not_assumed(users: tuple[int, int], verdict: Verdict) -> None:
    found = analyse(PLAN, ONE_PERCENT, Observed("1 %", 0.0, DAY, 100, users=users)).sample_ratio
    assert found is not None
    assert (found.guardrail, found.verdict) == (SAMPLE_RATIO, verdict)


def test_where_there_is_one_side_there_is_no_ratio() -> None:
    assert analyse(PLAN, STAGES[-1], Observed("100 %", 0.0, DAY, 100, users=(100, 0))).sample_ratio is None
    assert analyse(PLAN, TESTERS, Observed("testers", 0.0, DAY, 100)).sample_ratio is None


def test_the_calendar_dates_every_stage_and_says_what_takes_so_long() -> None:
    busy = calendar(PLAN, 0.0, calls_per_day=200_000)
    assert [due.enters for due in busy] == [0.0, *(day * DAY for day in (1, 2, 3, 5, 7))]
    assert {due.bound for due in busy} == {"time floor"}
    quiet = calendar(PLAN, 0.0, calls_per_day=5_000)
    assert (quiet[1].stage, quiet[1].bound) == ("1 %", "unsafe")
    assert quiet[1].leaves is not None
    assert quiet[1].enters is not None
    assert quiet[1].leaves - quiet[1].enters > 5 * DAY
    assert quiet[1].calls == pytest.approx(50 * (quiet[1].leaves - quiet[1].enters) / DAY)


def test_without_traffic_the_calendar_says_never() -> None:
    never = calendar(PLAN, 0.0, calls_per_day=0)
    assert (never[1].enters, never[1].leaves) == (DAY, None)
    assert never[2].enters is None


def test_a_release_before_that_used_up_its_budget_makes_for_a_longer_ramp() -> None:
    history = {"errors": Tally(100_000, 1_000)}
    usual, known = (calendar(PLAN, 0.0, 5_000, history=one)[1] for one in ({}, history))
    assert known.leaves is not None
    assert usual.leaves is not None
    assert known.leaves >= usual.leaves
    limit = {"errors": Tally(100_000, 5_000)}
    assert calendar(PLAN, 0.0, 5_000, history=limit)[1].leaves is not None


def test_drafts_and_testers_last_as_long_as_their_floors() -> None:
    plan = Plan(stages=(TESTERS, DRAFTS, *STAGES[1:]), guardrails=PLAN.guardrails)
    dated = calendar(plan, 0.0, 200_000, tester_calls_per_day=10)
    assert (dated[0].leaves, dated[0].bound) == (2.5 * DAY, "evidence floor")
    assert (dated[1].stage, dated[1].share, dated[1].approval) == ("drafts", 0.0, True)
