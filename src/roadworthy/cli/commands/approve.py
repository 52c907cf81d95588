"""``approve``: the owner's word for what loosens a workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput
from roadworthy.cli.terminal import line


@click.command()
@click.argument("workflow", required=False)
@click.option("--field", "fields", multiple=True, help="Only this one, or all in it (policy.kill); may be repeated.")
@click.option("--list", "listing", is_flag=True, help="Show what waits and approve nothing.")
@click.option("--seen", metavar="ID", help="What --list showed: nothing else is approved, and nobody is asked.")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@common
@json_option
@pass_work
def approve(
    work: Work, workflow: str | None, fields: Sequence[str], listing: bool, seen: str | None, reason: str
) -> None:
    """Put into force what loosens WORKFLOW: more testers, higher budgets, lower floors, observe, another owner.

    What is stricter acts as soon as it is applied; what is looser keeps its value until the workflow's owner, signed
    in, approves it here.  What waits is shown before it asks.  Without WORKFLOW:
    everything that waits, and for whom.
    """
    found: list[Mapping[str, Any]] = []
    if seen is None:
        found = [
            each for each in work.admin.get("/v1/pending").get("items", []) if workflow in (None, each.get("workflow"))
        ]
    if listing or workflow is None:
        if work.json:
            work.emit({"items": found})
        else:
            tell_pending(work, found)
            if not found:
                work.say("Nothing waits to be approved.")
        return
    if found:
        if work.json or not work.interactive:
            raise BadInput("nothing was approved: nobody is there to be asked", f"give --seen {found[0]['id']}")
        tell_pending(work, found)
        click.confirm(f"Approve {', '.join(fields) or 'all of it'}?", abort=True)
        seen = found[0]["id"]
    order = {"workflow": workflow, "seen": seen or "", "fields": list(fields), "reason": reason}
    answer = work.admin.post("/v1/approve", order)
    if work.json:
        work.emit(answer)
        return
    for each in answer.get("approved", []):
        work.say(f"approved: {change(each)}")
        if each.get("field") == "enforcement":
            work.say(f"next: roadworthy waive {workflow} --enforcement --until DATE --reason WHY")


def tell_pending(work: Work, found: Sequence[Mapping[str, Any]]) -> None:
    for each in found:
        name = line(str(each.get("workflow")))
        for wait in each.get("waits", []):
            work.say(f"{name}: {change(wait)}")
        who = line(str(each.get("approver"))) or "nobody: put an owner back into people.yaml"
        work.say(f"waits for {who}: roadworthy approve {name} --seen {line(str(each.get('id')))}")


def change(wait: Mapping[str, Any]) -> str:
    """``policy.grace: 1209600.0 → 1728000.0``."""
    return f"{line(str(wait.get('field')))}: {_value(wait.get('now'))} → {_value(wait.get('wanted'))}"


def _value(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return line(text if len(text) <= 200 else f"{text[:197]}…")
