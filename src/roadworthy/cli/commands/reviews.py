"""``review``: the weekly, monthly and quarterly look at a workflow, drafted from data, signed by its owner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput
from roadworthy.cli.terminal import clean, line

KINDS = ("weekly", "monthly", "quarterly")


@click.command()
@click.argument("workflow", required=False)
@click.option("--kind", type=click.Choice(KINDS), help="Which one.  [default: the newest that waits for its owner]")
@click.option("--period", default="", help="Of which week, month or quarter: 2026-W47, 2026-11, 2026-Q4.")
@click.option("--draft", is_flag=True, help="What the one of the running period would say now; it is not kept.")
@click.option("--decide", "decisions", multiple=True, metavar="TEXT", help="What you decided; give it several times.")
@click.option("--sign", is_flag=True, help="Sign it: the owner of the workflow does.")
@click.option("--markdown", "file", type=click.Path(path_type=Path), help="Write it into a file; `-` prints it.")
@common
@json_option
@pass_work
def review(
    work: Work, workflow: str | None, kind: str | None, period: str, draft: bool, decisions: tuple[str, ...],
    sign: bool, file: Path | None,
) -> None:  # fmt: skip
    """Show, decide and sign the reviews of WORKFLOW; without it, list those of all.

    One is drafted from data when its week, month or quarter is over, and is overdue 7, 14 or 30 days later.
    """
    if workflow is None:
        if draft or decisions or sign or file:
            raise BadInput("WORKFLOW is missing", "for example: roadworthy review support-triage --sign")
        listed(work, kind)
        return
    if draft and (decisions or sign or period):
        raise BadInput("--draft shows a period that runs: it can be neither decided nor signed", "leave one out")
    found = _asked(work, workflow, kind, period, draft, decisions, sign)
    if work.json:
        work.emit(found)
        return
    if file is not None and str(file) != "-":
        file.write_text(str(found["markdown"]), encoding="utf-8")
        work.say(f"{file}: written.")
        return
    if sign:
        work.say(f"Signed: the {found['kind']} review {found['period']} of {found['workflow']}.")
        return
    tell(work, found)


def _asked(
    work: Work, workflow: str, kind: str | None, period: str, draft: bool, decisions: tuple[str, ...], sign: bool
) -> dict[str, Any]:
    if draft:
        answer = work.admin.get(f"/v1/reviews/{workflow}/running", {"kind": kind})
    elif sign or decisions:
        body: dict[str, Any] = {"period": period, **({"kind": kind} if kind else {})}
        if decisions:
            body["decisions"] = list(decisions)
        answer = work.admin.post(f"/v1/reviews/{workflow}/{'sign' if sign else 'decide'}", body)
    else:
        answer = work.admin.get(f"/v1/reviews/{workflow}", {"kind": kind, "period": period or None})
    return dict(answer)


def listed(work: Work, kind: str | None) -> None:
    """Those of all workflows, the newest period first."""
    from roadworthy.cli.tables import Column, print_table

    found = work.admin.get("/v1/reviews", {"kind": kind})
    if work.json:
        work.emit(found)
        return
    rows = items(found, "reviews")
    if not rows:
        work.say("No review yet: one is drafted when its week, month or quarter is over.")
        return
    now = work.clock()
    print_table(
        work.console,
        [Column("workflow"), Column("kind"), Column("period"), Column("state"), Column("what", wrap=True, keep=30)],
        [
            [str(row["workflow"]), str(row["kind"]), str(row["period"]), _state(row, now), str(row["headline"])]
            for row in rows
        ],
    )


def tell(work: Work, found: dict[str, Any]) -> None:
    """The review as Markdown reads well in a terminal too."""
    work.say(clean(str(found["markdown"])).rstrip())
    if found["state"] == "drafted" and found["drafted_at"] >= found["until"]:
        due = "overdue" if found["overdue"] else words.until(found["overdue_at"], work.clock())
        command = f'roadworthy review {line(str(found["workflow"]))} --kind {found["kind"]} --sign --decide "…"'
        work.say(f"\nOverdue {due}. To sign: {command}" if due != "overdue" else f"\nOverdue. To sign: {command}")


def _state(row: dict[str, Any], now: float) -> str:
    if row["state"] == "signed":
        return f"signed by {row['signed_by']}"
    return "overdue" if row["overdue"] else f"sign {words.until(row['overdue_at'], now)}"
