"""Alerting rules for Prometheus, made from what ``/metrics`` exports and from the registry of alerts.  Pure.

They are for whoever has a Prometheus already: a second pair of eyes beside the alerts of control, and the only ones
that see a control that is dead.  Counters know outcomes, not why each call failed, so every stand-in text counts
against the objective here; control's own alerts leave out those that a check held back for what the answer said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from roadworthy.gateway.counters import LATENCY_BOUNDS
from roadworthy.inference_log.analysis import BURN_LEAST_BAD, BURN_RULES
from roadworthy.people.alerts.registry import ALERTS

LATENCY_BUDGET: Final = 0.05
"""Share of calls that a p95 allows to be slower."""
UNSAFE_SHARE: Final = 0.02
BAD: Final = "error|canned|escalated|blocked"
NO_ANSWER: Final = "bypassed|abandoned"
DOWN: Final = "unavailable|slow|misconfigured|overlimit"


class Objectives(msgspec.Struct, frozen=True):
    """What one workflow declares; ``None``: nothing."""

    workflow: str
    error_share: float | None = None
    latency_p95: float | None = None
    unsafe_share: float | None = None
    targets: tuple[str, ...] = ()
    """Every target that its releases may call."""


class Rule(msgspec.Struct, frozen=True):
    alert: str
    """As Prometheus calls it."""
    name: str
    """In the registry of alerts; empty: control cannot see it, so it has none."""
    expr: str
    lasting: str
    severity: str
    summary: str
    description: str
    workflow: str = ""
    """Of a rule that is about one workflow, whose expression does not say which."""


def groups(flows: Sequence[Objectives]) -> dict[str, Any]:
    """The rule file as plain data: ``{"groups": […]}``."""
    served = [*_objectives(flows), *_shares(flows)]
    return {
        "groups": [
            *([{"name": "roadworthy.recorded", "interval": "30s", "rules": served}] if served else []),
            {"name": "roadworthy.serving", "rules": [_written(rule) for rule in _serving(flows)]},
            {"name": "roadworthy.itself", "rules": [_written(rule) for rule in _itself()]},
        ]
    }


def _written(rule: Rule) -> dict[str, Any]:
    more = {"roadworthy_alert": rule.name, "workflow": rule.workflow}
    labels = {"severity": rule.severity, **{name: value for name, value in more.items() if value}}
    notes = {"summary": rule.summary, "description": rule.description}
    if rule.name:
        notes["runbook"] = f"docs/alerts/{rule.name}.md"
    return {"alert": rule.alert, "expr": rule.expr, "for": rule.lasting, "labels": labels, "annotations": notes}


def _objectives(flows: Sequence[Objectives]) -> Iterator[dict[str, Any]]:
    """What each workflow allows, as series of its own, so that one rule serves all workflows."""
    for flow in flows:
        allowed: Mapping[str, float | None] = {
            "error_share": flow.error_share,
            "latency_p95": _bound(flow.latency_p95),
            "unsafe_share": UNSAFE_SHARE if flow.unsafe_share is None else flow.unsafe_share,
        }
        for name, value in allowed.items():
            if value is not None:
                yield _record(f"roadworthy:objective:{name}", f"vector({value:g})", {"workflow": flow.workflow})


def _shares(flows: Sequence[Objectives]) -> Iterator[dict[str, Any]]:
    lengths = sorted({length for rule in BURN_RULES for length in rule[:2]})
    for length in lengths if any(flow.error_share is not None for flow in flows) else ():
        of = f'class="live",route!~"off|bypass",outcome!~"{NO_ANSWER}"'
        bad = f'class="live",route!~"off|bypass",outcome=~"{BAD}"'
        yield _record(
            f"roadworthy:error_share:{_span(length)}",
            f"sum by (workflow) (rate(roadworthy_inferences_total{{{bad}}}[{_span(length)}])) / "
            f"sum by (workflow) (rate(roadworthy_inferences_total{{{of}}}[{_span(length)}]))",
        )
    for flow in flows:
        bound = _bound(flow.latency_p95)
        for length in lengths if bound is not None else ():
            named = f'workflow="{flow.workflow}"'
            yield _record(
                f"roadworthy:slow_share:{_span(length)}",
                f'1 - sum by (workflow) (rate(roadworthy_latency_seconds_bucket{{{named},le="{bound!r}"}}'
                f"[{_span(length)}])) / sum by (workflow) (rate(roadworthy_latency_seconds_count{{{named}}}"
                f"[{_span(length)}]))",
            )


def _record(name: str, expr: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {"record": name, "expr": expr, **({"labels": dict(labels)} if labels else {})}


def _serving(flows: Sequence[Objectives]) -> Iterator[Rule]:
    """What callers notice."""
    pages = [rule for rule in BURN_RULES if rule[3] == "page"]
    if any(flow.error_share is not None for flow in flows):
        for (long, short, rate, _, meaning), name in zip(pages, ("error_burn_fast", "error_burn"), strict=True):
            bad = f'increase(roadworthy_inferences_total{{class="live",outcome=~"{BAD}"}}[{_span(long)}])'
            yield _registered(
                name,
                f"(roadworthy:error_share:{_span(long)} > on (workflow) {rate:g} * roadworthy:objective:error_share) "
                f"and (roadworthy:error_share:{_span(short)} > on (workflow) {rate:g} * "
                f"roadworthy:objective:error_share) and (sum by (workflow) ({bad}) >= {BURN_LEAST_BAD})",
                "0m", meaning,
            )  # fmt: skip
    if any(_bound(flow.latency_p95) is not None for flow in flows):
        either = " or ".join(
            f"(roadworthy:slow_share:{_span(long)} > {rate * LATENCY_BUDGET:g} "
            f"and roadworthy:slow_share:{_span(short)} > {rate * LATENCY_BUDGET:g})"
            for long, short, rate, _, _ in pages
        )
        yield _registered("latency_burn", either, "0m", "both windows of one burn rate")
    for flow in flows:
        if flow.targets:
            yield _targets_down(flow)
    unsafe = 'sum by (workflow) (increase(roadworthy_failures_total{failure="unsafe"}[10m]))'
    every = 'sum by (workflow) (increase(roadworthy_inferences_total{class="live"}[10m]))'
    if flows:
        yield _registered(
            "unsafe_share",
            f"({unsafe} / {every} > on (workflow) roadworthy:objective:unsafe_share) and ({unsafe} >= "
            f"{ALERTS['unsafe_share'].minimum})",
            "0m", "of ten minutes",
        )  # fmt: skip
    yield _registered(
        "hard_limit",
        'roadworthy_budget_remaining_usd{scope=~"workflow|team"} <= 0 and '
        'roadworthy_budget_limit_usd{scope=~"workflow|team"} > 0',
        "1m", "{{ $labels.scope }} {{ $labels.name }}, by {{ $labels.period }}",
    )  # fmt: skip
    yield _registered(
        "kill_unconfirmed",
        "sum by (workflow) (roadworthy_stopped_workers) > 0 and sum by (workflow) (roadworthy_stopped_workers) < "
        "scalar(sum(roadworthy_worker_up))",
        "1m", "some workers of this gateway have stopped it, and some have not",
    )  # fmt: skip
    yield _registered(
        "journal_disk_full",
        "roadworthy_journal_waiting > 0 or increase(roadworthy_journal_bodies_dropped_total[5m]) > 0 or "
        "increase(roadworthy_journal_dropped_total[5m]) > 0",
        "1m", "inferences wait in memory, or lost their bodies, for want of room",
    )  # fmt: skip


def _targets_down(flow: Objectives) -> Rule:
    named = f'target=~"{"|".join(sorted(flow.targets))}"'
    return _registered(
        "targets_down",
        f'(sum(increase(roadworthy_attempts_total{{{named},failure=~"{DOWN}"}}[5m])) >= '
        f"{ALERTS['targets_down'].minimum}) unless (sum(increase(roadworthy_attempts_total{{{named},"
        f'failure!~"{DOWN}"}}[5m])) > 0)',
        "0m", f"{flow.workflow}: {', '.join(sorted(flow.targets))}", workflow=flow.workflow,
    )  # fmt: skip


def _itself() -> Iterator[Rule]:
    """Roadworthy itself: what only somebody outside of it can see."""
    yield _own(
        "MetricsMissing", "absent(roadworthy_worker_up)", "2m", "page", "Roadworthy is not seen",
        "Its /metrics is not scraped: the supervisor is dead, the machine is gone, or the scrape is wrong.",
    )  # fmt: skip
    yield _own(
        "ControlDead", "absent(roadworthy_log_lag_seconds) and on () roadworthy_worker_up", "2m", "page",
        "Control does not answer",
        "Gateways serve on with their last snapshot. Nothing is shipped, alerted, paged, ramped or stopped by itself "
        "until it is back: `roadworthy doctor`",
    )  # fmt: skip
    yield _own(
        "WorkerDown", "roadworthy_worker_up == 0", "2m", "page", "A gateway worker does not answer",
        "{{ $labels.worker }} should run and does not: its share of the calls waits or fails.",
    )  # fmt: skip
    yield _own(
        "GatewaySilent", "roadworthy_gateway_up == 0", "5m", "notify", "Control does not hear of a gateway",
        "{{ $labels.gateway }}: stops reach it only through its own files until it is heard again.",
    )  # fmt: skip
    yield _own(
        "LogBehind", "roadworthy_log_lag_seconds > 300", "10m", "notify", "The inference log is behind",
        "The oldest journal line that is not in the log is {{ $value | humanizeDuration }} old.",
    )  # fmt: skip
    yield _own(
        "SnapshotRefused", "increase(roadworthy_snapshots_refused_total[15m]) > 0", "0m", "notify",
        "A worker refused a snapshot", "It serves with the last good one: `roadworthy status`",
    )  # fmt: skip
    yield _registered("dead_letter", "delta(roadworthy_messages_dead[15m]) > 0", "0m", "messages that were given up")
    yield _registered(
        "heartbeat",
        "increase(roadworthy_heartbeat_failed_total[10m]) > 2 or increase(roadworthy_heartbeat_withheld_total[10m]) "
        "> 0",
        "0m", "calls that failed, or were withheld because a duty of control was dead",
    )  # fmt: skip


def _registered(name: str, expr: str, lasting: str, detail: str, *, workflow: str = "") -> Rule:
    """Under the title, class and page that the alert has in the registry."""
    alert = ALERTS[name]
    words = [*name.split("_"), *workflow.replace("-", "_").split("_")]
    return Rule(
        "Roadworthy" + "".join(word.capitalize() for word in words), name, expr, lasting, alert.cls,
        alert.title, f"{detail}. {alert.means}", workflow,
    )  # fmt: skip


def _own(name: str, expr: str, lasting: str, severity: str, summary: str, description: str) -> Rule:
    return Rule(f"Roadworthy{name}", "", expr, lasting, severity, summary, description)


def _bound(seconds: float | None) -> float | None:
    """The bucket that holds a latency objective: its upper bound, so that nothing within the objective counts as slow;
    ``None``: there is no objective, or no bucket that large."""
    return None if seconds is None else next((bound for bound in LATENCY_BOUNDS if bound >= seconds), None)


def _span(seconds: float) -> str:
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "m")):
        if seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"
