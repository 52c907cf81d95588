"""``monitoring``: rules for Prometheus and a dashboard for Grafana, for those who have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from roadworthy.cli.commands.releases import items
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.terminal import line
from roadworthy.cli.words import plural


@click.group()
@common
def monitoring() -> None:
    """Make alerting rules and a dashboard for a Prometheus and a Grafana that you have.

    Roadworthy alerts and pages by itself; these are a second pair of eyes, and the only ones that see a dead control.
    Make them anew after objectives, targets or workflows have changed.
    """


@monitoring.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File.  [default: stdout]")
@common
@json_option
@pass_work
def rules(work: Work, output: Path | None) -> None:
    """Make a rule file for Prometheus from the objectives of your workflows and the alerts that page."""
    import msgspec

    from roadworthy.adapters.telemetry.alert_rules import Objectives, groups

    rows = items(work.admin.get("/v1/objectives"), "objectives")
    made = groups([msgspec.convert(row, Objectives) for row in rows])
    if work.json:
        work.emit(made)
        return
    import yaml

    text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=1000)
    head = "# Made by `roadworthy monitoring rules` from the objectives in force; make it anew when they change.\n"
    _write(work, output, head + text, plural(sum(len(group["rules"]) for group in made["groups"]), "rule"))


@monitoring.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File.  [default: stdout]")
@common
@json_option
@pass_work
def dashboard(work: Work, output: Path | None) -> None:
    """Make a dashboard that Grafana imports: what callers get, how long it takes, what it costs, who waits."""
    from roadworthy.adapters.telemetry import grafana

    made: dict[str, Any] = grafana.dashboard()
    if work.json:
        work.emit(made)
        return
    _write(work, output, json.dumps(made, indent=2) + "\n", plural(len(grafana.expressions()), "query", "queries"))


def _write(work: Work, output: Path | None, text: str, what: str) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        work.say(f"Wrote {what} to {line(str(output))}.")
