"""The exposition: valid for Prometheus' own linter, bounded, escaped, summed over workers."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.adapters.telemetry import prometheus
from roadworthy.adapters.telemetry.prometheus import render
from roadworthy.engine.anomalies import AnomalyCounts
from roadworthy.engine.heartbeat import BeatCounts
from roadworthy.engine.telemetry import ExportCounts
from roadworthy.gateway.counters import LATENCY_BOUNDS, Counters, WorkflowSums
from roadworthy.gateway.journal import JournalCounts
from roadworthy.inference_log.model import Lag
from roadworthy.operations.status import PeopleCounts
from roadworthy.workflow.inference import Attempt, Inference, Tokens

NOW = 1_763_860_100.0


def worker(name: str = "w0", **changes: Any) -> dict[str, Any]:
    """A report as it comes over the socket, after a few calls."""
    counters = Counters()
    for outcome, failure, latency in (("answered", None, 0.02), ("answered", None, 0.3), ("error", "slow", 500.0)):
        attempt = Attempt("mini", failure=failure)
        record = Inference(
            id="inf",
            ts=0.0,
            team="default",
            workflow="triage",
            outcome=outcome,
            failure=failure,
            latency=latency,
            first_token=None if failure else 0.01,
            tokens=Tokens(312, 0, 0, 97),
            cost_usd=None if failure else 0.25,
            attempts=[attempt],
        )
        counters.count(record)
    counters.refused("invalid_api_key")
    counters.in_flight = 3
    report = counters.report(
        worker=name,
        started_at=NOW - 100,
        journal=JournalCounts(accepted=6, stored=3),
        slots={"mini": 2},
        repeats_in_progress=1,
        seq=7,
        epoch=1,
        made_at=NOW - 12.5,
    )
    sent: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(report))
    return {**sent, **changes}


def flow(name: str, **changes: Any) -> dict[str, Any]:
    sums: dict[str, Any] = msgspec.to_builtins(WorkflowSums(name))
    return {**sums, **changes}


def samples(text: str) -> dict[str, float]:
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def text(*workers: dict[str, Any], **options: Any) -> str:
    return render(workers, now=lambda: NOW, **options)


def test_counters_of_all_workers_are_added() -> None:
    found = samples(text(worker("w0"), worker("w1")))
    labels = 'workflow="triage",outcome="answered",route="release",class="live"'
    assert found[f"roadworthy_inferences_total{{{labels}}}"] == 4
    assert found['roadworthy_failures_total{workflow="triage",failure="slow"}'] == 2
    assert found['roadworthy_cost_usd_total{workflow="triage"}'] == 1.0
    assert found['roadworthy_cost_unknown_total{workflow="triage"}'] == 2
    assert found['roadworthy_tokens_total{workflow="triage",kind="output"}'] == 6 * 97
    assert found['roadworthy_refusals_total{code="invalid_api_key"}'] == 2
    assert found["roadworthy_journal_stored_total"] == 6


def test_histogram_buckets_are_cumulative_and_end_at_the_count() -> None:
    found = samples(text(worker("w0"), worker("w1")))
    bounds = [*(repr(bound) for bound in LATENCY_BOUNDS), "+Inf"]
    buckets = [found[f'roadworthy_latency_seconds_bucket{{workflow="triage",le="{bound}"}}'] for bound in bounds]
    assert buckets == sorted(buckets)
    assert found['roadworthy_latency_seconds_bucket{workflow="triage",le="0.025"}'] == 2
    assert buckets[-1] == found['roadworthy_latency_seconds_count{workflow="triage"}'] == 6
    assert found['roadworthy_latency_seconds_sum{workflow="triage"}'] == pytest.approx(1000.64)
    assert found['roadworthy_first_token_seconds_count{workflow="triage"}'] == 4


def test_a_worker_that_does_not_answer_is_down() -> None:
    found = samples(text(worker("w0"), expected=["w0", "w1"]))
    assert found['roadworthy_worker_up{worker="w0"}'] == 1
    assert found['roadworthy_worker_up{worker="w1"}'] == 0


def test_gauges_keep_the_workers_name_and_the_snapshot_has_an_age() -> None:
    found = samples(text(worker("w0"), worker("w1", in_flight=5)))
    assert found['roadworthy_in_flight{worker="w1"}'] == 5
    assert found['roadworthy_snapshot_age_seconds{worker="w0"}'] == 12.5
    assert found['roadworthy_snapshot_seq{worker="w1"}'] == 7
    assert found['roadworthy_target_in_flight{target="mini"}'] == 4


def test_a_good_attempt_says_so() -> None:
    assert 'roadworthy_attempts_total{target="mini",step="first",failure="none"} 2' in text(worker())


def test_words_that_nobody_knows_become_other() -> None:
    row = {
        "workflow": "triage",
        "outcome": "answered",
        "route": "release",
        "failure": "",
        "traffic": "live",
        "count": 1,
    }
    found = text(worker(inferences=[{**row, "outcome": "made-up"}, {**row, "route": "x" * 500}]))
    assert 'outcome="other"' in found
    assert 'route="other"' in found
    assert "xxx" not in found


def test_more_names_than_allowed_are_summed_under_other() -> None:
    rows = [flow(f"flow-{i:04}", cost_usd=1.0) for i in range(prometheus.MOST_NAMES + 20)]
    found = samples(text(worker(workflows=rows)))
    spent = {name: value for name, value in found.items() if "cost_usd" in name}
    assert len(spent) == prometheus.MOST_NAMES + 1
    assert spent['roadworthy_cost_usd_total{workflow="other"}'] == 20
    assert 'roadworthy_latency_seconds_count{workflow="other"}' in found


@given(st.text(max_size=40))
def test_a_label_never_breaks_out_of_its_line(name: str) -> None:
    found = text(worker(workflows=[flow(name, cost_unknown=1)]))
    line = next(line for line in found.split("\n") if line.startswith("roadworthy_cost_unknown_total{"))
    assert line.endswith('"} 1')
    value = line.removeprefix('roadworthy_cost_unknown_total{workflow="').removesuffix('"} 1')
    unescaped = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)
    assert unescaped == name


def test_nothing_answers_and_the_page_says_so() -> None:
    assert samples(text(expected=["w0"])) == {'roadworthy_worker_up{worker="w0"}': 0}
    assert text() == ""


def test_a_worker_of_another_version_does_not_spoil_the_histograms() -> None:
    old = worker(
        "w1", latency_bounds=[1.0], workflows=[flow("triage", latency={"buckets": [1, 0], "count": 1, "sum": 0.5})]
    )
    found = samples(text(worker("w0"), old))
    assert found['roadworthy_latency_seconds_count{workflow="triage"}'] == 3


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        text({"worker": "w0"})


LOG = {"accepted": 20, "stored": 18, "lost": 1, "malformed": 0, "pending_bytes": 9000, "pending_seconds": 1.5}
SPANS = {"exported": 17, "dropped_full": 0, "dropped_refused": 1, "waiting": 2}


def test_controls_numbers_are_there_when_control_answers() -> None:
    found = samples(text(worker(), control={"log": LOG, "spans": SPANS}))
    assert found["roadworthy_log_lag_seconds"] == 1.5
    assert found["roadworthy_spans_dropped_refused_total"] == 1
    assert "roadworthy_spans_waiting" not in samples(text(worker(), control={"log": LOG}))


def test_controls_numbers_exist_where_they_come_from() -> None:
    sources = {"log": Lag.__struct_fields__, "spans": ExportCounts.__struct_fields__}
    sources["anomalies"] = AnomalyCounts.__struct_fields__
    sources["people"] = PeopleCounts.__struct_fields__
    sources["heartbeat"] = BeatCounts.__struct_fields__
    assert all(field in sources[part] for part, field, *_ in prometheus.CONTROL)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on this machine (Debian: prometheus)")
def test_promtool_finds_nothing_to_say() -> None:
    odd = worker("w1", workflows=[flow('quo"te\\back\nline', cost_unknown=1)])
    page = text(worker("w0"), odd, expected=["w0", "w1", "w2"], control={"log": LOG, "spans": SPANS})
    done = subprocess.run(["promtool", "check", "metrics"], input=page, text=True, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
