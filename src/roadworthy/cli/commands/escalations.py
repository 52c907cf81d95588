"""``escalations``: calls that wait for a human, and the messages about them that nobody took."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput
from roadworthy.cli.terminal import clean, line

ACTIONS = ("sent", "edited", "discarded")
LONGEST_SHOWN = 20_000
OPEN = ("queue", "claimed")


class ListedFirst(click.Group):
    """A group whose name alone, or with a workflow, lists: ``escalations support-triage``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help", "--data", "--no-color")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListedFirst)
@common
def escalations() -> None:
    """List, read, claim and answer calls that were handed to a human.

    `roadworthy escalations [WORKFLOW]` lists those that wait, the most urgent first.  Claiming, answering, returning
    and cancelling are done by a named person: `roadworthy login CODE` first.
    """


@escalations.command("list")
@click.argument("workflow", required=False)
@click.option("--open", "only_open", is_flag=True, help="Those that wait for a human.  [default]")
@click.option("--all", "everything", is_flag=True, help="Closed ones and drills as well, newest first.")
@click.option("--dead", is_flag=True, help="Messages that were given up, as `escalations dead` lists them.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many.")
@common
@json_option
@pass_work
def list_escalations(
    work: Work, workflow: str | None, only_open: bool, everything: bool, dead: bool, limit: int
) -> None:
    """List escalations, of WORKFLOW or of all."""
    from roadworthy.cli.tables import Column, print_table

    if only_open and everything:
        raise BadInput("--open and --all exclude each other", "give one of them")
    if dead:
        tell_dead(work, limit)
        return
    params = {"workflow": workflow, "all": "1" if everything else None, "limit": limit}
    answer = work.admin.get("/v1/escalations", params)
    if work.json:
        work.emit(answer)
        return
    rows = items(answer, "escalations")
    if not rows:
        work.say("Nothing was escalated yet." if everything else "Nobody waits for a human.")
        return
    now = work.clock()
    print_table(
        work.console,
        [
            Column("id", keep=16), Column("workflow"), Column("state"), Column("why"), Column("opened", spare=2),
            Column("answer due"), Column("claimed by", optional=True), Column("helpdesk", optional=True, spare=1),
            Column("class", optional=True),
        ],
        [
            [
                str(row.get("id", "")), str(row.get("workflow", "")), str(row.get("state", "")),
                str(row.get("failure") or "bypass"), words.ago(row.get("opened_at"), now),
                words.until(row.get("answer_by"), now) if row.get("state") in OPEN else "–",
                str(row.get("claimed_by") or ""),
                str(row.get("helpdesk") or ""), "DRILL" if row.get("traffic") == "drill" else "",
            ]
            for row in rows
        ],
    )  # fmt: skip


@escalations.command("show")
@click.argument("escalation", metavar="ID")
@common
@json_option
@pass_work
def show_escalation(work: Work, escalation: str) -> None:
    """Show the escalation ID with what was said, and the draft if there is one.  That you read it is audited."""
    row = work.admin.get(f"/v1/escalations/{named(escalation)}")
    if work.json:
        work.emit(row)
        return
    zone, now = work.zone(), work.clock()
    drill = "DRILL  " if row.get("traffic") == "drill" else ""
    work.say(f"{drill}{line(str(row['id']))}  {line(str(row['workflow']))}  {row.get('state')}")
    view = row.get("view") or {}
    work.say(f"why        {line(str(view.get('why') or '–'))}")
    work.say(f"           {row.get('failure') or 'human bypass'}: {line(str(row.get('detail') or '–'))}")
    work.say(f"user       {line(str(row.get('unit') or '–'))}")
    opened = words.moment(row.get("opened_at"), zone, now=now)
    work.say(f"opened     {opened}, {words.ago(row.get('opened_at'), now)}")
    if row.get("state") in OPEN:
        left = words.until(row.get("answer_by"), now)
        work.say(f"answer by  {words.moment(row.get('answer_by'), zone, now=now)}, {left}")
    else:
        by, reason = str(row.get("closed_by") or "–"), str(row.get("reason") or "")
        why = f": {line(reason)}" if reason else ""
        work.say(f"closed     {words.moment(row.get('closed_at'), zone, now=now)} by {line(by)}{why}")
    if row.get("state") == "claimed":
        until = words.moment(row.get("claimed_until"), zone, now=now)
        work.say(f"claimed by {line(str(row['claimed_by']))} until {until}")
    for rule in view.get("policy") or []:
        work.say(f"           {line(str(rule))}")
    for past in reversed(view.get("history") or []):
        when = words.moment(past.get("at"), zone, now=now)
        title = f"before: {when}, {line(str(past.get('workflow')))}, answered by {line(str(past.get('by')))}"
        asked, said = past.get("asked") or "[not kept]", past.get("said") or "[not kept]"
        _tell_text(work, title, f"{asked}\n→ {said}")
    for message in row.get("messages") or []:
        role = message.get("role", "?") if isinstance(message, dict) else "?"
        _tell_text(work, line(str(role)), text_of(message))
    if view.get("draft_hidden"):
        work.say(
            f'\nThere is a draft; you see it after: roadworthy escalations commit {line(str(row["id"]))} --text "…"'
        )
    if row.get("draft") is not None:
        _tell_text(work, "draft (refused by a check; no customer has seen it)", str(row["draft"]))
    _tell_text(work, "the customer reads meanwhile", str(row.get("holding") or "–"))
    answer = row.get("answer")
    if answer:
        by = f"{answer.get('by')} {answer.get('agent') or ''}".strip()
        became = f" ({answer.get('action')})" if row.get("draft") is not None else ""
        _tell_text(work, f"answer by {line(by)}{became}", str(answer.get("text")))
    elif row.get("state") in OPEN:
        work.say(f'\nTo answer: roadworthy escalations answer {line(str(row["id"]))} --text "…"')


@escalations.command("claim")
@click.argument("escalation", metavar="ID")
@common
@json_option
@pass_work
def claim(work: Work, escalation: str) -> None:
    """Take ID for half an hour: nobody else can answer it meanwhile.  Again: for another half hour."""
    row = work.admin.post(f"/v1/escalations/{named(escalation)}/claim")
    until = words.moment(row.get("claimed_until"), work.zone(), now=work.clock())
    _done(work, row, f"Claimed until {until}: roadworthy escalations answer {row.get('id')} --text …")


@escalations.command("answer")
@click.argument("escalation", metavar="ID")
@click.option("--text", help="What the customer reads.")
@click.option(
    "--file", "file", type=click.Path(path_type=Path), help="A file with that text; `-` reads standard input."
)
@click.option(
    "--as", "action", type=click.Choice(ACTIONS), help="What became of the draft.  [default: seen from the text]"
)
@click.option("--add-example", is_flag=True, help="Also into the pool of examples, as what should be answered.")
@common
@json_option
@pass_work
def answer(
    work: Work, escalation: str, text: str | None, file: Path | None, action: str | None, add_example: bool
) -> None:
    """Answer ID: the caller's next poll reads it, a caller that waits at once, a registered callback is told.

    `--as sent` without a text sends the draft as it is.
    """
    if text is not None and file is not None:
        raise BadInput("--text and --file exclude each other", "give one of them")
    if file is not None:
        text = sys.stdin.read() if str(file) == "-" else _read(file)
    if text is None and action != "sent":
        raise BadInput("there is no answer", "give --text or --file, or `--as sent` to send the draft")
    body = {"text": text or "", "add_example": add_example, **({"action": action} if action else {})}
    row = work.admin.post(f"/v1/escalations/{named(escalation)}/answer", body)
    given = row.get("answer") or {}
    said = "Answered." if row.get("draft") is None else f"Answered (the draft was {given.get('action')})."
    if row.get("example"):
        said += f" {row['example']} waits in the pool: roadworthy evals publish {row.get('workflow')}"
    if row.get("not_added"):
        said += f" It became no example: {line(str(row['not_added']))}"
    if row.get("scored"):
        said += f" The draft was scored '{line(str(row['scored']))}'."
    elif row.get("not_scored"):
        said += f" The draft has no hand score: {line(str(row['not_scored']))}"
    _done(work, row, said)


@escalations.command("commit")
@click.argument("escalation", metavar="ID")
@click.option("--text", required=True, help="What you would answer.")
@common
@json_option
@pass_work
def commit(work: Work, escalation: str, text: str) -> None:
    """Keep what you would answer ID, and see the draft that is hidden until then (policy.escalation.hide_draft).

    Claim it first.  What you wrote is kept beside what is sent.
    """
    row = work.admin.post(f"/v1/escalations/{named(escalation)}/commit", {"text": text})
    if work.json:
        work.emit(row)
        return
    _tell_text(work, "the draft", str(row.get("draft") or "–"))
    work.say(f"\nYours is kept. Send it, the draft or a third: roadworthy escalations answer {line(str(row['id']))}")


@escalations.command("capacity")
@click.argument("workflow")
@common
@json_option
@pass_work
def capacity(work: Work, workflow: str) -> None:
    """Say how many calls of WORKFLOW people will be handed at each stage of its ramp, and how many they can answer.

    And how those who answer treat drafts: sent unread, or judged.
    """
    from roadworthy.cli.tables import Column, print_table

    found = work.admin.get(f"/v1/capacity/{workflow}")
    if work.json:
        work.emit(found)
        return
    stages, agents = found.get("stages") or [], found.get("agents") or []
    print_table(
        work.console,
        [
            Column("stage"), Column("arrive an hour", right=True), Column("answered an hour", right=True),
            Column("verdict"), Column("why", wrap=True, keep=40),
        ],
        [
            [str(row["name"]), _interval(row["arrive"]), _interval(row["answer"]), row["verdict"], line(row["text"])]
            for row in stages
        ],
    )  # fmt: skip
    for each in agents:
        stamped = "rubber-stamped: " if each.get("verdict") == "FAIL" else ""
        work.say(f"{stamped}{line(str(each.get('text')))}")


def _interval(value: dict[str, float]) -> str:
    return f"{value['point']:.1f} ({value['low']:.1f} to {value['high']:.1f})"


@escalations.command("return")
@click.argument("escalation", metavar="ID")
@click.option("--reason", default="", help="Why, for whoever takes it next.")
@common
@json_option
@pass_work
def give_back(work: Work, escalation: str, reason: str) -> None:
    """Give ID back to the queue."""
    row = work.admin.post(f"/v1/escalations/{named(escalation)}/return", {"reason": reason})
    _done(work, row, "Back in the queue.")


@escalations.command("cancel")
@click.argument("escalation", metavar="ID")
@click.option("--reason", default="", help="Why, for the record.")
@common
@json_option
@pass_work
def cancel(work: Work, escalation: str, reason: str) -> None:
    """Close ID without an answer; its caller is told so."""
    row = work.admin.post(f"/v1/escalations/{named(escalation)}/cancel", {"reason": reason})
    _done(work, row, "Cancelled.")


@escalations.command("dead")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many.")
@common
@json_option
@pass_work
def dead_letters(work: Work, limit: int) -> None:
    """List messages to helpdesks, callbacks and the notifier that were given up."""
    tell_dead(work, limit)


@escalations.command("retry")
@click.argument("message", metavar="ID")
@common
@json_option
@pass_work
def retry(work: Work, message: str) -> None:
    """Send the message ID (from `escalations dead`) anew, from the first try on."""
    row = work.admin.post(f"/v1/deliveries/{named(message)}/retry")
    _done(work, row, f"Waits to be sent to {line(str(row.get('destination')))}.")


def tell_dead(work: Work, limit: int) -> None:
    """The messages that were given up, newest first."""
    from roadworthy.cli.tables import Column, print_table

    found = work.admin.get("/v1/deliveries", {"state": "dead", "limit": limit})
    if work.json:
        work.emit(found)
        return
    rows = items(found, "deliveries")
    if not rows:
        counts = found.get("counts") or {}
        work.say(f"No dead letter; {words.plural(int(counts.get('waiting', 0)), 'message')} on the way.")
        return
    now = work.clock()
    print_table(
        work.console,
        [
            Column("id"), Column("to"), Column("about", keep=16), Column("given up"), Column("tries", right=True),
            Column("last error", wrap=True),
        ],
        [
            [
                str(row.get("id", "")), str(row.get("destination", "")), str(row.get("about") or ""),
                words.ago(row.get("ended_at"), now), str(row.get("tries", "")), str(row.get("last_error") or ""),
            ]
            for row in rows
        ],
    )  # fmt: skip


def named(ident: str) -> str:
    """An id as it stands in a path.  Raises ``BadInput``."""
    ident = ident.strip()
    if not ident or not ident.replace("_", "").isalnum() or not ident.isascii():
        raise BadInput(f"{ident!r} is not an id", "`roadworthy escalations` lists them")
    return ident


def text_of(message: Any) -> str:
    """What a message says in text; parts of other kinds are named."""
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, list):
        parts = [part if isinstance(part, dict) else {} for part in content]
        return "\n".join(str(part.get("text") or f"[{part.get('type', 'part')}]") for part in parts)
    return "" if content is None else str(content)


def _tell_text(work: Work, title: str, text: str) -> None:
    from rich.text import Text

    work.console.print(Text(f"\n— {title}", style="dim"))
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}\n[…]"
    work.console.print(Text(clean(shown)), soft_wrap=True)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file}: not UTF-8 text", "save it as UTF-8") from error


def _done(work: Work, row: dict[str, Any], text: str) -> None:
    if work.json:
        work.emit(row)
    else:
        work.say(text)
