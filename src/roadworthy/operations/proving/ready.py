"""What ``roadworthy ready`` says of one workflow, as plain facts for every surface.  Pure.

Shares are in [0, 1], instants Unix seconds.
"""

from __future__ import annotations

import msgspec

from roadworthy.evidence.model import Waiver
from roadworthy.operations.proving.readiness import View
from roadworthy.people.review import rules as reviews
from roadworthy.readiness.model import NOT_BUILT, ItemState, Label, Readiness
from roadworthy.readiness.rules import PILOT_CALLS
from roadworthy.readiness.sequence import StepState, next_step, sequence
from roadworthy.workflow.model import FrozenRelease

LONGEST_DEMO = 3650.0
"""Days that a demo may have taken."""


class Named(msgspec.Struct, frozen=True):
    """A release as people call it."""

    number: int
    digest: str
    frozen_at: float
    frozen_by: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An item of the checklist."""

    number: int
    name: str
    shows: str
    verdict: str
    age: str
    figure: str
    cap: float
    made_at: float | None
    lapses_at: float | None
    soon: bool
    mark: str
    waiver: Waiver | None
    evidence: list[str]
    command: str
    minutes: float
    auto: bool
    met: bool


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the way to production."""

    name: str
    means: str
    reached_at: float | None
    command: str
    items: list[int]
    earliest: float | None
    latest: float | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer."""

    workflow: str
    team: str
    at: float
    enforcement: str
    label: Label
    ceiling: float
    why: str
    held_by: list[int]
    notice: str
    minutes: float
    release: Named | None
    newest: Named | None
    """Frozen since, and not the one that is judged."""
    share: float
    """That the release has earned."""
    stage: str
    """Of its ramp; empty: it has none."""
    items: list[Line]
    sequence: list[Step]
    next: Step | None
    """The first step before it that can be taken now; ``None``: none is left."""
    forged: int
    """Rows in the state database that this install did not sign, and that count for nothing."""
    demo_days: float | None = None
    reviews: list[str] = []
    """Overdue ones, in words; they hold nothing back."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow in the table of all."""

    workflow: str
    enforcement: str
    label: Label
    ceiling: float
    notice: str
    met: int
    of: int
    held_by: list[int]
    lapses_at: float | None
    """When the first item lapses."""
    minutes: float
    command: str


def report(view: View, now: float, *, demo_days: float | None = None) -> Report:
    """Raises ``ValueError`` for days of a demo that are none."""
    found = view.at(now)
    name = view.flow.name
    steps = sequence(found.items, view.milestones(found), name, now, demo_days=demo_days)
    open_steps = [step for step in steps if step.reached_at is None]
    following = next((step for step in open_steps if step.command != NOT_BUILT), next_step(steps))
    newer = view.newest if view.newest is not view.frozen else None
    return Report(
        workflow=name,
        team=view.flow.team,
        at=now,
        enforcement=view.flow.enforcement,
        label=found.label,
        ceiling=found.ceiling,
        why=why(found),
        held_by=found.held_by,
        notice=found.notice,
        minutes=found.minutes,
        release=_named(view.frozen),
        newest=_named(newer),
        share=view.subject.share,
        stage="" if view.rollout is None else view.rollout.stage.name,
        items=[_line(state, name) for state in found.items],
        sequence=[_step(state) for state in steps],
        next=None if following is None else _step(following),
        forged=view.known.forged,
        demo_days=demo_days,
        reviews=[reviews.line(each, now) for each in reviews.overdue(view.unsigned, now)],
    )


def line(found: Report) -> Row:
    lapses = [each.lapses_at for each in found.items if each.lapses_at is not None and each.lapses_at > found.at]
    return Row(
        workflow=found.workflow,
        enforcement=found.enforcement,
        label=found.label,
        ceiling=found.ceiling,
        notice=found.notice,
        met=sum(each.met for each in found.items),
        of=len(found.items),
        held_by=found.held_by,
        lapses_at=min(lapses, default=None),
        minutes=found.minutes,
        command="" if found.next is None else found.next.command,
    )


def why(found: Readiness) -> str:
    """What holds the ceiling where it is, in words."""
    if not found.held_by:
        pilots = [each for each in found.items if each.verdict != "PASS" and each.waiver is None]
        if not pilots:
            return "all ten items allow it"
        numbers = ", ".join(str(each.item.number) for each in pilots)
        return f"the {PILOT_CALLS:g} calls a day of a pilot: it has no more; items that are not shown: {numbers}"
    held = [state for state in found.items if state.item.number in found.held_by]
    failed = [state for state in held if state.verdict == "FAIL"]
    reason = (failed or held)[0]
    said = f"item {reason.item.number}: {reason.figure}"
    others = [str(state.item.number) for state in held if state is not reason]
    return said if not others else f"{said} (and {', '.join(others)})"


def _line(state: ItemState, workflow: str) -> Line:
    return Line(
        number=state.item.number,
        name=state.item.name,
        shows=state.item.shows,
        verdict=state.verdict,
        age=state.age,
        figure=state.figure,
        cap=state.cap,
        made_at=state.made_at,
        lapses_at=state.lapses_at,
        soon=state.soon,
        mark=state.mark,
        waiver=state.waiver,
        evidence=state.evidence,
        command=state.command(workflow),
        minutes=state.item.minutes,
        auto=state.item.auto,
        met=state.met,
    )


def _step(state: StepState) -> Step:
    return Step(
        name=state.step.name,
        means=state.step.means,
        reached_at=state.reached_at,
        command=state.command,
        items=state.items,
        earliest=state.earliest,
        latest=state.latest,
    )


def _named(frozen: FrozenRelease | None) -> Named | None:
    if frozen is None:
        return None
    return Named(frozen.number, frozen.release.digest, frozen.frozen_at, frozen.frozen_by)
