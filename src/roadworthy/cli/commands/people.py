"""``login``, ``logout``, ``invite`` and ``people``."""

from __future__ import annotations

from typing import Any, get_args

import click

from roadworthy.cli import words
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import Finding
from roadworthy.cli.terminal import line
from roadworthy.workflow.model import Role

ROLE = click.Choice(get_args(Role))


@click.command()
@click.argument("code", required=False)
@common
@pass_work
def login(work: Work, code: str | None) -> None:
    """Act as a person from now on, with the one-time CODE that `up` printed for them.

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
@click.argument("email")
@click.option("--role", type=ROLE, required=True, help="What they may do (docs/people.md).")
@click.option("--workflow", "-w", help="They hold the role on this workflow alone.")
@click.option("--team", help="They hold the role in this team.  [default: the only team there is]")
@common
@json_option
@pass_work
def invite(work: Work, email: str, role: str, workflow: str | None, team: str | None) -> None:
    """Let somebody into the console: prints a link that works once, within a week, and mails it where smtp is declared.

    You must be logged in as an admin.
    """
    answer = work.admin.post("/v1/people/invite", {"email": email, "role": role, "workflow": workflow, "team": team})
    if work.json:
        work.emit(answer)
        return
    until = words.moment(float(answer["expires"]), work.zone())
    where = f"of {workflow}" if workflow else "everywhere" if role == "admin" else "in the team"
    work.say(f"{line(str(answer['person']))} becomes {role} {line(where)} by opening this, once, until {until}:")
    work.say("")
    work.say(f"  {line(str(answer['link']))}")
    work.say("")
    work.say("It was mailed to them too." if answer["mailed"] else "No mail server is declared: send it to them.")
    if answer["note"]:
        work.say(line(str(answer["note"])))


class Listing(click.Group):
    """A group whose name alone lists, whatever options follow."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not {*self.commands, "-h", "--help"}.intersection(args):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Listing)
@common
def people() -> None:
    """List everybody; say who may do what, and who left.

    `roadworthy people` lists roles, what each owns and when they last signed in.
    """


@people.command("list")
@common
@json_option
@pass_work
def list_people(work: Work) -> None:
    """List everybody: roles, what they own, when they last signed in; whoever left comes last."""
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
        [Column("id"), Column("name"), Column("email", optional=True), Column("team", optional=True),
         Column("roles", wrap=True), Column("owns", wrap=True, optional=True), Column("last sign-in", optional=True)],
        [_row(work, row) for row in rows],
    )  # fmt: skip
    for each in answer.get("orphans") or () if isinstance(answer, dict) else ():
        work.say(f"{line(str(each['person']))} has left and is named still: {line(str(each['what']))}")


def _row(work: Work, row: dict[str, Any]) -> list[str]:
    roles = [f"{role['role']} {role['where']}" for role in row.get("roles") or ()]
    seen = "" if row.get("seen_at") is None else words.moment(float(row["seen_at"]), work.zone())
    return [
        str(row.get("id", "")), str(row.get("name", "")), str(row.get("email") or ""),
        "" if row.get("team") in (None, "default") else str(row["team"]),
        "left" if row.get("left") else ", ".join(roles), ", ".join(str(o) for o in row.get("owns") or ()), seen,
    ]  # fmt: skip


@people.command("grant")
@click.argument("person")
@click.option("--role", type=ROLE, required=True, help="What they may do.")
@click.option("--workflow", "-w", help="On this workflow alone.")
@click.option("--team", help="In this team.  [default: the only team there is]")
@common
@json_option
@pass_work
def grant(work: Work, person: str, role: str, workflow: str | None, team: str | None) -> None:
    """Give PERSON a role.  You must be logged in as an admin."""
    body = {"person": person, "role": role, "workflow": workflow, "team": team}
    answer = work.admin.post("/v1/people/grant", body)
    if work.json:
        work.emit(answer)
        return
    work.say(f"{line(person)} is {role} now.")
    if answer["note"]:
        work.say(line(str(answer["note"])))


@people.command("revoke")
@click.argument("person")
@click.option("--role", type=ROLE, required=True, help="Which role.")
@click.option("--workflow", "-w", help="Of this workflow.")
@click.option("--team", help="In this team.  [default: the only team there is]")
@common
@json_option
@pass_work
def revoke(work: Work, person: str, role: str, workflow: str | None, team: str | None) -> None:
    """Take a granted role from PERSON.  What people.yaml gives is taken there."""
    body = {"person": person, "role": role, "workflow": workflow, "team": team}
    answer = work.admin.post("/v1/people/revoke", body)
    if work.json:
        work.emit(answer)
        return
    work.say(f"{line(person)} is {role} there no more.")


@people.command("leave")
@click.argument("person")
@common
@json_option
@pass_work
def leave(work: Work, person: str) -> None:
    """PERSON has left: their sessions, roles and tester keys end at once; what was in their name is listed."""
    answer = work.admin.post("/v1/people/leave", {"person": person})
    if work.json:
        work.emit(answer)
        return
    ended = [
        words.plural(int(answer["sessions_ended"]), "session"), words.plural(int(answer["grants_dropped"]), "role"),
        words.plural(int(answer["keys_revoked"]), "tester key"),
    ]  # fmt: skip
    work.say(f"{line(person)} may do nothing any more; ended: {', '.join(ended)}.")
    named = answer["orphans"]
    for each in named:
        work.say(f"  in their name still: {line(str(each['what']))}")
    if named:
        work.say("Name somebody else in owners (workflow.yaml) or on_call (people.yaml), and run `roadworthy apply`.")


@people.command("return")
@click.argument("person")
@common
@json_option
@pass_work
def come_back(work: Work, person: str) -> None:
    """PERSON is back, with what people.yaml gives; what was granted is granted anew."""
    answer = work.admin.post("/v1/people/return", {"person": person})
    if work.json:
        work.emit(answer)
        return
    work.say(f"{line(person)} is back.")
