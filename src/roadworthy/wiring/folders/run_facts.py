"""What the supervisor says of itself and its children in ``run/processes.json``."""

from __future__ import annotations

import os

import msgspec

from roadworthy.operations.status import ProcessStatus
from roadworthy.wiring.folders.data_folder import DataFolder


class RunFacts(msgspec.Struct):
    """``run/processes.json``, written by the supervisor."""

    listen: str | None = None
    metrics: str | None = None
    console: str | None = None
    processes: list[ProcessStatus] = []


def run_facts(folder: DataFolder) -> RunFacts:
    """What the supervisor wrote, with ``alive`` looked up; empty when none runs."""
    try:
        facts = msgspec.json.decode((folder.run / "processes.json").read_bytes(), type=RunFacts)
    except (FileNotFoundError, ValueError, RecursionError):
        return RunFacts()
    facts.processes = [msgspec.structs.replace(process, alive=is_alive(process.pid)) for process in facts.processes]
    return facts


def is_alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
