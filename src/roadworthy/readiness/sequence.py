"""The ten steps from demo to operation: when each was reached, what comes next, and a dated plan.  Pure.

The plan rests on experience, not on a promise: to bring a demo into production takes three to six times as long as the
demo took.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from roadworthy.evidence.kinds import DAY
from roadworthy.readiness.items import ITEMS
from roadworthy.readiness.model import NOT_BUILT, ItemState, StepName

FASTEST, SLOWEST = 3.0, 6.0
"""Times the days that the demo took."""


class Step(msgspec.Struct, frozen=True):
    """One row of the table."""

    name: StepName
    means: str
    effort: float
    """Of the whole, in [0, 1]."""
    command: str = ""
    """Where no item names one; WORKFLOW stands for the workflow."""


STEPS: Final[tuple[Step, ...]] = (
    Step("freeze", "prompt, model and parameters are one release with a digest", 0.05, "roadworthy freeze WORKFLOW"),
    Step("capture", "hand-scored examples, an owner-signed rubric, a gate that passed", 0.25),
    Step("wire", "every call is found in log, metrics and traces; cost alerts arrive", 0.10),
    Step("fallbacks", "a passing drill per failure, and a catalogue of what customers see", 0.15),
    Step("switch", "the kill switch was drilled on every gateway", 0.05),
    Step("owner", "named people have accepted, and on-call has no gap", 0.05),
    Step("load test", "tested at twice the projected peak, its cost foreseen and accepted", 0.10),
    Step("soft launch", "the first live users", 0.05, "roadworthy rollout start WORKFLOW"),
    Step("ramp", "everybody, on the guardrails' evidence", 0.15, "roadworthy rollout status WORKFLOW"),
    Step("operate", "production: all ten items fresh at once", 0.05, "roadworthy ready WORKFLOW"),
)


class Milestones(msgspec.Struct, frozen=True):
    """What no evidence tells; ``None``: not yet."""

    frozen_at: float | None = None
    first_live_at: float | None = None
    """First live traffic of a release of the workflow."""
    everybody_at: float | None = None
    production_at: float | None = None


class StepState(msgspec.Struct, frozen=True):
    """A step as ``roadworthy ready`` shows it."""

    step: Step
    reached_at: float | None
    command: str
    """What does it, or leads to it; empty once it is reached."""
    items: list[int]
    earliest: float | None = None
    latest: float | None = None
    """Planned, of a step that is still to come; ``None`` without the days that the demo took."""


def sequence(
    items: Sequence[ItemState],
    milestones: Milestones,
    workflow: str,
    now: float,
    *,
    demo_days: float | None = None,
) -> list[StepState]:
    """The ten steps in order.  A step made of items is reached when all of them stand, at the last one's date."""
    reached = {step.name: _reached(step, items, milestones) for step in STEPS}
    planned = {} if demo_days is None else plan([s.name for s in STEPS if reached[s.name] is None], demo_days, now)
    return [
        StepState(
            step=step,
            reached_at=reached[step.name],
            command="" if reached[step.name] is not None else _command(step, items, workflow),
            items=[item.number for item in ITEMS if item.step == step.name],
            earliest=planned.get(step.name, (None, None))[0],
            latest=planned.get(step.name, (None, None))[1],
        )
        for step in STEPS
    ]


def next_step(states: Sequence[StepState]) -> StepState | None:
    """The first that is not reached; ``None``: all are."""
    return next((state for state in states if state.reached_at is None), None)


def plan(left: Sequence[StepName], demo_days: float, now: float) -> dict[StepName, tuple[float, float]]:
    """Step → (earliest, latest) end.  ``left``: steps still to be done; each takes its share of the whole, in order.

    Raises ``ValueError`` unless ``demo_days`` is above zero.
    """
    if not demo_days > 0:
        raise ValueError(f"the demo took {demo_days:g} days; give a number above 0")
    out: dict[StepName, tuple[float, float]] = {}
    done = 0.0
    for step in STEPS:
        if step.name in left:
            done += step.effort * demo_days * DAY
            out[step.name] = (now + FASTEST * done, now + SLOWEST * done)
    return out


def _reached(step: Step, items: Sequence[ItemState], milestones: Milestones) -> float | None:
    match step.name:
        case "freeze":
            return milestones.frozen_at
        case "soft launch":
            return milestones.first_live_at
        case "ramp":
            return milestones.everybody_at
        case "operate":
            return milestones.production_at
        case _:
            mine = [state for state in items if state.item.step == step.name]
            dates = [state.first_at for state in mine if state.verdict == "PASS" and state.first_at is not None]
            return max(dates) if mine and len(dates) == len(mine) else None


def _command(step: Step, items: Sequence[ItemState], workflow: str) -> str:
    left = [state for state in items if state.item.step == step.name and state.verdict != "PASS"]
    built = [state.command(workflow) for state in left if state.item.renew is not None]
    if built:
        return built[0]
    return step.command.replace("WORKFLOW", workflow) or NOT_BUILT
