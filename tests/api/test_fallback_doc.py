"""docs/fallback.md says what the code does.

Set ROADWORTHY_UPDATE_SNAPSHOTS=1 to write its tables and its output of `explain` anew.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from rich.console import Console

from roadworthy.cli.explain_view import print_failures
from roadworthy.fallback.words import MEANS
from roadworthy.workflow.files import read_configuration
from roadworthy.workflow.inference import STEP_KINDS
from roadworthy.workflow.ladder import DEFAULT_LADDER, LADDER_FAILURES
from roadworthy.workflow.model import Step
from roadworthy.workflow.shapes import BARE_STEPS

from .conftest import FILES, Install

PATH = Path(__file__).parents[2] / "docs" / "fallback.md"
UPDATE = "run: ROADWORTHY_UPDATE_SNAPSHOTS=1 pytest tests/api/test_fallback_doc.py"
FLOW = "workflows/support-reply/workflow.yaml"

SETTINGS = """\
version: 1
targets:
  main: {provider: openai, model: gpt-4o-mini, key: env:OPENAI_API_KEY, price: {input: 0.15, output: 0.60}}
  backup: {provider: anthropic, model: claude-haiku-4-5, key: env:ANTHROPIC_API_KEY, price: {input: 1, output: 5}}
"""
HEAD = """\
owners: {workflow: ada, prompt: ada, cost: ada}
prompt: {mode: managed, system: prompt.md}
target: main
parameters: {max_tokens: 300}
deadline: 20s
clocks: {connect: 1s, first_token: 5s, total: 7s}
bypass: app
"""


def example() -> dict[str, str]:
    """The folder around the page's example."""
    [ladder] = re.findall(r"```yaml\n(ladder:.*?)```", PATH.read_text(encoding="utf-8"), re.DOTALL)
    return {
        "roadworthy.yaml": SETTINGS,
        "people.yaml": FILES["people.yaml"],
        FLOW: HEAD + ladder,
        "workflows/support-reply/prompt.md": "You answer customers of a shop.\n",
    }


def written(step: Step) -> str:
    return f"{step.kind} ×{step.times}" if step.times > 1 else step.kind


def failures() -> Iterator[str]:
    yield from (f"| `{failure}` | {MEANS[failure]} |" for failure in LADDER_FAILURES)


def defaults() -> Iterator[str]:
    for failure in LADDER_FAILURES:
        yield f"| `{failure}` | {' → '.join(map(written, DEFAULT_LADDER[failure])) or 'none'} |"


def explained(install: Install) -> str:
    install.good("POST", "/v1/apply", {"files": example()})
    answer = install.good("GET", "/v1/explain?workflow=support-reply")
    printed = io.StringIO()
    with redirect_stdout(printed):
        print_failures(Console(file=printed, width=120, markup=False, highlight=False, force_terminal=False), answer)
    return printed.getvalue().rstrip("\n")


def as_it_should_be(page: str, install: Install) -> str:
    """The page with its made parts made anew."""
    page = re.sub(
        r"(\$ roadworthy explain support-reply\n).*?(?=\n```)",
        lambda m: m[1] + explained(install),
        page,
        flags=re.DOTALL,
    )
    for title, rows in (("| failure | when |", failures()), ("| failure | default steps |", defaults())):
        pattern = re.escape(title) + r"\n\|---\|---\|\n.*?(?=\n\n)"
        new = "\n".join([title, "|---|---|", *rows])
        page = re.sub(pattern, lambda _m, new=new: new, page, flags=re.DOTALL)  # type: ignore[misc]
    return page


def test_the_page_shows_what_is_printed_and_what_is_done(install: Install) -> None:
    page = PATH.read_text(encoding="utf-8")
    made = as_it_should_be(page, install)
    if os.environ.get("ROADWORTHY_UPDATE_SNAPSHOTS"):
        PATH.write_text(made, encoding="utf-8")
    else:
        assert made == page, UPDATE


def test_the_example_of_the_page_is_valid() -> None:
    assert [str(problem) for problem in read_configuration(example()).problems] == []


@pytest.mark.parametrize("step", STEP_KINDS)
def test_every_step_is_explained(step: str) -> None:
    assert f"\n| `{step}" in PATH.read_text(encoding="utf-8")
    assert step == "target" or step in BARE_STEPS
