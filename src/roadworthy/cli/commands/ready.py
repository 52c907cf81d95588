"""``ready`` and ``canary``: how much traffic the evidence allows, and what would let it have more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from roadworthy.adapters.files import write_atomically
from roadworthy.cli import ready_view as view
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import AlreadyTold, BadInput, Finding
from roadworthy.cli.terminal import line
from roadworthy.cli.words import dollars

PATIENCE = 180.0
"""Seconds that a canary may take."""


@click.command()
@click.argument("workflow", required=False)
@click.option("--release", metavar="NUMBER", help="Another release than the one that ramps, or that was frozen last.")
@click.option("--demo-days", type=float, metavar="N",
              help="Plan with dates: the demo took N days, and the way takes 3 to 6 times as long.")  # fmt: skip
@click.option("--markdown", is_flag=True, help="As Markdown.")
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Write a page that stands alone as well.")  # fmt: skip
@common
@json_option
@pass_work
def ready(
    work: Work, workflow: str | None, release: str | None, demo_days: float | None, markdown: bool, html: Path | None
) -> None:
    """Show the ten items of WORKFLOW, the share of traffic that they allow, why, and what comes next.

    Without WORKFLOW: every workflow on a line.  The exit code is 0 for production, 1 for a pilot or a lapsed pilot, 2
    when it cannot be said.
    """
    if workflow is None:
        if release or demo_days is not None or markdown or html is not None:
            raise BadInput("--release, --demo-days, --markdown and --html are about one workflow", "name it")
        _all(work)
        return
    if html is not None and not html.absolute().parent.is_dir():
        raise BadInput(f"--html {html}: there is no folder {html.absolute().parent}", "make it first")
    asked = {"workflow": workflow, "release": release, "demo_days": demo_days}
    report: dict[str, Any] = work.admin.get("/v1/readiness", asked)
    zone, now = work.zone(), work.clock()
    if html is not None:
        from roadworthy.cli.ready_page import page

        write_atomically(html, page(report, zone, now).encode())
        work.note(f"wrote {html}")
    if work.json:
        work.emit(report)
    elif markdown:
        click.echo(view.markdown(report, zone, now), nl=False)
    else:
        view.tell(work.console, report, zone, now)
    if report["label"] != "production":
        raise AlreadyTold


def _all(work: Work) -> None:
    rows = work.admin.get("/v1/readiness/all")["items"]
    if work.json:
        work.emit({"items": rows})
    elif rows:
        view.table(work.console, rows, work.zone())
    if not rows:
        raise BadInput("no workflow is configured yet", "roadworthy init, then roadworthy apply DIR")
    if any(row["label"] != "production" for row in rows):
        raise AlreadyTold


@click.command()
@click.argument("workflow", required=False)
@common
@json_option
@pass_work
def canary(work: Work, workflow: str | None) -> None:
    """Send one marked call through the running gateway and look for it in log, metrics, trace and OTLP export.

    It is a real call of WORKFLOW's target (of the first workflow that has a release), under a permit, at $0.25 at most.
    What comes of it is kept as evidence about this install.
    """
    answer = work.admin.post("/v1/canary", {"workflow": workflow}, timeout=PATIENCE)
    if work.json:
        work.emit(answer)
    else:
        cost = "at an unknown cost" if answer["cost_usd"] is None else f"for {dollars(answer['cost_usd'])}"
        ended = answer["outcome"] or "no outcome"
        work.say(line(f"{answer['verdict']}  {answer['figure']} ({answer['inference']}, {ended}, {cost})"))
    if answer["verdict"] != "PASS":
        raise Finding(
            "the canary was not found everywhere", f"roadworthy show {answer['inference']}; roadworthy doctor"
        )
