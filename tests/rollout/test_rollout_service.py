"""The ramp at control: what is kept, who may, what is audited, and what happens by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ramp_world import DAY, EVE, HOUR, NOON, PIA, REL_1, REL_2, UID, World

from roadworthy.rollout.model import Kept
from roadworthy.rollout.rules import Refused
from roadworthy.rollout.service import NotAllowed, Order
from roadworthy.rollout.tokens import ROLLOUT
from roadworthy.workflow.audit import verify
from roadworthy.workflow.model import Objective, Policy, RampBudget, RampStage, RolloutPolicy
from roadworthy.workflow.service import Unknown
from support.evidence import TestSigner

BRIEF = RolloutPolicy(
    stages=[
        RampStage("testers", 0.0, HOUR, 5, False), RampStage("10 %", 0.1, HOUR, 50), RampStage("100 %", 1.0, HOUR, 50),
    ],
    guardrails={
        "errors": RampBudget(0.02, 0.10), "fallbacks": RampBudget(0.1, 0.4), "escalations": RampBudget(0.1, 0.4),
        "unsafe": RampBudget(0.02, 0.1), "thumbs_down": RampBudget(0.05, 0.15),
    },
)  # fmt: skip
POLICY = Policy(testers=["pia"], rollout=BRIEF)


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path if request.param == "sqlite" else None, POLICY)
    yield made
    made.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, POLICY)
    yield made
    made.close()


def start(world: World, **order: Any) -> None:
    world.rollouts.start(Order("support", **order), PIA)


def at_ten(world: World) -> None:
    start(world)
    world.traffic(HOUR, 20)
    world.rollouts.look("support")
    world.rollouts.approve("support", PIA, reason="testers are content")


def seq(world: World) -> int:
    kept = world.rollouts.found("support").kept
    assert kept is not None
    return kept.seq


def denied(world: World) -> list[tuple[str, str]]:
    return [(record.action, record.reason) for record in world.audit() if record.outcome == "denied"]


# --- a whole ramp


def test_a_ramp_goes_from_the_testers_to_everybody_and_is_done(world: World) -> None:
    at_ten(world)
    assert world.rollouts.current("support").share == 0.1  # type: ignore[union-attr]
    world.traffic(3 * HOUR, 3000)
    world.rollouts.look("support")
    world.rollouts.approve("support", PIA, "100%")
    world.traffic(2 * HOUR, 500)
    world.rollouts.look("support")
    rollout = world.rollouts.current("support")
    assert rollout is not None
    assert (rollout.state, rollout.share) == ("done", 1.0)
    assert [passed.stage for passed in rollout.passed] == ["testers", "10 %", "100 %"]
    actions = [record.action for record in world.audit()]
    assert actions == [
        "rollout.start", "rollout.ask", "rollout.approve", "rollout.ask", "rollout.approve", "rollout.complete"
    ]  # fmt: skip
    assert verify([record.as_dict() for record in world.audit()]) is None


def test_a_release_that_fails_is_rolled_back_by_itself_and_somebody_is_told(world: World) -> None:
    at_ten(world)
    world.traffic(HOUR, 3000, bad=lambda digest: {"outcome": "error", "failure": "slow"} if digest == REL_1 else {})
    world.published.clear()
    world.rollouts.look("support")
    rollout = world.rollouts.current("support")
    assert rollout is not None
    assert (rollout.state, rollout.share, rollout.by) == ("rolled_back", 0.0, "engine")
    assert world.published == [world.clock.now]
    opened = world.incidents.list(open_only=True)
    assert any("was rolled back from 10 % to the bypass" in one.title for one in opened)
    last = world.audit()[-1]
    assert (last.action, last.actor) == ("rollout.roll_back", "engine")
    found = {one["guardrail"]: one["verdict"] for one in last.after["analysis"]["findings"]}
    assert found["errors"] == "FAIL"


def test_after_a_ramp_the_next_release_is_compared_with_it(world: World) -> None:
    at_ten(world)
    world.traffic(3 * HOUR, 3000)
    world.rollouts.look("support")
    world.rollouts.approve("support", PIA)
    world.traffic(2 * HOUR, 500)
    world.rollouts.look("support")
    world.freeze()
    start(world)
    rollout = world.rollouts.current("support")
    assert rollout is not None
    assert (rollout.digest, rollout.predecessor, rollout.share) == (REL_2, REL_1, 0.0)


def test_a_release_that_differs_in_handling_only_begins_at_its_predecessors_share(world: World) -> None:
    at_ten(world)
    world.traffic(3 * HOUR, 3000)
    world.rollouts.look("support")
    world.rollouts.approve("support", PIA)
    world.traffic(2 * HOUR, 500)
    world.rollouts.look("support")
    world.freeze(behaviour="beh_1")
    world.evidenced.drilled = False
    with pytest.raises(Refused, match="its drills have not passed yet: `roadworthy drill"):
        start(world)
    world.evidenced.drilled = True
    start(world)
    assert world.rollouts.current("support").share == 1.0  # type: ignore[union-attr]


def test_a_control_that_is_restarted_in_the_middle_goes_on(disk: World) -> None:
    at_ten(disk)
    disk.traffic(2 * HOUR, 1500)
    disk.rollouts.look("support")
    before = disk.rollouts.found("support")
    disk.restart()
    assert disk.rollouts.found("support") == before
    disk.traffic(HOUR, 1500)
    found = disk.rollouts.look("support")
    assert found.kept is not None
    assert found.kept.analysis is not None
    assert found.kept.analysis.calls > 250, "what came before the restart is counted"
    disk.rollouts.approve("support", PIA)
    assert disk.rollouts.current("support").share == 1.0  # type: ignore[union-attr]


# --- what is served


def test_what_serves_is_published_after_its_commit_and_what_does_not_is_not(world: World) -> None:
    start(world)
    assert len(world.published) == 1
    world.rollouts.hold("support", UID)
    world.rollouts.lock("support", UID)
    assert len(world.published) == 1
    world.rollouts.roll_back("support", UID, reason="smells")
    assert len(world.published) == 2


def test_lapsed_evidence_lowers_the_share_and_its_return_raises_it(world: World) -> None:
    at_ten(world)
    world.evidenced.ceiling = 0.01
    world.clock.now += 60
    world.rollouts.look("support")
    assert world.rollouts.current("support").share == 0.01  # type: ignore[union-attr]
    assert world.audit()[-1].action == "rollout.lower"
    world.evidenced.ceiling = 1.0
    world.clock.now += 60
    world.rollouts.look("support")
    assert world.rollouts.current("support").share == 0.1  # type: ignore[union-attr]
    assert world.audit()[-1].action == "rollout.raise"


def test_a_look_that_changes_nothing_leaves_no_audit_record_and_keeps_its_analysis(world: World) -> None:
    start(world)
    world.traffic(600, 3)
    records = len(world.audit())
    world.rollouts.look("support")
    assert len(world.audit()) == records
    kept = world.rollouts.found("support").kept
    assert kept is not None
    assert kept.analysis is not None
    assert kept.analysis.calls == 3


def test_a_kill_holds_the_ramp_and_ends_every_session(world: World) -> None:
    at_ten(world)
    world.rollouts.killed("support", "eve", "smoke")
    rollout = world.rollouts.current("support")
    assert rollout is not None
    assert (rollout.state, rollout.by, rollout.epoch, rollout.share) == ("held", "eve", 1, 0.1)
    assert world.rollouts.killed("other", "eve", "") is None
    world.rollouts.resume("support", PIA, "it was the kettle")
    assert world.rollouts.current("support").state == "ramping"  # type: ignore[union-attr]


# --- evasions


def test_a_row_that_somebody_else_signed_is_no_ramp(world: World) -> None:
    at_ten(world)
    kept = world.rollouts.found("support").kept
    assert kept is not None
    wide = msgspec.structs.replace(kept, rollout=msgspec.structs.replace(kept.rollout, at=2), seq=99)
    with world.state.write() as tx:
        tx.put_rollout("default", "support", ROLLOUT.sealed(wide, TestSigner("somebody")))
    found = world.rollouts.found("support")
    assert found.kept is None
    assert "not signed by this install" in found.forged
    assert world.rollouts.current("support") is None
    with pytest.raises(Refused, match="somebody wrote into the database; begin one"):
        world.rollouts.approve("support", PIA)


def test_an_older_row_put_back_is_a_replay(world: World) -> None:
    at_ten(world)
    with world.state.read() as tx:
        old = tx.rollout("support")
    world.rollouts.roll_back("support", UID, reason="bad")
    with world.state.write() as tx:
        tx.put_rollout("default", "support", old)
    assert "a replay" in world.rollouts.found("support").forged
    assert world.rollouts.current("support") is None


def test_no_number_of_denials_hides_a_replay_or_numbers_changes_anew(world: World) -> None:
    at_ten(world)
    with world.state.read() as tx:
        old = tx.rollout("support")
    world.rollouts.roll_back("support", UID, reason="bad")
    changes = seq(world)
    for _ in range(60):
        with pytest.raises(NotAllowed):
            world.rollouts.resume("support", EVE)
    world.rollouts.lock("support", UID)
    assert seq(world) == changes + 1
    for _ in range(60):
        with pytest.raises(NotAllowed):
            world.rollouts.unlock("support", EVE)
    with world.state.write() as tx:
        tx.put_rollout("default", "support", old)
    assert "a replay" in world.rollouts.found("support").forged


def test_the_row_of_another_workflow_counts_for_nothing(world: World) -> None:
    start(world)
    with world.state.write() as tx:
        tx.put_rollout("default", "other", tx.rollout("support"))
    assert "that of support" in world.rollouts.all()["other"].forged


def test_a_ramp_begun_after_a_forgery_keeps_no_session(world: World) -> None:
    at_ten(world)
    world.rollouts.roll_back("support", UID)
    with world.state.write() as tx:
        tx.put_rollout("default", "support", "rwo-nonsense")
    start(world)
    rollout = world.rollouts.current("support")
    assert rollout is not None
    assert (rollout.share, rollout.epoch) == (0.0, 2)


# --- who may, and bad input: refused with the reason, and audited


@pytest.mark.parametrize("act", ["approve", "resume", "unlock"])
def test_only_the_workflow_owner_widens(world: World, act: str) -> None:
    start(world)
    for actor in (EVE, UID):
        with pytest.raises(
            NotAllowed, match=f"{actor.id} may not {act} the ramp of support: pia, its workflow owner, may"
        ):
            getattr(world.rollouts, act)("support", actor)
    assert [action for action, _ in denied(world)] == [f"rollout.{act}"] * 2


def test_only_the_workflow_owner_begins(world: World) -> None:
    with pytest.raises(NotAllowed):
        world.rollouts.start(Order("support"), EVE)
    assert denied(world)[0][0] == "rollout.start"
    assert world.rollouts.current("support") is None


def test_anybody_may_hold_roll_back_and_lock(world: World) -> None:
    start(world)
    world.rollouts.hold("support", EVE, "wait")
    world.rollouts.lock("support", UID, "audit week")
    world.rollouts.roll_back("support", EVE)
    assert denied(world) == []


def test_approval_of_a_stale_analysis_is_refused(world: World) -> None:
    start(world)
    world.traffic(HOUR, 20)
    world.rollouts.look("support")
    world.clock.now += 31 * 60
    with pytest.raises(Refused, match=r"the analysis is 31 min old: at most 30 min count; wait for a new one"):
        world.rollouts.approve("support", PIA, reason="looks fine")
    assert "said: looks fine" in denied(world)[0][1]


def test_a_ramp_above_the_ceiling_is_refused(world: World) -> None:
    start(world)
    world.traffic(HOUR, 20)
    world.evidenced.ceiling = 0.01
    world.rollouts.look("support")
    with pytest.raises(Refused, match="10 % is above the ceiling of 1 % that the evidence allows: `roadworthy ready"):
        world.rollouts.approve("support", PIA)
    assert denied(world)[0][0] == "rollout.approve"


def test_an_unknown_stage_is_named_with_those_that_there_are(world: World) -> None:
    with pytest.raises(Refused, match="no stage '30 %': expected one of testers, 10 %, 100 %"):
        start(world, stage="30 %")
    start(world)
    with pytest.raises(Refused, match="no stage 'all'"):
        world.rollouts.approve("support", PIA, "all")
    with pytest.raises(Refused, match="one stage follows another: next is 10 %"):
        world.rollouts.approve("support", PIA, "100%")
    assert len(denied(world)) == 3


def test_a_ramp_without_users_is_not_begun_unless_told(world: World) -> None:
    from roadworthy.inference_log.model import Batch

    calls = [world.call(NOON - 60, unit_source="random" if number < 2 else "user") for number in range(20)]
    world.log.ship(Batch(ends=calls))
    with pytest.raises(
        Refused, match=r"10 % of its calls carry no user.*x-roadworthy-user.*safety_identifier.*--accept-unknown"
    ):
        start(world)
    start(world, accept_unknown=True)


def test_a_locked_ramp_is_widened_only_after_its_owner_unlocks_it(world: World) -> None:
    start(world)
    world.traffic(HOUR, 20)
    world.rollouts.look("support")
    world.rollouts.lock("support", EVE, "audit week")
    with pytest.raises(Refused, match=r"eve has locked it \(audit week\)"):
        world.rollouts.approve("support", PIA)
    world.rollouts.unlock("support", PIA)
    world.rollouts.approve("support", PIA)


def test_workflows_and_releases_that_there_are_not_are_unknown(world: World) -> None:
    with pytest.raises(Unknown, match="no workflow 'suport': did you mean 'support'"):
        world.rollouts.start(Order("suport"), PIA)
    with pytest.raises(Unknown, match="no release '7' of support; releases: 1"):
        start(world, release="7")
    with pytest.raises(Unknown, match="no workflow 'x'"):
        world.rollouts.hold("x", UID)
    with pytest.raises(Refused, match="support has no ramp; begin one with: roadworthy rollout start support"):
        world.rollouts.hold("support", UID)


def test_a_second_ramp_waits_for_the_first(world: World) -> None:
    start(world)
    world.freeze()
    with pytest.raises(Refused, match="one release is ramped at a time"):
        start(world)


# --- the audit question


def test_who_allowed_ten_percent_at_that_hour_and_on_what_evidence(world: World) -> None:
    at_ten(world)
    when = world.clock.now
    world.traffic(HOUR, 500)
    world.rollouts.look("support")
    world.rollouts.roll_back("support", UID, reason="later")
    newest = world.rollouts.history("support", at=when + 120)[0]
    assert (newest.actor, newest.on_behalf_of, newest.action) == ("pia", "os:1000", "approve")
    assert newest.reason == "testers are content"
    assert newest.evidence == "rcp_1, evd_1, evd_2"
    assert newest.after is not None
    assert newest.before is not None
    assert (newest.before["share"], newest.after["share"], newest.after["receipt"]) == (0.0, 0.1, "rcp_1")
    assert newest.after["analysis"]["stage"] == "testers"
    assert newest.after["analysis"]["calls"] == 20
    assert [(gate["name"], gate["verdict"]) for gate in newest.after["gates"]][-1] == ("approval", "PASS")
    assert world.rollouts.history("support")[0].action == "roll_back"


# --- the calendar


def test_a_prospect_is_dated_and_changes_nothing(world: World) -> None:
    from roadworthy.inference_log.model import Batch

    world.log.ship(Batch(ends=[world.call(NOON - DAY + number * 40, unit=f"u-{number}") for number in range(2000)]))
    found = world.rollouts.prospect(Order("support"), PIA)
    assert [due.stage for due in found.calendar] == ["testers", "10 %", "100 %"]
    assert found.calendar[0].enters == NOON
    assert found.calls_per_day == pytest.approx(2000, rel=0.01)
    assert found.unknown_share == 0.0
    assert world.audit() == []


def test_a_prospect_says_what_stands_in_its_way(world: World) -> None:
    world.evidenced.ceiling = 0.1
    warnings = "\n".join(world.rollouts.prospect(Order("support"), PIA).warnings)
    assert "its evidence allows 10 % today, so it stops after 10 %" in warnings
    assert "no live call came in lately, so nothing would ever be proven" in warnings
    assert "whoever is outside its share gets the bypass" in warnings


# --- the plan


def test_the_plan_is_the_built_in_one_with_what_the_policy_says() -> None:
    from roadworthy.rollout.model import GUARDRAILS, STAGES, Plan
    from roadworthy.rollout.planning import plan_of
    from roadworthy.rollout.rules import vet

    assert plan_of(Policy()) == Plan()
    own = RolloutPolicy(
        stages=[RampStage("half", 0.5), RampStage("all", 1.0)],
        drafts=True,
        guardrails={
            "latency_p99": RampBudget(2.0, 4.0), "cost_ratio": RampBudget(1.1, 1.5), "tone": RampBudget(0.02, 0.1),
        },
    )  # fmt: skip
    plan = plan_of(Policy(rollout=own, objective=Objective(latency_p95=1.0)))
    vet(plan)
    assert [stage.name for stage in plan.stages] == ["testers", "drafts", "half", "all"]
    rails = {one.name: one for one in plan.guardrails}
    assert set(rails) == {*(one.name for one in GUARDRAILS), "latency_p95", "latency_p99", "cost_ratio", "tone"}
    assert (rails["latency_p99"].measure, rails["latency_p99"].quantile) == ("quantile", 0.99)
    assert (rails["latency_p95"].budget, rails["latency_p95"].limit) == (1.0, 1.5)
    assert (rails["cost_ratio"].measure, rails["cost_ratio"].against) == ("mean", "ratio")
    assert (rails["tone"].measure, rails["tone"].back_to) == ("share", "release")
    assert STAGES[0].name == "testers"
    versus = RolloutPolicy(guardrails={"latency_p99_ratio": RampBudget(1.1, 1.5)})
    with pytest.raises(Refused, match="latency_ratio compares with the release before"):
        vet(plan_of(Policy(rollout=versus)))


def test_what_is_kept_survives_being_sealed(world: World) -> None:
    start(world)
    kept = world.rollouts.found("support").kept
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Kept) == kept


def test_a_start_that_is_refused_before_it_is_confirmed_is_audited_as_denied(world: World) -> None:
    with pytest.raises(Refused, match="no stage '7%': expected one of testers, 10 %, 100 %"):
        world.rollouts.prospect(Order("support", stage="7%"), PIA)
    (record,) = world.audit()
    assert (record.actor, record.action, record.target, record.outcome) == (
        "pia", "rollout.start", "rollout/support", "denied"
    )  # fmt: skip
    assert "no stage '7%'" in record.reason


def test_a_calendar_is_not_drawn_for_a_stage_at_which_no_ramp_begins(world: World) -> None:
    with pytest.raises(Refused, match="a ramp cannot begin at 100%: the evidence for it comes from the stages before"):
        world.rollouts.prospect(Order("support", stage="100%"), PIA)
