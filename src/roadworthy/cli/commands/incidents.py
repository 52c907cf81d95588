"""``incidents`` and ``resolve``: what a person must look at."""

from __future__ import annotations

import click

from roadworthy.cli import words
from roadworthy.cli.commands.escalations import named
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import Finding
from roadworthy.cli.terminal import line


@click.command()
@click.option("--open", "only_open", is_flag=True, help="Those that nobody has resolved.")
@click.option("--inference", metavar="ID", help="Those that this inference gave cause for.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many.")
@common
@json_option
@pass_work
def incidents(work: Work, only_open: bool, inference: str | None, limit: int) -> None:
    """List incidents (unsafe answers) and alerts (budgets, targets, prices, dead letters), seen last first."""
    from roadworthy.cli.tables import Column, print_table

    answer = work.admin.get(
        "/v1/incidents", {"open": "1" if only_open else None, "inference": inference, "limit": limit}
    )
    if work.json:
        work.emit(answer)
        return
    rows = items(answer, "incidents")
    if not rows:
        raise Finding("no open incident or alert" if only_open else "no incident or alert")
    now = work.clock()
    print_table(
        work.console,
        [
            Column("id"), Column("kind"), Column("what", wrap=True), Column("seen", right=True), Column("last"),
            Column("state"), Column("by", optional=True), Column("class", optional=True),
        ],
        [
            [
                str(row.get("id", "")), str(row.get("kind", "")), str(row.get("title", "")),
                f"{row.get('count', 1)}×", words.ago(row.get("seen_at"), now), str(row.get("state", "")),
                str(row.get("resolved_by") or ""), "DRILL" if row.get("traffic") == "drill" else "",
            ]
            for row in rows
        ],
    )  # fmt: skip


@click.command()
@click.argument("incident", metavar="ID")
@click.option("--reason", default="", help="What was done about it.")
@common
@json_option
@pass_work
def resolve(work: Work, incident: str, reason: str) -> None:
    """Resolve the incident or alert ID.  Seen again, it opens anew.  Done by a named person: `roadworthy login`."""
    row = work.admin.post(f"/v1/incidents/{named(incident)}/resolve", {"reason": reason})
    if work.json:
        work.emit(row)
    else:
        work.say(f"Resolved {line(str(row.get('id')))}: {line(str(row.get('title')))}.")
