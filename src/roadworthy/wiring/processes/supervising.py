"""What every supervisor does: keep the workers of one gateway running and stop them in order.

It owns the listening socket and hands it to the workers, so a worker that dies or is restarted refuses no caller.
Workers start from the last snapshot on disk without waiting for anybody.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.engine.ports import Launcher
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.folders.run_facts import run_facts
from roadworthy.wiring.processes.internal import Internal
from roadworthy.wiring.processes.keeper import Keeper, ProcessFacts
from roadworthy.wiring.processes.launcher import python
from roadworthy.wiring.processes.sockets import bound, listen_tcp
from roadworthy.wiring.worker.place import LOCAL, Place

log = logging.getLogger("roadworthy.supervisor")

READY_POLL = 0.02

WORKER_PAUSE = 1.0
"""Longest pause before a dead worker is started again, in seconds: while it lasts, its share of the calls waits."""

CUT_SECONDS = 5.0
"""What a worker gets on top of the grace to cut what outlasts it, write its records and seal its journal."""

ORPHANS_PATIENCE = 5.0
"""Seconds to wait for the address while children of a killed supervisor are still ending."""

Say = Callable[[str], None]


class Supervisor:
    """The workers, and what a subclass adds."""

    def __init__(
        self,
        place: Place,
        count: int,
        listener: socket.socket,
        metrics: socket.socket,
        *,
        grace: float,
        launcher: Launcher,
        say: Say,
        started: float,
    ) -> None:
        """``started``: ``time.monotonic()`` of the command's start, from which "ready in" counts; ``grace``: seconds
        that calls in flight have to end."""
        self._place = place
        self._folder = place.folder
        self._count = count
        self._listener = listener
        self._metrics = metrics
        self._grace = grace
        self._launcher = launcher
        self._say = say
        self._started = started
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._exit_code = 0
        self._internal = Internal()
        self._dirty = True
        self._workers = [self._worker(index) for index in range(count)]

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT.  Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask_to_stop)
        for keeper in self._keepers():
            keeper.start()
        helpers = [loop.create_task(work, name=name) for name, work in self._helpers().items()]
        for task in helpers:
            task.add_done_callback(_helper_ended)
        try:
            await self._stop.wait()
            await self._stop_in_order()
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self._write_facts()
            await self._internal.close()
        return self._exit_code

    def ask_to_stop(self) -> None:
        """First: in order.  Second: at once."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    # --- what a subclass adds to

    def _keepers(self) -> list[Keeper]:
        """The children, in the order in which they are started."""
        return list(self._workers)

    def _helpers(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Tasks beside the children."""
        return {"announce": self._announce(), "follow": self._follow(), "metrics": self._serve_metrics()}

    def _places(self) -> dict[str, socket.socket | None]:
        """Where others reach it."""
        return {"listen": self._listener, "metrics": self._metrics}

    def _facts(self) -> list[ProcessFacts]:
        return [keeper.facts for keeper in self._keepers()]

    async def _look(self) -> None:
        """A few times a second."""

    async def _announce_more(self) -> None:
        """After the gateway is ready."""

    async def _after_workers(self) -> None:
        """Stopping, once every worker has sealed its journal."""

    # --- children

    def _worker(self, index: int) -> Keeper:
        fd = self._listener.fileno()
        place = self._place

        def command() -> list[str]:
            given = {
                "--data": place.folder.root, "--worker": index, "--workers": self._count, "--fd": fd,
                "--grace": self._grace,
            }  # fmt: skip
            if place.name != LOCAL:
                given |= {"--name": place.name, "--first": place.first, "--control": place.control}
            return python("roadworthy.wiring.gateway", *(str(word) for pair in given.items() for word in pair))

        return Keeper(
            f"worker w{place.first + index}",
            command,
            self._launcher,
            pass_fds=(fd,),
            longest_pause=WORKER_PAUSE,
            on_change=self._changed,
        )

    def _changed(self) -> None:
        self._dirty = True

    async def _stop_in_order(self) -> None:
        stopping = asyncio.create_task(self._stop_all())
        hurrying = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({stopping, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            self._say("stopping at once")
            for keeper in self._keepers():
                keeper.kill()
        hurrying.cancel()
        await stopping

    async def _stop_all(self) -> None:
        await asyncio.gather(*(worker.stop(self._grace + CUT_SECONDS) for worker in self._workers))
        self._listener.close()
        await self._after_workers()

    # --- helpers

    async def _follow(self) -> None:
        """Keep ``run/processes.json`` true."""
        while True:
            await self._look()
            if self._dirty:
                self._write_facts()
            await asyncio.sleep(0.2)

    def _write_facts(self) -> None:
        self._dirty = False
        document = {
            **{name: _address(sock) for name, sock in self._places().items()},
            "processes": self._facts(),
        }
        write_atomically(self._folder.run / "processes.json", msgspec.json.encode(document))

    async def _announce(self) -> None:
        """One line a fact, as each becomes true."""
        address = bound(self._listener)
        await self._until_ready()
        many = f" ({self._count} workers)" if self._count > 1 else ""
        self._say(f"gateway http://{reachable(address)}/v1 ready in {self._seconds():.1f} s{many}")
        self._say(f"metrics http://{reachable(bound(self._metrics))}/metrics")
        await self._announce_more()

    async def _until_ready(self) -> None:
        for index in range(self._count):
            sock = self._folder.worker_socket(index)
            await self._internal.until(sock, "/readyz", lambda status: status == 200, every=READY_POLL)

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    async def _serve_metrics(self) -> None:
        from roadworthy.wiring.processes.metrics import serve_metrics

        workers = {f"w{self._place.first + index}": self._folder.worker_socket(index) for index in range(self._count)}
        control = self._place.control if self._place.name == LOCAL else None
        await serve_metrics(self._metrics, self._internal, workers, control)


def _helper_ended(task: asyncio.Task[None]) -> None:
    """A helper that fails takes nothing down, and is not silent about it."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("helper failed", extra={"helper": task.get_name(), "error": str(error)}, exc_info=error)


def _address(sock: socket.socket | None) -> str | None:
    return None if sock is None or sock.fileno() < 0 else bound(sock)


OFF = "off"
"""In place of an address: nobody listens there."""


def listeners(folder: DataFolder, addresses: Mapping[str, str]) -> list[socket.socket]:
    """Option → address, in that order; one that is ``off`` has no socket.  Raises ``CannotListen``."""
    orphans = any(process.alive for process in run_facts(folder).processes)
    patience = ORPHANS_PATIENCE if orphans else 0.0
    made: list[socket.socket] = []
    try:
        for option, address in addresses.items():
            if address != OFF:
                made.append(listen_tcp(address, option, backlog=2048 if not made else 64, patience=patience))
    except BaseException:
        for sock in made:
            sock.close()
        raise
    return made


def clear_run(folder: DataFolder) -> None:
    """Forget what an earlier run left: sockets that nobody listens on, ports that nobody has."""
    folder.run.mkdir(mode=0o700, exist_ok=True)
    for path in folder.run.iterdir():
        if path.suffix in (".sock", ".port") and path != folder.control_socket:
            path.unlink(missing_ok=True)


def run_until_stopped(make: Callable[[], Supervisor], *sockets: socket.socket) -> int:
    """Run a supervisor on a loop of its own; its sockets are closed afterwards.  Returns the exit code."""

    async def run() -> int:
        return await make().run()

    try:
        return asyncio.run(run())
    finally:
        for sock in sockets:
            sock.close()


def reachable(address: str) -> str:
    """An address to type: the wildcard becomes loopback."""
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("0.0.0.0", "[::]") else address  # noqa: S104
