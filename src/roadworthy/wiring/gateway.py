"""One gateway worker: the process that serves.  ``python -m roadworthy.wiring.gateway --data D --worker 0 --fd 3``

It inherits the listening socket, serves the last good snapshot whatever else is dead, and ends in good order on
SIGTERM: calls under way finish, the journal is sealed.  Of the adapters it imports ``providers`` and the log lines,
so that no database, template or statistics library is ever in the process.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from roadworthy.adapters.providers.registry import wire_for
from roadworthy.adapters.telemetry.logs import configure
from roadworthy.gateway.admission.body import RECURSION
from roadworthy.gateway.admission.peers import ControlLine, Peers
from roadworthy.gateway.checks.user_checks import UserChecks
from roadworthy.gateway.core import Gateway
from roadworthy.gateway.journal import Journal
from roadworthy.gateway.limits.ledger import Ledger
from roadworthy.gateway.snapshot import Snapshot, SnapshotRefused, decode
from roadworthy.gateway.stopping.board import Board
from roadworthy.gateway.transports.protocol import Server
from roadworthy.gateway.world import World
from roadworthy.http1.client import Client, Ready
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, Reply
from roadworthy.http1.origin import Origin
from roadworthy.http1.pool import PoolLimits
from roadworthy.http1.stream import StreamReply
from roadworthy.wiring.fleet.ledgers import open_ledger
from roadworthy.wiring.fleet.parts import PartsFile
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.processes.sockets import listen_unix
from roadworthy.wiring.secrets import Secrets
from roadworthy.wiring.worker.lanes import permit_ports
from roadworthy.wiring.worker.place import LOCAL, Place
from roadworthy.wiring.worker.stopping import KEPT, KillWatch, keep, restore, states_of_environment
from roadworthy.wiring.worker.trust import Trust
from roadworthy.wiring.worker.user_checks import launch_checks

log = logging.getLogger("roadworthy.gateway")

SNAPSHOT_POLL = 0.2
SAVE_EVERY = 1.0
GRACE = 30.0
"""Seconds that calls under way get after SIGTERM; a second SIGTERM cuts them at once."""
DESCRIPTORS = 65_536
POOL = PoolLimits(per_origin=4096, waiting=4096)
"""Targets' own concurrency limits come first; this one only keeps a mistake from exhausting file descriptors."""


def main(arguments: list[str] | None = None) -> int:
    """Run the worker until it is told to stop.  Returns the exit code."""
    options = _options(arguments)
    configure(f"w{options.first + options.worker}")
    listener = socket.socket(fileno=options.fd)
    listener.setblocking(False)
    sys.setrecursionlimit(RECURSION)
    _calm_collector()
    _take_descriptors()
    folder = DataFolder(options.data)
    place = Place(folder, options.control or folder.control_socket, options.name, options.first)
    return uvloop.run(Worker(place, options.worker, options.workers, listener, options.grace).run())


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m roadworthy.wiring.gateway", description="One gateway worker.")
    parser.add_argument("--data", required=True, help="data folder")
    parser.add_argument("--name", default=LOCAL, help="name of the gateway")
    parser.add_argument("--first", type=int, default=0, help="what its worker 0 is among all workers of the install")
    parser.add_argument("--control", type=Path, help="control's socket  [default: that of the data folder]")
    parser.add_argument("--worker", type=int, default=0, help="number of this worker, from 0")
    parser.add_argument("--workers", type=int, default=1, help="how many there are")
    parser.add_argument("--fd", type=int, required=True, help="inherited listening socket")
    parser.add_argument("--grace", type=float, default=GRACE, help="seconds for calls under way after SIGTERM")
    return parser.parse_args(arguments)


def _calm_collector() -> None:
    """What is imported lives for ever; scan it never again, and young objects seldom: a request makes few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _take_descriptors() -> None:
    """Callers and upstream connections hold one each, and shells grant 1,024: take what may be had."""
    granted, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if most == resource.RLIM_INFINITY else min(DESCRIPTORS, most)
    if granted != resource.RLIM_INFINITY and granted < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class Worker:
    """The worker's parts and their life."""

    def __init__(self, place: Place, number: int, workers: int, listener: socket.socket, grace: float) -> None:
        """``number``: within this gateway."""
        self._place = place
        self._folder = place.folder
        self._number = number
        self._workers = workers
        self._listener = listener
        self._grace = grace
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask_to_stop)
        upstream = ProxiedUpstream()
        journal = Journal(
            self._folder.journal, f"w{self._place.first + self._number}", now=time.time, monotonic=time.monotonic
        )
        if not journal.writable:
            log.error("journal cannot be written", extra={"folder": str(self._folder.journal)})
        parts = PartsFile(self._folder.parts_file)
        ledger = open_ledger(self._folder, self._number, self._workers, parts.now)
        board = self._board()
        stops = KillWatch(self._folder.root, board)
        stops.look()
        gateway = Gateway(
            upstream=upstream,
            journal=journal,
            clock=SystemClock(),
            ids=SystemIds(),
            hmac_key=self._folder.hmac_key(),
            worker=self._number,
            workers=self._workers,
            first=self._place.first,
            name=self._place.name,
            parts=parts.now,
            peers=Peers(upstream, self._peer) if self._workers > 1 else None,
            ledger=ledger,
            control=ControlLine(upstream, Origin.unix(str(self._place.control))),
            permits=permit_ports(upstream),
            user_checks=UserChecks(launch_checks, SystemClock()),
            board=board,
        )
        trust = Trust(self._folder)
        snapshots = SnapshotFile(self._folder.snapshot, gateway, upstream, trust)
        snapshots.load()
        trust.save()
        public = Server(gateway, on_cut=gateway.cut)
        private = Server(gateway, internal=True, on_cut=gateway.cut)
        await private.start(listen_unix(self._folder.worker_socket(self._number)))
        await public.start(self._listener)
        helpers = [
            loop.create_task(snapshots.watch(), name="watch the snapshot"),
            loop.create_task(stops.watch(), name="watch for stops"),
            loop.create_task(_book(ledger, gateway, parts), name="keep the books"),
        ]
        broken = await self._until_stopped(helpers)
        gateway.escalations.let_go()
        cut = await self._drain(public, private)
        for helper in helpers:
            helper.cancel()
        if gateway.user_checks is not None:
            gateway.user_checks.close()
        await upstream.close()
        journal.close()
        ledger.close()
        log.info("stopped", extra={"cut": cut})
        return 1 if broken else 0

    async def _until_stopped(self, helpers: list[asyncio.Task[None]]) -> bool:
        """Did a helper end before we were asked to stop?  A worker that hears no stop any more serves nobody: another
        one is started in its place."""
        asked = asyncio.ensure_future(self._stop.wait())
        ended, _ = await asyncio.wait([asked, *helpers], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        for helper in ended - {asked}:
            log.critical("a helper ended, stopping", extra={"reason": helper.get_name()}, exc_info=helper.exception())
        return asked not in ended

    def _board(self) -> Board:
        """What is stopped, as far as it is known before anybody tells us."""
        kept = self._folder.run / KEPT.format(self._number)
        board = Board(
            time.time, time.monotonic, worker=f"w{self._place.first + self._number}", gateway=self._place.name,
            environment=states_of_environment(os.environ),
            keep=functools.partial(keep, kept),
        )  # fmt: skip
        restore(self._folder.run, board)
        return board

    def _peer(self, worker: int) -> Origin:
        return Origin.unix(str(self._folder.worker_socket(worker)))

    def _ask_to_stop(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _drain(self, public: Server, private: Server) -> int:
        """Let calls under way finish: callers first, then what peers passed on."""
        draining = asyncio.ensure_future(_drained(public, private, self._grace))
        hurrying = asyncio.ensure_future(self._hurry.wait())
        await asyncio.wait([draining, hurrying], return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        if not draining.done():
            draining.cancel()
            return await _drained(public, private, 0.0)
        return draining.result()


async def _book(ledger: Ledger, gateway: Gateway, parts: PartsFile) -> None:
    """Follow this gateway's part of every budget, and bound what power loss takes of what was spent; ``kill -9`` takes
    nothing."""
    while True:
        ledger.hold()  # the worker before this one may still be ending
        await asyncio.sleep(SAVE_EVERY)
        gateway.purses.divide(parts.look())
        if gateway.purses.active:
            try:
                await asyncio.to_thread(ledger.save)
            except OSError as error:
                log.error("what was spent cannot be saved", extra={"error": str(error)})


async def _drained(public: Server, private: Server, grace: float) -> int:
    return await public.stop(grace) + await private.stop(min(grace, 5.0))


class SnapshotFile:
    """The snapshot on disk, looked at five times a second, and the files that its secrets are in.  A snapshot that is
    refused leaves the last good one in force."""

    def __init__(self, path: Path, gateway: Gateway, upstream: ProxiedUpstream, trust: Trust) -> None:
        self._path = path
        self._gateway = gateway
        self._upstream = upstream
        self._trust = trust
        self._seen: tuple[int, int, int] | None = None
        self._secrets = Secrets()
        """Of the snapshot in force."""

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(SNAPSHOT_POLL)
            self.load()
            if self._trust.unsaved:
                await asyncio.to_thread(self._trust.save)

    def load(self) -> None:
        """Load the file if it, or a secret's, is another one than last time."""
        try:
            status = os.stat(self._path)
            mark = (status.st_mtime_ns, status.st_ino, status.st_size)
            if mark == self._seen and not self._secrets.changed():
                return
            data = self._path.read_bytes()
            self._seen = mark
            self._serve(decode(data))
        except FileNotFoundError:
            return
        except (SnapshotRefused, OSError) as error:  # one that could not be read is tried again
            self._gateway.counters.snapshots_refused += 1
            log.error("snapshot refused", extra={"reason": str(error)})

    def _serve(self, snapshot: Snapshot) -> None:
        gateway = self._gateway
        trust = self._trust
        snapshot, proofs = vetted = trust.vet(snapshot)
        self._secrets = Secrets()
        world = World(
            snapshot, wires=wire_for, secret=self._secrets.find, slots=gateway.slots, workers=gateway.workers,
            proofs=proofs, salt=trust.salt, sessions=trust.sessions,
        )  # fmt: skip
        self._upstream.follow(snapshot.proxy, world)
        gateway.board.learn(snapshot.kill, snapshot.epoch)
        gateway.world = world
        trust.serves(vetted)
        gateway.purses.follow(world)
        if gateway.user_checks is not None:
            gateway.user_checks.follow(world.check_sources())
        log.info("snapshot loaded", extra={"epoch": snapshot.epoch, "seq": snapshot.seq})


class ProxiedUpstream:
    """The HTTP client of the worker.  A proxy that changes makes a new client; the old one ends with the worker."""

    def __init__(self) -> None:
        self._proxy: str | None = None
        self._guard = AddressGuard()
        self._client = Client(guard=self._guard, limits=POOL)
        self._retired: list[Client] = []

    def follow(self, proxy: str | None, world: World) -> None:
        """Use ``proxy`` and let the origins be private that the snapshot allows."""
        self._guard.allow(world.private_origins)
        if proxy == self._proxy:
            return
        fresh = Client(guard=self._guard, limits=POOL, proxy=proxy)
        self._retired.append(self._client)
        self._client, self._proxy = fresh, proxy

    def fetch(
        self, origin: Origin, head: bytes, body: bytes, clocks: Clocks, *, max_body: int, ready: Ready | None = None
    ) -> Coroutine[Any, Any, Reply]:
        return self._client.fetch(origin, head, body, clocks, max_body=max_body, ready=ready)

    def open(
        self, origin: Origin, head: bytes, body: bytes, clocks: Clocks, *, ready: Ready | None = None
    ) -> Coroutine[Any, Any, StreamReply]:
        return self._client.open(origin, head, body, clocks, ready=ready)

    async def close(self) -> None:
        for client in (*self._retired, self._client):
            await client.close()


class SystemClock:
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(asyncio.sleep)


class SystemIds:
    """The kernel's random bits, fetched in bulk: a system call costs five times what an inference's ids do."""

    BULK = 4096

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def bits(self, count: int) -> int:
        size = (count + 7) // 8
        begin, end = self._at, self._at + size
        if end > len(self._pool):
            self._pool = os.urandom(max(self.BULK, size))
            begin, end = 0, size
        self._at = end
        return int.from_bytes(self._pool[begin:end], "big") >> (8 * size - count)


if __name__ == "__main__":
    sys.exit(main())
