"""docs/control.md is made by the tool that it names: every figure has its place, its command and its rows there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench.control.__main__ import FIGURES, GOAL, promises
from bench.control.bench import HEAD, Presses
from bench.failures import page

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "control.md").read_text(encoding="utf-8")


def figure(name: str) -> str:
    found = re.search(rf"<!-- figure: {name} -->\n(.*?)<!-- /figure -->", PAGE, re.DOTALL)
    assert found is not None, name
    return found[1]


def test_every_figure_has_its_place_and_its_command_on_the_page() -> None:
    assert re.findall(r"<!-- figure: (\w+) -->", PAGE) == list(FIGURES)
    page.check(PAGE, FIGURES)
    for name in FIGURES:
        assert f"\n`python -m bench.control --only {name}`\n" in PAGE


def test_every_command_of_the_page_is_one_that_the_tool_takes() -> None:
    usage = subprocess.run(
        [sys.executable, "-m", "bench.control", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    commands = re.findall(r"python -m bench\.control([^`\n]*)", PAGE)
    assert commands
    for command in commands:
        for word in re.split(r"\s{2,}", command.strip())[0].split():
            assert word in usage or word in FIGURES or not word.startswith("--"), command


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_there_and_every_promise_of_it_holds(name: str) -> None:
    made = figure(name)
    assert "| found | promised | holds |" in made, "make it: python -m bench.control --write docs/control.md"
    assert "**no**" not in made
    assert re.search(r"\*\d{4}-\d\d-\d\d, .* cores, .* GiB", made), "it says when and where it was made"


@pytest.mark.parametrize(("name", "workers"), [("load", (1, 4, 16)), ("busy", (1, 4, 16)), ("dead", (1, 4, 16)),
                                              ("locked", (4,))])  # fmt: skip
def test_times_to_off_are_of_200_presses_for_each_number_of_workers(name: str, workers: tuple[int, ...]) -> None:
    rows = re.findall(r"^\| (\d+) workers? \| (\d+) \|(.*)\|$", figure(name), re.MULTILINE)
    assert [int(row[0]) for row in rows] == list(workers)
    assert {row[1] for row in rows} == {"200"}
    assert {row[2].count("|") for row in rows} == {HEAD.splitlines()[0].count("|") - 4}


def test_what_was_promised_is_of_the_slowest_and_of_all_late_ones(capsys: pytest.CaptureFixture[str]) -> None:
    quick = Presses(told=[0.01, 0.02], last=[0.0, 0.03])
    assert quick.off == [0.01, 0.03]
    assert promises([quick])
    assert not promises([quick, Presses(told=[0.01], last=[GOAL])])
    assert not promises([quick, Presses(told=[0.01], last=[0.0], late=1)])
    assert not promises([quick, Presses(told=[0.01], last=[0.0], unconfirmed=1)])
    assert "**no**" in capsys.readouterr().out
