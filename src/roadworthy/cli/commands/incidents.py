"""``incidents``, ``acknowledge`` and ``resolve``: what a person must look at."""

from __future__ import annotations

from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.commands.escalations import ListedFirst, named
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.terminal import line


@click.group(cls=ListedFirst)
@common
def incidents() -> None:
    """List and read incidents (unsafe answers) and alerts (budgets, targets, prices, dead letters).

    `roadworthy incidents [WORKFLOW]` lists them, seen last first; `roadworthy resolve ID` closes one.
    """


@incidents.command("list")
@click.argument("workflow", required=False)
@click.option("--open", "only_open", is_flag=True, help="Those that nobody has resolved.")
@click.option("--inference", metavar="ID", help="Those that this inference gave cause for.")
@click.option("--drills", is_flag=True, help="Those that drills caused as well.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many.")
@common
@json_option
@pass_work
def list_incidents(
    work: Work, workflow: str | None, only_open: bool, inference: str | None, drills: bool, limit: int
) -> None:
    """List incidents and alerts, of WORKFLOW or of all; those that drills caused are left out."""
    from roadworthy.cli.tables import Column, print_table

    params = {
        "workflow": workflow, "open": "1" if only_open else None, "inference": inference,
        "drills": "1" if drills or inference else "0", "limit": limit,
    }  # fmt: skip
    answer = work.admin.get("/v1/incidents", params)
    if work.json:
        work.emit(answer)
        return
    rows = items(answer, "incidents")
    if not rows:
        work.say("No incident or alert is open." if only_open else "No incident or alert.")
        return
    now = work.clock()
    print_table(
        work.console,
        [
            Column("id", keep=16), Column("kind"), Column("class"), Column("what", wrap=True),
            Column("seen", right=True), Column("last"), Column("state"), Column("who", optional=True),
            Column("drill", optional=True),
        ],
        [
            [
                str(row.get("id", "")), str(row.get("kind", "")), str(row.get("cls", "")), str(_line(row)),
                f"{row.get('count', 1)}×", words.ago(row.get("seen_at"), now), str(row.get("state", "")),
                str(row.get("resolved_by") or row.get("acknowledged_by") or ""),
                "DRILL" if row.get("traffic") == "drill" else "",
            ]
            for row in rows
        ],
    )  # fmt: skip
    waits = next((row for row in rows if row.get("state") != "resolved"), None)
    if waits is not None:
        work.say("")
        work.say(f"What happened and what to do: roadworthy incidents show {line(str(waits.get('id')))}")


@incidents.command("show")
@click.argument("incident", metavar="ID")
@common
@json_option
@pass_work
def show_incident(work: Work, incident: str) -> None:
    """Show the incident or alert ID: what happened, whose matter it is, which inferences gave cause for it."""
    row = work.admin.get(f"/v1/incidents/{named(incident)}")
    if work.json:
        work.emit(row)
        return
    zone, now = work.zone(), work.clock()
    drill = "DRILL  " if row.get("traffic") == "drill" else ""
    work.say(f"{drill}{line(str(row['id']))}  {line(str(row['title']))}  {row['state']}")
    page = row.get("page") or {}
    if page:
        work.say(f"what      {line(str(page['line']))}")
        work.say(f"affected  {line(str(page.get('affected') or row['summary']))}")
        work.say(f"fault     {line(str(page.get('fault') or '–'))}")
        for done in page.get("done") or []:
            work.say(f"done      {line(str(done))}")
        work.say(f"if not    {line(str(page.get('otherwise') or '–'))}")
        for changed in page.get("changed") or ["nothing in the last 24 hours"]:
            work.say(f"changed   {line(str(changed))}")
    else:
        work.say(f"what      {line(str(row['summary']))}")
    if row.get("cause"):
        work.say(f"why       {line(str(row['cause']))}")
    first, last = (words.moment(row[name], zone, now=now) for name in ("opened_at", "seen_at"))
    work.say(f"seen      {row['count']}×, {first}" + (f" to {last}" if first != last else ""))
    work.say(f"concerns  the {'cost' if row['role'] == 'cost' else 'workflow'} owner of {_whose(row['workflow'])}")
    for told in row.get("paging") or []:
        work.say(f"paging    {words.moment(told['at'], zone, now=now)}  {line(str(told['what']))}")
    if row.get("acknowledged_by"):
        work.say(f"has it    {line(str(row['acknowledged_by']))}, {words.ago(row['acknowledged_at'], now)}")
    if row["state"] == "resolved":
        why = f": {line(str(row['reason']))}" if row["reason"] else ""
        work.say(f"resolved  by {line(str(row['resolved_by']))}, {words.ago(row['resolved_at'], now)}{why}")
    for ident in reversed(row["inferences"][-5:]):
        work.say(f"cause     roadworthy show {line(str(ident))}")
    for each in (row.get("lines") or [])[-12:]:
        by = f"{line(str(each['by']))}: " if each.get("by") else ""
        work.say(f"at        {words.moment(each['at'], zone, now=now)}  {by}{line(str(each['what']))}")
    if row.get("alert"):
        name = line(str(row["alert"]))
        work.say(f"alert     {name}: what to check and do is in docs/alerts/{name}.md")
    if row["state"] == "open" and row.get("cls") == "page":
        work.say(f"\nIf you are on it: roadworthy acknowledge {line(str(row['id']))}")
    if row["state"] != "resolved":
        work.say(f'\nOnce it is mended: roadworthy resolve {line(str(row["id"]))} --reason "…"')


@click.command()
@click.argument("incident", metavar="ID")
@common
@json_option
@pass_work
def acknowledge(work: Work, incident: str) -> None:
    """Say that you are on the incident ID: nobody else is paged for it.  Done by a named person: `roadworthy login`."""
    row = work.admin.post(f"/v1/incidents/{named(incident)}/acknowledge")
    if work.json:
        work.emit(row)
    else:
        work.say(f"{line(str(row.get('acknowledged_by')))} is on {line(str(row.get('id')))}: {line(str(_line(row)))}")


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


def _whose(workflow: object) -> str:
    return line(str(workflow)) if workflow else "every workflow"


def _line(row: dict[str, Any]) -> object:
    """What happened, in one line."""
    return (row.get("page") or {}).get("line") or row.get("title", "")
