"""``ready`` on a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from textwrap import fill
from typing import TYPE_CHECKING, Any

from roadworthy.cli import ready_words as say
from roadworthy.cli import words
from roadworthy.cli.ready_words import Facts
from roadworthy.cli.tables import STYLES, Column, print_table
from roadworthy.cli.terminal import clean, line

if TYPE_CHECKING:
    from rich.console import Console


def tell(console: Console, report: Facts, zone: tzinfo, now: float) -> None:
    """The checklist, what holds the ceiling, the way to production, what to do next."""

    def out(text: str = "") -> None:
        console.print(line(text), soft_wrap=True)

    out(say.headline(report))
    out(say.release(report))
    for note in say.notes(report):
        out(note)
    out()
    _items(console, report["items"], zone, now)
    out()
    out(f"ceiling: {say.ceiling(report)}, by {report['why']}")
    if report.get("stage"):
        out(f"served at {words.share(report['share'])} (stage {report['stage']})")
    out(f"of people: {report['minutes']:.0f} minutes a month")
    out()
    _sequence(console, report["sequence"], zone)
    following = report.get("next")
    if following:
        out()
        out(f"next: {following['command']}  ({following['name']}: {following['means']})")


NARROW = 110
"""Under so many characters an item takes lines of its own, since nine columns would cut each other."""

INDENT = " " * 4


def _items(console: Console, items: Sequence[Facts], zone: tzinfo, now: float) -> None:
    if console.width < NARROW:
        _lines(console, items, zone, now)
        return
    columns = [
        Column("", right=True), Column("item", keep=24, wrap=True), Column("verdict", keep=12, wrap=True),
        Column("figure", keep=24, wrap=True), Column("shown", spare=2), Column("lapses", spare=1),
        Column("allows", right=True), Column("renewed by", keep=20, wrap=True), Column("min", right=True, spare=3),
    ]  # fmt: skip
    rows = [
        [
            str(item["number"]), str(item["name"]), say.standing(item), str(item["figure"]), say.shown(item, now),
            say.lapses(item, zone, now), words.share(item["cap"]), say.renewal(item), f"{item['minutes']:g}",
        ]
        for item in items
    ]  # fmt: skip
    print_table(console, columns, rows)


def _lines(console: Console, items: Sequence[Facts], zone: tzinfo, now: float) -> None:
    from rich.text import Text

    room = max(console.width, 40)
    for item in items:
        verdict, due = str(item["verdict"]), say.lapses(item, zone, now)
        head = (
            f"{item['number']:>2}  {say.standing(item)}, allows {words.share(item['cap'])}: {line(str(item['name']))}"
        )
        title = Text(fill(head, room, subsequent_indent=INDENT, break_on_hyphens=False))
        title.stylize(STYLES.get(verdict, ""), len(INDENT), len(INDENT) + len(verdict))
        console.print(title, soft_wrap=True)
        known = [str(item["figure"]), *([] if due == say.EMPTY else [f"lapses {due}"]), say.renewal(item)]
        told = line("; ".join(known))
        told = fill(told, room, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False)
        console.print(told, soft_wrap=True, markup=False)


def _sequence(console: Console, steps: Sequence[Facts], zone: tzinfo) -> None:
    columns = [Column("", right=True), Column("step"), Column("reached or planned"), Column("by", keep=20, wrap=True)]
    rows = []
    for number, row in enumerate(steps, 1):
        when, command = say.step(row, zone)
        rows.append([str(number), str(row["name"]), when, command])
    print_table(console, columns, rows)


def table(console: Console, rows: Sequence[Facts], zone: tzinfo) -> None:
    """All workflows."""
    columns = [
        Column("workflow"), Column("label"), Column("ceiling", right=True), Column("fresh", right=True),
        Column("held by", optional=True, spare=2), Column("first lapse", spare=1),
        Column("min a month", right=True, spare=3), Column("next", keep=20, wrap=True, optional=True),
    ]  # fmt: skip
    cells: list[list[str]] = []
    for row in rows:
        at = row.get("lapses_at")
        cells.append([
            str(row["workflow"]), str(row["label"]), words.share(row["ceiling"]), f"{row['met']} of {row['of']}",
            ", ".join(map(str, row["held_by"])), say.EMPTY if at is None else say.date(at, zone),
            f"{row['minutes']:.0f}", str(row["command"]),
        ])  # fmt: skip
    print_table(console, columns, cells)
    for row in rows:
        if row.get("notice"):
            console.print(line(f"{row['workflow']}: {row['notice']}"), soft_wrap=True)


def markdown(report: Facts, zone: tzinfo, now: float) -> str:
    """A page for a pull request or a wiki."""
    lines = [
        f"# Readiness of {_cell(report['workflow'])}", "",
        f"**{_cell(report['label'])}**, {_cell(say.ceiling(report))}, by {_cell(report['why'])}.", "",
        f"{_cell(say.release(report))}. As of {say.date(now, zone)}; "
        f"{report['minutes']:.0f} minutes of people a month.",
        "",
    ]  # fmt: skip
    lines += [f"- {_cell(note)}" for note in say.notes(report)]
    lines += ["", "| # | item | verdict | figure | shown | lapses | allows | renewed by | minutes |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for item in report["items"]:
        cells = (
            item["number"], item["name"], say.standing(item), item["figure"], say.shown(item, now),
            say.lapses(item, zone, now), words.share(item["cap"]), say.renewal(item), f"{item['minutes']:g}",
        )  # fmt: skip
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    lines += ["", "| # | step | reached or planned | by |", "|---|---|---|---|"]
    for number, row in enumerate(report["sequence"], 1):
        when, command = say.step(row, zone)
        lines.append(f"| {number} | {_cell(row['name'])} | {_cell(when)} | {_cell(command)} |")
    following = report.get("next")
    if following:
        lines += ["", f"Next: {_cell(following['command'])}"]
    return "\n".join([*lines, ""])


def _cell(text: Any) -> str:
    """Text of others: one line, no markup of its own."""
    kept = line(clean(str(text)))
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        kept = kept.replace(mark, safe)
    for mark in "\\|`*_[]":
        kept = kept.replace(mark, f"\\{mark}")
    return kept
