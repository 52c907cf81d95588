"""What a round of the alert watch sees, as frozen data.  Instants are Unix seconds."""

from __future__ import annotations

from typing import Final

import msgspec

from roadworthy.kill_switch.model import State
from roadworthy.kill_switch.triggers import Window
from roadworthy.workflow.inference import Failure, Inference

LET_DOWN: Final[frozenset[Failure]] = frozenset(
    {"unavailable", "slow", "truncated", "invalid", "overlimit", "misconfigured", "gateway_lost"}
)
"""Failures after which a stand-in text counts against the objective: a target, or the form of its answer, let the call
down.  What was held back for what it says (unsafe, refused), asked for too much, or met a limit of ours does not: that
is the ladder doing what it is there for, and has alerts of its own."""
STANDS_IN: Final = frozenset({"canned", "escalated", "blocked"})
"""Outcomes whose caller read a text that no model wrote for the call."""
NO_ANSWER: Final = frozenset({"bypassed", "abandoned"})
"""Outcomes that say nothing of how well we serve."""
DOWN: Final[frozenset[Failure]] = frozenset({"unavailable", "slow", "misconfigured", "overlimit"})
"""Failures of an attempt in which the target gave no answer."""
UNTRIED: Final[frozenset[Failure]] = frozenset({"throttled", "overspent", "gateway_lost"})
"""Failures of an attempt that say nothing of its target: a limit of ours held it back, or a worker of ours died."""


def counts(record: Inference) -> bool:
    """Is it a call that the objective is about?"""
    return record.traffic == "live" and record.outcome not in NO_ANSWER and record.route not in ("off", "bypass")


def bad(record: Inference) -> bool:
    """Did its caller get an error, or a stand-in text because the call was let down?"""
    if record.kill == "assist":
        return record.outcome == "error"
    return record.outcome == "error" or (record.outcome in STANDS_IN and record.failure in LET_DOWN)


class Attempts(msgspec.Struct):
    """What the attempts of one target came to in the last minutes."""

    good: int = 0
    """It answered, whatever the checks said of the answer."""
    down: int = 0
    misconfigured: int = 0
    """Among ``down``."""
    failures: dict[str, int] = {}
    """Failure → attempts, those that the checks found included."""
    statuses: dict[int, int] = {}
    """HTTP status of failed attempts → how many; 0: none arrived."""


class TargetView(msgspec.Struct, frozen=True):
    """One target as a workflow meets it."""

    name: str
    attempts: Attempts
    """Of the last five minutes."""
    shut: bool = False
    """Its breaker is open in every worker that answers."""
    newest: Attempts = msgspec.field(default_factory=Attempts)
    """Of the last two minutes."""


class BudgetView(msgspec.Struct, frozen=True):
    scope: str
    """``workflow`` or ``team``."""
    period: str
    limit: float
    """US dollars."""
    resets_at: float


class WorkflowView(msgspec.Struct, frozen=True):
    """One workflow in one round."""

    name: str
    team: str
    error_budget: float | None = None
    """Error share that its objective allows."""
    latency_p95: float | None = None
    """Seconds."""
    errors: dict[float, Window] = {}
    """Length of a window in seconds → calls and bad ones."""
    slow: dict[float, Window] = {}
    targets: tuple[TargetView, ...] = ()
    """Those that it can call, the first one first."""
    unsafe: Window = Window()
    """Ten minutes."""
    unsafe_share: float = 0.02
    used_up: tuple[BudgetView, ...] = ()
    state: State = "on"
    """Of the kill switch in force."""
    stopped_by: str = ""
    """A person's id, or who else."""


class Unconfirmed(msgspec.Struct, frozen=True):
    """A gateway that has not confirmed a stop."""

    workflow: str
    """``*``: of all."""
    team: str
    gateway: str
    state: State
    at: float
    """When it was pressed."""
    run: str
    """What to run there."""


class FullDisk(msgspec.Struct, frozen=True):
    gateway: str
    waiting: int
    """Records that wait in its memory."""
    dropped: int
    """Records that are lost."""


class Unusual(msgspec.Struct, frozen=True):
    """A finding of the anomaly watch."""

    workflow: str
    team: str
    metric: str
    text: str


class Installed(msgspec.Struct, frozen=True):
    """What is about no workflow."""

    unconfirmed: tuple[Unconfirmed, ...] = ()
    full: tuple[FullDisk, ...] = ()
    unusual: tuple[Unusual, ...] = ()
    teams: tuple[str, ...] = ()
