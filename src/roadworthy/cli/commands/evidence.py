"""``evidence``: what was shown about a workflow, by whom, and until when it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from roadworthy.cli import ready_words, words
from roadworthy.cli.commands.escalations import ListedFirst
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput
from roadworthy.cli.terminal import line

LARGEST = 1 << 20
"""Bytes of evidence that is imported."""


@click.group(cls=ListedFirst)
@common
def evidence() -> None:
    """List, import and revoke evidence.

    `roadworthy evidence WORKFLOW` lists what there is, with waivers and receipts.  Importing and revoking are done by
    the workflow's owner, logged in.
    """


@evidence.command("list")
@click.argument("workflow")
@click.option("--all", "everything", is_flag=True, help="What has lapsed as well.")
@common
@json_option
@pass_work
def list_evidence(work: Work, workflow: str, everything: bool) -> None:
    """List the evidence about WORKFLOW and this install, newest first."""
    from roadworthy.cli.tables import Column, print_table

    answer = work.admin.get("/v1/evidence", {"workflow": workflow})
    if work.json:
        work.emit(answer)
        return
    now, zone = work.clock(), work.zone()
    rows = [row for row in answer["items"] if everything or row["lapses_at"] > now]
    columns = [
        Column("id"), Column("kind"), Column("about", spare=2), Column("made"), Column("lapses"),
        Column("by", keep=8), Column("run", keep=12, spare=3), Column("", optional=True),
        Column("accepted by", optional=True, wrap=True, keep=12),
    ]  # fmt: skip
    if rows:
        print_table(work.console, columns, [_row(row, now, zone) for row in rows])
    else:
        work.say(f"Nothing in force was shown about {line(workflow)}: roadworthy ready {line(workflow)}")
    for receipt in answer["receipts"]:
        until = ready_words.date(receipt["expires"], zone)
        work.say(line(
            f"receipt {receipt['id']}: {receipt['verdict']} of behaviour {receipt['behaviour'][:16]}, until {until}, "
            f"on {receipt['evidence']}"
        ))  # fmt: skip
    for gone in answer["revocations"]:
        work.say(line(f"revoked by {gone['person']}: behaviour {gone['behaviour'][:16]}: {gone['reason']}"))
    for waiver in answer["waivers"]:
        if everything or (waiver.get("ended_at") or waiver["ends"]) > now:
            work.say(line(_waiver(waiver, now, ready_words.date(waiver.get("ended_at") or waiver["ends"], zone))))
    if answer["forged"]:
        work.say(ready_words.unsigned(answer["forged"]))


def _row(row: dict[str, Any], now: float, zone: Any) -> list[str]:
    mark = row.get("mode", "live")
    word = row["figures"]["kind"] == "attestation"
    return [
        str(row["id"]), str(row["kind"]), " + ".join(row["bound"]), words.ago(row["made_at"], now),
        ready_words.date(row["lapses_at"], zone), str(row["by"]), str(row.get("run") or ready_words.EMPTY),
        "word" if word else "" if mark == "live" else str(mark),
        ", ".join(str(each["by"]) for each in row.get("accepted") or ()),
    ]  # fmt: skip


def _waiver(waiver: dict[str, Any], now: float, until: str) -> str:
    what = "enforcement" if waiver["item"] is None else f"item {waiver['item']}"
    verb = "until" if (waiver.get("ended_at") or waiver["ends"]) > now else "ended"
    return f"waiver {waiver['id']}: {what} {verb} {until}, {waiver['person']}: {waiver['reason']}"


@evidence.command("import")
@click.argument("workflow")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@common
@json_option
@pass_work
def import_evidence(work: Work, workflow: str, file: Path) -> None:
    """Take what another tool measured for WORKFLOW from the JSON of FILE, as your word.

    It is marked as imported, allows 10 % of traffic at most, for 30 days, and never makes a receipt.
    """
    raw = file.read_bytes()
    if len(raw) > LARGEST:
        raise BadInput(f"{file}: found {words.size(len(raw))}, expected at most {words.size(LARGEST)}")
    answer = work.admin.post_raw("/v1/evidence/import", raw, {"workflow": workflow})
    if work.json:
        work.emit(answer)
        return
    until = ready_words.date(answer["lapses_at"], work.zone())
    work.say(line(f"imported: {answer['kind']} {answer['id']} by {answer['by']}, until {until}"))


@evidence.command("revoke")
@click.argument("workflow")
@click.option("--release", metavar="NUMBER", help="Of another release than the one that ramps or was frozen last.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it shows everywhere.")
@common
@json_option
@pass_work
def revoke(work: Work, workflow: str, release: str | None, reason: str) -> None:
    """Take back every receipt of a release's behaviour: live users lose it at once, until a gate passes it anew."""
    answer = work.admin.post("/v1/evidence/revoke", {"workflow": workflow, "release": release or "", "reason": reason})
    if work.json:
        work.emit(answer)
        return
    work.say(
        line(f"revoked: behaviour {answer['behaviour'][:16]} of {workflow} by {answer['person']} ({answer['id']})")
    )
