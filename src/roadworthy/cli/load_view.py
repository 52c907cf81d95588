"""How a load test looks in a terminal; its words are ``operations/loading/words``, made safe here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from roadworthy.cli.tables import Column, print_table
from roadworthy.cli.terminal import line
from roadworthy.operations.loading import words
from roadworthy.operations.loading.words import against, pressed, rate, span
from roadworthy.workflow.words import UNKNOWN, dollars, seconds, share

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["against", "came", "preflight", "pressed", "progress", "rate", "result", "span", "step", "table"]

Facts = Mapping[str, Any]


def preflight(plan: Facts) -> Iterator[str]:
    """Before the first call."""
    yield f"Load test of {plan['workflow']}, release {plan['number']}, {against(plan)}"
    for what, text in words.preflight(plan, leased=True):
        yield f"  {what:<10} {line(text)}"


def progress(now: Facts) -> str:
    """Where it is, on one line."""
    return line(words.progress(now))


def step(found: Facts) -> str:
    """One rate of a search."""
    return line(words.step(found))


def result(run: Facts, before: Facts | None) -> Iterator[str]:
    for text in words.result(run, before):
        yield text[: len(text) - len(text.lstrip())] + line(text)


def came(console: Console, run: Facts, before: Facts | None) -> None:
    """What it came to."""
    found = run.get("came")
    if found is None:
        return
    for text in result(run, before):
        console.print(text, soft_wrap=True)
    if found.get("parts"):
        columns = [Column("where the time went"), Column("share", right=True), Column("p50", right=True),
                   Column("p99", right=True)]  # fmt: skip
        rows = [[part["name"], share(part["share"]), seconds(part["p50"]), seconds(part["p99"])]
                for part in found["parts"]]  # fmt: skip
        print_table(console, columns, rows)
    for text in found.get("helps", ()):
        console.print(f"would help: {line(text)}", soft_wrap=True)
    if found.get("judged"):
        console.print(f"readiness, item 1: {line(found['judged'])}", soft_wrap=True)


def table(console: Console, runs: list[Facts], when: Any) -> None:
    """Tests of a workflow, newest first.  ``when``: Unix seconds → words."""
    columns = [
        Column("test", keep=20), Column("when", keep=12), Column("kind", keep=9), Column("rate", right=True),
        Column("seconds", right=True), Column("verdict", keep=12), Column("p50", right=True), Column("p99", right=True),
        Column("cost", right=True, spare=1),
    ]  # fmt: skip
    print_table(console, columns, [_row(run, when) for run in runs])


def _row(run: Facts, when: Any) -> list[str]:
    found = run.get("came") or {}
    measured = found.get("measured") or {}
    whole = measured.get("whole") or {}
    limit = found.get("limit")
    return [
        run["id"], when(run["began"]), run["order"].get("kind", "live"),
        rate(limit["held"] if limit else run["plan"]["rate"]), f"{measured.get('seconds', 0):,.0f}",
        found.get("verdict") or run.get("state", "running"),
        seconds(whole["p50"]["value"]) if whole else UNKNOWN, seconds(whole["p99"]["value"]) if whole else UNKNOWN,
        dollars(measured.get("usd")),
    ]  # fmt: skip
