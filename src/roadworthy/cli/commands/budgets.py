"""``budgets``: what is left to spend."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import Finding
from roadworthy.cli.terminal import line

PATIENCE = 60.0
"""Seconds that a test alert may take, its retries included."""
STATES = {"ok": "", "near": "near its limit", "used_up": "used up"}


@click.command()
@click.argument("workflow", required=False)
@common
@json_option
@pass_work
def budgets(work: Work, workflow: str | None) -> None:
    """Show what is spent and left of every budget, and the users who spend most.

    Days and months are those of the install's time zone.
    """
    rows = items(work.admin.get("/v1/budgets", {"workflow": workflow}), "budgets")
    if work.json:
        work.emit({"items": rows})
    elif rows:
        _tell(work, rows)
    else:
        work.say("No budget is declared: `policy.budgets` in workflow.yaml, `budgets` in roadworthy.yaml.")


@click.command("budgets test-alert")
@click.argument("workflow")
@json_option
@common
@pass_work
def test_alert(work: Work, workflow: str) -> None:
    """Send a test alert of WORKFLOW's budgets on the way that a real one takes, and keep that it arrived.

    It is marked as a drill, says where today's spend comes from, and is evidence for item 9 of `roadworthy ready`.
    """
    work.note("sending; it counts when the notifier, or the mail server, has taken it")
    done = work.admin.post("/v1/budgets/test-alert", {"workflow": workflow}, timeout=PATIENCE)
    figures = done["evidence"]["figures"]
    if work.json:
        work.emit(done)
    else:
        work.say(f"to        {line(str(figures['to']))}")
        work.say(f"says      {line(str(done['cause']))}")
        for way in done["ways"]:
            work.say(f"way       {line(str(way))}")
        for name, usd in figures["thresholds"].items():
            work.say(f"alert at  {words.dollars(usd)}  ({line(str(name))})")
        work.say(f"kept as   {done['evidence']['id']}")
    if not figures["delivered"]:
        raise Finding(
            "the test alert did not arrive, so a real one would not",
            "roadworthy escalations dead lists what was given up",
        )


def _tell(work: Work, rows: list[dict[str, Any]]) -> None:
    from roadworthy.cli.tables import Column, print_table

    zone, now = work.zone(), work.clock()
    print_table(
        work.console,
        [
            Column("budget", keep=14), Column("of", keep=10), Column("per"), Column("limit", right=True),
            Column("spent", right=True), Column("reserved", right=True, optional=True, spare=2),
            Column("left", right=True), Column("used", right=True, spare=1), Column("resets", optional=True),
            Column("", optional=True),
        ],
        [
            [
                str(row["owner"]), whose(row), str(row["period"]), words.dollars(row["limit"]),
                words.dollars(row["spent"]), words.dollars(row["reserved"]) if row["reserved"] else "",
                words.dollars(row["left"]), used(row), resets(row, zone, now),
                STATES.get(str(row["state"]), ""),
            ]
            for row in rows
        ],
    )  # fmt: skip


def whose(row: Mapping[str, Any]) -> str:
    """``team``, ``workflow``, ``key web (key_…)``, ``user u-1``."""
    scope, name, label = str(row["scope"]), line(str(row["name"])), line(str(row["label"]))
    if scope in ("team", "workflow"):
        return scope
    if not name:
        return f"{scope} unknown"
    return f"{scope} {label} ({name})" if label else f"{scope} {name}"


def resets(row: Mapping[str, Any], zone: tzinfo, now: float) -> str:
    """``Tue 24 Nov``: days and months begin at midnight."""
    return words.moment(row["resets_at"], zone, now=now).removesuffix(" 00:00:00")


def used(row: Mapping[str, Any]) -> str:
    return words.share((row["spent"] + row["reserved"]) / row["limit"]) if row["limit"] else ""
