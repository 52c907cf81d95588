"""docs/rollout.md says what the code does, and a ramp survives being stored."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from rollout_support import at_stage

from roadworthy.rollout.gates import ORDER, percent
from roadworthy.rollout.model import DAY, GUARDRAILS, STAGES, Plan, Rollout
from roadworthy.rollout.rules import MOST_UNKNOWN, TRANSITIONS

PAGE = (Path(__file__).parents[2] / "docs" / "rollout.md").read_text(encoding="utf-8")


def _rows(head: str) -> list[list[str]]:
    """Cells of the table whose first line begins with ``head``."""
    _, table = PAGE.split(f"\n| {head} |", 1)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n\n")[0].splitlines()[2:]]


def test_its_table_of_transitions_is_the_one_that_acts() -> None:
    assert {(state, move): end for state, move, end in _rows("from")} == TRANSITIONS


def test_its_stages_are_the_default_ones() -> None:
    assert _rows("stage") == [
        [
            stage.name,
            percent(stage.share),
            f"{stage.dwell / DAY:g} day{'s' if stage.dwell > DAY else ''}",
            f"{stage.calls} calls",
            "yes" if stage.approval else "no",
        ]
        for stage in STAGES
    ]


def test_its_guardrails_are_the_default_ones() -> None:
    assert _rows("guardrail") == [
        [one.name, percent(one.budget), percent(one.limit), one.back_to, "yes" if one.proves else "no"]
        for one in GUARDRAILS
    ]


def test_it_names_the_gates_in_their_order() -> None:
    assert tuple(re.findall(r"^\d\. \*\*([a-z ]+)\*\*", PAGE, re.MULTILINE)) == ORDER
    assert f"at most {Plan().analysis_age / 60:.0f} minutes old" in PAGE
    assert f"more than {percent(MOST_UNKNOWN)} of the calls" in PAGE


def test_a_ramp_survives_being_stored() -> None:
    rollout = at_stage("25 %")
    assert msgspec.json.decode(msgspec.json.encode(rollout), type=Rollout) == rollout
