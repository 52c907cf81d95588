"""How drills look: a line, a table, a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

from roadworthy.cli.tables import Column, print_table
from roadworthy.cli.terminal import line
from roadworthy.operations.failures import Visible
from roadworthy.operations.failures import markdown as page_of

if TYPE_CHECKING:
    from rich.console import Console

Result = Mapping[str, Any]

LONGEST_READING = 60


def asked(result: Result) -> str:
    return "stream" if result["stream"] else "whole"


def headline(result: Result) -> str:
    """One result on one line."""
    seen = result["seen"] or {}
    said = f"{seen.get('outcome') or 'no answer'} in {seen.get('seconds', 0.0):.2f} s"
    found = f"{result['verdict']}  {result['fault']} ({asked(result)}): {said}"
    return found if not result["misses"] else f"{found}; {'; '.join(result['misses'])}"


def table(console: Console, run: Mapping[str, Any]) -> None:
    """Every drill, then what is wrong with those that failed."""
    columns = [
        Column("verdict", keep=7), Column("fault", keep=16), Column("asked", spare=3), Column("outcome", keep=9),
        Column("took", right=True), Column("at most", right=True, spare=2), Column("attempts", right=True, spare=1),
        Column("cost $", right=True, spare=5), Column("told", optional=True, spare=4),
        Column("the customer reads", keep=20, spare=6),
    ]  # fmt: skip
    drilled = [result for result in run["results"] if result["verdict"] != "SKIPPED"]
    print_table(console, columns, [_row(result) for result in drilled])
    skipped = len(run["results"]) - len(drilled)
    passed = sum(result["verdict"] == "PASS" for result in drilled)
    calls = sum((result["seen"] or {}).get("attempts", 0) for result in drilled)
    console.print(
        f"\n{passed} of {len(drilled)} passed, {skipped} mean nothing here. "
        f"{calls / max(1, len(drilled)):.2f} attempts a call.",
        soft_wrap=True,
    )
    for result in drilled:
        for miss in result["misses"]:
            text = f"FAIL {result['fault']} ({asked(result)}), guard {result['guard']}: {miss}"
            console.print(line(text), soft_wrap=True)


def _row(result: Result) -> list[str]:
    seen, must = result["seen"], result["expected"]
    if seen is None or must is None:
        return [result["verdict"], result["fault"], asked(result), "–", "–", "–", "–", "–", "–", "–"]
    cost = seen["cost_usd"]
    told = seen["told"] if seen["told"] not in (None, "none") else "–"
    return [
        result["verdict"], result["fault"], asked(result), seen["outcome"] or "none", f"{seen['seconds']:.2f} s",
        f"{must['wait']:.1f} s", str(seen["attempts"]), "?" if cost is None else f"{cost:.6f}", told,
        seen["text"][:LONGEST_READING],
    ]  # fmt: skip


def failures(console: Console, items: Sequence[Mapping[str, Any]], now: float) -> None:
    columns = [
        Column("fault", keep=16), Column("asked", spare=2), Column("outcome", keep=9), Column("took", right=True),
        Column("at most", right=True, spare=3), Column("proven", right=True), Column("last", right=True, spare=1),
        Column("the customer reads", keep=20, spare=4),
    ]  # fmt: skip
    rows = [
        [
            item["fault"], asked(item), item["outcome"], f"{item['seconds']:.1f} s", f"{item['longest']:.0f} s",
            f"{item['proven']} ×" if item["verdict"] == "PASS" else item["verdict"],
            f"{(now - item['last']) / 86400:.1f} d", item["reads"][:LONGEST_READING],
        ]
        for item in items
    ]  # fmt: skip
    print_table(console, columns, rows)


def markdown(workflow: str, items: Sequence[Mapping[str, Any]], now: float, zone: tzinfo) -> str:
    found = [msgspec.convert(item, Visible) for item in items]
    return page_of(workflow, found, datetime.fromtimestamp(now, zone).strftime("%Y-%m-%d"))


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc;"
    "vertical-align:top}.FAIL{color:#b00020;font-weight:600}.PASS{color:#0a6b2d}.SKIPPED{color:#777}"
    "pre{white-space:pre-wrap;background:#f6f6f6;padding:.6rem;margin:.2rem 0}"
)


def page(run: Mapping[str, Any], now: float) -> str:
    """One HTML page without a script: the table, and of each drill what the customer said and read."""
    drilled = [result for result in run["results"] if result["verdict"] != "SKIPPED"]
    skipped = [result for result in run["results"] if result["verdict"] == "SKIPPED"]
    made = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    title = escape(f"Drills of {run['workflow']}")
    rows = "".join(map(_html_row, drilled))
    rest = "".join(
        f"<li>{escape(result['fault'])} ({asked(result)}): {escape(result['why'])}</li>" for result in skipped
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>Run {escape(run['id'])} of release <code>{escape(run['digest'][:16])}</code>, "
        f"{escape(run['state'])}; page made {made}.</p>"
        "<table><tr><th>verdict<th>fault<th>outcome<th>took<th>attempts<th>told<th>transcript</tr>"
        f"{rows}</table><h2>Means nothing here</h2><ul>{rest}</ul></html>\n"
    )


_UNSEEN: dict[str, Any] = {"asked": [], "outcome": None, "status": 0, "seconds": 0.0, "attempts": 0, "told": None, "text": ""}


def _html_row(result: Result) -> str:
    seen = result["seen"] or _UNSEEN
    said = "".join(
        f"<b>{escape(str(message.get('role')))}</b><pre>{escape(str(message.get('content')))}</pre>"
        for message in seen["asked"]
    )
    misses = "".join(f"<br>{escape(miss)}" for miss in result["misses"])
    return (
        f'<tr><td class="{result["verdict"]}">{result["verdict"]}<td><b>{escape(result["fault"])}</b> '
        f"({asked(result)})<br>{escape(result['says'])}<br>guard: {escape(result['guard'])}{misses}"
        f"<td>{escape(seen['outcome'] or 'none')} ({seen['status']})<td>{seen['seconds']:.2f} s<td>{seen['attempts']}"
        f"<td>{escape(seen['told'] or 'none')}<td>{said}<b>the customer reads</b><pre>{escape(seen['text'])}</pre></tr>"
    )
