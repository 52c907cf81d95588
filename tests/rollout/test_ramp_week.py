"""A ramp of the built-in stages over its real days, on the real stores, in moments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from ramp_world import DAY, HOUR, PIA, World

from roadworthy.rollout.model import Rollout
from roadworthy.rollout.service import Order
from roadworthy.workflow.model import Policy, RampBudget, RampStage, RolloutPolicy

STAGES = [
    RampStage("testers", 0.0, DAY, 25, False), RampStage("1 %", 0.01, DAY, 25), RampStage("10 %", 0.1, DAY, 100),
    RampStage("25 %", 0.25, 2 * DAY, 100), RampStage("50 %", 0.5, 2 * DAY, 100), RampStage("100 %", 1.0, DAY, 100),
]  # fmt: skip
WIDE = {name: RampBudget(0.02, 0.35) for name in ("errors", "fallbacks", "escalations", "unsafe", "thumbs_down")}


@pytest.fixture
def week(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, Policy(testers=["pia"], rollout=RolloutPolicy(stages=STAGES, guardrails=WIDE)))
    yield made
    made.close()


def test_a_healthy_release_reaches_everybody_in_its_week(week: World) -> None:
    begun = week.clock.now
    week.rollouts.start(Order("support"), PIA)
    shares = []
    for half in range(30):
        rollout = current(week)
        if rollout.state == "done":
            break
        week.traffic(DAY / 2, 60 if rollout.share == 0 else 1600, users=100_000)
        if half == 7:
            week.restart()
        week.rollouts.look("support")
        if current(week).asked:
            week.rollouts.approve("support", PIA)
        shares.append(current(week).share)
    assert current(week).state == "done"
    assert shares == sorted(shares), "nobody leaves as it widens"
    assert [passed.stage for passed in current(week).passed] == [stage.name for stage in STAGES]
    assert (week.clock.now - begun) / DAY <= 12
    assert [passed.by for passed in current(week).passed] == [*["pia"] * 5, "engine"]


def test_a_release_that_turns_bad_at_a_quarter_is_back_at_ten_percent_within_the_hour(week: World) -> None:
    week.rollouts.start(Order("support"), PIA)
    while current(week).stage.name != "25 %":
        week.traffic(DAY / 2, 60 if current(week).share == 0 else 1600, users=100_000)
        week.rollouts.look("support")
        if current(week).asked:
            week.rollouts.approve("support", PIA)
    turned = week.clock.now
    digest, calls = current(week).digest, itertools.count()

    def every_other_fails(side: str | None) -> dict[str, str]:
        return {"outcome": "error", "failure": "slow"} if side == digest and next(calls) % 2 else {}

    while current(week).state == "ramping" and week.clock.now < turned + DAY:
        week.traffic(HOUR / 4, 80, users=100_000, bad=every_other_fails)
        week.rollouts.look("support")
    rollout = current(week)
    assert (rollout.state, rollout.stage.name, rollout.epoch) == ("rolled_back", "10 %", 1)
    assert week.clock.now - turned <= HOUR
    [incident] = [one for one in week.incidents.list(open_only=True) if one.kind == "incident"]
    assert "was rolled back from 25 % to 10 % by engine" in incident.title


def current(world: World) -> Rollout:
    found = world.rollouts.current("support")
    assert found is not None
    return found
