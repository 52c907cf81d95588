"""``show``: one inference, whole."""

from __future__ import annotations

import re
from typing import Any

import click

from roadworthy.cli.admin import Refused
from roadworthy.cli.commands.filters import flush
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding

LENGTH = 32
"""Hex digits of a whole id after ``inf_``: 12 of its time in milliseconds, 20 random ones."""
TIME_DIGITS = 12
LEAST_DIGITS = 8
"""Fewer name more than a minute of calls."""

_DIGITS = re.compile(rf"[0-9a-f]{{1,{LENGTH}}}")


@click.command()
@click.argument("inference", metavar="ID")
@click.option("--tz", metavar="ZONE", help="Time zone, such as Europe/Berlin.  [default: settings, else this machine]")
@common
@json_option
@pass_work
def show(work: Work, inference: str, tz: str | None) -> None:
    """Show the inference ID whole; the beginning of an id is enough when only one has it.

    Attempts on a time line, prompt and answer, who answered, price (tokens × price), checks, notes, and how to find
    its neighbours.  ID is the `x-request-id` that the caller read.
    """
    from roadworthy.cli.inference_view import print_inference

    entry = find(work, inference)
    if work.json:
        work.emit(entry)
        return
    print_inference(work.console, {**_around(work, entry), **entry}, work.zone(tz))


def _around(work: Work, entry: dict[str, Any]) -> dict[str, Any]:
    """What the record names and does not hold: today's prices and the number of its release."""
    from roadworthy.wiring.cli import prices

    facts = entry.get("inference") or {}
    release = None
    if facts.get("digest") and facts.get("workflow"):
        try:
            known = items(work.admin.get("/v1/releases", {"workflow": facts["workflow"]}), "releases")
        except Refused:  # the workflow is gone; its inferences stay
            known = []
        release = next((row for row in known if row.get("digest") == facts["digest"]), None)
    return {"prices": prices(work.data, facts.get("attempts") or ()), "release": release}


def find(work: Work, word: str) -> dict[str, Any]:
    """The entry with this id or beginning of one; what is not shipped yet is shipped first."""
    word = word.strip().lower()
    digits = word.removeprefix("inf_")
    if not _DIGITS.fullmatch(digits):
        raise BadInput(f"{word!r} is not an id", "ids look like inf_0199f3c2a1b0…; `roadworthy log` lists them")
    if len(digits) < LEAST_DIGITS:
        raise BadInput(f"{word!r} is too short to name a call", f"give at least {LEAST_DIGITS} digits after inf_")
    found = _look(work, digits)
    if found is None:
        flush(work)
        found = _look(work, digits)
    if found is None:
        raise Finding(
            f"no inference {word!r} in the log",
            "the id is the x-request-id that the caller read; `roadworthy log` lists the newest",
        )
    return found


def _look(work: Work, digits: str) -> dict[str, Any] | None:
    name = f"inf_{digits}"
    if len(digits) < LENGTH:
        names = begin_with(work, digits)
        if len(names) > 1:
            shown = ", ".join(names[:5])
            raise BadInput(f"several inferences begin with {name!r}: {shown}", "give more of the id")
        if not names:
            return None
        name = names[0]
    try:
        return dict(work.admin.get(f"/v1/inferences/{name}"))
    except Refused as refused:
        if refused.status != 404:
            raise
        return None


def begin_with(work: Work, digits: str) -> list[str]:
    """Ids that begin so.  An id begins with its time, so the log is read only around that time."""
    clock = digits[:TIME_DIGITS]
    width = 16 ** (TIME_DIGITS - len(clock))
    since = int(clock, 16) * width / 1000 - 1
    until = (int(clock, 16) + 1) * width / 1000 + 1
    params: dict[str, Any] = {"since": repr(max(since, 0.0)), "until": repr(until), "limit": 1000}
    names: list[str] = []
    while len(names) < 2:
        page = work.admin.get("/v1/log", params)
        names += [str(row["id"]) for row in page.get("items") or () if str(row["id"]).startswith(f"inf_{digits}")]
        if not page.get("next"):
            break
        params["after"] = page["next"]
    return names
