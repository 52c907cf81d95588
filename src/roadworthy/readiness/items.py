"""The ten items of readiness: one table that the command line, the docs and the README follow.

To add to an item: a kind in ``evidence/kinds.py``, its judgement in ``judging.py``, its name here.
"""

from __future__ import annotations

from typing import Final

from roadworthy.readiness.model import Item

ITEMS: Final[tuple[Item, ...]] = (
    Item(
        number=1,
        name="latency tested at twice the projected peak",
        shows="a load test: one hour live → 100 %, rehearsed with a live probe → 25 %, shorter → pilot",
        kinds=("load_test",),
        step="load test",
        renew="roadworthy load WORKFLOW",
        auto=False,
        minutes=2.0,
    ),
    Item(
        number=2,
        name="cost forecast per unit, at the peak and at five times of it",
        shows="a forecast that the cost owner accepted, while spend, forecast and prices stay inside it",
        kinds=("cost_forecast",),
        step="load test",
        renew="roadworthy accept WORKFLOW",
        made_by="roadworthy forecast WORKFLOW",
        auto=True,
        minutes=1.0,
    ),
    Item(
        number=3,
        name="logs, metrics and traces in place",
        shows="a canary inference found in the log, at /metrics, in the trace view and in a configured OTLP export",
        kinds=("canary",),
        step="wire",
        renew="roadworthy canary",
        auto=True,
        minutes=0.0,
    ),
    Item(
        number=4,
        name="fallbacks defined and tested for each failure",
        shows="a passing drill per failure",
        kinds=("fallback_drills",),
        step="fallbacks",
        renew="roadworthy drill WORKFLOW --all",
        auto=True,
        minutes=0.0,
        waivable=False,
    ),
    Item(
        number=5,
        name="named owner",
        shows="acceptance by each named person; the workflow's owner is not whoever froze the release",
        kinds=("acceptance",),
        step="owner",
        renew="roadworthy accept WORKFLOW",
        auto=False,
        minutes=1.0,
    ),
    Item(
        number=6,
        name="evaluation harness with a regression test",
        shows="at least 50 hand-scored examples against a rubric that the owner signed; the gate passes this behaviour",
        kinds=("eval_gate",),
        step="capture",
        renew="roadworthy evals gate WORKFLOW",
        auto=True,
        minutes=5.0,
        missing="testers",
        waivable=False,
    ),
    Item(
        number=7,
        name="kill switch wired and tested",
        shows="a kill drill on every gateway: under 60 s, none unconfirmed, no attempt afterwards",
        kinds=("kill_drill",),
        step="switch",
        renew="roadworthy drill kill",
        auto=True,
        minutes=0.0,
        waivable=False,
    ),
    Item(
        number=8,
        name="on-call defined",
        shows="no gap in the next 14 days, and a test page that a human acknowledged",
        kinds=("on_call_schedule", "on_call_page"),
        step="owner",
        renew="roadworthy oncall test WORKFLOW",
        auto=False,
        minutes=2.0,
    ),
    Item(
        number=9,
        name="cost alert thresholds set",
        shows="thresholds, and a test alert that was delivered",
        kinds=("cost_alert_test",),
        step="wire",
        renew="roadworthy budgets test-alert WORKFLOW",
        auto=True,
        minutes=0.0,
    ),
    Item(
        number=10,
        name="customer-visible failures documented",
        shows="the catalogue that the drills made, accepted by the workflow's owner",
        kinds=("failure_catalogue",),
        step="fallbacks",
        made_by="roadworthy drill WORKFLOW --all",
        renew="roadworthy accept WORKFLOW",
        auto=True,
        minutes=1.0,
    ),
)

NUMBERS: Final = tuple(item.number for item in ITEMS)
NEVER_WAIVED: Final = tuple(item.number for item in ITEMS if not item.waivable)
"""What only a machine can show: neither a waiver nor a person's word stands for it."""
GATE: Final = 6
