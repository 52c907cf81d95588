"""``login``, ``logout`` and ``people``."""

from __future__ import annotations

import click

from roadworthy.cli import words
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import Finding
from roadworthy.cli.terminal import line


@click.command()
@click.argument("code", required=False)
@common
@pass_work
def login(work: Work, code: str | None) -> None:
    """Act as a person of people.yaml from now on, with the one-time CODE that `up` printed for them.

    The session is kept in ~/.config/roadworthy/session.json (0600).  Without a login, commands act as your OS user.
    """
    from roadworthy.cli.logins import Login

    code = code or click.prompt("One-time code", hide_input=True)
    answer = work.admin.post("/v1/login", {"code": str(code).strip()})
    person = answer.get("person")
    name = str(person.get("id") if isinstance(person, dict) else person)
    entry = Login(str(answer["token"]), name, float(answer["expires"]))
    work.logins.remember(work.data, entry)
    work.say(f"Logged in as {line(name)} until {words.moment(entry.expires, work.zone())}.")


@click.command()
@common
@pass_work
def logout(work: Work) -> None:
    """End the login of this data folder; commands act as your OS user again."""
    from roadworthy.cli.admin import Refused

    if work.logins.current(work.data, work.clock()) is not None:
        try:
            work.admin.post("/v1/logout")
        except Refused as refused:  # control has forgotten the session already
            if refused.status != 401:
                raise
    if not work.logins.forget(work.data):
        raise Finding("nobody is logged in to this data folder")
    work.say("Logged out.")


@click.command()
@common
@json_option
@pass_work
def people(work: Work) -> None:
    """List the people of people.yaml and what they own."""
    from roadworthy.cli.tables import Column, print_table

    answer = work.admin.get("/v1/people")
    if work.json:
        work.emit(answer)
        return
    rows = items(answer, "people")
    if not rows:
        raise Finding("nobody is named yet", "write people.yaml and run `roadworthy apply`")
    print_table(
        work.console,
        [Column("id"), Column("name"), Column("email", optional=True), Column("phone", optional=True),
         Column("team", optional=True), Column("owns", wrap=True, optional=True)],
        [
            [
                str(row.get("id", "")), str(row.get("name", "")), str(row.get("email") or ""),
                str(row.get("phone") or ""), "" if row.get("team") in (None, "default") else str(row["team"]),
                ", ".join(str(o) for o in row.get("owns") or ()),
            ]
            for row in rows
        ],
    )  # fmt: skip
