"""``evals``: hand-labelled examples, the rubric, and the gate that decides what a release may get."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from roadworthy.adapters.files import write_atomically
from roadworthy.cli import evals_view as view
from roadworthy.cli import words
from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding, Undecided

POLL = 0.3
"""Seconds between two looks at a run."""
STOPPING = 10.0
"""Seconds that a stopped run may take to keep what was answered."""
LARGEST_FILE = 24 * 1024 * 1024
"""Bytes."""


@click.group()
@common
def evals() -> None:
    """Examples labelled by hand, the rubric, and the gate: what a release must show before it gets traffic."""


@evals.command("import")
@click.argument("workflow")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--input", "input_key", metavar="KEY", default="message", show_default=True,
              help="Key of what is asked: text, or a list of messages.")  # fmt: skip
@click.option("--expect", metavar="FIELD", multiple=True,
              help="Field of the JSON answer that is compared with the row's; may be repeated.")  # fmt: skip
@click.option("--expect-text", metavar="KEY", default="", help="Key of the whole answer that is expected.")
@click.option("--where", metavar="KEY=VALUE", multiple=True, help="Only rows with this value; may be repeated.")
@json_option
@common
@pass_work
def import_(
    work: Work, workflow: str, file: Path, input_key: str, expect: tuple[str, ...], expect_text: str,
    where: tuple[str, ...],
) -> None:  # fmt: skip
    """Publish the rows of FILE (JSON Lines) as the examples by which WORKFLOW is judged from now on.

    They are kept in the data folder, never in git, under a version that their content gives them.  What was gated on
    another version is stale from this moment.
    """
    columns: dict[str, Any] = {"input": input_key, "expect": list(expect), "expect_text": expect_text, "where": {}}
    for each in where:
        key, found, value = each.partition("=")
        if not found or not key:
            raise BadInput(f"--where {each}: expected KEY=VALUE, for example --where half=test")
        columns["where"][key] = value
    if file.stat().st_size > LARGEST_FILE:
        raise BadInput(f"{file}: is larger than {LARGEST_FILE:,} bytes", "take a part with --where")
    try:
        rows = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file}: is not UTF-8 at byte {error.start}", "save it as UTF-8") from error
    body = {"workflow": workflow, "rows": rows, "columns": columns, "source": file.name}
    answer = work.admin.post("/v1/evals/sets", body)
    if work.json:
        work.emit(answer)
        return
    made = answer["publication"]
    name = f"{words.plural(made['count'], 'example')} for {workflow}, version {view.short(made['version'])}"
    work.say(f"Published {name}." if answer["created"] else f"Nothing new: in force are {name}.")
    left = [(answer["repeated"], "said the same as another row"), (answer["passed_over"], "were not asked for")]
    for number, why in left:
        if number:
            work.say(f"{words.plural(number, 'row')} {why}.")
    if answer["created"]:
        work.say(f"Next: roadworthy evals gate {workflow}")


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


@evals.command()
@click.argument("workflow")
@click.option("--release", metavar="N|DIGEST", default="", help="Release to judge.  [default: the newest frozen one]")
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True, help="Calls at once.")
@click.option("--max-usd", type=click.FloatRange(min=0, min_open=True),
              help="Most that the run may cost; also an answer to the question before it.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask before the calls are made.")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Write every example as a test of JUnit as well.")  # fmt: skip
@click.option("--markdown", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Write a page as well.")  # fmt: skip
@json_option
@common
@pass_work
def gate(
    work: Work, workflow: str, release: str, concurrency: int, max_usd: float | None, yes: bool, junit: Path | None,
    markdown: Path | None,
) -> None:  # fmt: skip
    """Ask a release of WORKFLOW every example and decide: PASS (exit code 0), FAIL (1) or INSUFFICIENT (2).

    The calls go through the running gateway, and feel like any other; live traffic is not touched.  What was answered
    is kept at once: Ctrl-C, or the end of control, loses what is under way, and the same command goes on.
    """
    for option, path in (("--junit", junit), ("--markdown", markdown)):
        if path is not None and not path.absolute().parent.is_dir():
            raise BadInput(f"{option} {path}: there is no folder {path.absolute().parent}", "make it first")
    plan = work.admin.post("/v1/evals/plan", {"workflow": workflow, "release": release})
    for text in view.preview(plan):
        work.note(text)
    if plan["calls"] and not yes and max_usd is None:
        if not work.interactive:
            raise BadInput("nobody is there to ask whether these calls may be made", "give --yes, or --max-usd DOLLARS")
        click.confirm("Make these calls?", abort=True, err=True)
    order: dict[str, Any] = {"workflow": workflow, "release": release, "concurrency": concurrency}
    if max_usd is not None:
        order["usd"] = max_usd
    status = _followed(work, work.admin.post("/v1/evals/runs", order))
    run = status["run"]
    scored = work.admin.get(f"/v1/evals/runs/{run['id']}/answers")["items"] if junit or markdown else []
    if junit is not None:
        write_atomically(junit, view.junit(status, scored).encode())
    if markdown is not None:
        write_atomically(markdown, view.markdown(status, scored, work.zone()).encode())
    if work.json:
        work.emit(status)
    elif status["concluded"] is not None:
        view.verdict(work.console, status)
    _conclude(status)


@evals.command()
@click.argument("run")
@click.option("--wrong", is_flag=True, help="Only examples that were not answered as expected.")
@json_option
@common
@pass_work
def show(work: Work, run: str, wrong: bool) -> None:
    """Every example of RUN: what was asked, answered, expected, and its scores."""
    answer = work.admin.get(f"/v1/evals/runs/{run}/answers")
    chosen = [each for each in answer["items"] if not wrong or view.is_wrong(each)]
    if work.json:
        work.emit({"run": answer["run"], "items": chosen})
        return
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


def _followed(work: Work, status: dict[str, Any]) -> dict[str, Any]:
    """Look until the run is over, telling how far it is."""
    path = f"/v1/evals/runs/{status['run']['id']}"
    told = -1
    try:
        while True:
            done, of = status["answered"], status["run"]["examples"]
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


def _conclude(status: Mapping[str, Any]) -> None:
    run, concluded = status["run"], status["concluded"]
    again = f"roadworthy evals gate {run['workflow']} --release {run['number']} --yes goes on with it"
    if concluded is None and status["state"] != "done":
        ended = "failed" if status["state"] == "failed" else "was interrupted"
        raise Undecided(f"run {run['id']} {ended}: {status['detail']}", again)
    if concluded is None:
        left = words.plural(run["examples"] - status["answered"], "example")
        raise Undecided(f"INSUFFICIENT: {left} of run {run['id']} came to no answer", again)
    if concluded["verdict"] == "FAIL":
        raise Finding(f"FAIL: release {run['number']} of {run['workflow']}", _look(run))
    if concluded["verdict"] == "INSUFFICIENT":
        unsigned = concluded["judgement"]["verdict"] == "PASS"  # then nothing but the signature was missing
        mend = f"roadworthy evals sign {run['workflow']}, then the gate again" if unsigned else _look(run)
        raise Undecided(f"INSUFFICIENT: release {run['number']} of {run['workflow']}", mend)


def _look(run: Mapping[str, Any]) -> str:
    return f"roadworthy evals show {run['id']} --wrong"
