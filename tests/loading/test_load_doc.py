"""The page of the load test says what the command does."""

from __future__ import annotations

import re
from pathlib import Path

from roadworthy.cli.commands.load import load
from roadworthy.latency import verdict
from roadworthy.operations.loading import leading, limit, planning, preflight, runs, stopping
from roadworthy.operations.loading.model import FULL_SECONDS, Order
from roadworthy.readiness import judging
from roadworthy.statistics.distances import kolmogorov_bound

PAGE = (Path(__file__).parents[2] / "docs" / "load-test.md").read_text()


def test_the_page_starts_with_a_command_and_names_options_that_there_are() -> None:
    first = next(line for line in PAGE.splitlines() if line.startswith("roadworthy "))
    assert first.startswith("roadworthy load support-triage --peak 20/s --preflight")
    known = {option for parameter in load.params for option in parameter.opts} | {"--help"}
    assert set(re.findall(r"--[a-z][a-z-]+", PAGE)) <= known


def test_every_option_is_on_the_page_or_explains_itself() -> None:
    for parameter in load.params:
        option = parameter.opts[0]
        assert option in PAGE or getattr(parameter, "help", None) or option == "workflow", option


def test_its_figures_are_those_in_force() -> None:
    assert (verdict.RATIO, judging.RATIO) == (3.0, 3.0), "one rule, wherever it is asked"
    assert (FULL_SECONDS, judging.LOAD_SECONDS, judging.REHEARSED_CAP) == (3600.0, 3600.0, 0.25)
    assert f"{runs.LEASE:.0f} s after nobody looks" in PAGE
    assert f"`--max-errors` ({100 * Order('w').errors:.0f} %) of the calls of the last ten seconds" in PAGE
    assert (stopping.WINDOW, stopping.DROPPED, verdict.LOST) == (10.0, 0.05, 0.01)
    assert f"`--probe` ({Order('w').probe}) live calls, two a second at most" in PAGE
    assert leading.PROBE_RATE == 2.0
    assert f"at 40 calls a distance of {kolmogorov_bound(40, 40):.2f}" in PAGE
    assert f"`--probe 200` brings it to {kolmogorov_bound(200, 200):.2f}" in PAGE
    assert (limit.CLOSE, limit.LEAST_CALLS, planning.LONGEST) == (1.15, 100, 6600.0)
    assert preflight.LEAST_RECORDED == 20
