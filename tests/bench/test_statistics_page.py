"""The page of figures keeps what an earlier run said of data that is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from bench.statistics import Row, Section, page, rates

from bench import statistics

KEPT = Section("pandalm", "Against data", None)
OTHER = Section("rates", "Shares", rates)


def test_the_shares_are_the_published_ones() -> None:
    assert all(row.holds for row in rates(np.random.default_rng(1)))


def test_without_data_a_part_is_named_as_skipped_and_what_was_said_of_it_stays() -> None:
    first = page([(KEPT, None), (OTHER, [Row("x", "1", "2", False)])], "")
    assert "## Against data\n\n<!-- pandalm -->\nSkipped: needs `DATA`.\n<!-- /pandalm -->" in first
    assert "| x | 1 | 2 | **no** |" in first
    told = page([(KEPT, [Row("kappa", "0.8520", "0.8520", True)]), (OTHER, None)], first)
    again = page([(KEPT, None), (OTHER, [Row("y", "1", "1", True)])], told)
    assert "| kappa | 0.8520 | 0.8520 | yes |" in again
    assert "| y | 1 | 1 | yes |" in again


def test_a_folder_that_is_none_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.statistics", "/nowhere/at/all"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "is no folder; expected one with pandalm/ and azure/" in done.stderr


def test_the_page_holds_every_part_and_no_figure_that_does_not_hold() -> None:
    text = statistics.PAGE.read_text(encoding="utf-8")
    assert Path("docs/statistics.md").read_text(encoding="utf-8") == text
    for section in statistics.sections(None):
        assert f"<!-- {section.name} -->" in text
    assert "**no**" not in text
    assert "Skipped" not in text
