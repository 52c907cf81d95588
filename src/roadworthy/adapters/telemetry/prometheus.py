"""Counters → Prometheus text (exposition format 0.0.4).  Pure; the supervisor serves it at ``/metrics``.

Rule: every label has a bounded set of values.  Words come from ``workflow/inference.py``; an unknown word becomes
``other``.  Workflows and targets come from the configuration; past ``MOST_NAMES`` of them the rest is summed under
``other``.  Nothing that a caller sends becomes a label.

A worker's counters (``GET /internal/counters``), all counted since the worker started; rows hold label values and
then the number, seconds and dollars are floats:

    worker        "w0"
    started       Unix seconds
    in_flight     calls under way
    snapshot      {"epoch", "seq", "made_at"}; missing while none is loaded
    inferences    [[workflow, outcome, route, class, n], …]
    failures      [[workflow, failure, n], …]       the failure of the inference
    attempts      [[target, failure, n], …]         "" for a good attempt
    tokens        [[workflow, kind, n], …]          kinds: input, cache_read, cache_write, output, reasoning
    cost_usd      [[workflow, usd], …]
    cost_unknown  [[workflow, n], …]                inferences whose cost is not known
    buckets       upper bounds in seconds, rising
    latency       [[workflow, [n per bucket…, n above the last], sum], …]      not cumulative
    first_token   likewise
    journal       {"accepted", "stored", "dropped", "bodies_dropped", "bytes"}

Control's own numbers are optional: ``log`` (``inference_log.model.Lag``) and ``spans`` (``engine.telemetry``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import msgspec

from roadworthy.workflow.inference import FAILURES, OUTCOMES, ROUTES, TRAFFIC_CLASSES

MOST_NAMES = 500
"""Distinct workflows, or targets, that get series of their own."""

OTHER = "other"
TOKEN_KINDS = ("input", "cache_read", "cache_write", "output", "reasoning")
GOOD = "none"
"""Label value of an attempt that did not fail."""

Counters = Mapping[str, Any]
Labels = tuple[str, ...]


class Family(msgspec.Struct, frozen=True):
    """One metric: its name without ``roadworthy_``, its help text and its labels."""

    name: str
    help: str
    labels: Labels = ()
    kind: str = "counter"


ROWS: tuple[tuple[str, Family], ...] = (
    (
        "inferences",
        Family("inferences_total", "Calls served, whatever answered.", ("workflow", "outcome", "route", "class")),
    ),
    ("failures", Family("failures_total", "Inferences with a failure, mended or not.", ("workflow", "failure"))),
    ("attempts", Family("attempts_total", "Calls of a target; failure is none for a good one.", ("target", "failure"))),
    ("tokens", Family("tokens_total", "Tokens of all attempts; reasoning is part of output.", ("workflow", "kind"))),
    ("cost_usd", Family("cost_usd_total", "US dollars spent, where the cost is known.", ("workflow",))),
    ("cost_unknown", Family("cost_unknown_total", "Inferences whose cost is not known.", ("workflow",))),
)

HISTOGRAMS: tuple[tuple[str, Family], ...] = (
    ("latency", Family("latency_seconds", "From admission to the last byte.", ("workflow",), "histogram")),
    ("first_token", Family("first_token_seconds", "From admission to the first token.", ("workflow",), "histogram")),
)

JOURNAL: tuple[tuple[str, Family], ...] = (
    ("accepted", Family("journal_accepted_total", "Inferences begun in the journal.")),
    ("stored", Family("journal_stored_total", "Inferences whose end is in the journal.")),
    ("dropped", Family("journal_dropped_total", "Inferences that the journal could not hold.")),
    ("bodies_dropped", Family("journal_bodies_dropped_total", "Records written without bodies, the disk being full.")),
    ("bytes", Family("journal_written_bytes_total", "Bytes written to the journal.")),
)

LOG: tuple[tuple[str, Family], ...] = (
    ("accepted", Family("log_accepted_total", "Inferences whose beginning or end reached the log.")),
    ("stored", Family("log_stored_total", "Inferences in the log.")),
    ("lost", Family("log_gateway_lost_total", "Inferences whose gateway died during the call.")),
    ("malformed", Family("log_malformed_lines_total", "Journal lines put in quarantine.")),
    ("pending_bytes", Family("log_lag_bytes", "Journal bytes not shipped yet.", kind="gauge")),
    ("pending_seconds", Family("log_lag_seconds", "Age of the oldest line not shipped yet.", kind="gauge")),
)

SPANS: tuple[tuple[str, Family], ...] = (
    ("exported", Family("spans_exported_total", "Inferences that the OTLP collector took.")),
    ("dropped_full", Family("spans_dropped_full_total", "Inferences not exported, the queue being full.")),
    ("dropped_refused", Family("spans_dropped_refused_total", "Inferences that the collector did not take.")),
    ("waiting", Family("spans_waiting", "Inferences that wait for the collector.", kind="gauge")),
)

UP = Family("worker_up", "1 while the worker answers its supervisor.", ("worker",), "gauge")
WORKERS: tuple[tuple[Callable[[Counters, float], float | None], Family], ...] = (
    (
        lambda worker, now: worker.get("started"),
        Family("worker_start_time_seconds", "When the worker started, Unix time.", ("worker",), "gauge"),
    ),
    (
        lambda worker, now: worker.get("in_flight"),
        Family("in_flight", "Calls under way.", ("worker",), "gauge"),
    ),
    (
        lambda worker, now: (worker.get("snapshot") or {}).get("seq"),
        Family("snapshot_seq", "Number of the snapshot that the worker serves.", ("worker",), "gauge"),
    ),
    (
        lambda worker, now: max(0.0, now - worker["snapshot"]["made_at"]) if worker.get("snapshot") else None,
        Family("snapshot_age_seconds", "Age of the snapshot that the worker serves.", ("worker",), "gauge"),
    ),
)

_WORDS: dict[str, frozenset[str]] = {
    "outcome": frozenset(OUTCOMES),
    "route": frozenset(ROUTES),
    "class": frozenset(TRAFFIC_CLASSES),
    "failure": frozenset({*FAILURES, GOOD}),
    "kind": frozenset(TOKEN_KINDS),
}


def render(
    workers: Sequence[Counters],
    *,
    expected: Iterable[str] = (),
    control: Counters | None = None,
    now: Callable[[], float] = time.time,
) -> str:
    """The exposition of all workers together.

    ``workers`` are the counters of those that answered; ``expected`` names all that should run, so that one that
    does not answer shows as down.  Counters are summed; gauges keep the worker's name.
    """
    lines: list[str] = []
    for key, family in ROWS:
        _samples(lines, family, _sum_rows(workers, key, family))
    for key, family in HISTOGRAMS:
        _histogram(lines, family, workers, key)
    for key, family in JOURNAL:
        _samples(lines, family, {(): sum(worker.get("journal", {}).get(key, 0) for worker in workers)})
    found = {str(worker["worker"]): worker for worker in workers}
    _samples(lines, UP, {(name,): int(name in found) for name in sorted({*expected, *found})})
    moment = now()
    for read, family in WORKERS:
        values = {(name,): read(worker, moment) for name, worker in sorted(found.items())}
        _samples(lines, family, {labels: value for labels, value in values.items() if value is not None})
    for part, table in (("log", LOG), ("spans", SPANS)):
        numbers: Counters = (control or {}).get(part) or {}
        for key, family in table if numbers else ():
            _samples(lines, family, {(): numbers[key]})
    return "\n".join(lines) + "\n" if lines else ""


def _sum_rows(workers: Sequence[Counters], key: str, family: Family) -> dict[Labels, float]:
    rows = [row for worker in workers for row in worker.get(key, ())]
    kept = _kept_names(row[0] for row in rows)
    total: dict[Labels, float] = {}
    for row in rows:
        labels = _bounded(family.labels, row[:-1], kept)
        total[labels] = total.get(labels, 0) + row[-1]
    return total


def _kept_names(names: Iterable[str]) -> frozenset[str]:
    """The names that get series of their own: the first ``MOST_NAMES`` in alphabetical order, so that they stay."""
    return frozenset(sorted(set(names))[:MOST_NAMES])


def _bounded(labels: Labels, values: Sequence[str], kept: frozenset[str]) -> Labels:
    found = []
    for label, value in zip(labels, values, strict=True):
        if label == "failure" and not value:
            value = GOOD
        known = kept if label in ("workflow", "target") else _WORDS[label]
        found.append(value if value in known else OTHER)
    return tuple(found)


def _histogram(lines: list[str], family: Family, workers: Sequence[Counters], key: str) -> None:
    """Buckets of workers that agree on the bounds (all run the same code) are added up."""
    kept = _kept_names(row[0] for worker in workers for row in worker.get(key, ()))
    bounds: Sequence[float] = next((worker["buckets"] for worker in workers if worker.get(key)), ())
    counts: dict[Labels, list[int]] = {}
    sums: dict[Labels, float] = {}
    for worker in workers:
        for name, per_bucket, total in worker.get(key, ()):
            if worker["buckets"] != bounds:
                continue  # a worker of another version, on its way out
            labels = _bounded(family.labels, (name,), kept)
            counts[labels] = [a + b for a, b in zip(counts.get(labels, [0] * len(per_bucket)), per_bucket, strict=True)]
            sums[labels] = sums.get(labels, 0.0) + total
    if counts:
        _head(lines, family)
    for labels in sorted(counts):
        cumulative = list(accumulate(counts[labels]))
        for bound, count in zip([*(_number(bound) for bound in bounds), "+Inf"], cumulative, strict=True):
            _line(lines, f"{family.name}_bucket", (*family.labels, "le"), (*labels, bound), count)
        _line(lines, f"{family.name}_sum", family.labels, labels, sums[labels])
        _line(lines, f"{family.name}_count", family.labels, labels, cumulative[-1])


def _samples(lines: list[str], family: Family, values: Mapping[Labels, float]) -> None:
    if values:
        _head(lines, family)
    for labels in sorted(values):
        _line(lines, family.name, family.labels, labels, values[labels])


def _head(lines: list[str], family: Family) -> None:
    lines.append(f"# HELP roadworthy_{family.name} {_escape(family.help)}")
    lines.append(f"# TYPE roadworthy_{family.name} {family.kind}")


def _line(lines: list[str], name: str, labels: Labels, values: Labels, number: float) -> None:
    pairs = ",".join(
        '{}="{}"'.format(label, _escape(value).replace('"', '\\"')) for label, value in zip(labels, values, strict=True)
    )
    lines.append(f"roadworthy_{name}{{{pairs}}} {_number(number)}" if pairs else f"roadworthy_{name} {_number(number)}")


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
