"""A ramp goes up on evidence, one stage at a time, and down at once."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from rollout_support import OWNER, PLAN, analysis, at_stage, done, dwelt, started

from roadworthy.evidence.kinds import Verdict
from roadworthy.rollout.events import (
    Approve,
    Ask,
    Hold,
    Killed,
    Look,
    Resume,
    RollBack,
    Serve,
    SetLock,
    Start,
    Tell,
    Unlock,
)
from roadworthy.rollout.gates import ORDER, gates
from roadworthy.rollout.model import DRAFTS, ENGINE, STAGES, TESTERS, Guardrail, Plan, Rollout, Room, Stage
from roadworthy.rollout.rules import TRANSITIONS, Refused, begin, decide, vet


def _served(effects: tuple[object, ...]) -> Serve:
    return next(effect for effect in effects if isinstance(effect, Serve))


def _frozen(plan: Plan = PLAN) -> Rollout:
    return begin("default", "support-reply", "rel_new", plan, predecessor="rel_old")


def test_a_healthy_release_goes_from_testers_to_everybody_in_a_week() -> None:
    rollout, shares = started(), []
    while rollout.state != "done":
        now = dwelt(rollout)
        shares.append(rollout.share)
        if rollout.next is None or not rollout.next.approval:
            rollout, _ = decide(rollout, Look(1.0, analysis(rollout, now)), now)
        else:
            rollout, _ = decide(rollout, Approve(OWNER, 1.0, analysis(rollout, now)), now)
    assert shares == [0.0, 0.01, 0.1, 0.25, 0.5, 1.0]
    assert at_stage("100 %").entered_at == 7 * 86_400


def test_who_allowed_a_stage_on_what_evidence_is_kept() -> None:
    rollout = at_stage("25 %")
    allowed = rollout.passed[-1]
    assert (allowed.stage, allowed.by, allowed.at) == ("10 %", OWNER, rollout.entered_at)
    assert allowed.analysis is not None
    assert allowed.analysis.stage == "10 %"


def test_the_gates_are_asked_in_the_order_of_the_design() -> None:
    rollout = started()
    assert tuple(gate.name for gate in gates(rollout, None, 1.0, 0.0, approved=False)) == ORDER


@pytest.mark.parametrize(
    ("gate", "change"),
    [
        ("dwell", lambda a, now: (a, now - 1)),
        ("dwell", lambda a, now: (replace(a, calls=99), now)),
        ("analysis", lambda a, now: (None, now)),
        ("analysis", lambda a, now: (replace(a, stage="1 %"), now)),
        ("analysis", lambda a, now: (replace(a, since=a.since - 1), now)),
        ("analysis", lambda a, now: (a, now + 1801)),
        ("analysis", lambda a, now: (replace(a, until=now + 60), now)),
        ("traffic", lambda a, now: (replace(a, last_call=None), now)),
        ("traffic", lambda a, now: (replace(a, last_call=now - 86_401), now)),
        ("guardrails", lambda a, now: (replace(a, findings=a.findings[1:]), now)),
        ("guardrails", lambda a, now: (replace(a, findings=(replace(a.findings[0], verdict="INSUFFICIENT"),)), now)),
        ("sample ratio", lambda a, now: (replace(a, sample_ratio=None), now)),
        (
            "sample ratio",
            lambda a, now: (replace(a, sample_ratio=replace(a.sample_ratio, verdict="INSUFFICIENT")), now),
        ),
    ],
)
def test_each_gate_alone_holds_it_and_refuses_its_approval(gate: str, change: object) -> None:
    rollout = at_stage("10 %")
    found, now = change(analysis(rollout, dwelt(rollout)), dwelt(rollout))  # type: ignore[operator]
    unmet = [one.name for one in gates(rollout, found, 1.0, now, approved=True) if one.verdict != "PASS"]
    assert gate in unmet
    assert decide(rollout, Look(1.0, found), now) == (rollout, ())
    with pytest.raises(Refused, match=f"approval comes last.*{gate}"):
        decide(rollout, Approve(OWNER, 1.0, found), now)


@pytest.mark.parametrize("verdict", ["FAIL", "INSUFFICIENT"])
def test_it_goes_no_further_than_people_can_answer_and_says_why(verdict: Verdict) -> None:
    rollout = at_stage("10 %")
    now = dwelt(rollout)
    found, room = analysis(rollout, now), Room(verdict, "at 25 % about 40 an hour arrive, 2 people answer 24")
    after, effects = decide(rollout, Look(1.0, found, room), now)
    assert (after, effects) == (rollout, ())
    with pytest.raises(Refused, match="people: at 25 % about 40 an hour arrive, 2 people answer 24"):
        decide(rollout, Approve(OWNER, 1.0, found, room=room), now)
    wide, _ = decide(rollout, Approve(OWNER, 1.0, found, room=replace(room, verdict="PASS")), now)
    assert wide.stage.name == "25 %"


def test_a_person_is_asked_once_and_only_when_nothing_else_is_missing() -> None:
    rollout = at_stage("10 %")
    now = dwelt(rollout)
    asked, effects = decide(rollout, Look(1.0, analysis(rollout, now)), now)
    assert [effect.stage for effect in effects if isinstance(effect, Ask)] == ["25 %"]
    assert asked.stage.name == "10 %"
    assert decide(asked, Look(1.0, analysis(asked, now)), now) == (asked, ())


def test_a_thumb_down_guardrail_need_not_be_proven() -> None:
    rollout = at_stage("10 %")
    now = dwelt(rollout)
    after, _ = decide(rollout, Approve(OWNER, 1.0, analysis(rollout, now, thumbs_down="INSUFFICIENT")), now)
    assert after.stage.name == "25 %"


def test_testers_need_prove_nothing_but_must_not_fail() -> None:
    rollout = started()
    now = dwelt(rollout)
    found = analysis(rollout, now, 25, errors="INSUFFICIENT", unsafe="INSUFFICIENT")
    assert decide(rollout, Approve(OWNER, 1.0, found), now)[0].stage.name == "1 %"
    assert decide(rollout, Look(1.0, analysis(rollout, now, unsafe="FAIL")), now)[0].state == "rolled_back"


def test_a_ramp_above_the_ceiling_is_refused_with_what_raises_it() -> None:
    rollout = at_stage("10 %")
    now = dwelt(rollout)
    with pytest.raises(Refused, match=r"25 % is above the ceiling of 10 %.*roadworthy ready support-reply"):
        decide(rollout, Approve(OWNER, 0.10, analysis(rollout, now)), now)
    with pytest.raises(Refused, match=r"1 % is above the ceiling of 0 %"):
        decide(_frozen(), Start(OWNER, 0.0, 0.0, stage="1 %"), 0.0)


def test_an_unknown_stage_and_one_that_is_not_next_are_refused() -> None:
    rollout = at_stage("10 %")
    now = dwelt(rollout)
    with pytest.raises(Refused, match=r"no stage '30 %': expected one of testers, 1 %, 10 %"):
        decide(rollout, Approve(OWNER, 1.0, analysis(rollout, now), stage="30 %"), now)
    with pytest.raises(Refused, match=r"is at 10 %, one stage follows another: next is 25 %"):
        decide(rollout, Approve(OWNER, 1.0, analysis(rollout, now), stage="50 %"), now)
    assert decide(rollout, Approve(OWNER, 1.0, analysis(rollout, now), stage="25%"), now)[0].stage.name == "25 %"


def test_a_ramp_begins_with_testers_or_the_first_live_stage_and_nowhere_else() -> None:
    assert decide(_frozen(), Start(OWNER, 1.0, 0.0, stage="1 %"), 0.0)[0].stage.name == "1 %"
    with pytest.raises(Refused, match=r"cannot begin at 25 %.*expected testers or 1 %"):
        decide(_frozen(), Start(OWNER, 1.0, 0.0, stage="25 %"), 0.0)


def test_calls_without_a_user_hold_up_the_start_unless_told() -> None:
    with pytest.raises(Refused, match=r"6 % of its calls carry no user.*x-roadworthy-user"):
        decide(_frozen(), Start(OWNER, 1.0, unknown_share=0.06), 0.0)
    assert decide(_frozen(), Start(OWNER, 1.0, 0.06, unknown_accepted=True), 0.0)[0].state == "ramping"
    assert decide(_frozen(), Start(OWNER, 1.0, 0.05), 0.0)[0].state == "ramping"


def test_a_change_of_handling_begins_at_its_predecessors_share_once_its_drills_pass() -> None:
    with pytest.raises(Refused, match=r"drills have not passed.*drill support-reply --all.*begins at 50 %"):
        decide(_frozen(), Start(OWNER, 1.0, 0.0, inherits=0.5), 0.0)
    assert decide(_frozen(), Start(OWNER, 1.0, 0.0, inherits=0.5, drilled=True), 0.0)[0].share == 0.5
    assert decide(_frozen(), Start(OWNER, 0.1, 0.0, inherits=0.5, drilled=True), 0.0)[0].share == 0.1


def test_trouble_that_grows_with_traffic_goes_back_to_the_last_share_with_evidence() -> None:
    rollout = at_stage("50 %")
    now = rollout.entered_at + 60
    back, effects = decide(rollout, Look(1.0, analysis(rollout, now, errors="FAIL")), now)
    assert (back.state, back.stage.name, back.by) == ("rolled_back", "25 %", ENGINE)
    assert _served(effects).share == 0.25
    assert [effect.kind for effect in effects if isinstance(effect, Tell)] == ["incident"]
    again, _ = decide(back, Look(1.0, analysis(back, now + 60, errors="FAIL")), now + 60)
    assert again.stage.name == "10 %"


def test_a_release_that_was_done_goes_back_too() -> None:
    rollout = done()
    now = rollout.entered_at + 9e5
    back, _ = decide(rollout, Look(1.0, analysis(rollout, now, errors="FAIL")), now)
    assert (back.state, back.stage.name) == ("rolled_back", "50 %")


def test_a_rollback_never_raises_a_share_that_lapsed_evidence_has_lowered() -> None:
    rollout = at_stage("25 %")
    now = rollout.entered_at + 60
    locked, _ = decide(decide(rollout, Look(0.01, None), now)[0], SetLock("ops"), now)
    for ceiling in (0.01, 1.0):
        back, _ = decide(locked, Look(ceiling, analysis(locked, now + 60, errors="FAIL")), now + 60)
        assert (back.stage.name, back.share) == ("10 %", 0.01)


def test_a_bad_release_is_left_altogether() -> None:
    rollout = at_stage("50 %")
    now = rollout.entered_at + 60
    back, effects = decide(rollout, Look(1.0, analysis(rollout, now, unsafe="FAIL")), now)
    assert (back.state, back.share) == ("rolled_back", 0.0)
    assert (_served(effects).share, _served(effects).otherwise) == (0.0, "rel_old")


def test_a_release_that_fails_at_its_first_live_stage_gets_no_live_traffic() -> None:
    rollout = at_stage("1 %")
    back, _ = decide(rollout, Look(1.0, analysis(rollout, rollout.entered_at, errors="FAIL")), rollout.entered_at)
    assert back.share == 0.0


def test_it_is_rolled_back_even_where_it_is_done_held_or_locked() -> None:
    rollout = at_stage("50 %")
    locked = decide(rollout, SetLock("ops", "peak season"), rollout.entered_at)[0]
    held = decide(rollout, Hold(OWNER), rollout.entered_at)[0]
    for one in (done(), locked, held):
        now = one.entered_at + 60
        assert decide(one, Look(1.0, analysis(one, now, unsafe="FAIL")), now)[0].share == 0.0
        assert decide(one, RollBack(OWNER), now)[0].share == 0.0


def test_an_old_failure_of_another_visit_rolls_nothing_back() -> None:
    rollout = at_stage("25 %")
    old = replace(analysis(rollout, rollout.entered_at, errors="FAIL"), since=rollout.entered_at - 1)
    assert decide(rollout, Look(1.0, old), rollout.entered_at + 5) == (rollout, ())


def test_a_rollback_ends_the_sessions_on_the_release_and_widening_does_not() -> None:
    rollout = at_stage("50 %")
    assert rollout.epoch == started().epoch
    assert decide(rollout, RollBack(OWNER), 1e6)[0].epoch == rollout.epoch + 1
    assert decide(rollout, Killed("ops"), 1e6)[0].epoch == rollout.epoch + 1


def test_a_rollback_twice_is_one() -> None:
    back, _ = decide(at_stage("50 %"), RollBack(OWNER), 1e6)
    assert decide(back, RollBack(OWNER), 1e6 + 1) == (back, ())
    with pytest.raises(Refused, match="has not begun"):
        decide(_frozen(), RollBack(OWNER), 0.0)


def test_a_wrong_sample_ratio_holds_it_and_its_evidence_begins_anew() -> None:
    rollout = at_stage("10 %")
    now = dwelt(rollout)
    held, effects = decide(rollout, Look(1.0, analysis(rollout, now, sample_ratio="FAIL")), now)
    assert (held.state, held.share) == ("held", 0.1)
    assert [effect.kind for effect in effects if isinstance(effect, Tell)] == ["alert"]
    resumed, _ = decide(held, Resume(OWNER, 1.0), now + 60)
    assert resumed.entered_at == now + 60


def test_what_a_person_holds_goes_on_with_its_evidence() -> None:
    rollout = at_stage("10 %")
    held, _ = decide(rollout, Hold(OWNER, "lunch"), dwelt(rollout))
    with pytest.raises(Refused, match=r"it is held at 10 %, so it cannot be widened: it can be resumed"):
        decide(held, Approve(OWNER, 1.0, analysis(held, dwelt(held))), dwelt(held))
    resumed, _ = decide(held, Resume(OWNER, 1.0), dwelt(rollout) + 60)
    assert (resumed.state, resumed.entered_at) == ("ramping", rollout.entered_at)


def test_a_killed_ramp_is_held_until_somebody_resumes_it() -> None:
    killed, _ = decide(at_stage("25 %"), Killed("ops"), 1e6)
    assert killed.state == "held"
    assert decide(killed, Resume(OWNER, 1.0), 1e6 + 9)[0].entered_at == 1e6


def test_lapsed_evidence_lowers_the_share_and_gives_it_back() -> None:
    rollout = at_stage("25 %")
    now = rollout.entered_at + 60
    lowered, effects = decide(rollout, Look(0.01, analysis(rollout, now)), now)
    assert (lowered.share, lowered.stage.name, _served(effects).share) == (0.01, "25 %", 0.01)
    raised, effects = decide(lowered, Look(1.0, None), now + 60)
    assert (raised.share, raised.entered_at, _served(effects).share) == (0.25, now + 60, 0.25)


def test_a_locked_ramp_never_gets_more_traffic() -> None:
    rollout = at_stage("25 %")
    now = dwelt(rollout)
    locked, _ = decide(rollout, SetLock("ops", "peak season"), now)
    for event in (
        Approve(OWNER, 1.0, analysis(locked, now)),
        Hold(OWNER),
        SetLock("ops"),
    ):
        with pytest.raises(Refused, match="ops has locked it \\(peak season\\)"):
            decide(locked, event, now)
    assert decide(locked, Look(1.0, analysis(locked, now)), now) == (locked, ())
    lowered, _ = decide(locked, Look(0.01, None), now)
    assert lowered.share == 0.01
    assert decide(lowered, Look(1.0, None), now + 1)[0].share == 0.01
    unlocked, _ = decide(locked, Unlock(OWNER), now)
    assert decide(unlocked, Approve(OWNER, 1.0, analysis(unlocked, now)), now)[0].stage.name == "50 %"


def test_one_release_is_ramped_at_a_time() -> None:
    for before in (at_stage("10 %"), decide(at_stage("10 %"), Hold(OWNER), 1e6)[0]):
        with pytest.raises(Refused, match="one release is ramped at a time"):
            begin("default", "support-reply", "rel_newer", PLAN, before=before)
    rolled_back = decide(at_stage("10 %"), RollBack(OWNER), 1e6)[0]
    assert begin("default", "support-reply", "rel_newer", PLAN, before=rolled_back).epoch == rolled_back.epoch
    with pytest.raises(Refused, match="ops has locked it"):
        begin("default", "support-reply", "rel_newer", PLAN, before=decide(done(), SetLock("ops"), 1e6)[0])
    with pytest.raises(Refused, match="is served already"):
        begin("default", "support-reply", "rel_new", PLAN, before=done())


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (Plan(stages=STAGES[1:]), "begins with testers"),
        (Plan(stages=(TESTERS,)), "has a live stage"),
        (Plan(stages=(TESTERS, Stage("big", 0.5), Stage("small", 0.1))), "rise from 0 %"),
        (Plan(stages=(TESTERS, Stage("all", 1.5))), "at most 100 %"),
        (Plan(stages=(TESTERS, Stage("testers", 0.1))), "a name of its own"),
        (Plan(guardrails=(Guardrail("errors", 0.05, 0.02),)), "a budget below its limit"),
        (Plan(guardrails=(Guardrail("errors", 0.0, 0.02),)), "both between 0 and 1"),
        (Plan(alpha=0.0), "alpha 0"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(plan: Plan, why: str) -> None:
    with pytest.raises(Refused, match=why):
        vet(plan)
    vet(Plan(stages=(TESTERS, DRAFTS, *STAGES[1:])))


def test_every_state_can_be_left_and_every_started_one_rolled_back() -> None:
    states = {state for state, _ in TRANSITIONS}
    assert states == {"frozen", "ramping", "held", "rolled_back", "done"}
    for state in states - {"frozen"}:
        assert TRANSITIONS[state, "roll_back"] == TRANSITIONS[state, "step_back"] == "rolled_back"  # type: ignore[index]
