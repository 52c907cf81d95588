"""How drills look in a terminal: a line, a table, the failure catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

import msgspec

from roadworthy.cli import words
from roadworthy.cli.tables import Column, print_table
from roadworthy.cli.terminal import line
from roadworthy.operations.drills.failures import Visible, together
from roadworthy.operations.drills.failures import markdown as page_of
from roadworthy.operations.drills.words import asked, headline, left_out, reads, wires

if TYPE_CHECKING:
    from rich.console import Console

Result = Mapping[str, Any]

__all__ = ["asked", "failures", "headline", "left_out", "markdown", "reads", "table"]

LONGEST_READING = 60


def table(console: Console, run: Mapping[str, Any]) -> None:
    """Every drill, then what was left out, then what is wrong with those that failed."""
    columns = [
        Column("verdict", keep=7), Column("fault", keep=16), Column("asked", spare=3), Column("outcome", keep=9),
        Column("took", right=True), Column("at most", right=True, spare=2), Column("attempts", right=True, spare=1),
        Column("cost $", right=True, spare=5), Column("told", optional=True, spare=4),
        Column("the customer reads", keep=20, spare=6),
    ]  # fmt: skip
    drilled = [result for result in run["results"] if result["verdict"] != "SKIPPED"]
    if drilled:
        print_table(console, columns, [_row(result) for result in drilled])
        passed = sum(result["verdict"] == "PASS" for result in drilled)
        calls = sum((result["seen"] or {}).get("attempts", 0) for result in drilled)
        told = f"\n{passed} of {len(drilled)} passed; {calls / len(drilled):.2f} attempts a call."
        console.print(told, soft_wrap=True)
        if said := wires(run.get("wire")):
            console.print(said, soft_wrap=True, highlight=False)
    skipped = left_out(run["results"])
    if skipped:
        console.print("Mean nothing for this workflow:")
    for why, faults in skipped.items():
        console.print(f"  {why}: {', '.join(faults)}", soft_wrap=True, markup=False, highlight=False)
    for result in drilled:
        for miss in result["misses"]:
            text = f"FAIL {result['fault']} ({asked(result)}), guard {result['guard']}: {miss}"
            console.print(line(text), soft_wrap=True, markup=False, highlight=False)


def _row(result: Result) -> list[str]:
    seen, must = result["seen"], result["expected"]
    if seen is None or must is None:
        return [result["verdict"], result["fault"], asked(result), "–", "–", "–", "–", "–", "–", "–"]
    cost = seen["cost_usd"]
    told = seen["told"] if seen["told"] not in (None, "none") else "–"
    return [
        result["verdict"], result["fault"], asked(result), seen["outcome"] or "none", f"{seen['seconds']:.2f} s",
        f"{must['wait']:.1f} s", str(seen["attempts"]), "?" if cost is None else f"{cost:.6f}", told,
        line(reads(seen["outcome"], seen["text"]), LONGEST_READING),
    ]  # fmt: skip


def failures(console: Console, items: Sequence[Mapping[str, Any]], now: float) -> None:
    columns = [
        Column("fault", keep=16), Column("asked", spare=2), Column("outcome", keep=9), Column("took", right=True),
        Column("at most", right=True, spare=3), Column("proven", right=True), Column("last", spare=1),
        Column("the customer reads", keep=20, spare=4),
    ]  # fmt: skip
    rows = [
        [
            item.fault, ways, item.outcome, f"{item.seconds:.1f} s", f"{item.longest:.0f} s",
            f"{item.proven} ×" if item.verdict == "PASS" else item.verdict, words.ago(item.last, now),
            line(reads(item.outcome, item.reads), LONGEST_READING),
        ]
        for item, ways in together(msgspec.convert(items, list[Visible]))
    ]  # fmt: skip
    print_table(console, columns, rows)


def markdown(workflow: str, items: Sequence[Mapping[str, Any]], now: float, zone: tzinfo) -> str:
    found = [msgspec.convert(item, Visible) for item in items]
    return page_of(workflow, found, datetime.fromtimestamp(now, zone).strftime("%Y-%m-%d"))
