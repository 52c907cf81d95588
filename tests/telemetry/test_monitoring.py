"""What is generated for Prometheus and Grafana names only what ``/metrics`` exports and alerts that are registered."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from roadworthy.adapters.telemetry import grafana
from roadworthy.adapters.telemetry.alert_rules import Objectives, groups
from roadworthy.adapters.telemetry.prometheus import CONTROL, exported, render
from roadworthy.people.alerts.registry import ALERTS

FLOWS = [
    Objectives("support-triage", 0.01, 2.0, 0.02, ("main", "spare")),
    Objectives("summaries", None, None, None, ("main",)),
]
SERIES = re.compile(r"\b(roadworthy_[a-z0-9_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def rules(flows: list[Objectives]) -> Iterator[dict[str, Any]]:
    for group in groups(flows)["groups"]:
        yield from group["rules"]


def every_expression() -> list[str]:
    return [*(rule["expr"] for rule in rules(FLOWS)), *grafana.expressions()]


@pytest.mark.parametrize("expression", every_expression())
def test_every_series_and_label_that_is_named_is_exported(expression: str) -> None:
    known = exported()
    found = SERIES.findall(expression)
    assert found or "roadworthy:" in expression or expression.startswith("vector(")
    for name, matchers in found:
        assert name in known, name
        assert {label for label in LABEL.findall(matchers)} <= set(known[name].labels), expression
    for pair in ("()", "[]", "{}"):
        assert expression.count(pair[0]) == expression.count(pair[1])


def test_every_recorded_series_that_is_named_is_recorded() -> None:
    made = list(rules(FLOWS))
    recorded = {rule["record"] for rule in made if "record" in rule}
    named = {name for rule in made for name in re.findall(r"roadworthy:[a-z0-9_:]+", rule["expr"])}
    assert named <= recorded


def test_what_is_exported_is_what_the_page_shows() -> None:
    control = {part: dict.fromkeys((field for of, field, *_ in CONTROL if of == part), 1.0) for part, *_ in CONTROL}
    page = render([], expected=["w0"], control={**control, "gateway:g1": {"up": 1, "seen_at": 1, "pending_bytes": 1, "pending_seconds": 1}})  # fmt: skip  # noqa: E501
    shown = set(re.findall(r"^(roadworthy_[a-z0-9_]+)", page, re.M))
    assert shown <= set(exported())
    assert {"roadworthy_worker_up", "roadworthy_heartbeat_sent_total", "roadworthy_gateway_up"} <= shown


def test_every_alert_that_pages_has_a_rule_of_its_class_with_its_own_page() -> None:
    made = [rule for rule in rules(FLOWS) if "alert" in rule]
    by_name = {rule["labels"]["roadworthy_alert"]: rule for rule in made if "roadworthy_alert" in rule["labels"]}
    assert {name for name, alert in ALERTS.items() if alert.pages and name != "page_test"} <= set(by_name)
    for name, rule in by_name.items():
        assert rule["labels"]["severity"] == ALERTS[name].cls
        assert rule["annotations"]["runbook"] == f"docs/alerts/{name}.md"


def test_a_dead_control_and_a_dead_install_are_seen_from_outside() -> None:
    absent = [rule["expr"] for rule in rules([]) if "absent(" in rule["expr"]]
    assert len(absent) == 2


def test_names_of_alerts_are_unique_and_objectives_become_series() -> None:
    made = list(rules(FLOWS))
    names = [rule["alert"] for rule in made if "alert" in rule]
    assert len(names) == len(set(names))
    objectives = [rule for rule in made if rule.get("record") == "roadworthy:objective:error_share"]
    assert [(rule["expr"], rule["labels"]) for rule in objectives] == [("vector(0.01)", {"workflow": "support-triage"})]


def test_without_workflows_the_rules_are_about_roadworthy_itself() -> None:
    assert not any("record" in rule for rule in rules([]))
    assert any(rule["alert"] == "RoadworthyControlDead" for rule in rules([]))


def test_the_dashboard_is_json_whose_panels_do_not_overlap() -> None:
    made = msgspec.json.decode(msgspec.json.encode(grafana.dashboard()))
    taken: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip  # noqa: E501
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])


CLOSE_CALLS = """
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'roadworthy_inferences_total{workflow="support-triage",outcome="answered",route="release",class="live"}', values: '0+60x60 3600+60x30'}
      - {series: 'roadworthy_inferences_total{workflow="support-triage",outcome="canned",route="release",class="live"}', values: '0+0x60 0+60x30'}
      - {series: 'roadworthy_worker_up{worker="w0"}', values: '1x90'}
      - {series: 'roadworthy_worker_up{worker="w1"}', values: '1x90'}
      - {series: 'roadworthy_stopped_workers{workflow="support-triage",state="off"}', values: '1x90'}
      - {series: 'roadworthy_attempts_total{target="main",step="first",failure="unavailable"}', values: '0x60 0+9x30'}
    promql_expr_test:
      - expr: count by (alertname, workflow, severity) (ALERTS{alertstate="firing"})
        eval_time: 55m
        exp_samples:
          - {labels: '{alertname="RoadworthyKillUnconfirmed",workflow="support-triage",severity="page"}', value: 1}
          - {labels: '{alertname="RoadworthyControlDead",severity="page"}', value: 1}
      - expr: count by (alertname, workflow, severity) (ALERTS{alertstate="firing"})
        eval_time: 80m
        exp_samples:
          - {labels: '{alertname="RoadworthyErrorBurnFast",workflow="support-triage",severity="page"}', value: 1}
          - {labels: '{alertname="RoadworthyErrorBurn",workflow="support-triage",severity="page"}', value: 1}
          - {labels: '{alertname="RoadworthyKillUnconfirmed",workflow="support-triage",severity="page"}', value: 1}
          - {labels: '{alertname="RoadworthyTargetsDownSupportTriage",workflow="support-triage",severity="page"}', value: 1}
          - {labels: '{alertname="RoadworthyTargetsDownSummaries",workflow="summaries",severity="page"}', value: 1}
          - {labels: '{alertname="RoadworthyControlDead",severity="page"}', value: 1}
"""  # noqa: E501
"""An hour in order but for a stop that one of two workers did not hear of; then half of the callers get the canned
text, and the target of both workflows does not answer."""


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_the_rules_and_fires_when_callers_are_harmed_and_not_before(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(groups(FLOWS)))
    (tmp_path / "test.yml").write_text(CLOSE_CALLS)
    ran = subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
