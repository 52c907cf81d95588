"""What reviews are drafted from.  Wiring fills it; tests fill it with what they like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from roadworthy.cost.sheet import Sheet
from roadworthy.evals.calibration import Calibration
from roadworthy.evals.hand import Agreement
from roadworthy.evals.model import Run
from roadworthy.inference_log.model import Filter, Stats
from roadworthy.kill_switch.model import Record
from roadworthy.operations.proving.evals import Concluded
from roadworthy.operations.proving.ready import Report
from roadworthy.people.escalation.capacity import Capacity
from roadworthy.people.escalation.model import Worked
from roadworthy.people.escalation.stamping import Stamping
from roadworthy.people.incident.model import Incident
from roadworthy.rollout.records import Change as Move
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Configuration, Price, Workflow


class LogReader(Protocol):
    def stats(self, by: str | Sequence[str], where: Filter, zone: ZoneInfo | None = None) -> Stats: ...

    def sample(self, where: Filter, share: float) -> list[Inference]: ...


@dataclass(frozen=True)
class Applied:
    """A configuration that was applied."""

    at: float
    by: str
    configuration: Configuration


@dataclass(frozen=True)
class Sources:
    """Every callable may block.  Those that name a workflow are asked for configured ones only."""

    log: LogReader
    flow: Callable[[str], Workflow | None]
    applied: Callable[[], Sequence[Applied]]
    """Newest first; the newest ones."""
    incidents: Callable[[str], Sequence[Incident]]
    worked: Callable[[str, float], Sequence[Worked]]
    """(workflow, since) → escalations without their texts."""
    stamping: Callable[[str], Sequence[Stamping]]
    capacity: Callable[[str], Capacity | None]
    """At the next stage of its ramp; ``None``: there is none."""
    moves: Callable[[str], Sequence[Move]]
    """Of its ramp, newest first."""
    stops: Callable[[], Sequence[Record]]
    """The kill log, oldest first."""
    expected: Callable[[str], float | None]
    """US dollars of thirty days by its forecast."""
    listed: Callable[[str], Price | None]
    """Target → its price."""
    ready: Callable[[str], Report]
    runs: Callable[[str], Sequence[Run]]
    """Of its evals, newest first."""
    concluded: Callable[[Run], Concluded | None]
    """``None``: it is not complete, or what it stood on is gone."""
    waiting_examples: Callable[[str], int]
    agreement: Callable[[str], Agreement | None]
    calibrations: Callable[[str], Sequence[Calibration]]
    sheet: Callable[[str, str], Sheet]
    """(workflow, month) → the finance sheet."""
    zone: Callable[[], ZoneInfo]
    clock: Callable[[], float]
