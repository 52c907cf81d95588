"""What a worker counts: plain integers over bounded label sets, read by the supervisor over the private socket.

Labels come from the snapshot (workflows, targets) and from closed word lists, never from a caller; past
``MOST_SERIES`` of one kind, new ones are counted under ``other``.  Counts only rise while the worker lives.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

import msgspec

from roadworthy.gateway.journal import JournalCounts
from roadworthy.kill_switch.model import State
from roadworthy.workflow.inference import Inference

MOST_SERIES = 2000
LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds in seconds; one more bucket holds what is slower."""


@dataclass(slots=True)
class Histogram:
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    """Not cumulative."""
    count: int = 0
    sum: float = 0.0

    def add(self, value: float) -> None:
        self.buckets[bisect_left(LATENCY_BOUNDS, value)] += 1
        self.count += 1
        self.sum += value


@dataclass(slots=True)
class InferenceCount:
    workflow: str
    outcome: str
    route: str
    failure: str
    traffic: str
    count: int = 0


@dataclass(slots=True)
class WorkflowSums:
    workflow: str
    tokens_input: int = 0
    tokens_cache_read: int = 0
    tokens_cache_write: int = 0
    tokens_output: int = 0
    cost_usd: float = 0.0
    cost_unknown: int = 0
    """Inferences whose cost is not known."""
    checks_failed: int = 0
    latency: Histogram = field(default_factory=Histogram)
    first_token: Histogram = field(default_factory=Histogram)
    overhead: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class AttemptCount:
    target: str
    step: str
    failure: str
    count: int = 0


@dataclass(slots=True)
class RefusalCount:
    """Requests that never became an inference (no key, no route, not HTTP)."""

    code: str
    count: int = 0


@dataclass(slots=True)
class TargetCount:
    """How this worker finds a target."""

    target: str
    breaker: str = "closed"
    """Its state: closed, open or half_open."""
    opened: int = 0
    """How often it has opened."""
    probe_in: float = 0.0
    """Seconds until an open breaker lets a probe through."""
    limit: int = 0
    """Calls that may be under way at once now."""
    waiting: int = 0
    shed: int = 0
    """Calls that got no slot."""
    retried: int = 0
    """Retries and repairs made out of the retry budget."""


@dataclass(slots=True)
class BudgetCount:
    """One worker's part of a team's or workflow's budget in the period that runs.  Never of a user or key."""

    scope: str
    name: str
    period: str
    limit_usd: float
    """Of the whole budget, the same from every worker."""
    spent_usd: float
    reserved_usd: float


class CountersReport(msgspec.Struct):
    """Answer of ``GET /internal/counters``."""

    worker: str
    started_at: float
    in_flight: int
    inferences: list[InferenceCount]
    workflows: list[WorkflowSums]
    attempts: list[AttemptCount]
    refusals: list[RefusalCount]
    target_slots: dict[str, int]
    """Target → calls under way."""
    replayed: int
    """Answers given again for an ``Idempotency-Key``."""
    journal: JournalCounts
    snapshot_seq: int
    snapshot_epoch: int
    snapshot_made_at: float
    snapshots_refused: int
    latency_bounds: list[float]
    repeats_in_progress: int = 0
    """Idempotency keys whose first call has not ended."""
    budgets: list[BudgetCount] = []
    targets: list[TargetCount] = []
    hedges_made: int = 0
    hedges_won: int = 0
    """Hedges that answered first."""
    hedges_withheld: int = 0
    """Late calls that got no hedge: budget, load or breaker."""
    cache_entries: int = 0
    cache_bytes: int = 0
    kill: dict[str, State] = {}
    """Workflow → its kill switch as it is in force here; those that are on are left out."""


class Counters:
    """Counts of one worker."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.replayed = 0
        self.snapshots_refused = 0
        self._inferences: dict[tuple[str, str, str, str, str], InferenceCount] = {}
        self._workflows: dict[str, WorkflowSums] = {}
        self._attempts: dict[tuple[str, str, str], AttemptCount] = {}
        self._refusals: dict[str, RefusalCount] = {}

    def count(self, record: Inference) -> None:
        """Count one finished inference and its attempts."""
        failure = record.failure or ""
        label = (record.workflow, record.outcome, record.route, failure, record.traffic)
        counted = self._inferences.get(label)
        if counted is None:
            if len(self._inferences) >= MOST_SERIES:
                label = ("other", *label[1:])
            counted = self._inferences.setdefault(label, InferenceCount(*label))
        counted.count += 1
        if record.permit:
            return  # sums and attempts are of callers with keys: a drill's targets are none
        self._add_sums(record)
        for attempt in record.attempts:
            key = (attempt.target, attempt.step, attempt.failure or "")
            tried = self._attempts.get(key)
            if tried is None:
                tried = self._attempts[key] = AttemptCount(*key)
            tried.count += 1

    def refused(self, code: str) -> None:
        counted = self._refusals.get(code)
        if counted is None:
            counted = self._refusals[code] = RefusalCount(code)
        counted.count += 1

    def report(
        self,
        *,
        worker: str,
        started_at: float,
        journal: JournalCounts,
        slots: dict[str, int],
        repeats_in_progress: int,
        seq: int,
        epoch: int,
        made_at: float,
    ) -> CountersReport:
        return CountersReport(
            worker, started_at, self.in_flight, list(self._inferences.values()), list(self._workflows.values()),
            list(self._attempts.values()), list(self._refusals.values()), slots, self.replayed, journal, seq, epoch,
            made_at, self.snapshots_refused, list(LATENCY_BOUNDS), repeats_in_progress,
        )  # fmt: skip

    def _add_sums(self, record: Inference) -> None:
        sums = self._workflows.get(record.workflow)
        if sums is None:
            sums = self._workflows[record.workflow] = WorkflowSums(record.workflow)
        tokens = record.tokens
        sums.tokens_input += tokens.input
        sums.tokens_cache_read += tokens.cache_read
        sums.tokens_cache_write += tokens.cache_write
        sums.tokens_output += tokens.output
        if record.cost_usd is None:
            sums.cost_unknown += 1
        else:
            sums.cost_usd += record.cost_usd
        if record.checks:
            sums.checks_failed += sum(not check.passed for check in record.checks)
        sums.latency.add(record.latency)
        sums.overhead.add(record.overhead)
        if record.first_token is not None:
            sums.first_token.add(record.first_token)
