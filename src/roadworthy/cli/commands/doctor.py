"""``doctor``: find what keeps the install from working."""

from __future__ import annotations

import dataclasses

import click

from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import AlreadyTold
from roadworthy.cli.terminal import clean


@click.command()
@common
@json_option
@pass_work
def doctor(work: Work) -> None:
    """Examine data folder, disk, clock, ports, processes, proxy, and key, name and reach of every target.

    Each failure comes with its mend.  A target is asked for its list of models with its key, which costs nothing.
    Exit 1 when a check fails.
    """
    from rich.text import Text

    from roadworthy.cli.doctor.checks import examine
    from roadworthy.cli.doctor.world import real_world
    from roadworthy.cli.tables import STYLES

    findings = []
    for finding in examine(real_world(work.data, work.environ, work.clock)):
        findings.append(finding)
        if work.json:
            continue
        text = Text(f"{finding.verdict:<5}", style=STYLES.get(finding.verdict, ""))
        text.append(f"{finding.check}: {clean(finding.found)}", style="default")
        work.console.print(text, soft_wrap=True)
        if finding.mend:
            work.say(f"       {clean(finding.mend)}")
    failed = any(finding.verdict == "FAIL" for finding in findings)
    if work.json:
        work.emit({"good": not failed, "findings": [dataclasses.asdict(finding) for finding in findings]})
    if failed:
        raise AlreadyTold
