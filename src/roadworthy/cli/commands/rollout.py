"""``rollout``: ramp a release from its testers to everybody, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from roadworthy.cli import rollout_view as view
from roadworthy.cli.commands.filters import flush
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding
from roadworthy.inference_log.when import Unreadable, parse

Facts = Mapping[str, Any]

_reason = click.option("--reason", default="", help="Why; kept in the audit trail.")


@click.group()
@common
def rollout() -> None:
    """Ramp a release: as much traffic as its evidence allows, step by step, and back at once when it fails.

    To start, approve, resume and unlock is for the workflow's owner; anybody may hold, roll back and lock.
    """


@rollout.command()
@click.argument("workflow")
@click.option("--release", metavar="RELEASE", help="Its number or how its digest begins.  [default: the newest frozen]")
@click.option("--stage", metavar="STAGE", help="Begin at the first live stage (1%), to do without testers.")
@click.option("--shadow", is_flag=True, help="Also repeat a share of the live calls with it; nobody sees the answers.")
@click.option("--accept-unknown", is_flag=True, help="Begin although many calls carry no user.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_reason
@common
@json_option
@pass_work
def start(
    work: Work, workflow: str, release: str | None, stage: str | None, shadow: bool, accept_unknown: bool, yes: bool,
    reason: str,
) -> None:  # fmt: skip
    """Begin the ramp of WORKFLOW's newest release; prints its calendar at today's volume and asks first.

    A release that differs from its predecessor only in how calls are handled begins at its predecessor's share, once
    its drills have passed.
    """
    order = {
        "workflow": workflow, "release": release, "stage": stage, "shadow": shadow, "accept_unknown": accept_unknown,
        "reason": reason,
    }  # fmt: skip
    flush(work)  # the calendar goes by today's volume
    ahead = work.admin.post("/v1/rollouts/prospect", order)
    if not work.json:
        view.prospect(work, ahead)
    if not yes:
        if work.json or not work.interactive:
            raise BadInput("nothing was started: nobody is there to be asked", "give --yes")
        click.confirm(f"Begin at {ahead['stage']}?", abort=True)
    _done(work, work.admin.post("/v1/rollouts", order))


@rollout.command()
@click.argument("workflow", required=False)
@common
@json_option
@pass_work
def status(work: Work, workflow: str | None) -> None:
    """Show where the ramp of WORKFLOW stands, what holds it and what comes next; without one, of all workflows."""
    if workflow is None:
        answer = work.admin.get("/v1/rollouts")
        if work.json:
            work.emit(answer)
        else:
            view.overview(work, answer["items"])
        wrong = [stand["workflow"] for stand in answer["items"] if stand.get("forged")]
    else:
        stand = work.admin.get(f"/v1/rollouts/{workflow}")
        if work.json:
            work.emit(stand)
        else:
            view.stand(work, stand)
        wrong = [workflow] if stand.get("forged") else []
    if wrong:
        raise Finding(f"{', '.join(wrong)}: the ramp counts for nothing", "roadworthy audit verify")


@rollout.command()
@click.argument("workflow")
@click.option("--stage", metavar="STAGE", help="The stage that you mean; refused when another one is next.")
@_reason
@common
@json_option
@pass_work
def approve(work: Work, workflow: str, stage: str | None, reason: str) -> None:
    """Let WORKFLOW's release into the next stage, once everything else is there."""
    _done(work, work.admin.post(f"/v1/rollouts/{workflow}/approve", {"stage": stage, "reason": reason}))


@rollout.command()
@click.argument("workflow")
@_reason
@common
@json_option
@pass_work
def hold(work: Work, workflow: str, reason: str) -> None:
    """Keep WORKFLOW's release where it is; a guardrail that fails still rolls it back."""
    _done(work, work.admin.post(f"/v1/rollouts/{workflow}/hold", {"reason": reason}))


@rollout.command()
@click.argument("workflow")
@_reason
@common
@json_option
@pass_work
def resume(work: Work, workflow: str, reason: str) -> None:
    """Let a ramp that was held or rolled back go on from where it stands."""
    _done(work, work.admin.post(f"/v1/rollouts/{workflow}/resume", {"reason": reason}))


@rollout.command()
@click.argument("workflow")
@click.option("--to", type=click.Choice(("release", "share")), default="release", show_default=True,
              help="release: the release before, or the bypass; share: the last share with its evidence.")  # fmt: skip
@_reason
@common
@json_option
@pass_work
def rollback(work: Work, workflow: str, to: str, reason: str) -> None:
    """Take traffic from WORKFLOW's release, at once."""
    _done(work, work.admin.post(f"/v1/rollouts/{workflow}/rollback", {"to": to, "reason": reason}))


@rollout.command()
@click.argument("workflow")
@_reason
@common
@json_option
@pass_work
def lock(work: Work, workflow: str, reason: str) -> None:
    """Set the change lock: nothing is begun, widened or resumed; less traffic is always possible."""
    _done(work, work.admin.post(f"/v1/rollouts/{workflow}/lock", {"reason": reason}))


@rollout.command()
@click.argument("workflow")
@_reason
@common
@json_option
@pass_work
def unlock(work: Work, workflow: str, reason: str) -> None:
    """Take the change lock off."""
    _done(work, work.admin.post(f"/v1/rollouts/{workflow}/unlock", {"reason": reason}))


@rollout.command()
@click.argument("workflow")
@click.option("--at", metavar="WHEN", help='What was in force then: "2026-11-23 14:02", "yesterday 2pm".')
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many changes.")
@common
@json_option
@pass_work
def history(work: Work, workflow: str, at: str | None, limit: int) -> None:
    """Who changed the ramp of WORKFLOW, on what evidence; with --at, who allowed the share of that moment."""
    answer(work, workflow, at, limit)


def answer(work: Work, workflow: str, at: str | None, limit: int) -> None:
    """The history of a ramp; ``audit list --workflow`` asks for it too.  Raises ``BadInput`` and ``Finding``."""
    window = None
    if at is not None:
        try:
            window = parse(at, now=datetime.fromtimestamp(work.clock(), UTC), zone=work.zone())
        except Unreadable as error:
            raise BadInput(str(error)) from error
    until = None if window is None else repr(window.until - 1e-6)
    found = work.admin.get(f"/v1/rollouts/{workflow}/history", {"at": until, "limit": limit})
    if work.json:
        work.emit({**found, "reading": None if window is None else window.reading})
    elif window is not None:
        view.in_force(work, found, window)
    else:
        view.history(work, found["items"])
    if not found["items"]:
        when = "" if window is None else f" at {window.reading}"
        raise Finding(f"nothing was changed on the ramp of {workflow}{when}: it had none", "")


def _done(work: Work, stand: Facts) -> None:
    if work.json:
        work.emit(stand)
    else:
        view.brief(work, stand)
