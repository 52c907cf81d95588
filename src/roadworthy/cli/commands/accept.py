"""``accept`` and ``waive``: what named persons put behind a workflow."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, tzinfo
from typing import Any, get_args

import click

from roadworthy.cli import ready_words
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput
from roadworthy.cli.terminal import line
from roadworthy.evidence.kinds import KINDS, Role

ROLES = tuple(role for role in get_args(Role) if role != "on_call")
DAY = 86_400.0
_DAYS = re.compile(r"^(\d{1,4})\s*d(?:ays?)?$")


@click.command()
@click.argument("workflow")
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, help="Only this role; may be repeated.")
@click.option("--evidence", metavar="ID", help="Only this forecast or failure catalogue.")
@click.option("--word", metavar="TEXT", help="Give your word for what no run has shown: at most 10 %, for 30 days.")
@click.option("--instead-of", "instead_of", metavar="KIND", help="What the word stands for.")
@common
@json_option
@pass_work
def accept(
    work: Work, workflow: str, roles: tuple[str, ...], evidence: str | None, word: str | None, instead_of: str | None
) -> None:
    """Accept for WORKFLOW what waits for you: your roles, the failure catalogue, the cost forecast.

    For the logged-in person (`roadworthy login`), and only what is theirs; everything is audited.  Read the catalogue
    first: `roadworthy failures WORKFLOW`.  A word (--word TEXT --instead-of KIND) is the workflow owner's, and is never
    enough for fallback drills, the eval gate and the kill drill.
    """
    if (word is None) != (instead_of is None):
        kinds = ", ".join(kind for kind, row in KINDS.items() if row.by_word)
        raise BadInput("--word and --instead-of belong together", f"a word may stand for: {kinds}")
    if word is not None and (roles or evidence):
        raise BadInput("--word excludes --role and --evidence", "give your word by itself")
    if roles and evidence:
        raise BadInput("--role and --evidence exclude each other", "give one of them")
    if word is not None:
        given = {"workflow": workflow, "instead_of": instead_of, "words": word}
        made = [work.admin.post("/v1/evidence/attest", given)]
    else:
        order = {"workflow": workflow, "roles": list(roles), "evidence": evidence or ""}
        made = work.admin.post("/v1/evidence/accept", order)["items"]
    if work.json:
        work.emit({"items": made})
        return
    zone = work.zone()
    for each in made:
        work.say(line(f"accepted: {_told(each)}, until {ready_words.date(each['lapses_at'], zone)} ({each['id']})"))


def _told(evidence: dict[str, Any]) -> str:
    figures = evidence["figures"]
    if figures["kind"] == "acceptance":
        return f"{figures['person']} is the {figures['role']} owner of {evidence['workflow']}"
    if figures["kind"] == "attestation":
        kind = KINDS[figures["instead_of"]].title
        return f"{evidence['by']}'s word instead of a {kind} (at most 10 % of traffic)"
    return f"the {KINDS[figures['kind']].title} of {evidence['workflow']}"


@click.command()
@click.argument("workflow")
@click.option("--item", type=int, metavar="N", help="Number of the item that rests; never 4, 6 or 7.")
@click.option("--enforcement", is_flag=True, help="Enforcement as a whole, of a workflow with `enforcement: observe`.")
@click.option("--until", metavar="DAY", help="The last day, as 2026-11-30, or 14d; at most 30 days ahead.")
@click.option("--reason", metavar="TEXT", help="Why; it shows everywhere.")
@click.option("--end", "ending", metavar="ID", help="Take this waiver back now.")
@common
@json_option
@pass_work
def waive(
    work: Work, workflow: str, item: int | None, enforcement: bool, until: str | None, reason: str | None,
    ending: str | None,
) -> None:  # fmt: skip
    """Let an item of WORKFLOW rest until a day, or take a waiver back.

    For the workflow's owner, logged in.  A waiver names person, reason and end, shows everywhere, and keeps the
    workflow from being called production.  It never covers a FAIL.
    """
    if ending is not None:
        if item is not None or enforcement or until or reason:
            raise BadInput("--end takes back a waiver; it goes with nothing else", "give --end ID by itself")
        made = work.admin.post("/v1/waivers/end", {"workflow": workflow, "id": ending})
        tell = f"ended: waiver {made['id']} of {workflow}"
    else:
        if (item is None) == (not enforcement):
            raise BadInput("say what rests", "give --item N or --enforcement")
        if not until or not reason:
            raise BadInput("a waiver needs an end and a reason", "give --until DAY --reason TEXT")
        zone = work.zone()
        ends = until_instant(until, work.clock(), zone)
        made = work.admin.post("/v1/waivers", {"workflow": workflow, "item": item, "until": ends, "reason": reason})
        what = "enforcement" if item is None else f"item {item}"
        tell = f"waived: {what} of {workflow} until {ready_words.date(made['ends'] - 1, zone)} ({made['id']})"
    if work.json:
        work.emit(made)
    else:
        work.say(line(tell))


def until_instant(text: str, now: float, zone: tzinfo) -> float:
    """The end of a day (``2026-11-30``), or so many days from now (``14d``), as Unix seconds.  Raises ``BadInput``."""
    found = _DAYS.match(text.strip())
    if found is not None:
        return now + int(found[1]) * DAY
    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").date()
    except ValueError:
        raise BadInput(f"--until: found '{line(text, 40)}', expected a day as 2026-11-30, or 14d") from None
    return datetime.combine(day + timedelta(days=1), time(), zone).timestamp()
