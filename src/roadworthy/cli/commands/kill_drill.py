"""``drill kill``: stop workflows of Roadworthy's own under traffic, on every gateway, and see that nothing goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import Finding, Undecided
from roadworthy.cli.tables import Column, print_table
from roadworthy.cli.terminal import line
from roadworthy.cli.words import plural
from roadworthy.operations.drills.words import gateway_row, pressed, took

POLL = 0.3
"""Seconds between two looks at a run."""
STOPPING = 20.0
"""Seconds that a stopped run may take to restore before the command leaves it to control."""

Facts = Mapping[str, Any]


@click.command("drill kill")
@click.option("--gateway", "gateways", metavar="NAME", multiple=True,
              help="Only this gateway; may be repeated.  [default: every one]")  # fmt: skip
@click.option("--presses", type=click.IntRange(1, 200), default=3, show_default=True,
              help="Stops of each of the two drill workflows.")  # fmt: skip
@json_option
@common
@pass_work
def kill_drill(work: Work, gateways: tuple[str, ...], presses: int) -> None:
    """Prove the kill switch: stop two workflows of Roadworthy's own under traffic, on every worker of every gateway.

    No workflow of yours is touched.  One lets answers under way finish, the other cuts them.  Measured are the seconds
    until nothing more was sent, and the attempts that reached the upstream after a gateway had confirmed, which must be
    none.  What comes of it is kept as evidence (item 7 of `roadworthy ready`).  Exit 0: PASS; 1: FAIL; 2: INSUFFICIENT,
    for instance because a gateway did not confirm.  Ctrl-C stops the drill and restores; so does the end of this
    command, however it comes, and control's next start.
    """
    run = work.admin.post("/v1/kill/drills", {"gateways": list(gateways), "presses": presses})
    run = _followed(work, run)
    if work.json:
        work.emit(run)
    else:
        _show(work, run)
    _conclude(run)


def _followed(work: Work, run: dict[str, Any]) -> dict[str, Any]:
    """Look until the run is over, telling what comes in."""
    told = 0
    try:
        where = ", ".join(run["gateways"])
        work.note(
            f"{plural(run['wanted'], 'stop')} on {where}, about {run['estimate']:.0f} s; Ctrl-C stops and restores"
        )
        for name in run["missing"]:
            work.note(f"gateway {name} should run and does not: it counts as never confirmed")
        while True:
            for press in run["presses"][told:]:
                told += 1
                work.note(f"{told:>4} of {run['wanted']}  {pressed(press)}")
            if run["state"] != "running":
                return run
            time.sleep(POLL)
            run = work.admin.get(f"/v1/kill/drills/{run['id']}")
    except KeyboardInterrupt:
        work.note("stopping; what is stopped is restored")
        run = work.admin.post(f"/v1/kill/drills/{run['id']}/stop")
        end = time.monotonic() + STOPPING
        while run["state"] == "running" and time.monotonic() < end:
            time.sleep(POLL)
            run = work.admin.get(f"/v1/kill/drills/{run['id']}")
        raise click.Abort from None


def _show(work: Work, run: Facts) -> None:
    """A line for each gateway over all presses."""
    if not run["presses"]:
        return
    columns = [
        Column("gateway", keep=20), Column("confirmed in", right=True), Column("last attempt", right=True),
        Column("afterwards", right=True), Column("attempts before", right=True, spare=1), Column("streams", keep=20),
    ]  # fmt: skip
    print_table(work.console, columns, [gateway_row(name, run) for name in [*run["gateways"], *run["missing"]]])
    figures = run["figures"]
    work.say(f"{run['verdict']}: {run['figure']}" + (f" (p50 {took(figures['p50'])})" if figures["p50"] else ""))
    if run["detail"]:
        work.say(line(run["detail"]))
    if run["evidence"]:
        work.say(f"kept as {run['evidence']}")


def _conclude(run: Facts) -> None:
    if run["verdict"] == "FAIL":
        raise Finding(f"the kill switch failed: {run['figure']}", "docs/control.md says what is measured and how")
    if run["state"] != "done":
        how = "was interrupted" if run["state"] == "interrupted" else run["state"]
        raise Finding(f"the drill {how}: {run['detail']}")
    if run["verdict"] != "PASS":
        raise Undecided(f"not enough was shown: {run['figure']}", "roadworthy gateways; roadworthy doctor")
