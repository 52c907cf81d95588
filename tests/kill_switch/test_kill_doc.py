"""docs/kill-switch.md says what the table does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from roadworthy.kill_switch.model import Record, Source, State
from roadworthy.kill_switch.rules import MAY, STALE_SECONDS, TRANSITIONS, UNDO_SECONDS, EventKind
from roadworthy.kill_switch.triggers import ErrorsTrigger, UnsafeTrigger
from roadworthy.wiring.composed.kill_alone import CONTROL_HAS
from roadworthy.workflow.model import KillPolicy

PAGE = (Path(__file__).parents[2] / "docs" / "kill-switch.md").read_text(encoding="utf-8")


def _rows(head: str) -> list[list[str]]:
    """Cells of the table whose first line begins with ``head``."""
    _, table = PAGE.split(f"\n| {head} |", 1)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n\n")[0].splitlines()[2:]]


def test_its_diagram_is_the_table_of_transitions() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+): (\w+)$", PAGE, re.MULTILINE)
    assert {(before, after): right for before, after, right in drawn} == TRANSITIONS


def test_its_table_says_who_may_do_what() -> None:
    assert {(before, after): who for before, after, who in _rows("from")} == {
        move: MAY[right] for move, right in TRANSITIONS.items()
    }


def test_it_tells_every_state_and_every_source() -> None:
    assert tuple(row[0] for row in _rows("state")) == get_args(State)
    assert tuple(row[0] for row in _rows("source")) == get_args(Source)


def test_its_figures_are_those_of_the_code() -> None:
    unsafe, errors = UnsafeTrigger(), ErrorsTrigger()
    assert f"at least {unsafe.least} answers were unsafe, and more than `unsafe_share` ({unsafe.share:.0%}" in (
        PAGE.replace(" %", "%")
    )
    assert f"`error_burn` ({errors.burn})" in PAGE
    assert f"with at least {errors.least} errors" in PAGE
    assert f"{{to: {KillPolicy().to}}}" in PAGE
    assert f"is off after {STALE_SECONDS:.0f} s" in PAGE
    assert UNDO_SECONDS == 600
    assert "within ten minutes" in PAGE
    assert f"no answer in {CONTROL_HAS} s" in PAGE


def test_it_names_every_kind_of_record_and_each_of_its_fields() -> None:
    assert set(re.findall(r"`kill\.(\w+)`", PAGE)) - {"json", "log"} == set(get_args(EventKind))
    told = {field for row in _rows("question") for field in re.findall(r"`(\w+)`", row[1])}
    assert told == set(Record.__struct_fields__) - {"id"}
