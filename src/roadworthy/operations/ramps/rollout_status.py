"""Where the ramp of a workflow stands, in one struct for CLI, API and console."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from roadworthy.rollout.gates import gates, of_this_stage, percent
from roadworthy.rollout.model import Analysis, Gate, Lock, Passed, Rollout, Stage
from roadworthy.rollout.ports import Evidenced
from roadworthy.rollout.service import Rollouts
from roadworthy.workflow.service import Workflows


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """Of one workflow.  Instants are Unix seconds, shares in [0, 1]."""

    workflow: str
    state: str
    """``none``, ``frozen``, ``ramping``, ``held``, ``rolled_back``, ``done``, ``locked``."""
    at: float
    enforced: bool = True
    """Under ``observe`` everybody is served as before, and the ramp is only recorded."""
    forged: str = ""
    """Why a ramp that is there counts for nothing."""
    release: str = ""
    number: int | None = None
    predecessor: str | None = None
    stage: str = ""
    share: float = 0.0
    entered_at: float | None = None
    ceiling: float = 0.0
    label: str = ""
    stages: list[Stage] = []
    passed: list[Passed] = []
    """Oldest first: who let it into the next stage, and on what."""
    analysis: Analysis | None = None
    """Of this visit of the stage; ``None``: not analysed yet."""
    gates: list[Gate] = []
    """What must hold before the next stage, in the order in which it is asked."""
    next: str = ""
    """The stage after this one; empty: it is the last."""
    comes: str = ""
    """What happens next, in words."""
    by: str = ""
    reason: str = ""
    lock: Lock | None = None
    shadow: bool = False
    epoch: int = 0


class RampBoard:
    """Thread-safe; blocking."""

    def __init__(
        self, rollouts: Rollouts, evidenced: Evidenced, workflows: Workflows, *, clock: Callable[[], float]
    ) -> None:
        self._rollouts = rollouts
        self._evidenced = evidenced
        self._workflows = workflows
        self._clock = clock

    def stands(self) -> list[Stand]:
        """Of every workflow that is configured, and of those that were and still have a ramp."""
        applied = self._workflows.configuration()
        names = set(self._rollouts.all()) | (set() if applied is None else set(applied.configuration.workflows))
        return [self._stand(name) for name in sorted(names)]

    def stand(self, workflow: str) -> Stand:
        """Raises ``Unknown``."""
        found = self._rollouts.found(workflow)
        if found.kept is None and not found.forged:
            self._workflows.named(workflow)
        return self._stand(workflow)

    def _stand(self, workflow: str) -> Stand:
        found, now = self._rollouts.found(workflow), self._clock()
        applied = self._workflows.configuration()
        flow = None if applied is None else applied.configuration.workflows.get(workflow)
        enforced = flow is None or flow.enforcement == "enforce"
        if found.kept is None:
            comes = f"`roadworthy rollout start {workflow}` begins a ramp"
            if found.forged:
                comes = f"its release gets no live traffic; {comes} anew"
            return Stand(workflow=workflow, state="none", at=now, enforced=enforced, forged=found.forged, comes=comes)
        rollout = found.kept.rollout
        grounds = self._evidenced.grounds(workflow, rollout.digest, now)
        mine = of_this_stage(rollout, found.kept.analysis)
        asked = gates(
            rollout, found.kept.analysis, grounds.ceiling, now, approved=False, room=self._rollouts.room(rollout, now)
        )
        return Stand(
            workflow=workflow,
            state=rollout.standing,
            at=now,
            enforced=enforced,
            release=rollout.digest,
            number=self._number(workflow, rollout.digest),
            predecessor=rollout.predecessor,
            stage=rollout.stage.name,
            share=rollout.share,
            entered_at=rollout.entered_at,
            ceiling=grounds.ceiling,
            label=grounds.label,
            stages=list(rollout.plan.stages),
            passed=list(rollout.passed),
            analysis=mine,
            gates=asked,
            next="" if rollout.next is None else rollout.next.name,
            comes=comes_next(rollout, asked),
            by=rollout.by,
            reason=rollout.reason,
            lock=rollout.lock,
            shadow=found.kept.shadow,
            epoch=rollout.epoch,
        )

    def _number(self, workflow: str, digest: str) -> int | None:
        rows = self._workflows.releases(workflow)
        return next((row.frozen.number for row in rows if row.frozen.release.digest == digest), None)


def comes_next(rollout: Rollout, asked: list[Gate]) -> str:
    """What has to happen, in a line that an operator can act on."""
    name = rollout.workflow
    if rollout.lock is not None:
        return f"nothing is widened until its owner unlocks it: roadworthy rollout unlock {name}"
    if rollout.state in ("held", "rolled_back"):
        where = f"at {rollout.stage.name} ({percent(rollout.share)})"
        return f"it stays {where} until its owner resumes it: roadworthy rollout resume {name}"
    if rollout.state == "done":
        return "nothing: it has all of its evidence, and goes back by itself when a guardrail fails"
    unmet = [gate for gate in asked if gate.verdict != "PASS"]
    following = rollout.next.name if rollout.next is not None else "done"
    if not unmet:
        return f"{following}, within a minute"
    if unmet[0].name == "approval":
        return f"a person lets it into {following}: roadworthy rollout approve {name}"
    return f"{following}, once {unmet[0].name} is met: {unmet[0].detail}"
