"""``audit``: who changed what, in a chain that cannot be changed unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from textwrap import fill
from typing import Any, Final

import click

from roadworthy.cli import words
from roadworthy.cli.commands.releases import items
from roadworthy.cli.commands.rollout import answer as history
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding
from roadworthy.cli.terminal import line

Row = Mapping[str, Any]

NARROW: Final = 110
"""Under so many characters a record takes lines of its own."""

INDENT: Final = "     "


@click.group()
@common
def audit() -> None:
    """List the audit trail, or verify that nobody changed it."""


@audit.command("list")
@click.option("--workflow", "-w", help="Only what was decided on the ramp of this workflow.")
@click.option("--at", metavar="WHEN", help='With --workflow: who allowed the share of "2026-11-23 14:02".')
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many records.")
@click.option("--after", type=click.IntRange(0), default=None, help="Records after this number, instead of the newest.")
@common
@json_option
@pass_work
def list_records(work: Work, workflow: str | None, at: str | None, limit: int, after: int | None) -> None:
    """List audit records, oldest first; without --after the newest ones.

    `roadworthy audit list --workflow W --at "2026-11-23 14:02"` answers who allowed the share that W's release had
    then, with the analysis, the gates, the evidence and the receipt that it was decided on.
    """
    from roadworthy.cli.tables import Column, print_table

    if at is not None and workflow is None:
        raise BadInput("--at says what was in force on a ramp then", "name its workflow with --workflow")
    if workflow is not None:
        if after is not None:
            raise BadInput("--after goes by the numbers of the whole trail", "leave it away, or --workflow")
        history(work, workflow, at, limit)
        return
    if after is None:
        everything = list(records(work))
        rows = everything[-limit:]
    else:
        rows = items(work.admin.get("/v1/audit", {"after": after, "limit": limit}), "records")
    if work.json:
        work.emit({"items": rows})
        return
    if not rows:
        raise Finding("the audit trail holds no record there")
    zone = work.zone()
    if work.console.width < NARROW:
        for row in rows:
            line_of(work, row, zone)
        return
    print_table(
        work.console,
        [Column("no.", right=True), Column("time"), Column("actor"), Column("for", optional=True), Column("action"),
         Column("target"), Column("outcome"), Column("reason", wrap=True, optional=True)],
        [
            [
                str(row.get("seq", "")), words.moment(row.get("time"), zone, now=work.clock()),
                str(row.get("actor", "")), str(row.get("on_behalf_of") or ""), str(row.get("action", "")),
                str(row.get("target") or ""), str(row.get("outcome", "")), str(row.get("reason") or ""),
            ]
            for row in rows
        ],
    )  # fmt: skip


def line_of(work: Work, row: Row, zone: tzinfo) -> None:
    """Whole on a narrow terminal: what was done is never cut, a reason has lines of its own."""
    head = [str(row.get("seq", "")), words.moment(row.get("time"), zone, now=work.clock())]
    behalf = f" (for {row['on_behalf_of']})" if row.get("on_behalf_of") else ""
    did = f"{row.get('action', '')} {row.get('target') or ''}"
    done = f"{did}: {row.get('outcome', '')}, by {row.get('actor', '')}{behalf}"
    lines = [f"{'  '.join(head)}  {done}", *([str(row["reason"])] if row.get("reason") else [])]
    for number, text in enumerate(lines):
        indent = INDENT if number else ""
        told = fill(line(text), max(work.console.width, 40), initial_indent=indent, subsequent_indent=INDENT)
        work.console.print(told, soft_wrap=True)


@audit.command("verify")
@click.option("--checkpoint", metavar="SEQ:HASH", help="A record noted earlier outside of the data folder.")
@common
@json_option
@pass_work
def verify_records(work: Work, checkpoint: str | None) -> None:
    """Verify the hash chain with nothing but the standard library; exit 1 where it is broken.

    Prints the newest number and hash: note them elsewhere, and give them back later as --checkpoint to prove that
    nothing was cut off the end.
    """
    from roadworthy.workflow.audit import verify

    known = _checkpoint(checkpoint) if checkpoint else None
    trail = list(records(work))
    broken = verify(trail, known)
    last = trail[-1] if trail else None
    head = f"{last['seq']}:{last['hash']}" if last else ""
    if work.json:
        found = {"seq": broken.seq, "why": broken.why} if broken else None
        work.emit({"verified": broken is None, "records": len(trail), "head": head, "broken": found})
    if broken is not None:
        raise Finding(f"the audit trail is broken at record {broken.seq}: {broken.why}")
    if not work.json:
        work.say(f"Verified {words.plural(len(trail), 'record')}: the chain is whole.")
        if head:
            work.say(f"checkpoint: {head}")


def records(work: Work) -> Iterator[dict[str, Any]]:
    """Every record, oldest first."""
    after = 0
    while True:
        page = items(work.admin.get("/v1/audit", {"after": after, "limit": 1000}), "records")
        yield from page
        if len(page) < 1000:
            return
        after = int(page[-1]["seq"])


def _checkpoint(text: str) -> tuple[int, str]:
    seq, colon, digest = text.partition(":")
    if not colon or not seq.isdigit() or len(digest) != 64:
        raise BadInput(f"{text!r} is not a checkpoint", "give SEQ:HASH as `roadworthy audit verify` printed it")
    return int(seq), digest
