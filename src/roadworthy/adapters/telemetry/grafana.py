"""A Grafana dashboard over what ``/metrics`` exports, as the JSON that Grafana imports.  Pure.

Rows follow the seven properties: what callers get, how long it takes, what it costs, who waits for a person, and
whether Roadworthy itself is well.  Every panel says in its description which question it answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA: Final = 39
WIDTH: Final = 24
HEIGHT: Final = 8
PICKED: Final = 'workflow=~"$workflow"'
LIVE: Final = f'{PICKED},class="live"'


class Panel(msgspec.Struct, frozen=True):
    title: str
    answers: str
    queries: tuple[tuple[str, str], ...]
    """(expression, legend)."""
    unit: str = "short"
    kind: str = "timeseries"
    stacked: bool = False
    columns: int = 8


def _quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (
            f"histogram_quantile({share}, sum by (le) "
            f"(rate(roadworthy_{metric}_bucket{{{PICKED}}}[$__rate_interval])))",
            f"p{100 * share:.0f}",
        )
        for share in (0.5, 0.95, 0.99)
    )


def _rate(metric: str, by: str, matchers: str) -> str:
    return f"sum by ({by}) (rate(roadworthy_{metric}{{{matchers}}}[$__rate_interval]))"


ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "What callers get",
        (
            Panel("Calls by outcome", "What did live callers get, and how many of them?",
                  ((_rate("inferences_total", "outcome", LIVE), "{{outcome}}"),), "reqps", stacked=True, columns=12),
            Panel("Calls by route", "Which side served: the release, the one before, the bypass?",
                  ((_rate("inferences_total", "route", LIVE), "{{route}}"),), "reqps", stacked=True, columns=12),
            Panel("Errors and stand-in texts",
                  "Which share of live callers got an error or a text that no model wrote?",
                  ((f'sum by (workflow) (rate(roadworthy_inferences_total{{{LIVE},'
                    'outcome=~"error|canned|escalated|blocked"}[$__rate_interval])) / '
                    f"sum by (workflow) (rate(roadworthy_inferences_total{{{LIVE}}}[$__rate_interval]))",
                    "{{workflow}}"),), "percentunit"),
            Panel("Failures", "Why was an attempt not good enough, mended or not?",
                  ((_rate("failures_total", "failure", PICKED), "{{failure}}"),), "reqps", stacked=True),
            Panel("Stopped", "In how many workers is a workflow stopped, and how far?",
                  (("sum by (workflow, state) (roadworthy_stopped_workers)", "{{workflow}} {{state}}"),)),
        ),
    ),
    (
        "How long it takes",
        (
            Panel("Latency", "How long do callers wait for the last byte?", _quantiles("latency_seconds"), "s"),
            Panel("First token", "How long do they wait for the first?", _quantiles("first_token_seconds"), "s"),
            Panel("Overhead", "How much of that is ours?", _quantiles("overhead_seconds"), "s"),
        ),
    ),
    (
        "Targets",
        (
            Panel("Attempts by target", "Who is called, and how does it end?",
                  (("sum by (target, failure) (rate(roadworthy_attempts_total[$__rate_interval]))",
                    "{{target}} {{failure}}"),), "reqps", stacked=True),
            Panel("Slots", "How many calls are under way, allowed, waiting?",
                  (("sum by (target) (roadworthy_target_in_flight)", "{{target}} under way"),
                   ("sum by (target) (roadworthy_target_limit)", "{{target}} limit"),
                   ("sum by (target) (roadworthy_target_waiting)", "{{target}} waiting"))),
            Panel("Breakers", "In how many workers is a target left alone?",
                  (('sum by (target) (roadworthy_target_breaker_workers{state="open"})', "{{target}}"),)),
        ),
    ),
    (
        "What it costs",
        (
            Panel("Spent an hour", "US dollars an hour, by workflow.",
                  ((f"3600 * {_rate('cost_usd_total', 'workflow', PICKED)}", "{{workflow}}"),), "currencyUSD"),
            Panel("Left of budgets", "What remains of each budget of its day or month?",
                  (("roadworthy_budget_remaining_usd", "{{scope}} {{name}} {{period}}"),), "currencyUSD"),
            Panel("Tokens", "Which kinds of tokens are paid for?",
                  ((_rate("tokens_total", "kind", PICKED), "{{kind}}"),), "short", stacked=True),
        ),
    ),
    (
        "What waits for a person",
        (
            Panel("Escalations", "How many customers wait for a person?",
                  (("roadworthy_escalations_open", "waiting"),), kind="stat", columns=6),
            Panel("Incidents", "What has nobody resolved?", (("roadworthy_incidents_open", "open"),), kind="stat",
                  columns=6),
            Panel("Messages given up", "Whom did we fail to tell?", (("roadworthy_messages_dead", "given up"),),
                  kind="stat", columns=6),
            Panel("Unusual hours", "What is unlike the hours before?", (("roadworthy_anomalies_open", "unusual"),),
                  kind="stat", columns=6),
        ),
    ),
    (
        "Roadworthy itself",
        (
            Panel("Workers", "Do all gateway workers answer?", (("roadworthy_worker_up", "{{worker}}"),)),
            Panel("Log behind", "How old is the oldest call that is not in the log?",
                  (("roadworthy_log_lag_seconds", "log"), ("roadworthy_gateway_lag_seconds", "{{gateway}}")), "s"),
            Panel("Snapshots", "How old is what workers serve?",
                  (("roadworthy_snapshot_age_seconds", "{{worker}}"),), "s"),
            Panel("Journal", "Does anything wait for room on the disk, or was it dropped?",
                  (("roadworthy_journal_waiting", "waiting"),
                   ("rate(roadworthy_journal_dropped_total[$__rate_interval])", "dropped"),
                   ("rate(roadworthy_journal_bodies_dropped_total[$__rate_interval])", "without bodies"))),
            Panel("Heartbeat", "Does the dead-man's switch outside hear of us?",
                  (("time() - roadworthy_heartbeat_last_good_time_seconds", "since the last call"),), "s"),
            Panel("Refused", "Which requests never became a call?",
                  (("sum by (code) (rate(roadworthy_refusals_total[$__rate_interval]))", "{{code}}"),), "reqps"),
        ),
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """What Grafana imports."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append(_header(len(panels) + 1, title, top))
        top += 1
        left = 0
        for panel in row:
            if left + panel.columns > WIDTH:
                left, top = 0, top + HEIGHT
            panels.append(_panel(len(panels) + 1, panel, left, top))
            left += panel.columns
        top += HEIGHT
    return {
        "uid": "roadworthy", "title": "Roadworthy", "tags": ["roadworthy"], "timezone": "browser",
        "schemaVersion": SCHEMA, "version": 1, "editable": True, "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": panels,
    }  # fmt: skip


def expressions() -> Sequence[str]:
    """Every query of the dashboard."""
    return [expr for _, row in ROWS for panel in row for expr, _ in panel.queries]


def _variables() -> list[dict[str, Any]]:
    query = "label_values(roadworthy_inferences_total, workflow)"
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {
            "name": "workflow", "type": "query", "datasource": SOURCE, "definition": query, "label": "Workflow",
            "query": {"query": query, "refId": "workflow"}, "refresh": 2, "multi": True, "includeAll": True,
            "current": {"text": "All", "value": "$__all"}, "sort": 1,
        },
    ]  # fmt: skip


def _header(ident: int, title: str, top: int) -> dict[str, Any]:
    place = {"h": 1, "w": WIDTH, "x": 0, "y": top}
    return {"id": ident, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(ident: int, panel: Panel, left: int, top: int) -> dict[str, Any]:
    custom: dict[str, Any] = {"fillOpacity": 10, "lineWidth": 1}
    if panel.stacked:
        custom |= {"stacking": {"mode": "normal"}, "fillOpacity": 40}
    defaults = {"unit": panel.unit, "min": 0, **({"custom": custom} if panel.kind == "timeseries" else {})}
    return {
        "id": ident, "type": panel.kind, "title": panel.title, "description": panel.answers, "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": panel.columns, "x": left, "y": top},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expr, "legendFormat": legend, "datasource": SOURCE}
            for place, (expr, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip
