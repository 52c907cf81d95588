"""The exposition: valid for Prometheus' own linter, bounded, escaped, summed over workers."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.adapters.telemetry import prometheus
from roadworthy.adapters.telemetry.prometheus import render

NOW = 1_763_860_100.0


def worker(name: str = "w0", **changes: Any) -> dict[str, Any]:
    return {
        "worker": name,
        "started": 1_763_860_000.0,
        "in_flight": 3,
        "snapshot": {"epoch": 1, "seq": 7, "made_at": NOW - 12.5},
        "inferences": [["triage", "answered", "release", "live", 10], ["triage", "error", "release", "live", 1]],
        "failures": [["triage", "slow", 2]],
        "attempts": [["mini", "", 11], ["mini", "slow", 2]],
        "tokens": [["triage", "input", 3120], ["triage", "output", 970]],
        "cost_usd": [["triage", 0.25]],
        "cost_unknown": [["triage", 1]],
        "buckets": [0.1, 0.5, 1.0],
        "latency": [["triage", [4, 5, 1, 1], 4.5]],
        "first_token": [["triage", [8, 2, 0, 0], 1.5]],
        "journal": {"accepted": 14, "stored": 11, "dropped": 0, "bodies_dropped": 0, "bytes": 45_000},
        **changes,
    }


def samples(text: str) -> dict[str, float]:
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def text(*workers: dict[str, Any], **options: Any) -> str:
    return render(workers, now=lambda: NOW, **options)


def test_counters_of_all_workers_are_added() -> None:
    found = samples(text(worker("w0"), worker("w1")))
    labels = 'workflow="triage",outcome="answered",route="release",class="live"'
    assert found[f"roadworthy_inferences_total{{{labels}}}"] == 20
    assert found['roadworthy_cost_usd_total{workflow="triage"}'] == 0.5
    assert found["roadworthy_journal_stored_total"] == 22


def test_histogram_buckets_are_cumulative_and_end_at_the_count() -> None:
    found = samples(text(worker("w0"), worker("w1")))
    buckets = [found[f'roadworthy_latency_seconds_bucket{{workflow="triage",le="{le}"}}'] for le in (0.1, 0.5, 1.0)]
    assert buckets == [8, 18, 20]
    everything = found['roadworthy_latency_seconds_bucket{workflow="triage",le="+Inf"}']
    assert everything == found['roadworthy_latency_seconds_count{workflow="triage"}'] == 22
    assert found['roadworthy_latency_seconds_sum{workflow="triage"}'] == 9.0


def test_a_worker_that_does_not_answer_is_down() -> None:
    found = samples(text(worker("w0"), expected=["w0", "w1"]))
    assert found['roadworthy_worker_up{worker="w0"}'] == 1
    assert found['roadworthy_worker_up{worker="w1"}'] == 0


def test_gauges_keep_the_workers_name_and_the_snapshot_has_an_age() -> None:
    found = samples(text(worker("w0"), worker("w1", snapshot=None, in_flight=5)))
    assert found['roadworthy_in_flight{worker="w1"}'] == 5
    assert found['roadworthy_snapshot_age_seconds{worker="w0"}'] == 12.5
    assert 'roadworthy_snapshot_seq{worker="w1"}' not in found


def test_a_good_attempt_says_so() -> None:
    assert 'roadworthy_attempts_total{target="mini",failure="none"} 11' in text(worker())


def test_words_that_nobody_knows_become_other() -> None:
    odd = [["triage", "made-up", "release", "live", 1], ["triage", "answered", "x" * 500, "live", 2]]
    found = text(worker(inferences=odd))
    assert 'outcome="other"' in found
    assert 'route="other"' in found
    assert "xxx" not in found


def test_more_names_than_allowed_are_summed_under_other() -> None:
    rows = [[f"flow-{i:04}", 1.0] for i in range(prometheus.MOST_NAMES + 20)]
    found = samples(text(worker(cost_usd=rows, cost_unknown=[], latency=[], first_token=[])))
    spent = {name: value for name, value in found.items() if "cost_usd" in name}
    assert len(spent) == prometheus.MOST_NAMES + 1
    assert spent['roadworthy_cost_usd_total{workflow="other"}'] == 20


@given(st.text(max_size=40))
def test_a_label_never_breaks_out_of_its_line(name: str) -> None:
    found = text(worker(cost_unknown=[[name, 1]]))
    line = next(line for line in found.split("\n") if line.startswith("roadworthy_cost_unknown_total{"))
    assert line.endswith('"} 1')
    value = line.removeprefix('roadworthy_cost_unknown_total{workflow="').removesuffix('"} 1')
    unescaped = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)
    assert unescaped == name


def test_nothing_answers_and_the_page_is_still_valid() -> None:
    assert samples(text(expected=["w0"])) == {
        'roadworthy_worker_up{worker="w0"}': 0,
        **{f"roadworthy_{family.name}": 0 for _, family in prometheus.JOURNAL},
    }


def test_controls_numbers_are_there_when_control_answers() -> None:
    log = {"accepted": 20, "stored": 18, "lost": 1, "malformed": 0, "pending_bytes": 9000, "pending_seconds": 1.5}
    spans = {"exported": 17, "dropped_full": 0, "dropped_refused": 1, "waiting": 2}
    found = samples(text(worker(), control={"log": log, "spans": spans}))
    assert found["roadworthy_log_lag_seconds"] == 1.5
    assert found["roadworthy_spans_dropped_refused_total"] == 1
    assert "roadworthy_spans_waiting" not in samples(text(worker(), control={"log": log, "spans": None}))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on this machine (Debian: prometheus)")
def test_promtool_finds_nothing_to_say() -> None:
    log = {"accepted": 20, "stored": 18, "lost": 1, "malformed": 0, "pending_bytes": 9000, "pending_seconds": 1.5}
    spans = {"exported": 17, "dropped_full": 0, "dropped_refused": 1, "waiting": 2}
    page = text(
        worker("w0", cost_unknown=[['quo"te\\back\nline', 1]]),
        worker("w1"),
        expected=["w0", "w1", "w2"],
        control={"log": log, "spans": spans},
    )
    done = subprocess.run(["promtool", "check", "metrics"], input=page, text=True, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
