"""``kill``, ``restore`` and ``undo``: stop a workflow, switch it on again, take a stop back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.admin import Refused
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Unreachable
from roadworthy.cli.terminal import line

EVERY = "*"
STATES = ("off", "assist", "guarded")
UNDO_PATIENCE = 10.0
"""Seconds that control has to take a stop back."""

Facts = Mapping[str, Any]

_all = click.option("--all", "everything", is_flag=True, help="Every workflow.")


@click.command()
@click.argument("workflow", required=False)
@_all
@click.option("--to", type=click.Choice(STATES), default="off", show_default=True,
              help="off: the bypass; assist: a person with a draft; guarded: the release before.")  # fmt: skip
@click.option("--reason", default="", help="Why; may be given later, by the same command.")
@common
@json_option
@pass_work
def kill(work: Work, workflow: str | None, everything: bool, to: str, reason: str) -> None:
    """Stop WORKFLOW now, on every gateway.  Nothing is asked first, and everybody who may act may do it.

    Works whatever state control is in: without one that answers, by a KILL file in the data folder.  Exit 0 when every
    gateway has confirmed; 3 when one has not, which is named with what to run there.  Whoever stopped it may take it
    back for ten minutes: roadworthy undo WORKFLOW.
    """
    name = _named(workflow, everything)
    import msgspec

    from roadworthy.kill_switch.model import State
    from roadworthy.kill_switch.rules import Refused as AgainstTheRules
    from roadworthy.wiring.composed.kill_alone import ControlLine, press
    from roadworthy.wiring.folders.data_folder import DataFolderError, open_folder
    from roadworthy.workflow.service import Unknown

    saved = work.logins.current(work.data, work.clock())
    try:
        folder = open_folder(work.data)
        control = ControlLine(folder, saved.token if saved else None, _answer)
        pressed = press(folder, name, msgspec.convert(to, State), reason, control, clock=work.clock)
    except (DataFolderError, AgainstTheRules, Unknown) as error:
        raise BadInput(str(error)) from error
    stand = pressed.stand
    if pressed.how == "control" and reason and not stand["reason"]:  # it was stopped before, without a reason
        stand = work.admin.post("/v1/kill/explain", {"workflow": name, "reason": reason})
    if work.json:
        work.emit({**stand, "how": pressed.how, "files": pressed.files, "why": pressed.why})
    else:
        if pressed.how != "control":
            work.note(f"{pressed.why}: " + _HOW[pressed.how])
        _told(work, stand)
        _way_back(work, stand, pressed.how, pressed.files)
    _conclude(stand)


_HOW = {
    "alone": "this command acted in its place; the audit record is written when control is back",
    "file": "stopped by a KILL file; control makes it its own when it is back",
}


@click.command()
@click.argument("workflow", required=False)
@_all
@click.option("--to", type=click.Choice(("on", "guarded", "assist")), default="on", show_default=True,
              help="How far: all the way, or to a state between.")  # fmt: skip
@click.option("--reason", default="", help="Why it may go on; needed for `on`.")
@common
@json_option
@pass_work
def restore(work: Work, workflow: str | None, everything: bool, to: str, reason: str) -> None:
    """Let WORKFLOW go on.  Back to `on`: its owner, with a reason; to `guarded` or `assist`: on-call as well.

    With --all, whatever the person who asks may restore.  Exit 3 when a gateway has not confirmed.
    """
    stand = work.admin.post("/v1/kill/restore", {"workflow": _named(workflow, everything), "to": to, "reason": reason})
    _done(work, stand)


@click.command()
@click.argument("workflow", required=False)
@_all
@common
@json_option
@pass_work
def undo(work: Work, workflow: str | None, everything: bool) -> None:
    """Take back a stop of WORKFLOW that you pressed within the last ten minutes, a KILL file of yours included."""
    from roadworthy.wiring.composed.kill_alone import withdraw
    from roadworthy.wiring.folders.data_folder import DataFolderError, open_folder

    name = _named(workflow, everything)
    try:
        gone = withdraw(open_folder(work.data), name, work.clock())
    except DataFolderError as error:
        raise BadInput(str(error)) from error
    for path in gone:
        work.note(f"removed {line(path)}")
    try:
        stand = work.admin.post("/v1/kill/undo", {"workflow": name}, timeout=UNDO_PATIENCE)
    except Refused:  # a stop by a file alone has no press to take back
        stand = work.admin.get("/v1/kill", {"workflow": name})["items"][0]
        if not gone or stand["in_force"] != "on":
            raise
    _done(work, stand)


def _done(work: Work, stand: Facts) -> None:
    if work.json:
        work.emit(stand)
    else:
        _told(work, stand)
        if stand["state"] != "on":
            _way_back(work, stand, "control", [])
    _conclude(stand)


def _answer(response: Any) -> dict[str, Any]:
    from roadworthy.cli.admin import refusal

    if response.status_code >= 400:
        raise refusal(response)
    answer: dict[str, Any] = response.json()
    return answer


def _named(workflow: str | None, everything: bool) -> str:
    if (workflow is None) is not everything or workflow == EVERY:
        raise BadInput("say which workflow, or --all for every one", "roadworthy status lists them")
    return EVERY if workflow is None else workflow


def _told(work: Work, stand: Facts) -> None:
    """How far it is, and what customers read from now on."""
    what, reached = _what(stand), stand.get("reached") or {}
    gateways, workers = reached.get("gateways", 0), reached.get("workers", 0)
    missing = reached.get("missing") or []
    if reached.get("all"):
        p50 = f" (p50 {words.seconds(reached['p50'])})" if gateways > 1 else ""
        where = f"{words.plural(gateways, 'gateway')}, {words.plural(workers, 'worker')}"
        work.say(f"{what} is {stand['state']} on {where}, in {words.seconds(reached['max'])}{p50}")
    elif missing:
        of = words.plural(gateways + len(missing), "gateway")
        work.say(f"{what} is NOT {stand['state']} everywhere: {len(missing)} of {of} has not confirmed")
        for each in missing:
            silent = words.seconds(each["silent_for"])
            work.say(f"  gateway {line(each['gateway'])}, silent for {silent}; run there: {line(each['run'])}")
    elif reached:
        work.say(f"{what}: {stand['state']} is kept, and no gateway runs that could confirm it")
    else:
        work.say(f"{what} is {stand['state']}")
    if stand["in_force"] != stand["state"]:
        work.say(f"still {stand['in_force']}, because everything is: roadworthy restore --all")
    if stand.get("at_risk"):
        work.say(f"AT RISK: a restart of control would forget it: {line(stand['at_risk'])}")
    for name, text in stand["reads"].items():
        work.say(f"{line(name)}: {line(text)}")


def _way_back(work: Work, stand: Facts, how: str, files: list[str]) -> None:
    name = "--all" if stand["workflow"] == EVERY else line(stand["workflow"])
    zone, now = work.zone(), work.clock()
    if stand.get("undo_until"):
        work.say(
            f"undo until {words.moment(stand['undo_until'], zone, now=now)}, by {line(stand['undo_by'])}: "
            f"roadworthy undo {name}"
        )
    for path in files:
        work.say(f"to restore, first remove {line(path)}")
    for who in dict.fromkeys(stand["may_restore"].values()):
        states = [to for to, each in stand["may_restore"].items() if each == who]
        why = " --reason WHY" if "on" in states else ""
        work.say(f"restore: roadworthy restore {name} --to {' or '.join(states)}{why}   ({who})")
    if how != "file" and not stand["reason"]:
        work.say(f'no reason was given: roadworthy kill {name} --to {stand["state"]} --reason "…"')


def _conclude(stand: Facts) -> None:
    reached = stand.get("reached")
    if reached is not None and not reached["all"]:
        names = ", ".join(each["gateway"] for each in reached["missing"])
        raise Unreachable(f"not confirmed by: {names}" if names else "no gateway runs that could confirm it")


def _what(stand: Facts) -> str:
    return "every workflow" if stand["workflow"] == EVERY else line(stand["workflow"])
