"""Whatever happens to a ramp, in whatever order: what must always hold."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from rollout_support import OWNER, PLAN, analysis

from roadworthy.evidence.kinds import Verdict
from roadworthy.rollout.events import (
    Approve,
    Event,
    Hold,
    Killed,
    Look,
    Resume,
    RollBack,
    Serve,
    SetLock,
    Start,
    Unlock,
)
from roadworthy.rollout.gates import gates
from roadworthy.rollout.model import Analysis, Rollout
from roadworthy.rollout.rules import Refused, begin, decide

CEILINGS = st.sampled_from([0.0, 0.01, 0.05, 0.10, 0.25, 0.5, 1.0])
VERDICTS = st.sampled_from(["PASS", "PASS", "PASS", "INSUFFICIENT", "FAIL"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["look", "approve", "approve", "start", "hold", "resume", "back", "step", "lock", "unlock", "kill"]
        ),
        st.sampled_from([60.0, 3600.0, 100_000.0, 200_000.0]),
        CEILINGS,
        st.fixed_dictionaries({"errors": VERDICTS, "unsafe": VERDICTS, "sample_ratio": VERDICTS}),
        st.booleans(),
    ),
    max_size=40,
)
LUCKY = st.lists(st.sampled_from(["approve", "approve", "look", "cap", "hold", "resume", "lock"]), max_size=16)


def _event(kind: str, ceiling: float, found: Analysis | None) -> Event:
    events: dict[str, Event] = {
        "look": Look(ceiling, found),
        "approve": Approve(OWNER, ceiling, found),
        "start": Start(OWNER, ceiling, 0.0),
        "hold": Hold(OWNER),
        "resume": Resume(OWNER, ceiling),
        "back": RollBack(OWNER),
        "step": RollBack(OWNER, to="share"),
        "lock": SetLock("ops"),
        "unlock": Unlock("ops"),
        "kill": Killed("ops"),
    }
    return events[kind]


def _ceiling_told(event: Event, last: float) -> float:
    return getattr(event, "ceiling", last)


def _check(before: Rollout, event: Event, after: Rollout, ceiling: float, now: float) -> None:
    assert after.share <= ceiling, "never above the ceiling"
    assert after.at <= before.at + 1 or isinstance(event, Start), "never two stages at once"
    if before.lock is not None:
        assert after.share <= before.share
        assert after.at <= before.at
    if after.at > before.at and not isinstance(event, Start):
        found = event.analysis if isinstance(event, Look | Approve) else None
        met = gates(before, found, ceiling, now, approved=isinstance(event, Approve))
        assert all(gate.verdict == "PASS" for gate in met)
        assert before.plan.stages[after.at].approval <= isinstance(event, Approve), "approval is asked for"
    if isinstance(event, Look) and event.analysis is not None and not event.analysis.failed:
        insufficient = any(
            one.verdict == "INSUFFICIENT" for one in event.analysis.findings if one.guardrail == "errors"
        )
        if insufficient and before.stage.proves:
            assert after.at == before.at, "INSUFFICIENT holds"
    if after.at < before.at:
        assert after.epoch > before.epoch, "a rollback ends sessions"


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_no_sequence_of_events_breaks_a_promise(
    steps: list[tuple[str, float, float, dict[str, Verdict], bool]],
) -> None:
    rollout = begin("default", "support-reply", "rel_new", PLAN, predecessor="rel_old")
    rollout, _ = decide(rollout, Start(OWNER, 1.0, 0.0), 0.0)
    now, told = 0.0, 1.0
    for kind, seconds, ceiling, verdicts, fresh in steps:
        now += seconds
        found = analysis(rollout, now if fresh else now - 4000, **verdicts)
        event = _event(kind, ceiling, found)
        try:
            after, effects = decide(rollout, event, now)
        except Refused:
            assert kind not in ("look", "back", "step", "kill"), "less traffic is never refused"
            continue
        told = _ceiling_told(event, told)
        _check(rollout, event, after, told, now)
        served = [effect for effect in effects if isinstance(effect, Serve)]
        assert after.share == rollout.share or served[-1].share == after.share, "what is decided is published"
        rollout = after


@settings(max_examples=100, deadline=None)
@given(LUCKY, st.data())
def test_a_rollback_is_always_possible_and_takes_all_live_traffic_away(kinds: list[str], data: st.DataObject) -> None:
    rollout = begin("default", "support-reply", "rel_new", PLAN)
    rollout, _ = decide(rollout, Start(OWNER, 1.0, 0.0), 0.0)
    now = 0.0
    for kind in kinds:
        now += 200_000.0
        event = Look(data.draw(CEILINGS)) if kind == "cap" else _event(kind, 1.0, analysis(rollout, now))
        try:
            rollout, _ = decide(rollout, event, now)
        except Refused:
            continue
    after, _ = decide(rollout, RollBack("whoever"), now)
    assert (after.state, after.share) == ("rolled_back", 0.0)
