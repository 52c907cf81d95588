"""Ramps to test with, and analyses that say what a test wants."""

from __future__ import annotations

from roadworthy.evidence.kinds import Verdict
from roadworthy.rollout.events import Approve, Event, Look, Start
from roadworthy.rollout.model import DAY, STAGES, Analysis, Finding, Guardrail, Plan, Rollout
from roadworthy.rollout.rules import begin, decide

PLAN = Plan(
    stages=STAGES,
    guardrails=(
        Guardrail("errors", 0.01, 0.03),
        Guardrail("unsafe", 0.002, 0.01, back_to="release"),
        Guardrail("thumbs_down", 0.05, 0.15, proves=False),
    ),
)
OWNER = "pia"


def analysis(rollout: Rollout, now: float, calls: int = 5000, **verdicts: Verdict) -> Analysis:
    """Everything is a PASS but what is named; ``sample_ratio`` may be named too."""
    findings = tuple(
        Finding(guardrail.name, verdicts.get(guardrail.name, "PASS"), "as the test says")
        for guardrail in rollout.plan.guardrails
    )
    ratio = None
    if 0 < rollout.stage.share < 1:
        ratio = Finding("sample_ratio", verdicts.get("sample_ratio", "PASS"), "as the test says")
    return Analysis(rollout.stage.name, rollout.entered_at, now, calls, findings, ratio, last_call=now)


def started(plan: Plan = PLAN, ceiling: float = 1.0, predecessor: str | None = "rel_old") -> Rollout:
    rollout = begin("default", "support-reply", "rel_new", plan, predecessor=predecessor)
    return decide(rollout, Start(OWNER, ceiling, unknown_share=0.0), 0.0)[0]


def dwelt(rollout: Rollout) -> float:
    """When the time floor of the stage is over."""
    return rollout.entered_at + rollout.stage.dwell


def at_stage(name: str, plan: Plan = PLAN, predecessor: str | None = "rel_old") -> Rollout:
    """A healthy ramp that has come so far, each stage let in by its owner."""
    rollout = started(plan, predecessor=predecessor)
    while rollout.stage.name != name:
        now = dwelt(rollout)
        event: Event = Approve(OWNER, 1.0, analysis(rollout, now))
        rollout, _ = decide(rollout, event, now)
    return rollout


def done() -> Rollout:
    rollout = at_stage("100 %")
    now = rollout.entered_at + 2 * DAY
    return decide(rollout, Look(1.0, analysis(rollout, now)), now)[0]
