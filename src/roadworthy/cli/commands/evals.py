"""``evals``: hand-labelled examples, the rubric, and the gate that decides what a release may get."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from roadworthy.adapters.files import write_atomically
from roadworthy.cli import evals_reports as reports
from roadworthy.cli import evals_view as view
from roadworthy.cli import words
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding, Undecided

POLL = 0.3
"""Seconds between two looks at a run."""
STOPPING = 10.0
"""Seconds that a stopped run may take to keep what was answered."""


@click.group()
@common
def evals() -> None:
    """Examples labelled by hand, the rubric, and the gate: what a release must show before it gets traffic."""


@evals.command()
@click.argument("workflow")
@json_option
@common
@pass_work
def sign(work: Work, workflow: str) -> None:
    """Stand for the rubric of WORKFLOW as its owner; sign before the first run."""
    made = work.admin.post("/v1/evals/sign", {"workflow": workflow})
    if work.json:
        work.emit(made)
        return
    at = words.moment(made["at"], work.zone(), now=work.clock())
    work.say(f"{made['person']} signed the rubric of {workflow} ({view.short(made['rubric'])}), {at}.")


def asked_options(command: Any) -> Any:
    """What a gate and a run have in common."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask before the calls are made."),
        click.option("--max-usd", type=click.FloatRange(min=0, min_open=True),
                     help="Most that the run may cost; also an answer to the question before it."),
        click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True, help="Calls at once."),
        click.option("--fresh", is_flag=True, help="Reuse no answer of the last 24 hours."),
        click.option("--repeat", type=click.IntRange(1, 20), default=1, show_default=True,
                     help="Times that each example is asked; its scores are averaged."),
        click.option("--release", metavar="N|DIGEST", default="",
                     help="Release to ask.  [default: the newest frozen one]"),
    ):  # fmt: skip
        command = option(command)
    return command


@evals.command()
@click.argument("workflow")
@asked_options
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Write every example as a test of JUnit as well.")  # fmt: skip
@click.option("--markdown", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Write a page as well.")  # fmt: skip
@json_option
@common
@pass_work
def gate(
    work: Work, workflow: str, release: str, repeat: int, fresh: bool, concurrency: int, max_usd: float | None,
    yes: bool, junit: Path | None, markdown: Path | None,
) -> None:  # fmt: skip
    """Ask a release of WORKFLOW every example and decide: PASS (exit code 0), FAIL (1) or INSUFFICIENT (2).

    The calls go through the running gateway, and feel like any other; live traffic is not touched.  What was answered
    is kept at once: Ctrl-C, or the end of control, loses what is under way, and the same command goes on.
    """
    for option, path in (("--junit", junit), ("--markdown", markdown)):
        if path is not None and not path.absolute().parent.is_dir():
            raise BadInput(f"{option} {path}: there is no folder {path.absolute().parent}", "make it first")
    order = {"workflow": workflow, "release": release, "repeat": repeat, "fresh": fresh, "concurrency": concurrency}
    status = ordered(work, order, max_usd, yes)
    run = status["run"]
    scored = work.admin.get(f"/v1/evals/runs/{run['id']}/answers")["items"] if junit or markdown else []
    if junit is not None:
        write_atomically(junit, reports.junit(status, scored).encode())
    if markdown is not None:
        write_atomically(markdown, reports.markdown(status, scored, work.zone()).encode())
    if work.json:
        work.emit(status)
    elif status["concluded"] is not None:
        view.verdict(work.console, status)
    _conclude(status)


@evals.command("run")
@click.argument("workflow")
@asked_options
@click.option("--against", metavar="N|DIGEST", default="",
              help="Ask this release the same, if it was not yet, and hold the two beside each other.")  # fmt: skip
@click.option("--sample", type=click.IntRange(min=1), default=None,
              help="Ask so many examples, drawn by lot, the critical ones among them.  [default: all]")  # fmt: skip
@json_option
@common
@pass_work
def run_(
    work: Work, workflow: str, release: str, repeat: int, fresh: bool, concurrency: int, max_usd: float | None,
    yes: bool, against: str, sample: int | None,
) -> None:  # fmt: skip
    """Ask a release of WORKFLOW the examples and show the scores, while a prompt is worked on.

    Nothing that counts comes of it: no evidence, no receipt (evals gate makes them).  Its answers are averaged with
    those of a gate on the same examples, so nobody gains by asking often.
    """
    order = {
        "workflow": workflow, "release": release, "repeat": repeat, "fresh": fresh, "concurrency": concurrency,
        "purpose": "check",
    }  # fmt: skip
    if against:
        if sample:
            raise BadInput("--against with --sample: the other release would be asked other examples", "give one")
        whole(ordered(work, {**order, "release": against}, max_usd, yes))
        order["against"] = against
    if sample:
        order["sample"] = sample
    status = ordered(work, order, max_usd, yes)
    if work.json:
        work.emit(status)
    elif status["concluded"] is not None:
        view.verdict(work.console, status)
    whole(status)


@evals.command()
@click.argument("a")
@click.argument("b")
@click.option("--workflow", default="", help="With it, A and B may be numbers of releases: their newest runs.")
@json_option
@common
@pass_work
def compare(work: Work, a: str, b: str, workflow: str) -> None:
    """Hold run B beside run A: how much better or worse, with what certainty, and the examples that changed."""
    if not workflow and not (a.startswith("evr_") and b.startswith("evr_")):
        raise BadInput(f"{a} and {b}: expected two runs (evr_…)", "give --workflow to name releases by number")
    answer = work.admin.get("/v1/evals/compare", {"a": a, "b": b, "workflow": workflow})
    if work.json:
        work.emit(answer)
        return
    view.compared(work.console, answer)


@evals.command()
@click.argument("workflow")
@click.option("--now", "at_once", is_flag=True, help="Run tonight's sample at once.")
@json_option
@common
@pass_work
def schedule(work: Work, workflow: str, at_once: bool) -> None:
    """What is run by itself for WORKFLOW: a sample of the served release every night, the whole gate every month.

    Tonight's answers are held against those by which the release was judged.  When something is certainly wrong, the
    gate runs again in full at once, and its verdict counts.
    """
    if at_once:
        status = _followed(work, work.admin.post("/v1/evals/schedule", {"workflow": workflow}))
        if work.json:
            work.emit(status)
        elif status["concluded"] is not None:
            view.verdict(work.console, status)
        whole(status)
        return
    answer = work.admin.get("/v1/evals/schedule", {"workflow": workflow})
    if work.json:
        work.emit(answer)
        return
    for text in view.schedule(answer, work.zone(), work.clock()):
        work.say(text)


@evals.command()
@click.argument("run")
@click.option("--wrong", is_flag=True, help="Only examples that were not answered as expected.")
@click.option("--held-out", is_flag=True, help="Also those that nobody should look at while a prompt is worked on.")
@json_option
@common
@pass_work
def show(work: Work, run: str, wrong: bool, held_out: bool) -> None:
    """What RUN came to, and every example: what was asked, answered, expected, and its scores.

    Held-out examples are left out: who has read them works for them.
    """
    answer = work.admin.get(f"/v1/evals/runs/{run}/answers")
    wanted = [each for each in answer["items"] if not wrong or view.is_wrong(each)]
    chosen = [each for each in wanted if held_out or not each["example"].get("held_out")]
    if work.json:
        work.emit({"run": answer["run"], "items": chosen})
        return
    if not wrong and (status := work.admin.get(f"/v1/evals/runs/{run}"))["concluded"] is not None:
        view.verdict(work.console, status)
        work.say("")
    if len(wanted) > len(chosen):
        left = words.plural(len(wanted) - len(chosen), "held-out example")
        work.note(f"{left} not shown; --held-out shows them, and then they are none any more")
    if not chosen:
        raise Finding("every example was answered as expected" if wrong else "no example was asked yet")
    view.examples(work.console, chosen)


@evals.command()
@click.argument("workflow")
@json_option
@common
@pass_work
def runs(work: Work, workflow: str) -> None:
    """List the runs of WORKFLOW, newest first."""
    answer = work.admin.get("/v1/evals/runs", {"workflow": workflow})
    if work.json:
        work.emit(answer)
        return
    rows = items(answer, "runs")
    if not rows:
        raise Finding(f"no run of {workflow} yet", f"roadworthy evals gate {workflow}")
    view.history(work.console, rows, work.zone(), work.clock())


def ordered(work: Work, order: dict[str, Any], max_usd: float | None, yes: bool) -> dict[str, Any]:
    """Say what would be done, ask, do it, follow it to its end."""
    if max_usd is not None:
        order = {**order, "usd": max_usd}
    plan = work.admin.post("/v1/evals/plan", order)
    for text in view.preview(plan):
        work.note(text)
    if (plan["calls"] or plan.get("marks")) and not yes and max_usd is None:
        if not work.interactive:
            raise BadInput("nobody is there to ask whether these calls may be made", "give --yes, or --max-usd DOLLARS")
        click.confirm("Make these calls?", abort=True, err=True)
    return _followed(work, work.admin.post("/v1/evals/runs", order))


def _followed(work: Work, status: dict[str, Any]) -> dict[str, Any]:
    """Look until the run is over, telling how far it is."""
    path = f"/v1/evals/runs/{status['run']['id']}"
    told = -1
    try:
        while True:
            done, of = status["answered"], status["asked"]
            if done != told and (done == of or done - told >= max(1, of // 20)):
                work.note(f"{done:>5} of {of} answered, {words.dollars(status['spent'])}")
                told = done
            if status["state"] != "running":
                return status
            work.sleep(POLL)
            status = work.admin.get(path)
    except KeyboardInterrupt:
        work.note("stopping; what was answered is kept, and the same command goes on with it")
        status = work.admin.post(f"{path}/stop")
        end = time.monotonic() + STOPPING
        while status["state"] == "running" and time.monotonic() < end:
            time.sleep(POLL)
            status = work.admin.get(path)
        raise click.Abort from None


def whole(status: Mapping[str, Any]) -> None:
    """Refuses a run that is not complete."""
    if status["concluded"] is None:
        run = status["run"]
        detail = status["detail"] or f"{status['asked'] - status['answered']} askings came to no answer"
        raise Undecided(f"run {run['id']} is not complete: {detail}", "the same command goes on with it")


def _conclude(status: Mapping[str, Any]) -> None:
    run, concluded = status["run"], status["concluded"]
    again = f"roadworthy evals gate {run['workflow']} --release {run['number']} --yes goes on with it"
    if concluded is None and status["state"] != "done":
        ended = "failed" if status["state"] == "failed" else "was interrupted"
        raise Undecided(f"run {run['id']} {ended}: {status['detail']}", again)
    if concluded is None:
        left = status["detail"] or f"{status['asked'] - status['answered']} askings came to no answer"
        raise Undecided(f"INSUFFICIENT: run {run['id']} is not complete: {left}", again)
    if concluded["verdict"] == "FAIL":
        raise Finding(f"FAIL: release {run['number']} of {run['workflow']}", _look(run))
    if concluded["verdict"] == "INSUFFICIENT":
        unsigned = concluded["judgement"]["verdict"] == "PASS"  # then nothing but the signature was missing
        mend = f"roadworthy evals sign {run['workflow']}, then the gate again" if unsigned else _look(run)
        raise Undecided(f"INSUFFICIENT: release {run['number']} of {run['workflow']}", mend)


def _look(run: Mapping[str, Any]) -> str:
    return f"roadworthy evals show {run['id']} --wrong"
