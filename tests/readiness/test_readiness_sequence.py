"""The ten steps: dates reached, the next command, the plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.evidence.kinds import DAY
from roadworthy.readiness.rules import checklist
from roadworthy.readiness.sequence import STEPS, Milestones, StepState, next_step, plan, sequence
from support.evidence import NOW
from support.readiness import shown, subject

NAMES = [step.name for step in STEPS]


def steps(*without: str, milestones: Milestones = Milestones(), demo_days: float | None = None) -> list[StepState]:  # noqa: B008
    found = [each for kind, each in shown().items() if kind not in without]
    states = checklist(found, [], subject(receipts=[] if "eval_gate" in without else subject().receipts), NOW)
    return sequence(states, milestones, "support", NOW, demo_days=demo_days)


def test_the_steps_are_those_of_the_design_and_their_efforts_make_a_whole() -> None:
    assert NAMES == [
        "freeze", "capture", "wire", "fallbacks", "switch", "owner", "load test", "soft launch", "ramp", "operate",
    ]  # fmt: skip
    assert sum(step.effort for step in STEPS) == pytest.approx(1.0)


def test_a_step_is_reached_when_the_last_of_its_items_was_first_shown() -> None:
    found = {state.step.name: state for state in steps("cost_alert_test", milestones=Milestones(frozen_at=5.0))}
    assert found["freeze"].reached_at == 5.0
    assert found["owner"].reached_at == NOW - 3600
    assert found["wire"].reached_at is None
    assert found["wire"].items == [3, 9]
    assert found["soft launch"].reached_at is None


def test_the_next_step_names_its_command() -> None:
    def command(*without: str, frozen: bool = True) -> tuple[str, str]:
        state = next_step(steps(*without, milestones=Milestones(frozen_at=5.0 if frozen else None)))
        assert state is not None
        return state.step.name, state.command

    assert command(frozen=False) == ("freeze", "roadworthy freeze support")
    assert command("eval_gate") == ("capture", "roadworthy evals gate support")
    assert command("fallback_drills") == ("fallbacks", "roadworthy drill support --all")
    assert command("load_test") == ("load test", "roadworthy load support")
    assert command() == ("soft launch", "roadworthy rollout start support")


def test_when_all_is_reached_nothing_comes_next() -> None:
    assert next_step(steps(milestones=Milestones(1.0, 2.0, 3.0, 4.0))) is None


@given(st.floats(0.5, 100), st.sets(st.sampled_from(NAMES), min_size=1))
def test_a_plan_goes_forward_and_takes_three_to_six_times_the_demo_at_most(days: float, left: set[str]) -> None:
    planned = plan([name for name in NAMES if name in left], days, NOW)
    ends = list(planned.values())
    assert set(planned) == left
    assert all(NOW < a <= b for a, b in ends)
    assert ends == sorted(ends)
    assert ends[-1][1] <= NOW + 6 * days * DAY * 1.001


def test_the_whole_way_takes_three_to_six_times_the_demo() -> None:
    assert plan(NAMES, 10.0, 0.0)["operate"] == (pytest.approx(30 * DAY), pytest.approx(60 * DAY))


def test_what_is_reached_has_no_plan_and_a_demo_of_no_days_is_refused() -> None:
    states = steps(milestones=Milestones(frozen_at=5.0), demo_days=10.0)
    assert [state.step.name for state in states if state.earliest is not None] == ["soft launch", "ramp", "operate"]
    with pytest.raises(ValueError, match="give a number above 0"):
        plan(NAMES, 0.0, NOW)
