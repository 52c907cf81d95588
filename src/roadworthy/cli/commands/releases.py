"""``freeze``, ``releases`` and ``diff``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import Finding
from roadworthy.cli.terminal import clean, line


@click.command()
@click.argument("workflow")
@click.option("--note", default="", help="What this release is for; kept with it, not part of its digest.")
@common
@json_option
@pass_work
def freeze(work: Work, workflow: str, note: str) -> None:
    """Freeze the applied draft of WORKFLOW into a release.

    Under `enforcement: enforce` nobody but testers reaches it until its gate has passed and its ramp has begun; under
    `observe` it is served at once.  The same content gives the same digest on any machine; freezing what is frozen
    already makes nothing new.
    """
    answer = work.admin.post("/v1/freeze", {"workflow": workflow, "note": note})
    if work.json:
        work.emit(answer)
        return
    name = f"release {answer.get('number')} of {workflow} ({short(answer.get('digest'))})"
    work.say(f"Froze {name}." if answer.get("created") else f"Nothing new: this is {name}.")
    work.say(REACHES.get(str(answer.get("reaches")), ""))
    for lost in answer.get("warnings") or ():
        work.say(
            f"! goes back from words that were published in the console: {line(str(lost['field']))} reads "
            f"{line(str(lost['found']))} again, and was {line(str(lost['expected']))}"
        )
    for command in answer.get("next") or ():
        work.say(f"next: {line(str(command))}")
    if answer.get("lapses"):
        tell_lapses(work, answer)


REACHES = {
    "everybody": "Everybody gets it now: the workflow is observed, not enforced.",
    "testers": "Testers reach it now; live users get nothing new before its gate has passed and its ramp has begun.",
    "nobody": "Live users get what they got before: nothing that is served has changed.",
}


@click.command()
@click.argument("workflow", required=False)
@common
@json_option
@pass_work
def releases(work: Work, workflow: str | None) -> None:
    """List releases, newest first, of WORKFLOW or of all."""
    from roadworthy.cli.tables import Column, print_table

    answer = work.admin.get("/v1/releases", {"workflow": workflow})
    if work.json:
        work.emit(answer)
        return
    rows = items(answer, "releases")
    if not rows:
        raise Finding(
            f"no release of {workflow} yet" if workflow else "no release yet",
            f"roadworthy freeze {workflow or 'WORKFLOW'}",
        )
    zone = work.zone()
    print_table(
        work.console,
        [
            Column("workflow"),
            Column("no.", right=True),
            Column("release", keep=16),
            Column("serves", optional=True, keep=9),
            Column("frozen", keep=8),
            Column("by", spare=1),
            Column("behaviour", spare=2),
            Column("note", wrap=True, optional=True, keep=16),
        ],
        [
            [
                str(row.get("workflow", "")),
                str(row.get("number", "")),
                short(row.get("digest")),
                "served" if row.get("served") else "candidate" if row.get("candidate") else "",
                words.moment(row.get("frozen_at"), zone, now=work.clock()),
                str(row.get("frozen_by", "")),
                short(row.get("behaviour_digest")),
                str(row.get("note", "")),
            ]
            for row in rows
        ],
    )
    for name, notice in {str(row.get("workflow")): row.get("notice") for row in rows}.items():
        if notice:
            work.say(f"{line(name)}: {line(str(notice))}")


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--workflow", "-w", help="Needed when there is more than one workflow and A is not a digest.")
@common
@json_option
@pass_work
def diff(work: Work, a: str, b: str, workflow: str | None) -> None:
    """Compare two releases: A and B are a number, the beginning of a digest, `draft`, `candidate` or `served`.

    `WORKFLOW:NUMBER` names the workflow in the same breath.  Ends with the evidence that the change lapses.
    """
    for word in (a, b):
        name, colon, _ = word.partition(":")
        workflow = workflow or (name if colon else None)
    a, b = a.rpartition(":")[2], b.rpartition(":")[2]
    answer = work.admin.get("/v1/releases/diff", {"workflow": workflow, "a": a, "b": b})
    if work.json:
        work.emit(answer)
        return
    changes = answer.get("changes") or []
    if not changes:
        work.say(f"{a} and {b} are the same release.")
        return
    work.say(f"{line(str(answer.get('a', a)))} → {line(str(answer.get('b', b)))}")
    for change in changes:
        _tell_change(work, change)
    tell_lapses(work, answer)


def _tell_change(work: Work, change: dict[str, Any]) -> None:
    from rich.text import Text

    work.say()
    title = f"{line(str(change.get('field', '')))} ({change.get('facet', '')})"
    if not change.get("diff"):
        work.console.print(Text(f"{title}: {line(str(change.get('before')))} → {line(str(change.get('after')))}"))
        return
    work.console.print(Text(title))
    for text in clean(str(change["diff"])).splitlines():
        style = "green" if text.startswith("+") else "red" if text.startswith("-") else "dim"
        work.console.print(Text(f"  {text}", style=style), soft_wrap=True)


def tell_lapses(work: Work, answer: Mapping[str, Any]) -> None:
    """The end of a diff: the evidence that must be made anew."""
    lapses = ", ".join(line(str(lapse)) for lapse in answer.get("lapses") or [])
    work.say()
    work.say(f"Evidence that does not carry over: {lapses}." if lapses else "All evidence carries over.")


def short(digest: Any) -> str:
    """The beginning of a digest that is long enough to name it: ``rel_`` and 12 digits."""
    return str(digest)[:16] if digest else words.UNKNOWN


def items(answer: Any, name: str) -> list[dict[str, Any]]:
    """The list of an answer, whether it is bare or under ``items`` or its own name."""
    found = answer if isinstance(answer, list) else answer.get("items", answer.get(name, []))
    return [row for row in found if isinstance(row, dict)]
