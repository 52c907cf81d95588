"""``evals calibrate``, ``evals judges``, ``evals online``, ``evals add``: judges held against people, live answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click
import msgspec

from roadworthy.cli import judges_view as view
from roadworthy.cli import words
from roadworthy.cli.commands.evals import evals
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding, Undecided

POLL = 0.3
"""Seconds between two looks."""
STOPPING = 10.0
"""Seconds that a stopped calibration may take to keep what was said."""


@evals.command()
@click.argument("workflow")
@click.argument("scorer")
@click.option("--max-usd", type=click.FloatRange(min=0, min_open=True),
              help="Most that it may cost; also an answer to the question before it.")  # fmt: skip
@click.option("--anew", is_flag=True, help="Begin again, though one was left open.")
@click.option("--yes", is_flag=True, help="Do not ask before the calls are made.")
@json_option
@common
@pass_work
def calibrate(work: Work, workflow: str, scorer: str, max_usd: float | None, anew: bool, yes: bool) -> None:
    """Have the judge SCORER of WORKFLOW score what people have scored, and say how far the two agree.

    Exit code 0: the judge may carry floors of a gate, for 90 days, while its model, prompt and the rubric stay as they
    are.  1: it may not.  2: too few hand scores to tell.  Interrupted, the same command goes on.
    """
    order: dict[str, Any] = {"workflow": workflow, "scorer": scorer, "anew": anew}
    if max_usd is not None:
        order["usd"] = max_usd
    plan = work.admin.post("/v1/evals/calibrations/plan", order)
    for text in view.calibration_preview(plan):
        work.note(text)
    if plan["calls"] and not yes and max_usd is None:
        if not work.interactive:
            raise BadInput("nobody is there to ask whether these calls may be made", "give --yes, or --max-usd DOLLARS")
        click.confirm("Make these calls?", abort=True, err=True)
    status = _followed(work, work.admin.post("/v1/evals/calibrations", order))
    if work.json:
        work.emit(status)
    elif status["calibration"].get("concluded") is not None:
        view.concluded(work.console, status, work.zone(), work.clock())
    _conclude(status)


@evals.command()
@click.argument("workflow", required=False)
@json_option
@common
@pass_work
def judges(work: Work, workflow: str | None) -> None:
    """List the judges of WORKFLOW (or of all) and what vouches for each."""
    answer = work.admin.get("/v1/evals/calibrations", {"workflow": workflow} if workflow else {})
    if work.json:
        work.emit(answer)
        return
    if not answer["items"]:
        raise Finding("no judge is declared", "roadworthy evals new-judge writes one to begin with")
    view.judges(work.console, answer["items"], work.zone(), work.clock())


@evals.command()
@click.argument("workflow", required=False)
@json_option
@common
@pass_work
def online(work: Work, workflow: str | None) -> None:
    """Show how live answers are scored, what that costs today, and what changed by itself."""
    answer = work.admin.get("/v1/evals/online", {"workflow": workflow} if workflow else {})
    if work.json:
        work.emit(answer)
        return
    view.online(work.console, answer)


@evals.command()
@click.argument("inference")
@click.option("--expect", metavar="FIELD=VALUE", multiple=True,
              help="What a field of the JSON answer should have been (JSON, else text); may be repeated.")  # fmt: skip
@click.option("--expect-text", metavar="TEXT", help="What the whole answer should have been.")
@click.option("--critical", is_flag=True, help="From then on one wrong answer to it fails a gate.")
@json_option
@common
@pass_work
def add(work: Work, inference: str, expect: tuple[str, ...], expect_text: str | None, critical: bool) -> None:
    """Put the call INFERENCE into the examples of its workflow, redacted; it waits for the next version of the set."""
    expected: dict[str, Any] = {}
    for each in expect:
        field, found, value = each.partition("=")
        if not found or not field:
            raise BadInput(f"--expect {each}: expected FIELD=VALUE, for example --expect topic=return")
        expected[field] = _value(value)
    body: dict[str, Any] = {"inference": inference, "expected": expected, "critical": critical}
    if expect_text is not None:
        if not expect_text.strip():
            raise BadInput("--expect-text: is empty; say what the whole answer should have been")
        body["text"] = expect_text
    answer = work.admin.post("/v1/evals/add", body)
    if work.json:
        work.emit(answer)
        return
    made = answer["example"]
    work.say(f"{made['id']} waits in the pool of {answer['workflow']}{', critical' if critical else ''}.")
    if not expected and expect_text is None:
        work.say("Nothing is expected of its answer yet, so only scorers that need no expectation judge it.")
    work.say(f"Next: roadworthy evals publish {answer['workflow']}")


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _followed(work: Work, status: dict[str, Any]) -> dict[str, Any]:
    """Look until it is over, telling how far it is."""
    path = f"/v1/evals/calibrations/{status['calibration']['id']}"
    told, of = -1, len(status["calibration"]["items"])
    try:
        while True:
            done = status["asked"]
            if done != told and (done == of or done - told >= max(1, of // 20)):
                work.note(f"{done:>5} of {of} answers judged, {words.dollars(status['spent'])}")
                told = done
            if status["state"] != "running":
                return status
            work.sleep(POLL)
            status = work.admin.get(path)
    except KeyboardInterrupt:
        work.note("stopping; what was said is kept, and the same command goes on with it")
        status = work.admin.post(f"{path}/stop")
        end = time.monotonic() + STOPPING
        while status["state"] == "running" and time.monotonic() < end:
            time.sleep(POLL)
            status = work.admin.get(path)
        raise click.Abort from None


def _conclude(status: Mapping[str, Any]) -> None:
    made = status["calibration"]
    again = f"roadworthy evals calibrate {made['workflow']} {made['scorer']} --yes goes on with it"
    if made.get("concluded") is None:
        ended = "failed" if status["state"] == "failed" else "was interrupted"
        raise Undecided(f"calibration {made['id']} {ended}: {status['detail'] or 'not every answer was judged'}", again)
    name = f"{made['scorer']} of {made['workflow']}"
    if made["concluded"]["verdict"] == "FAIL":
        raise Finding(
            f"FAIL: {name} cannot carry a floor", "mend its prompt or its rubric, freeze it and calibrate anew"
        )
    if made["concluded"]["verdict"] == "INSUFFICIENT":
        raise Undecided(f"INSUFFICIENT: {name}", f"roadworthy evals score {made['workflow']} gets more hand scores")
