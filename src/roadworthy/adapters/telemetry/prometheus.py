"""Workers' counters → Prometheus text (exposition format 0.0.4).  Pure; the supervisor serves it at ``/metrics``.

Rule: every label has a bounded set of values.  Words come from ``workflow/inference.py``; an unknown word becomes
``other``.  Workflows, targets and codes come from the configuration and from us; past ``MOST_NAMES`` of one kind the
rest is summed under ``other``.  Nothing that a caller sends becomes a label.

Counters and histograms are summed over the workers; gauges keep the worker's name.  ``gateway/counters.py`` says what
a worker reports; control's own numbers (``log``: ``inference_log.model.Lag``, ``spans``: ``engine.telemetry``) are
optional.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, get_args, get_type_hints

import msgspec

from roadworthy.gateway.counters import CountersReport, Histogram, WorkflowSums
from roadworthy.gateway.limits.breakers import STATES as BREAKER_STATES
from roadworthy.workflow.inference import FAILURES, OUTCOMES, ROUTES, TRAFFIC_CLASSES, Attempt

MOST_NAMES = 500
"""Distinct workflows, targets or codes that get series of their own."""

OTHER = "other"
GOOD = "none"
"""Label value of an attempt that did not fail."""

Labels = tuple[str, ...]
Sample = tuple[Labels, float]

_WORDS: dict[str, frozenset[str]] = {
    "outcome": frozenset(OUTCOMES),
    "route": frozenset(ROUTES),
    "class": frozenset(TRAFFIC_CLASSES),
    "failure": frozenset({*FAILURES, GOOD}),
    "step": frozenset(get_args(get_type_hints(Attempt)["step"])),
    "state": frozenset(BREAKER_STATES),
    "result": frozenset({"won", "lost", "withheld"}),
    "kind": frozenset({"input", "cache_read", "cache_write", "output"}),
}
_NAMES = frozenset({"workflow", "target", "code"})


class Family(msgspec.Struct, frozen=True):
    """One metric of the workers: name without ``roadworthy_``, help text, labels and where its numbers are."""

    name: str
    help: str
    labels: Labels
    read: Callable[[CountersReport], Iterable[Sample]]
    kind: str = "counter"


def _sums(read: Callable[[WorkflowSums], float]) -> Callable[[CountersReport], Iterable[Sample]]:
    """One number a workflow."""
    return lambda worker: (((sums.workflow,), read(sums)) for sums in worker.workflows)


def _tokens(worker: CountersReport) -> Iterable[Sample]:
    for sums in worker.workflows:
        yield (sums.workflow, "input"), sums.tokens_input
        yield (sums.workflow, "cache_read"), sums.tokens_cache_read
        yield (sums.workflow, "cache_write"), sums.tokens_cache_write
        yield (sums.workflow, "output"), sums.tokens_output


SUMMED: tuple[Family, ...] = (
    Family(
        "inferences_total",
        "Calls served, whatever answered.",
        ("workflow", "outcome", "route", "class"),
        lambda worker: (((row.workflow, row.outcome, row.route, row.traffic), row.count) for row in worker.inferences),
    ),
    Family(
        "failures_total",
        "Inferences with a failure, mended or not.",
        ("workflow", "failure"),
        lambda worker: (((row.workflow, row.failure), row.count) for row in worker.inferences if row.failure),
    ),
    Family(
        "attempts_total",
        "Calls of a target; failure is none for a good one.",
        ("target", "step", "failure"),
        lambda worker: (((row.target, row.step, row.failure or GOOD), row.count) for row in worker.attempts),
    ),
    Family(
        "refusals_total",
        "Requests that never became an inference.",
        ("code",),
        lambda worker: (((row.code,), row.count) for row in worker.refusals),
    ),
    Family("tokens_total", "Tokens of all attempts; output includes reasoning.", ("workflow", "kind"), _tokens),
    Family("cost_usd_total", "US dollars spent, where known.", ("workflow",), _sums(lambda sums: sums.cost_usd)),
    Family(
        "cost_unknown_total",
        "Inferences whose cost is not known.",
        ("workflow",),
        _sums(lambda sums: sums.cost_unknown),
    ),
    Family(
        "checks_failed_total", "Checks that an output failed.", ("workflow",), _sums(lambda sums: sums.checks_failed)
    ),
    Family(
        "target_in_flight",
        "Calls of a target under way.",
        ("target",),
        lambda worker: (((target,), count) for target, count in worker.target_slots.items()),
        "gauge",
    ),
    Family(
        "target_breaker_workers",
        "Workers whose breaker of the target is in that state.",
        ("target", "state"),
        lambda worker: (
            ((row.target, state), int(row.breaker == state)) for row in worker.targets for state in BREAKER_STATES
        ),
        "gauge",
    ),
    Family(
        "target_breaker_opened_total",
        "Times that a breaker of the target opened.",
        ("target",),
        lambda worker: (((row.target,), row.opened) for row in worker.targets),
    ),
    Family(
        "target_limit",
        "Calls of a target that may be under way now: the adaptive limit.",
        ("target",),
        lambda worker: (((row.target,), row.limit) for row in worker.targets),
        "gauge",
    ),
    Family(
        "target_waiting",
        "Calls that wait for a slot of a target.",
        ("target",),
        lambda worker: (((row.target,), row.waiting) for row in worker.targets),
        "gauge",
    ),
    Family(
        "target_shed_total",
        "Calls that got no slot of a target and went on to their ladder.",
        ("target",),
        lambda worker: (((row.target,), row.shed) for row in worker.targets),
    ),
    Family(
        "target_retries_total",
        "Retries and repairs made out of a target's retry budget.",
        ("target",),
        lambda worker: (((row.target,), row.retried) for row in worker.targets),
    ),
    Family(
        "hedges_total",
        "Late calls by what became of their hedge.",
        ("result",),
        lambda worker: (
            (("won",), worker.hedges_won),
            (("lost",), worker.hedges_made - worker.hedges_won),
            (("withheld",), worker.hedges_withheld),
        ),
    ),
    Family(
        "stopped_workers",
        "Workers in which the kill switch of a workflow is in this state; none where it is on.",
        ("workflow", "state"),
        lambda worker: (((name, state), 1) for name, state in worker.kill.items()),
        "gauge",
    ),
    Family("replayed_total", "Answers given again for an Idempotency-Key.", (), lambda worker: [((), worker.replayed)]),
    Family(
        "snapshots_refused_total",
        "Snapshots that a worker could not serve.",
        (),
        lambda worker: [((), worker.snapshots_refused)],
    ),
    Family(
        "journal_accepted_total",
        "Inferences begun in the journal.",
        (),
        lambda worker: [((), worker.journal.accepted)],
    ),
    Family(
        "journal_stored_total",
        "Inferences whose end is in the journal.",
        (),
        lambda worker: [((), worker.journal.stored)],
    ),
    Family(
        "journal_waiting",
        "Inferences whose end waits in memory for room on the disk.",
        (),
        lambda worker: [((), worker.journal.waiting)],
        "gauge",
    ),
    Family(
        "journal_dropped_total",
        "Inferences that the journal could not hold.",
        (),
        lambda worker: [((), worker.journal.dropped)],
    ),
    Family(
        "journal_bodies_dropped_total",
        "Records written without bodies, the disk being full.",
        (),
        lambda worker: [((), worker.journal.bodies_dropped)],
    ),
    Family(
        "journal_escalations_total",
        "Calls handed to a human whose line is on disk, synced.",
        (),
        lambda worker: [((), worker.journal.escalations)],
    ),
    Family(
        "journal_escalations_refused_total",
        "Calls not handed to a human, because the disk did not take the line in time.",
        (),
        lambda worker: [((), worker.journal.escalations_refused)],
    ),
    Family(
        "journal_written_bytes_total", "Bytes written to the journal.", (), lambda worker: [((), worker.journal.bytes)]
    ),
)

HISTOGRAMS: tuple[tuple[str, str, Callable[[WorkflowSums], Histogram]], ...] = (
    ("latency_seconds", "From admission to the last byte.", lambda sums: sums.latency),
    ("first_token_seconds", "From admission to the first token.", lambda sums: sums.first_token),
    ("overhead_seconds", "Part of the latency in which no attempt was under way.", lambda sums: sums.overhead),
)

PER_WORKER: tuple[tuple[str, str, Callable[[CountersReport, float], float]], ...] = (
    ("worker_start_time_seconds", "When the worker started, Unix time.", lambda worker, now: worker.started_at),
    ("in_flight", "Calls under way.", lambda worker, now: worker.in_flight),
    (
        "repeats_in_progress",
        "Idempotency keys whose first call has not ended.",
        lambda worker, now: worker.repeats_in_progress,
    ),
    ("cache_entries", "Answers kept.", lambda worker, now: worker.cache_entries),
    ("cache_bytes", "Bytes of the answers kept.", lambda worker, now: worker.cache_bytes),
    ("snapshot_epoch", "Epoch of the snapshot that the worker serves.", lambda worker, now: worker.snapshot_epoch),
    ("snapshot_seq", "Number of the snapshot that the worker serves.", lambda worker, now: worker.snapshot_seq),
    (
        "snapshot_age_seconds",
        "Age of the snapshot that the worker serves.",
        lambda worker, now: max(0.0, now - worker.snapshot_made_at),
    ),
)

CONTROL: tuple[tuple[str, str, str, str, str], ...] = (
    ("log", "accepted", "counter", "log_accepted_total", "Inferences whose beginning or end reached the log."),
    ("log", "stored", "counter", "log_stored_total", "Inferences in the log."),
    ("log", "lost", "counter", "log_gateway_lost_total", "Inferences whose gateway died during the call."),
    ("log", "malformed", "counter", "log_malformed_lines_total", "Journal lines put in quarantine."),
    ("log", "pending_bytes", "gauge", "log_lag_bytes", "Journal bytes not shipped yet."),
    ("log", "pending_seconds", "gauge", "log_lag_seconds", "Age of the oldest line not shipped yet."),
    ("anomalies", "found", "counter", "anomalies_total", "Unusual things found since control started."),
    ("anomalies", "open", "gauge", "anomalies_open", "Unusual things in the last look."),
    ("people", "escalations_open", "gauge", "escalations_open", "Calls that wait for a human, drills left out."),
    ("people", "incidents_open", "gauge", "incidents_open", "Incidents and alerts that nobody has resolved."),
    ("people", "messages_waiting", "gauge", "messages_waiting", "Webhooks that wait to be taken."),
    ("people", "messages_dead", "gauge", "messages_dead", "Webhooks that were given up."),
    ("heartbeat", "sent", "counter", "heartbeat_sent_total", "Calls of the dead-man's switch that it took."),
    ("heartbeat", "failed", "counter", "heartbeat_failed_total", "Calls of the dead-man's switch that failed."),
    (
        "heartbeat",
        "withheld",
        "counter",
        "heartbeat_withheld_total",
        "Calls of the dead-man's switch not made, as a vital duty of control was dead.",
    ),
    (
        "heartbeat",
        "last_good",
        "gauge",
        "heartbeat_last_good_time_seconds",
        "When the dead-man's switch took a call last, Unix time.",
    ),
    ("spans", "exported", "counter", "spans_exported_total", "Inferences that the OTLP collector took."),
    ("spans", "dropped_full", "counter", "spans_dropped_full_total", "Inferences not exported, the queue being full."),
    ("spans", "dropped_refused", "counter", "spans_dropped_refused_total", "Inferences that the collector refused."),
    ("spans", "waiting", "gauge", "spans_waiting", "Inferences that wait for the collector."),
)


ONE_GATEWAY = "gateway:"
"""Beginning of the names of control's numbers about one gateway, where there are several."""

GATEWAYS: tuple[tuple[str, str, str], ...] = (
    ("up", "gateway_up", "1 while control hears of the gateway; 0 when it is stale or stopped."),
    ("seen_at", "gateway_seen_time_seconds", "When control heard of the gateway last, Unix time."),
    ("pending_bytes", "gateway_lag_bytes", "Bytes of the gateway's journal not shipped yet."),
    ("pending_seconds", "gateway_lag_seconds", "Age of the oldest line of the gateway's journal not shipped yet."),
)

BUDGETS: tuple[tuple[str, str], ...] = (
    ("budget_limit_usd", "US dollars that may be spent in the calendar day or month that runs."),
    ("budget_spent_usd", "US dollars of the budget that are spent."),
    ("budget_remaining_usd", "US dollars of the budget that are neither spent nor reserved."),
)
"""Of teams and workflows: limit, spent, left."""


class Exported(msgspec.Struct, frozen=True):
    """One metric of the page, as rules and dashboards that are generated from it may use it."""

    kind: str
    labels: Labels
    help: str


def exported() -> dict[str, Exported]:
    """Name as scraped → what it is.  A histogram is its three series."""
    found = {family.name: Exported(family.kind, family.labels, family.help) for family in SUMMED}
    for name, text, _ in HISTOGRAMS:
        found[f"{name}_bucket"] = Exported("histogram", ("workflow", "le"), text)
        found[f"{name}_sum"] = found[f"{name}_count"] = Exported("histogram", ("workflow",), text)
    found["worker_up"] = Exported("gauge", ("worker",), "1 while the worker answers its supervisor.")
    found |= {name: Exported("gauge", ("worker",), text) for name, text, _ in PER_WORKER}
    found |= {name: Exported("gauge", ("scope", "name", "period"), text) for name, text in BUDGETS}
    found |= {name: Exported(kind, (), text) for _, _, kind, name, text in CONTROL}
    found |= {name: Exported("gauge", ("gateway",), text) for _, name, text in GATEWAYS}
    return {f"roadworthy_{name}": one for name, one in found.items()}


def render(
    workers: Sequence[Mapping[str, Any]],
    *,
    expected: Iterable[str] = (),
    control: Mapping[str, Mapping[str, float]] | None = None,
    now: Callable[[], float] = time.time,
) -> str:
    """The exposition of all workers together.

    ``workers`` are the JSON reports of those that answered; ``expected`` names all that should run, so that one that
    does not answer shows as down.  Raises ``msgspec.ValidationError`` for what is no ``CountersReport``.
    """
    reports = sorted((msgspec.convert(worker, CountersReport) for worker in workers), key=lambda worker: worker.worker)
    page = _Page()
    for family in SUMMED:
        rows = [row for report in reports for row in family.read(report)]
        page.family(family.name, family.help, family.kind, family.labels, _total(family.labels, rows))
    for name, text, read in HISTOGRAMS:
        _histogram(page, name, text, reports, read)
    up: dict[Labels, float] = {(worker,): 0.0 for worker in expected}
    up.update({(report.worker,): 1.0 for report in reports})
    page.family("worker_up", "1 while the worker answers its supervisor.", "gauge", ("worker",), up)
    moment = now()
    for name, text, number in PER_WORKER:
        page.family(name, text, "gauge", ("worker",), {(report.worker,): number(report, moment) for report in reports})
    _budgets(page, reports)
    for part, field, kind, name, text in CONTROL:
        numbers = (control or {}).get(part)
        if numbers:
            page.family(name, text, kind, (), {(): numbers[field]})
    known = {part.removeprefix(ONE_GATEWAY): found for part, found in (control or {}).items() if ONE_GATEWAY in part}
    for field, name, text in GATEWAYS if known else ():
        page.family(name, text, "gauge", ("gateway",), {(gateway,): found[field] for gateway, found in known.items()})
    return page.text()


def _total(labels: Labels, rows: Sequence[Sample]) -> dict[Labels, float]:
    """Rows with the same labels added up, names and words bounded."""
    kept = _kept(labels, (values for values, _ in rows))
    total: dict[Labels, float] = {}
    for values, number in rows:
        bounded = tuple(
            value if value in kept.get(label, _WORDS.get(label, ())) else OTHER
            for label, value in zip(labels, values, strict=True)
        )
        total[bounded] = total.get(bounded, 0) + number
    return total


def _kept(labels: Labels, rows: Iterable[Labels]) -> dict[str, frozenset[str]]:
    """The names that get series of their own: the first ``MOST_NAMES`` in alphabetical order, so that they stay."""
    columns = list(zip(*rows, strict=True))
    return {
        label: frozenset(sorted(set(column))[:MOST_NAMES])
        for label, column in zip(labels, columns, strict=False)
        if label in _NAMES
    }


def _budgets(page: _Page, reports: Sequence[CountersReport]) -> None:
    """Budgets of teams and workflows: each worker knows the whole limit and its own part of what was spent."""
    limits: dict[Labels, float] = {}
    held: dict[Labels, float] = {}
    spent: dict[Labels, float] = {}
    for report in reports:
        for row in report.budgets:
            labels = (row.scope, row.name, row.period)
            limits[labels] = max(limits.get(labels, 0.0), row.limit_usd)
            spent[labels] = spent.get(labels, 0.0) + row.spent_usd
            held[labels] = held.get(labels, 0.0) + row.spent_usd + row.reserved_usd
    kept = sorted(limits)[:MOST_NAMES]
    left = {labels: max(0.0, limit - held[labels]) for labels, limit in limits.items()}
    for (name, text), values in zip(BUDGETS, (limits, spent, left), strict=True):
        page.family(name, text, "gauge", ("scope", "name", "period"), {labels: values[labels] for labels in kept})


def _histogram(
    page: _Page, name: str, text: str, reports: Sequence[CountersReport], read: Callable[[WorkflowSums], Histogram]
) -> None:
    """Added over the workers that share the first one's bounds; one of another version is on its way out."""
    bounds = reports[0].latency_bounds if reports else []
    rows = [
        ((sums.workflow,), read(sums))
        for report in reports
        if report.latency_bounds == bounds
        for sums in report.workflows
    ]
    kept = _kept(("workflow",), (values for values, _ in rows)).get("workflow", frozenset())
    added: dict[str, Histogram] = {}
    for (workflow,), histogram in rows:
        total = added.setdefault(workflow if workflow in kept else OTHER, Histogram([0] * (len(bounds) + 1)))
        total.buckets = [a + b for a, b in zip(total.buckets, histogram.buckets, strict=True)]
        total.sum += histogram.sum
    if added:
        page.head(name, text, "histogram")
    for workflow in sorted(added):
        cumulative = list(accumulate(added[workflow].buckets))
        for bound, count in zip([*(_number(bound) for bound in bounds), "+Inf"], cumulative, strict=True):
            page.line(f"{name}_bucket", ("workflow", "le"), (workflow, bound), count)
        page.line(f"{name}_sum", ("workflow",), (workflow,), added[workflow].sum)
        page.line(f"{name}_count", ("workflow",), (workflow,), cumulative[-1])


class _Page:
    """Lines of the exposition."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, text: str, kind: str, labels: Labels, values: Mapping[Labels, float]) -> None:
        if values:
            self.head(name, text, kind)
        for found in sorted(values):
            self.line(name, labels, found, values[found])

    def head(self, name: str, text: str, kind: str) -> None:
        self._lines += [f"# HELP roadworthy_{name} {text}", f"# TYPE roadworthy_{name} {kind}"]

    def line(self, name: str, labels: Labels, values: Labels, number: float) -> None:
        pairs = ",".join(f'{label}="{_escape(value)}"' for label, value in zip(labels, values, strict=True))
        self._lines.append(f"roadworthy_{name}{'{' + pairs + '}' if pairs else ''} {_number(number)}")

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
