"""What the log says of a ramp, as counts; and how alike the calls of one user are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from ramp_world import NOON, REL_1, REL_2, World

from roadworthy.inference_log.model import Batch
from roadworthy.operations.ramps.guardrails import LogFeed
from roadworthy.rollout.analysis import analyse
from roadworthy.rollout.model import DRAFTS, TESTERS, Guardrail, Plan, Rollout, Stage, Tally
from roadworthy.rollout.planning import KNOWN
from roadworthy.statistics.clusters import correlation, worth
from roadworthy.workflow.inference import Feedback

LIVE = Stage("10 %", 0.1)
RAILS = (
    Guardrail("errors", 0.01, 0.03),
    Guardrail("escalations", 0.1, 0.2),
    Guardrail("unsafe", 0.002, 0.01, back_to="release"),
    Guardrail("thumbs_down", 0.05, 0.15, proves=False),
    Guardrail("tone", 0.05, 0.15, back_to="release"),
    msgspec.structs.replace(KNOWN["latency_p99"], budget=1.0, limit=2.0),
    msgspec.structs.replace(KNOWN["cost"], budget=0.002, limit=0.004),
    Guardrail("cost_ratio", 1.2, 2.0, measure="mean", against="ratio"),
)


def ramp(stage: Stage = LIVE, predecessor: str | None = REL_1, ceiling: float = 1.0) -> Rollout:
    plan = Plan(stages=(TESTERS, DRAFTS, LIVE, Stage("100 %", 1.0)), guardrails=RAILS)
    at = [one.name for one in plan.stages].index(stage.name)
    return Rollout("default", "support", REL_2, plan, predecessor, "ramping", at, NOON, ceiling)


def observed(world: World, rollout: Rollout) -> Any:
    return LogFeed(world.log).observe(rollout, NOON + 100)


def test_both_sides_are_counted_and_classes_are_not_pooled() -> None:
    world = World()
    world.log.ship(
        Batch(
            ends=[
                world.call(NOON + 1, digest=REL_2, cost_usd=0.004, unit="a"),
                world.call(NOON + 2, digest=REL_2, outcome="error", latency=3.0, unit="b"),
                world.call(NOON + 3, digest=REL_1, route="previous", unit="c"),
                world.call(NOON + 4, digest=REL_2, traffic="tester"),
                world.call(NOON + 5, digest=REL_2, traffic="load"),
                world.call(NOON - 5, digest=REL_2),
            ]
        )
    )
    found = observed(world, ramp())
    assert (found.calls, found.last_call, found.users, found.compared) == (2, NOON + 2, (2, 1), True)
    assert found.arms["errors"].treated == Tally(2, 1, 1, bad_design=1.0)
    assert found.arms["errors"].control == Tally(1, 0, 0)
    assert found.arms["cost_ratio"].treated.total == pytest.approx(0.005)
    assert found.arms["latency_p99"].treated == Tally(1, 0, 0)


def test_the_testers_stage_counts_testers_and_nobody_else() -> None:
    world = World()
    world.log.ship(Batch(ends=[world.call(NOON + 1, digest=REL_2, traffic="tester"), world.call(NOON, digest=REL_2)]))
    found = observed(world, ramp(TESTERS))
    assert (found.calls, found.users, found.compared) == (1, None, False)


def test_drafts_are_live_calls_that_go_to_a_person_on_purpose() -> None:
    world = World()
    world.log.ship(Batch(ends=[world.call(NOON + 1, digest=REL_2, outcome="escalated")]))
    found = observed(world, ramp(DRAFTS))
    assert found.calls == 1
    assert "escalations" not in found.arms
    assert found.arms["errors"].treated.n == 1


def test_at_the_last_stage_there_is_no_other_side() -> None:
    world = World()
    found = observed(world, ramp(Stage("100 %", 1.0)))
    assert (found.users, found.compared, found.share) == (None, False, 1.0)


def test_under_a_ceiling_the_share_is_the_one_that_was_served() -> None:
    assert observed(World(), ramp(ceiling=0.02)).share == 0.02


def test_shadow_calls_count_for_answers_and_never_for_business() -> None:
    world = World()
    shadow = world.call(NOON + 1, digest=REL_2, traffic="shadow", outcome="blocked", failure="unsafe")
    live = world.call(NOON + 2, digest=REL_2)
    said = [
        Feedback(shadow.id, NOON + 3, "tone", score=0.0), Feedback(live.id, NOON + 3, "tone", score=1.0),
        Feedback(shadow.id, NOON + 3, "thumb", score=0.0), Feedback(live.id, NOON + 3, "thumb", score=1.0),
    ]  # fmt: skip
    world.log.ship(Batch(ends=[shadow, live], feedback=said))
    arms = observed(world, ramp()).arms
    assert (arms["unsafe"].treated.n, arms["unsafe"].treated.total) == (2, 1)
    assert (arms["tone"].treated.n, arms["tone"].treated.total) == (2, 1)
    assert (arms["errors"].treated.n, arms["thumbs_down"].treated.n, arms["thumbs_down"].treated.total) == (1, 1, 0)


def test_a_p99_is_proven_by_the_share_of_slower_calls() -> None:
    world = World()
    for number in range(1200):
        world.log.ship(Batch(ends=[world.call(NOON + 1, digest=REL_2, unit=f"u-{number}", latency=0.5)]))
    rollout = ramp()
    found = {one.guardrail: one for one in analyse(rollout.plan, rollout.stage, observed(world, rollout)).findings}
    assert found["latency_p99"].verdict == "PASS"
    assert "above 1 s, 1.00 % allowed: proven below 2 s" in found["latency_p99"].text
    world.log.ship(Batch(ends=[world.call(NOON + 2, digest=REL_2, unit=f"s-{n}", latency=1.5) for n in range(150)]))
    found = {one.guardrail: one for one in analyse(rollout.plan, rollout.stage, observed(world, rollout)).findings}
    assert found["latency_p99"].verdict == "FAIL"


def test_one_user_who_fails_a_hundred_times_rolls_nothing_back_and_lets_nothing_on() -> None:
    world = World()
    ends = [world.call(NOON + 1, digest=REL_2, unit=f"u-{n}") for n in range(300)]
    ends += [world.call(NOON + 1, digest=REL_2, unit="loop", outcome="error") for _ in range(100)]
    world.log.ship(Batch(ends=ends))
    rollout = ramp()
    tally = observed(world, rollout).arms["errors"].treated
    assert (tally.n, tally.total) == (400, 100)
    assert tally.counting[0] == pytest.approx(301, abs=1), "each other user counts in full"
    assert tally.counting[1] == pytest.approx(1, abs=0.1)
    found = {one.guardrail: one for one in analyse(rollout.plan, rollout.stage, observed(world, rollout)).findings}
    assert found["errors"].verdict == "INSUFFICIENT"


def test_how_alike_the_calls_of_a_user_are() -> None:
    def alike(total: float, totals: float) -> float:
        return correlation(100, total, total, sizes=1000, totals=totals, products=10 * total, bad=total)

    assert alike(50, 500) > 0.9, "ten users of ten calls, all or none of them bad"
    assert alike(50, 250) < 0.02, "every user has five bad ones"
    assert alike(0, 0) == pytest.approx(0.1), "until bad ones were seen, a little"
    assert correlation(100, 10, 10, sizes=100, totals=10, products=10, bad=10) == 0.0, "one call of each"
    assert worth(1, 1.0) == 1.0
    assert 100 * worth(100, 1.0) == pytest.approx(1.0)
