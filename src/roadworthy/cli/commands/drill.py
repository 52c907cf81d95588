"""``drill`` and ``failures``: inject a fault on purpose and see what customers get."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from roadworthy.adapters.files import write_atomically
from roadworthy.cli import drill_view as view
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.drill_page import page
from roadworthy.cli.errors import BadInput, Finding
from roadworthy.cli.words import plural
from roadworthy.fallback.drills.catalogue import CATALOGUE
from roadworthy.workflow.reserved import COMMANDS

POLL = 0.3
"""Seconds between two looks at a run."""
STOPPING = 10.0
"""Seconds that a stopped run may take to clear its faults before the command leaves it to control."""


@click.command()
@click.argument("workflow")
@click.option("--fault", "faults", metavar="NAME", multiple=True, help="Only this fault (may be given again).")
@click.option("--row", "rows", type=click.Choice(list(CATALOGUE)), multiple=True,
              help="Only the faults of this row of the catalogue; may be repeated.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Every fault that means something for the workflow.")
@click.option("--release", metavar="NUMBER", help="Another release than the one that is served.")
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Write a page with every transcript as well.")  # fmt: skip
@json_option
@common
@pass_work
def drill(
    work: Work, workflow: str, faults: tuple[str, ...], rows: tuple[str, ...], everything: bool, release: str | None,
    html: Path | None,
) -> None:  # fmt: skip
    """Inject faults into calls of WORKFLOW on the running gateway and check what its customers get.

    (`roadworthy drill kill` is a command of its own: it stops workflows of Roadworthy's own under traffic.)

    Live traffic feels nothing: a drill's calls have limits, breakers and budgets of their own, and misbehaving servers
    on this machine stand for every target.  The exit code is 1 when anything is not as it must be.  Ctrl-C stops the
    run and clears every fault; so does the end of this command, however it comes.

    What it shows is kept as evidence (`roadworthy ready`): --all of items 4 and 10, a few faults of what they broke.
    """
    if workflow in COMMANDS:
        raise BadInput(f"'{workflow}' is no workflow", f"write the two words together: roadworthy drill {workflow}")
    ways = f"--all, --row ROW ({', '.join(CATALOGUE)}) or --fault NAME (docs/drills.md lists them)"
    if bool(faults) + bool(rows) + everything != 1:
        said = faults or rows or everything
        raise BadInput("--all, --row and --fault exclude each other" if said else "say what to drill", f"give {ways}")
    if html is not None and not html.absolute().parent.is_dir():
        raise BadInput(f"--html {html}: there is no folder {html.absolute().parent}", "make it first")
    order: dict[str, Any] = {"workflow": workflow, "release": release or ""}
    if faults:
        order["faults"] = list(faults)
    if rows:
        order["rows"] = list(rows)
    run = work.admin.post("/v1/drills", order)
    run = _followed(work, run)
    if html is not None:
        write_atomically(html, page(run, work.clock()).encode())
        work.note(f"wrote {html}")
    if work.json:
        work.emit(run)
    else:
        view.table(work.console, run)
    _conclude(run)


def _followed(work: Work, run: dict[str, Any]) -> dict[str, Any]:
    """Look until the run is over, telling what comes in."""
    told: set[tuple[str, bool]] = set()
    try:
        calls = plural(run["wanted"], "drilled call")
        work.note(f"{calls}, about {_span(run['estimate'])}; Ctrl-C stops and cleans up")
        while True:
            for result in run["results"]:
                key = (result["fault"], result["stream"])
                if result["verdict"] == "SKIPPED" or key in told:
                    continue
                told.add(key)
                work.note(f"{len(told):>4} of {run['wanted']}  {view.headline(result)}")
            if run["state"] != "running":
                return run
            time.sleep(POLL)
            run = work.admin.get(f"/v1/drills/{run['id']}")
    except KeyboardInterrupt:
        work.note("stopping; every fault is cleared")
        run = work.admin.post(f"/v1/drills/{run['id']}/stop")
        end = time.monotonic() + STOPPING
        while run["state"] == "running" and time.monotonic() < end:  # so that the next run is not refused
            time.sleep(POLL)
            run = work.admin.get(f"/v1/drills/{run['id']}")
        raise click.Abort from None


def _conclude(run: Mapping[str, Any]) -> None:
    if run["state"] != "done":
        raise Finding(f"the run was {run['state']}: {run['detail']}")
    failed = [result for result in run["results"] if result["verdict"] == "FAIL"]
    if failed:
        raise Finding(
            f"{plural(len(failed), 'drill')} failed",
            f"`roadworthy explain {run['workflow']}` says what is declared, docs/drills.md what passes",
        )
    if not any(result["verdict"] == "PASS" for result in run["results"]):
        raise Finding("nothing was drilled: no fault that was named means anything for this workflow")


@click.command()
@click.argument("workflow")
@click.option("--markdown", is_flag=True, help="A page for the owner and for whoever answers customers.")
@json_option
@common
@pass_work
def failures(work: Work, workflow: str, markdown: bool) -> None:
    """What customers of WORKFLOW see when the model fails, as its last drills proved it."""
    answer = work.admin.get("/v1/failures", {"workflow": workflow})
    if work.json:
        work.emit(answer)
        return
    if not answer["items"]:
        raise Finding(f"nothing was drilled yet: roadworthy drill {workflow} --all")
    if markdown:
        click.echo(view.markdown(workflow, answer["items"], work.clock(), work.zone()), nl=False)
        return
    view.failures(work.console, answer["items"], work.clock())


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
