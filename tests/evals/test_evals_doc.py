"""The page on evals says what is so."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import yaml

from roadworthy.cli.main import root
from roadworthy.evals.rules import SAYS_NOTHING, most_misses
from roadworthy.evals.scorers.registry import SCORERS
from roadworthy.evidence.receipt.rules import LEAST_EXAMPLES
from roadworthy.operations.proving.eval_runs import LEASE
from roadworthy.statistics.paired import smallest_visible_drop
from roadworthy.statistics.rates import exact_lower

PAGE = Path("docs/evals.md").read_text(encoding="utf-8")
SAMPLE = resources.files("roadworthy").joinpath("templates/support-triage")


def cells(heading: str) -> list[list[str]]:
    """Rows of the table whose first line begins so."""
    text = PAGE[PAGE.index(heading) :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_every_scorer_is_on_the_page() -> None:
    assert {row[0].strip("`") for row in cells("| scorer |")} == set(SCORERS)


def test_every_command_on_the_page_exists() -> None:
    known = root.commands["evals"].commands  # type: ignore[attr-defined]
    assert set(re.findall(r"roadworthy evals (\w+)", PAGE)) == set(known)


def test_failures_that_say_nothing_are_named() -> None:
    said = PAGE[PAGE.index("says nothing about the model") :].split(")")[0]
    assert set(re.findall(r"`(\w+)`", said)) == SAYS_NOTHING


def test_the_numbers_are_those_of_the_rules() -> None:
    assert f"Under {LEAST_EXAMPLES} examples nothing passes" in PAGE
    assert f"nobody looks at it for {LEASE:g} s" in PAGE
    for n, misses, drop in cells("| examples | bad answers"):
        most = most_misses(int(n), 0.95)
        assert misses == ("none do" if most is None else str(most))
        assert drop == f"{smallest_visible_drop(int(n), 0.2) * 100:.0f} points"


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
            bounds.append(exact_lower(int(good), n))
            assert f"{bounds[-1] * 100:.1f}" == share
        proven = all(bound >= floor for bound, floor in zip(bounds, floors.values(), strict=True))
        assert proven == verdict.startswith("PASS")
