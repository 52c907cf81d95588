"""The options that say which inferences are meant, shared by ``log``, ``stats``, ``export`` and ``anomalies``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from roadworthy.cli.admin import Refused
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work
from roadworthy.cli.errors import BadInput, suggestion
from roadworthy.inference_log.when import Unreadable, Window, parse
from roadworthy.workflow.inference import FAILURES, OUTCOMES, ROUTES, TRAFFIC_CLASSES

KILLED = ("guarded", "assist", "off")
_LONGEST_NUMBER = 6
"""Digits of a release's number; more are the beginning of a digest."""

F = TypeVar("F", bound=Callable[..., Any])


class Words(click.ParamType[str]):
    """One of our words, or several joined by commas."""

    name = "word"

    def __init__(self, known: tuple[str, ...]) -> None:
        self.known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        found = [word.strip().lower() for word in str(value).split(",") if word.strip()]
        for word in found:
            if word not in self.known:
                mend = suggestion(word, self.known)
                self.fail(f"{word!r} is not one of {', '.join(self.known)}. {mend}".strip(), param, ctx)
        return ",".join(found)


class Seconds(click.ParamType[float]):
    """A duration: ``800ms``, ``2s``, ``1.5`` (seconds), ``2m``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip().lower()
        for unit, factor in (("ms", 0.001), ("min", 60.0), ("s", 1.0), ("m", 60.0), ("", 1.0)):
            if text.endswith(unit):
                number = text[: len(text) - len(unit)].strip()
                if number.replace(".", "", 1).isdigit():
                    return float(number) * factor
        self.fail(f"{value!r} is not a duration; write 800ms, 2s or 2m", param, ctx)


_OPTIONS = (
    click.option("--workflow", "-w", help="Calls of this workflow."),
    click.option("--user", "-u", help="Calls for this user (the unit)."),
    click.option("--outcome", type=Words(OUTCOMES), help=f"How it ended: {', '.join(OUTCOMES)}; several with commas."),
    click.option("--failure", type=Words(FAILURES), help=f"What went wrong: {', '.join(FAILURES)}."),
    click.option("--release", metavar="RELEASE", help="Served by this release: its number, or how its digest begins."),
    click.option("--route", type=Words(ROUTES), help=f"Which side served: {', '.join(ROUTES)}."),
    click.option("--stage", help="Served at this stage of a ramp: '10 %'."),
    click.option(
        "--would", metavar="WHAT", help="Under observe: enforcement would have (bypassed, previous; any for anything)."
    ),
    click.option("--kill", type=Words(KILLED), help=f"The kill switch decided: {', '.join(KILLED)}."),
    click.option("--target", help="Answered by this target."),
    click.option("--class", "traffic", type=Words(TRAFFIC_CLASSES), help=f"Traffic: {', '.join(TRAFFIC_CLASSES)}."),
    click.option("--key", metavar="ID", help="Called with this key."),
    click.option("--session", help="Of this session."),
    click.option("--tag", metavar="NAME[=VALUE]", help="Carries this tag."),
    click.option("--min-cost", type=click.FloatRange(min=0), metavar="USD", help="Cost at least this."),
    click.option("--slower-than", type=Seconds(), metavar="TIME", help="Took longer than this: 800ms, 2s."),
    click.option(
        "--tz", metavar="ZONE", help="Time zone, such as Europe/Berlin.  [default: settings, else this machine]"
    ),
)


_TEXT = click.option("--text", help="Holds this text in prompt, request or answer.")


def filters(command: F) -> F:
    """Add WHEN and the filter options; the command takes them as ``**chosen``."""
    return summable_filters(_TEXT(command))


def summable_filters(command: F) -> F:
    """The same without ``--text``: texts are searched, not summed."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("when", nargs=-1, metavar="[WHEN]...")(command)


def window_of(work: Work, when: tuple[str, ...], tz: str | None) -> Window | None:
    """The window that WHEN means, ``None`` for any time.  Raises ``BadInput``."""
    try:
        zone = work.zone(tz)
        if not when:
            return None
        return parse(" ".join(when), now=datetime.fromtimestamp(work.clock(), UTC), zone=zone)
    except Unreadable as error:
        raise BadInput(str(error)) from error


def query(work: Work, chosen: dict[str, Any], window: Window | None) -> dict[str, Any]:
    """Filter options → query parameters of the admin API.  Raises ``BadInput`` for names that nothing has."""
    vet_workflow(work, chosen["workflow"])
    params = {name: value for name, value in chosen.items() if name not in ("when", "tz", "user")}
    params["unit"] = chosen.get("user")
    if params.get("release"):
        params["release"] = _digest(work, str(params["release"]), chosen["workflow"])
    if window is not None:
        params["since"], params["until"] = repr(window.since), repr(window.until)
    return {name: value for name, value in params.items() if value is not None}


def _digest(work: Work, release: str, workflow: str | None) -> str:
    """The beginning of a digest, of one or of the number that people call it by."""
    if not release.isdecimal() or len(release) > _LONGEST_NUMBER:
        return release if release.startswith("rel_") else f"rel_{release}"
    known = items(work.admin.get("/v1/releases", {"workflow": workflow}), "releases")
    found = [row for row in known if row.get("number") == int(release)]
    if len(found) > 1:
        names = ", ".join(str(row.get("workflow")) for row in found)
        raise BadInput(f"several workflows have a release {release}: {names}", "name one with --workflow")
    if not found:
        raise BadInput(f"there is no release {release}", "`roadworthy releases` lists them")
    return str(found[0]["digest"])


def in_words(params: dict[str, Any], window: Window | None) -> str:
    """What was searched, for a person: ``Tue 17 Nov 2026 14:00–15:00 Europe/Berlin, user u-42``."""
    names = {"unit": "user", "traffic": "class", "min_cost": "cost ≥ $", "slower_than": "slower than"}
    parts = [window.reading if window else "any time"]
    for name, value in params.items():
        if name in ("since", "until", "limit", "after", "before"):
            continue
        word = names.get(name, name)
        if name == "slower_than":
            parts.append(f"{word} {value:g} s")
        elif name == "min_cost":
            parts.append(f"{word}{value:g}")
        else:
            parts.append(f"{word} {value}")
    return ", ".join(parts)


def flush(work: Work) -> None:
    """Have control ship what the gateways have written so far, so that the newest call is found.

    A person who may not (403) sees what is shipped already.
    """
    try:
        work.admin.post("/v1/journal/flush")
    except Refused as refused:
        if refused.status != 403:
            raise


def vet_workflow(work: Work, name: str | None) -> None:
    """Raise ``BadInput`` with a suggestion when there is no such workflow and never was one."""
    if name is None:
        return
    try:
        files = work.admin.get("/v1/configuration").get("files") or {}
    except Refused as refused:
        if refused.status != 404:
            raise
        return  # nothing is applied yet: there is no name to hold it against
    known = {path.split("/")[1] for path in files if path.startswith("workflows/") and path.endswith("/workflow.yaml")}
    if not known or name in known:
        return
    if work.admin.get("/v1/log", {"workflow": name, "limit": 1}).get("items"):
        return  # removed since, and still in the log
    raise BadInput(f"there is no workflow {name!r}", suggestion(name, known))
