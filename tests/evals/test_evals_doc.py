"""The page on evals says what is so."""

from __future__ import annotations

import re
from importlib import resources
from math import comb
from pathlib import Path

import yaml

from roadworthy.cli import pytest_plugin
from roadworthy.cli.main import root
from roadworthy.engine.renew import NIGHT_DOLLARS
from roadworthy.evals.nightly import SURE
from roadworthy.evals.planning import most_misses
from roadworthy.evals.rules import SAYS_NOTHING
from roadworthy.evidence.receipt.rules import LEAST_EXAMPLES
from roadworthy.operations.proving.eval_plans import REUSED_WITHIN
from roadworthy.operations.proving.eval_runs import LEASE
from roadworthy.statistics.paired import pass_share, smallest_visible_drop
from roadworthy.statistics.rates import wilson_lower
from roadworthy.workflow.model import EvalPlan

PAGE = Path("docs/evals.md").read_text(encoding="utf-8")
IN_CI = Path("docs/eval-gate-in-ci.md").read_text(encoding="utf-8")
SAMPLE = resources.files("roadworthy").joinpath("templates/support-triage")


def cells(heading: str) -> list[list[str]]:
    """Rows of the table whose first line begins so."""
    text = PAGE[PAGE.index(heading) :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_every_command_on_the_pages_exists_and_those_of_runs_are_explained() -> None:
    known = root.commands["evals"].commands  # type: ignore[attr-defined]
    named = set(re.findall(r"roadworthy evals ([\w-]+)", PAGE))
    assert named <= set(known)
    assert {"sign", "run", "gate", "show", "compare", "schedule", "runs"} <= named
    assert set(re.findall(r"roadworthy evals ([\w-]+)", IN_CI)) <= set(known)


def test_both_pages_start_with_a_command() -> None:
    for page in (PAGE, IN_CI):
        first = page.split("```")[1].strip()
        assert first.startswith("roadworthy evals gate support-triage")


def test_the_example_for_a_pipeline_is_a_workflow_and_its_options_exist() -> None:
    found = yaml.safe_load(re.search(r"```yaml\n(.*?)```", IN_CI, re.DOTALL).group(1))  # type: ignore[union-attr]
    [job] = found["jobs"].values()
    assert "pull_request" in found[True]  # YAML reads the key ``on`` as true
    assert "head.repo.full_name == github.repository" in job["if"], "no fork acts on the machine"
    script = "\n".join(step.get("run", "") for step in job["steps"])
    gate = root.commands["evals"].commands["gate"]  # type: ignore[attr-defined]
    known = {option for parameter in gate.params for option in parameter.opts}
    [line] = [line for line in script.splitlines() if "evals gate" in line]
    assert set(re.findall(r"--[\w-]+", line)) <= known
    assert all(name in root.commands for name in re.findall(r"roadworthy (\w+)", script))


def test_what_the_page_says_of_the_plugin_is_so() -> None:
    said = IN_CI[IN_CI.index("## pytest") :]
    assert {"release", "repeat", "fresh", "max_usd", "workflow", "insufficient"} == set(pytest_plugin.ARGUMENTS)
    assert all(name in said for name in pytest_plugin.ARGUMENTS)
    compile(re.search(r"```python\n(.*?)```", said, re.DOTALL).group(1), "example", "exec")  # type: ignore[union-attr]


def test_failures_that_say_nothing_are_named() -> None:
    said = PAGE[PAGE.index("says nothing about the model") :].split(")")[0]
    assert set(re.findall(r"`(\w+)`", said)) == SAYS_NOTHING


def test_the_numbers_are_those_of_the_rules() -> None:
    assert f"Under {LEAST_EXAMPLES} examples nothing passes" in PAGE
    assert f"nobody looks at it for {LEASE:g} s" in PAGE
    for n, misses, drop, passes in cells("| examples | bad answers"):
        most = most_misses(int(n), 0.95)
        assert misses == ("none do" if most is None else str(most))
        assert drop == f"{smallest_visible_drop(int(n), 0.2) * 100:.0f} points"
        shares = [f"{100 * pass_share(int(n), differ, 0.10):.0f} %" for differ in (0.1, 0.2)]
        assert passes == " / ".join(shares)


def test_wilsons_bound_is_as_bold_as_the_page_says() -> None:
    n, floor = 52, 0.95
    least = next(k for k in range(n + 1) if wilson_lower(k, n) >= floor)
    wrongly = sum(comb(n, k) * floor**k * (1 - floor) ** (n - k) for k in range(least, n + 1))
    assert f"{100 * wrongly:.1f} %" == "6.9 %"
    assert "in up to 6.9 % of the runs of 52 examples" in PAGE


def test_how_nights_decide_is_on_the_page() -> None:
    assert f"certainly ({100 * SURE:.1f} %" in PAGE
    assert f"`evals.nightly` in workflow.yaml, {EvalPlan().nightly} unless" in PAGE
    assert f"limit of {NIGHT_DOLLARS:g} dollars" in PAGE
    assert REUSED_WITHIN == 24 * 3600


def test_the_samples_floors_are_those_on_the_page_and_the_bounds_are_right() -> None:
    text = SAMPLE.joinpath("second/workflows/support-triage/workflow.yaml").read_text(encoding="utf-8")
    floors = yaml.safe_load(text)["policy"]["gate"]["floors"]
    assert floors == {"valid_json": 0.95, "topic": 0.35}
    assert "floors: {valid_json: 0.95, topic: 0.35}" in PAGE
    messages = SAMPLE.joinpath("messages.jsonl").read_text(encoding="utf-8")
    for half, examples, *scores, _urgency, verdict in cells("| half |"):
        n = int(examples)
        assert messages.count(f'"half": "{half}"') == n
        bounds = []
        for score in scores:
            good, share = re.fullmatch(r"(\d+) \(at least ([\d.]+) %\)", score).groups()  # type: ignore[union-attr]
            bounds.append(wilson_lower(int(good), n))
            assert f"{bounds[-1] * 100:.2f}" == share
        proven = all(bound >= floor for bound, floor in zip(bounds, floors.values(), strict=True))
        assert proven == verdict.startswith("PASS")
