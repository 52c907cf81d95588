"""``gateway`` runs one more gateway of an install; ``gateways`` lists and forgets them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from roadworthy.cli import words
from roadworthy.cli.context import Work, common, json_option, pass_work
from roadworthy.cli.errors import BadInput, Finding
from roadworthy.cli.terminal import line

Facts = Mapping[str, Any]


@click.command()
@click.option("--control", required=True, metavar="SOCKET", type=click.Path(path_type=Path),
              help="run/control.sock in the data folder of the install.")  # fmt: skip
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where apps reach this gateway.")
@click.option("--name", required=True, help="What the install calls it: lower-case letters, digits and hyphens.")
@click.option("--workers", type=click.IntRange(1, 256), help="Gateway processes.  [default: as configured]")
@click.option(
    "--metrics",
    metavar="HOST:PORT",
    default="127.0.0.1:0",
    help="Where its /metrics is served.  [default: a free port]",
)
@click.option("--grace", type=click.FloatRange(min=0), default=30.0, show_default=True,
              help="Seconds that calls in flight have to end when it is stopped.")  # fmt: skip
@click.option("--log-json", is_flag=True, help="JSON log lines on a terminal too; elsewhere they are JSON anyway.")
@common
@pass_work
def gateway(
    work: Work,
    control: Path,
    listen: str,
    name: str,
    workers: int | None,
    metrics: str,
    grace: float,
    log_json: bool,
) -> int:
    """Run one more gateway of an install on this machine, in the foreground; Ctrl-C stops it in order.

    Give it a data folder of its own with --data.  It serves the same keys, workflows and releases as the first one,
    and goes on while control is down or restarts.
    """
    from roadworthy.adapters.telemetry.logs import FORMAT_VARIABLE
    from roadworthy.wiring.fleet.joined import JoinFailed, Options
    from roadworthy.wiring.fleet.joined import gateway as run
    from roadworthy.wiring.folders.data_folder import DataFolderError, DataFolderHeld
    from roadworthy.wiring.processes.sockets import CannotListen

    if log_json:
        os.environ[FORMAT_VARIABLE] = "json"  # the processes that it starts inherit it
    options = Options(str(work.data), str(control), name, listen, metrics, workers, grace)
    try:
        return run(options, say=lambda text: click.echo(text))
    except DataFolderHeld as error:
        raise Finding(str(error)) from error
    except (DataFolderError, CannotListen, JoinFailed) as error:
        raise BadInput(str(error)) from error


@click.command()
@click.option("--remove", metavar="NAME", help="Forget a gateway for good; it is stopped and its journal is shipped.")
@common
@json_option
@pass_work
def gateways(work: Work, remove: str | None) -> None:
    """List the gateways of the install: workers, snapshot, last contact, what of their journals is not in the log.

    Exit 1 when one that should be there is not.
    """
    if remove is not None:
        done = work.admin.post("/v1/gateways/remove", {"name": remove})
        work.emit(done) if work.json else work.say(f"gateway {remove} is forgotten; its data folder is yours to delete")
        return
    items: list[Facts] = work.admin.get("/v1/gateways")["items"]
    if work.json:
        work.emit({"items": items})
    else:
        now = work.clock()
        for item in items:
            work.say(f"{line(str(item['name'])):<12} {gateway_words(item, now)}")
            work.say(f"{'':<12} {line(str(item['folder']))}")
    missing = missing_of(items)
    if missing:
        raise Finding("; ".join(missing), "see the log of its `roadworthy gateway`, or `roadworthy gateways --remove`")


def gateway_words(item: Facts, now: float) -> str:
    """``2 of 2 workers at 127.0.0.1:8400, snapshot 3.14, heard 0.2 s ago, lag 0 s (0 B)``."""
    if item.get("ended_at") is not None:
        state = f"stopped {words.ago(item['ended_at'], now)}"
    else:
        workers = words.plural(int(item["workers"]), "worker")
        where = f" at {line(str(item['listen']))}" if item.get("listen") else ""
        state = f"{item['answering']} of {workers}{where}, snapshot {item['epoch']}.{item['seq']}"
        state += "" if item.get("current") else " (behind)"
        state += f", heard {words.ago(item['seen_at'], now)}" + (": STALE" if item.get("stale") else "")
    lag = words.seconds(float(item.get("pending_seconds", 0.0)))
    return f"{state}, lag {lag} ({words.size(item.get('pending_bytes', 0))})"


def missing_of(items: list[Facts]) -> list[str]:
    """Of the gateways that should be there: those that are stale or lack workers."""
    found = []
    for item in items:
        if item.get("ended_at") is not None:
            continue
        if item.get("stale"):
            found.append(f"the gateway {item['name']} was not heard of")
        elif int(item["answering"]) < int(item["workers"]):
            found.append(f"the gateway {item['name']} has {item['answering']} of {item['workers']} workers")
    return found
