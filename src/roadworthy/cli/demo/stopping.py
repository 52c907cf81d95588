"""The demo's stop: the kill switch pressed under traffic, the way back, and the drill that proves it."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import msgspec

from roadworthy.cli.admin import Refused
from roadworthy.cli.demo.system import OWNER, WORKFLOW, System
from roadworthy.cli.demo.traffic import Callers, Met
from roadworthy.cli.errors import CliError

UNDER_WAY = 3.0
"""Seconds of traffic before the stop."""
CALLED = 60
"""Calls after the stop; while one that was sent before it is under way, its caller waits."""
PATIENCE = 30.0
SETTLED = 0.2
"""Seconds after the stop until what was sent before it has reached the model."""
DRILLING = 120.0


class Stopped(msgspec.Struct, frozen=True):
    """One stop under traffic."""

    seconds: float
    """From the press to the last confirmation, as control measured it."""
    workers: int
    at: float
    """When it had been confirmed, Unix seconds."""
    answered: int
    """Calls that a model answered, under way when it came or before."""
    bypassed: int
    """Calls that were not answered by a model after it."""
    afterwards: int
    """Attempts that began after it."""
    tasks: tuple[int, int]
    """The model's own number of its newest call, a moment after the stop and at the end of the traffic."""
    reads: str
    refused: str
    """Why an OS user may not restore."""
    restored_by: str


class Drill(msgspec.Struct, frozen=True):
    run: str
    verdict: str
    figure: str
    evidence: str


def stop(system: System, token: str, users: list[str], tag: str) -> Stopped:
    """Press the switch while ``users`` call, wait until they have called in vain, and have the owner restore."""
    with Callers(system.url, token, users, tag) as callers:
        time.sleep(UNDER_WAY)
        stand = _killed(system)
        at = time.time()
        time.sleep(SETTLED)
        first = system.last_task()
        deadline = time.monotonic() + PATIENCE
        while len(_off(callers)) < CALLED and time.monotonic() < deadline:
            time.sleep(0.1)
        last = system.last_task()
    system.admin.post("/v1/journal/flush")
    off = _off(callers)
    if not off:
        raise CliError("nobody called while the workflow was off")
    refused = _refused(system)
    order = {"workflow": WORKFLOW, "reason": "the demo's stop is over"}
    system.person(OWNER).post("/v1/kill/restore", order)
    system.person(OWNER).post(f"/v1/rollouts/{WORKFLOW}/resume", {"reason": "restored"})
    return Stopped(
        seconds=stand["reached"]["max"],
        workers=stand["reached"]["workers"],
        at=at,
        answered=sum(met.route == "release" for met in callers.met),
        bypassed=len(off),
        afterwards=sum(begun_after(system, met, at) for met in callers.met),
        tasks=(first, last),
        reads=str(stand["reads"][WORKFLOW]),
        refused=refused,
        restored_by=OWNER,
    )


def begun_after(system: System, met: Met, at: float) -> int:
    """How many attempts of a call reached for the model after ``at``."""
    found = system.admin.get(f"/v1/inferences/{met.inference}")["inference"]
    return sum(found["ts"] + attempt["started"] > at for attempt in found.get("attempts", []))


def drill(system: System) -> Drill:
    """Stop and restore workflows of Roadworthy's own under traffic, on every worker; what comes of it is evidence."""
    run = system.admin.post("/v1/kill/drills", {})
    deadline = time.monotonic() + DRILLING
    while run["state"] == "running" and time.monotonic() < deadline:
        time.sleep(0.3)
        run = system.admin.get(f"/v1/kill/drills/{run['id']}")
    return Drill(run["id"], run["verdict"], run["figure"], run["evidence"])


def _off(callers: Callers) -> list[Met]:
    return [met for met in callers.met if met.route == "off"]


def _killed(system: System) -> dict[str, Any]:
    """Stop it as anybody would, on the command line.  Returns where the switch stands."""
    command = [*system.command, "kill", WORKFLOW, "--reason", "shown in the demo", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise CliError(f"kill ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    stand: dict[str, Any] = json.loads(done.stdout)
    return stand


def _refused(system: System) -> str:
    try:
        system.admin.post("/v1/kill/restore", {"workflow": WORKFLOW, "reason": "because I can"})
    except Refused as refused:
        return str(refused)
    raise CliError("an OS user could switch the workflow on again")
