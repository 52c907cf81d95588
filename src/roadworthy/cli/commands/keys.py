"""``keys``: the tokens with which apps and testers call the gateway."""

from __future__ import annotations

import re
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding
from roadworthy.cli.terminal import line

_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


@click.group()
@common
def keys() -> None:
    """Create, list, rotate and revoke the keys of apps and testers."""


@keys.command("create")
@click.argument("name")
@click.option(
    "--workflow", "-w", "workflows", multiple=True, help="Workflow that the key may call; repeatable.  [default: all]"
)
@click.option("--tester", metavar="PERSON", help="A tester key for this person of people.yaml, with daily limits.")
@click.option("--team", help="Team that the key belongs to.")
@click.option("--expires", metavar="TIME", help="Life of the key: 12h, 30d, 8w.  [default: none]")
@click.option("--rpm", type=click.IntRange(min=1), help="Calls a minute of this key.")
@click.option(
    "--callback",
    "callbacks",
    metavar="URL",
    multiple=True,
    help="Where answers of escalated calls may be sent; repeatable.",
)
@click.option("--callback-private", is_flag=True, help="Let these URLs be loopback, private or plain http.")
@click.option("--minimal-headers", is_flag=True, help="Answer with x-request-id as the only header of ours.")
@click.option("--no-body-object", is_flag=True, help="Leave the `roadworthy` object out of answers.")
@common
@json_option
@pass_work
def create(
    work: Work,
    name: str,
    workflows: tuple[str, ...],
    tester: str | None,
    team: str | None,
    expires: str | None,
    rpm: int | None,
    callbacks: tuple[str, ...],
    callback_private: bool,
    minimal_headers: bool,
    no_body_object: bool,
) -> None:
    """Create a key called NAME and show its token, this once."""
    body: dict[str, Any] = {
        "name": name,
        "workflows": list(workflows) or ["*"],
        "kind": "tester" if tester else "live",
        "person": tester,
        "team": team,
        "expires_at": work.clock() + life(expires) if expires else None,
        "requests_per_minute": rpm,
        "headers": "minimal" if minimal_headers else "full",
        "body_object": not no_body_object,
        "callbacks": list(callbacks) or None,
        "callbacks_private": callback_private or None,
    }
    tell_token(work, work.admin.post("/v1/keys", {k: v for k, v in body.items() if v is not None}))


@keys.command("list")
@click.option("--all", "everything", is_flag=True, help="Revoked and expired keys as well.")
@common
@json_option
@pass_work
def list_keys(work: Work, everything: bool) -> None:
    """List keys; tokens are not kept and cannot be shown."""
    from roadworthy.cli.tables import Column, print_table

    answer = work.admin.get("/v1/keys")
    if work.json:
        work.emit(answer)
        return
    now = work.clock()
    rows = [(row, state(row, now)) for row in items(answer, "keys")]
    shown = [(row, word) for row, word in rows if everything or word == "good"]
    if not shown:
        raise Finding(
            f"no key in use ({words.plural(len(rows), 'key')} revoked or expired)" if rows else "no key yet",
            "roadworthy keys create NAME --workflow WORKFLOW",
        )
    zone = work.zone()
    print_table(
        work.console,
        [
            Column("id"), Column("name"), Column("kind"), Column("workflows", wrap=True),
            Column("person", optional=True), Column("state", optional=True), Column("created"),
            Column("expires", optional=True),
        ],
        [
            [
                str(row.get("id", "")), str(row.get("name", "")), str(row.get("kind", "live")),
                ", ".join(row.get("workflows") or ()), str(row.get("person") or ""),
                "" if word == "good" else word, words.moment(row.get("created_at"), zone, now=now),
                words.moment(row["expires_at"], zone, now=now) if row.get("expires_at") else "",
            ]
            for row, word in shown
        ],
    )  # fmt: skip


@keys.command("rotate")
@click.argument("key")
@click.option("--grace", metavar="TIME", help="How long the old token still works: 10m, 24h.  [default: not at all]")
@common
@json_option
@pass_work
def rotate(work: Work, key: str, grace: str | None) -> None:
    """Give KEY (id or name) a new token and show it, this once."""
    body = {"grace": life(grace)} if grace else {}
    tell_token(work, work.admin.post(f"/v1/keys/{find_key(work, key)}/rotate", body))


@keys.command("revoke")
@click.argument("key")
@common
@json_option
@pass_work
def revoke(work: Work, key: str) -> None:
    """End KEY (id or name); the gateways refuse it within a second."""
    answer = work.admin.post(f"/v1/keys/{find_key(work, key)}/revoke")
    if work.json:
        work.emit(answer)
    else:
        work.say(f"Revoked {line(key)}.")


def find_key(work: Work, word: str) -> str:
    """The id of the key with this id, or the one key in use with this name."""
    from roadworthy.cli.errors import suggestion

    now = work.clock()
    rows = items(work.admin.get("/v1/keys"), "keys")
    named = [row for row in rows if row.get("id") == word]
    named = named or [row for row in rows if row.get("name") == word and state(row, now) == "good"]
    if len(named) == 1:
        return str(named[0]["id"])
    if named:
        raise BadInput(f"{len(named)} keys are called {word!r}", "name it by its id: roadworthy keys list")
    mend = suggestion(word, [str(row[f]) for row in rows for f in ("id", "name") if row.get(f)])
    raise BadInput(f"there is no key {word!r}", mend or "roadworthy keys list --all")


def state(row: dict[str, Any], now: float) -> str:
    if row.get("revoked_at") and row["revoked_at"] <= now:
        return "revoked"
    return "expired" if row.get("expires_at") and row["expires_at"] <= now else "good"


def life(text: str) -> float:
    """``30d`` → seconds."""
    match = re.fullmatch(r"(\d+)([mhdw])", text.strip())
    if match is None:
        raise BadInput(f"{text!r} is not a life time", "write it as 10m, 12h, 30d or 8w")
    return int(match.group(1)) * _UNITS[match.group(2)]


def tell_token(work: Work, answer: dict[str, Any]) -> None:
    """Show a new token once, with the two lines to paste."""
    if work.json:
        work.emit(answer)
        return
    row = answer.get("key") or {}
    reach = ", ".join(row.get("workflows") or ["*"])
    work.say(
        f"Key {row.get('id')} {line(str(row.get('name', '')))!r} ({row.get('kind', 'live')}) may call "
        f"{'every workflow of its team' if reach == '*' else reach}."
    )
    work.say("The token is shown this once:")
    work.say()
    work.say(f"export OPENAI_BASE_URL={base_url(work, answer)}")
    work.say(f"export OPENAI_API_KEY={answer.get('token')}")
    if answer.get("callback_secret"):
        work.say()
        work.say(f"Answers sent to its callbacks are signed (Standard Webhooks) with {answer['callback_secret']}")


def base_url(work: Work, answer: dict[str, Any]) -> str:
    """What an OpenAI client takes as its base URL."""
    if answer.get("base_url"):
        return str(answer["base_url"])
    return str(work.admin.get("/v1/status").get("base_url"))
