"""Tables on terminals of any width: numbers are never cut, and what is least needed goes first."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from roadworthy.cli.tables import Column, print_table

COLUMNS = [
    Column("release"),
    Column("calls", right=True),
    Column("p50", right=True, spare=1),
    Column("first token", right=True, spare=2),
    Column("cost", right=True),
]
ROW = ["release 2 (rel_ab12cd34ab12)", "1,204", "410 ms", "200 ms", "$12.40 + 3 unknown"]


def printed(width: int, capsys: pytest.CaptureFixture[str]) -> str:
    print_table(Console(width=width, file=io.StringIO()), COLUMNS, [ROW])
    return capsys.readouterr().out


def test_a_wide_terminal_shows_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(cell in printed(100, capsys) for cell in ROW)


@pytest.mark.parametrize(("width", "left_out"), [(66, ["first token"]), (65, ["p50", "first token"])])
def test_a_narrow_one_leaves_out_what_is_least_needed(
    width: int, left_out: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = printed(width, capsys)
    assert [column.title for column in COLUMNS if column.title not in shown] == left_out
    assert ROW[0] in shown


@pytest.mark.parametrize("width", [40, 50, 60])
def test_numbers_are_never_cut(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(width, capsys)
    assert "1,204" in shown
    assert "$12.40 + 3 unknown" in shown
    assert max(len(line) for line in shown.splitlines()) <= width


def test_a_text_that_folds_makes_room_before_a_column_goes(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [Column("workflow"), Column("outcomes", wrap=True, keep=20), Column("p95", right=True, spare=1)]
    row = ["triage", "answered 88 %, recovered 11 %, escalated 1 %", "410 ms"]
    print_table(Console(width=45, file=io.StringIO()), columns, [row])
    assert "410 ms" in capsys.readouterr().out
    print_table(Console(width=30, file=io.StringIO()), columns, [row])
    assert "410 ms" not in capsys.readouterr().out


@pytest.mark.parametrize("width", [44, 60, 80])
def test_what_a_text_would_keep_gives_way_before_a_number_is_cut(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = [
        Column("", right=True), Column("item", keep=24, wrap=True), Column("verdict", keep=12, wrap=True),
        Column("figure", keep=24, wrap=True), Column("allows", right=True), Column("next", keep=20, wrap=True),
    ]  # fmt: skip
    row = ["10", "logs, metrics and traces in place", "INSUFFICIENT", "never shown", "0.12 %", "roadworthy canary"]
    print_table(Console(width=width, file=io.StringIO()), columns, [row])
    shown = capsys.readouterr().out
    assert "0.12 %" in shown
    assert "10" in shown
