"""docs/telemetry.md names every metric, no other, and its alerting rules are valid."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from roadworthy.adapters.telemetry import prometheus

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")


def documented() -> set[str]:
    """Metrics of the table; ``_more`` continues the name before it up to its first word."""
    found = set()
    for row in re.findall(r"^\| (`roadworthy_.+?) \|", PAGE, re.MULTILINE):
        first, *others = re.findall(r"`([a-z_]+)`", row)
        found.add(first)
        family = "_".join(first.split("_")[:2])
        found |= {family + other if other.startswith("_") else other for other in others}
    return found


def rendered() -> set[str]:
    names = {family.name for family in prometheus.SUMMED} | {"worker_up"}
    names |= {name for name, *_ in prometheus.HISTOGRAMS} | {name for name, *_ in prometheus.PER_WORKER}
    names |= {name for _, _, _, name, _ in prometheus.CONTROL}
    names |= {name for name, _ in prometheus.BUDGETS}
    return {f"roadworthy_{name}" for name in names}


def test_every_metric_is_documented_and_none_that_does_not_exist() -> None:
    assert documented() == rendered()


def test_alerts_name_metrics_that_exist() -> None:
    rules = PAGE.split("```yaml")[1].split("```")[0]
    assert set(re.findall(r"roadworthy_[a-z_]+", rules)) <= rendered()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on this machine (Debian: prometheus)")
def test_the_alerting_rules_are_valid(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(PAGE.split("```yaml")[1].split("```")[0])
    done = subprocess.run(["promtool", "check", "rules", rules], text=True, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
