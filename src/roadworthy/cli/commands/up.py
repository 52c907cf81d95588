"""``up``: run everything in the foreground."""

from __future__ import annotations

import os
from pathlib import Path

import click

from roadworthy.cli.context import Work, common, pass_work
from roadworthy.cli.errors import BadInput, Finding


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), required=False)
@click.option("--workers", type=click.IntRange(1, 256), help="Gateway processes.  [default: as configured]")
@click.option("--listen", metavar="HOST:PORT", help="Where apps reach the gateway.  [default: as configured]")
@click.option("--metrics", metavar="HOST:PORT", help="Where /metrics is served.  [default: as configured]")
@click.option(
    "--console", metavar="HOST:PORT", help="Where people open the console; off: nowhere.  [default: as configured]"
)
@click.option("--login", "people", metavar="PERSON", multiple=True, help="Print a one-time login code for this person.")
@click.option("--grace", type=click.FloatRange(min=0), default=30.0, show_default=True,
              help="Seconds that calls in flight have to end when it is stopped.")  # fmt: skip
@click.option("--log-json", is_flag=True, help="JSON log lines on a terminal too; elsewhere they are JSON anyway.")
@common
@pass_work
def up(
    work: Work,
    folder: Path | None,
    workers: int | None,
    listen: str | None,
    metrics: str | None,
    console: str | None,
    people: tuple[str, ...],
    grace: float,
    log_json: bool,
) -> int:
    """Start gateway and control in the foreground; Ctrl-C stops them in order, calls in flight end first.

    Applies the configuration in DIR at start (default: the current folder when it holds roadworthy.yaml), else serves
    what was applied last.  A configuration with errors changes nothing: what was applied last serves on.
    """
    from roadworthy.adapters.telemetry.logs import FORMAT_VARIABLE
    from roadworthy.wiring.folders.config_folder import ConfigFolderError
    from roadworthy.wiring.folders.data_folder import DataFolderError, DataFolderHeld
    from roadworthy.wiring.processes.sockets import CannotListen
    from roadworthy.wiring.supervisor import Options
    from roadworthy.wiring.supervisor import up as run

    if log_json:
        os.environ[FORMAT_VARIABLE] = "json"  # the processes that it starts inherit it
    if folder is None and Path("roadworthy.yaml").is_file():
        folder = Path(".")
        work.say("applying the configuration in the current folder")
    if folder is not None and not (folder / "roadworthy.yaml").is_file():
        raise BadInput(f"{folder}: holds no roadworthy.yaml", f"run `roadworthy init {folder}` for a working example")
    options = Options(
        data=str(work.data),
        config_dir=str(folder) if folder is not None else None,
        workers=workers,
        listen=listen,
        metrics=metrics,
        console=console,
        login=people,
        grace=grace,
    )
    try:
        return run(options, say=lambda text: click.echo(text))
    except DataFolderHeld as error:
        raise Finding(str(error)) from error
    except (DataFolderError, CannotListen, ConfigFolderError) as error:
        raise BadInput(str(error)) from error
