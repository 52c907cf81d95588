"""The kill drill, composed: its child process, the gateways of the fleet, and where its evidence goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from roadworthy.adapters.signatures import Ed25519Signer
from roadworthy.engine.ports import Launcher
from roadworthy.engine.renew import Producer, RenewalFailed
from roadworthy.kill_switch.drill.host import LONGEST_LINE
from roadworthy.kill_switch.drill.model import Lane, Order, Report
from roadworthy.kill_switch.service import Kills
from roadworthy.operations.drills import kill_drill_runs as runs
from roadworthy.operations.drills.kill_drill import Place, Ports, Times
from roadworthy.operations.drills.kill_drill_runs import Judge, Keep, KillDrillRefused, KillDrills
from roadworthy.operations.stops.kill_desk import Reached
from roadworthy.wiring.composed.drills import leased
from roadworthy.wiring.fleet.gateways import Fleet
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.processes.launcher import LinuxLauncher
from roadworthy.workflow.service import Actor, Unknown

HOST = "roadworthy.kill_switch.drill.host"
LOOK = 1.0
"""Seconds between two looks at a run that renews evidence."""


class ChildYard:
    """``Yard`` over the socket of a child."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._reports = msgspec.json.Decoder(Report)

    async def listen(self) -> int:
        return (await self._told(Order("listen"))).port

    async def begin(self, lanes: Sequence[Lane], pause: float) -> None:
        await self._told(Order("begin", list(lanes), pause=pause))

    async def look(self) -> Report:
        return await self._told(Order("look"))

    async def take(self, lanes: Sequence[Lane]) -> Report:
        return await self._told(Order("take", only=[lane.number for lane in lanes]))

    async def _told(self, order: Order) -> Report:
        self._writer.write(msgspec.json.encode(order) + b"\n")
        await self._writer.drain()
        line = await self._reader.readline()
        if not line:
            raise OSError("the process of the kill drill's traffic has ended")
        report = self._reports.decode(line)
        if report.error:
            raise OSError(f"the kill drill's upstream cannot be started: {report.error}")
        return report


class ChildYards:
    def __init__(self, folder: DataFolder, launcher: Launcher) -> None:
        self._log = folder.run / "drills.log"
        self._launcher = launcher

    @asynccontextmanager
    async def open(self, ttl: float) -> AsyncIterator[ChildYard]:
        async with leased(self._launcher, HOST, ttl, self._log, LONGEST_LINE) as (reader, writer):
            yield ChildYard(reader, writer)


def kill_drills(
    folder: DataFolder,
    signer: Ed25519Signer,
    fleet: Fleet,
    kills: Kills,
    reached: Callable[[str, float], Reached | None],
    *,
    judge: Judge,
    keep: Keep,
    clock: Callable[[], float],
    times: Times | None = None,
) -> KillDrills:
    """``reached``: see ``operations.drills.kill_drill.Ports``."""
    ports = Ports(
        signer=signer,
        yards=ChildYards(folder, LinuxLauncher()),
        gateways=lambda: places_of(fleet),
        kills=kills,
        reached=reached,
        clock=clock,
        times=times or Times(),
    )
    return KillDrills(ports, judge=judge, keep=keep)


def places_of(fleet: Fleet) -> tuple[list[Place], list[str]]:
    """(gateways that run, names of those that should and do not)."""
    places, missing = [], []
    for known in fleet.gateways():
        if known.ended_at is not None:
            continue
        if known.running() and known.listen and known.workers:
            places.append(Place(known.name, _loopback(known.listen), known.workers))
        else:
            missing.append(known.name)
    return places, missing


def _loopback(listen: str) -> str:
    """The gateway itself: what is declared as its public address may lead to any of them."""
    host, _, port = listen.rpartition(":")
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{port}/v1"  # noqa: S104


def renewed_by(drills: KillDrills, sleep: Callable[[float], None] = time.sleep) -> Producer:
    """How a machine makes the drill again."""

    def run(workflow: str) -> None:
        try:
            found = drills.start(runs.Order(), Actor("engine"))
            while found.state == "running":
                sleep(LOOK)
                found = drills.look(found.id)
        except (KillDrillRefused, Unknown) as error:
            raise RenewalFailed(str(error)) from error
        if found.state != "done":
            raise RenewalFailed(f"kill drill {found.id} was {found.state}: {found.detail}")

    return Producer("kill drill", run)
