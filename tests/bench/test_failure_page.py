"""docs/failure-behaviour.md is made by the tool that it names: every figure has its place and its command there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench.failures import page
from bench.failures.__main__ import FIGURES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "failure-behaviour.md").read_text(encoding="utf-8")


def test_every_figure_has_its_place_and_its_command_on_the_page() -> None:
    assert re.findall(r"<!-- figure: (\w+) -->", PAGE) == list(FIGURES)
    assert PAGE.count("<!-- /figure -->") == len(FIGURES)
    for name in FIGURES:
        assert f"\n`python -m bench.failures {name}`\n" in PAGE


def test_every_command_of_the_page_is_one_that_the_tool_takes() -> None:
    usage = subprocess.run(
        [sys.executable, "-m", "bench.failures", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    commands = re.findall(r"python -m bench\.failures([^`\n]*)", PAGE)
    assert commands
    for command in commands:
        for word in re.split(r"\s{2,}", command)[0].split():
            assert word in usage or word in FIGURES or not word.startswith("--"), command


def test_only_what_was_made_is_replaced() -> None:
    text = "a\n<!-- figure: one -->\nold\n<!-- /figure -->\nb\n<!-- figure: two -->\nkept\n<!-- /figure -->\nc\n"
    made = page.replaced(text, {"one": "\nnew \\1 figure\n"})
    assert made.startswith("a\n<!-- figure: one -->\nnew \\1 figure\n")
    assert "old" not in made
    assert "\nkept\n<!-- /figure -->\nc\n" in made
    again = page.replaced(made, {"one": "\nnew \\1 figure\n"})
    assert again == made


def test_a_page_without_a_place_for_a_figure_is_refused_before_it_is_made() -> None:
    with pytest.raises(SystemExit, match="two"):
        page.check("<!-- figure: one -->\n<!-- /figure -->", ["one", "two"])
    page.check(PAGE, FIGURES)
