"""The page on examples says what is so, and begins with a command that works."""

from __future__ import annotations

import re
import shlex
from contextlib import nullcontext
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from examples_bench import ADA, ExampleBench

from roadworthy.cli.admin import Admin
from roadworthy.cli.context import Work
from roadworthy.cli.main import root
from roadworthy.cli.scoring import HELP, MORE, QUIT, SKIP, UNDO
from roadworthy.evals import rubric
from roadworthy.evals.hand import SHARE
from roadworthy.evals.importing import Columns
from roadworthy.operations.proving.capture import MOST, MOST_CALLS
from roadworthy.workflow.model import EvalPlan

PAGE = Path("docs/examples.md").read_text(encoding="utf-8")
SAMPLE = resources.files("roadworthy").joinpath("templates/support-triage/messages.jsonl")


def test_the_page_begins_with_a_command_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = PAGE.split("```")[1].strip().splitlines()[0]
    (tmp_path / "messages.jsonl").write_text(SAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    bench = ExampleBench()

    def post(self: Admin, path: str, body: Any = None, **_: Any) -> Any:
        columns = Columns(**body["columns"])
        taken = bench.pool.take("support", body["rows"], columns, ADA, body["source"])
        assert (path, taken.publication is not None, taken.imported is not None) == ("/v1/evals/sets", True, True)
        made = taken.publication
        return {
            "publication": {"count": made and made.count, "version": made and made.version}, "created": True,
            "waiting": 0, "known": 0, "repeated": 0, "passed_over": 51, "system_dropped": 0, "notes": [], "read": 124,
            "expecting": 124, "owner": "ada",
        }  # fmt: skip

    monkeypatch.setattr(Admin, "post", post)
    monkeypatch.chdir(tmp_path)
    work = Work(connect=lambda data, create: nullcontext(httpx2.BaseTransport()), environ={"HOME": str(tmp_path)})
    result = CliRunner().invoke(root, shlex.split(command)[1:], obj=work)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Published 124 examples for support-triage")


def test_the_numbers_and_keys_are_those_of_the_code() -> None:
    plan = EvalPlan()
    assert f"draws 1 to {MOST} examples" in PAGE
    assert f"At most {MOST_CALLS:,} calls" in PAGE
    assert f"publish_every: {plan.publish_every / 86_400:g}d" in PAGE
    assert f"held_out: {plan.held_out:g}" in PAGE
    assert f"--second {SHARE:g}" in PAGE
    for key in (UNDO, SKIP, MORE, HELP, QUIT):
        assert f"`{key}`" in PAGE


def test_the_rubric_on_the_page_can_be_scored_by() -> None:
    text = re.search(r"```markdown\n(.*?)```", PAGE, re.DOTALL)
    assert text is not None
    assert [value.name for value in rubric.read(text[1]).values] == ["good", "bad"]
