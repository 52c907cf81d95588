"""``roadworthy up``: one process that starts the others, keeps them running and stops them in order.

It owns the listening socket and hands it to the workers, so a worker that dies or is restarted refuses no caller.
Workers start from the last snapshot on disk without waiting for control.  Stopping goes from the callers inwards:
workers first (calls in flight end, journals are sealed), then control (ships what is left), then launched targets.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.adapters.telemetry.logs import configure
from roadworthy.engine.ports import Launcher
from roadworthy.wiring import ledgers
from roadworthy.wiring.config_folder import read_folder
from roadworthy.wiring.data_folder import DataFolder, FolderLock, create_folder
from roadworthy.wiring.internal import Internal
from roadworthy.wiring.keeper import Keeper
from roadworthy.wiring.launcher import LinuxLauncher, python
from roadworthy.wiring.run_facts import run_facts
from roadworthy.wiring.sockets import bound, check_socket_path, listen_tcp
from roadworthy.wiring.targets import Targets
from roadworthy.workflow.model import Settings

log = logging.getLogger("roadworthy.supervisor")

CONTROL_REFUSED = 2
"""Control's exit code for what no restart mends: no configuration without errors was ever applied, or the data
folder is newer or damaged."""

READY_POLL = 0.02

WORKER_PAUSE = 1.0
"""Longest pause before a dead worker is started again, in seconds: while it lasts, its share of the calls waits."""

CONTROL_PAUSE = 5.0
"""The same for control: while it lasts, no key is revoked and nothing is shipped."""

CUT_SECONDS = 5.0
"""What a worker gets on top of the grace to cut what outlasts it, write its records and seal its journal."""

ORPHANS_PATIENCE = 5.0
"""Seconds to wait for the address while children of a killed supervisor are still ending."""


class Options(msgspec.Struct, frozen=True):
    """What ``roadworthy up`` was asked for; ``None``: as configured."""

    data: str
    config_dir: str | None = None
    workers: int | None = None
    listen: str | None = None
    metrics: str | None = None
    login: tuple[str, ...] = ()
    """People for whom control prints a one-time login code; none given: on a terminal, the first owner."""
    grace: float = 30.0
    """Seconds that calls in flight have to end, and then that control has to ship."""


Say = Callable[[str], None]


class Supervisor:
    def __init__(
        self,
        folder: DataFolder,
        options: Options,
        settings: Settings,
        listener: socket.socket,
        metrics: socket.socket,
        *,
        launcher: Launcher,
        say: Say,
        started: float,
    ) -> None:
        """``started``: ``time.monotonic()`` of the command's start, from which "ready in" counts."""
        self._folder = folder
        self._options = options
        self._listener = listener
        self._metrics = metrics
        self._launcher = launcher
        self._say = say
        self._started = started
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._exit_code = 0
        self._internal = Internal()
        self._dirty = True
        self._count = options.workers if options.workers is not None else settings.workers
        self._workers = [self._worker(index) for index in range(self._count)]
        self._control = Keeper(
            "control",
            self._control_command,
            launcher,
            longest_pause=CONTROL_PAUSE,
            on_change=self._changed,
            on_exit=self._control_ended,
        )
        self._targets = Targets(folder, launcher, on_change=self._changed)

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT.  Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask_to_stop)
        for keeper in (*self._workers, self._control):
            keeper.start()
        self._targets.write()
        helpers = [
            loop.create_task(work, name=name)
            for name, work in (
                ("announce", self._announce()),
                ("follow", self._follow()),
                ("metrics", self._serve_metrics()),
            )
        ]
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

    # --- children

    def _worker(self, index: int) -> Keeper:
        fd = self._listener.fileno()

        def command() -> list[str]:
            return python(
                "roadworthy.wiring.gateway",
                "--data",
                str(self._folder.root),
                "--worker",
                str(index),
                "--workers",
                str(self._count),
                "--fd",
                str(fd),
                "--grace",
                str(self._options.grace),
            )

        return Keeper(
            f"worker w{index}",
            command,
            self._launcher,
            pass_fds=(fd,),
            longest_pause=WORKER_PAUSE,
            on_change=self._changed,
        )

    def _control_command(self) -> list[str]:
        command = python("roadworthy.wiring.control", "--data", str(self._folder.root))
        if self._control.facts.restarts == 0:
            if self._options.config_dir is not None:
                command += ["--apply", self._options.config_dir]
            for person in self._options.login:
                command += ["--login", person]
            command.append("--login-owner")
        return command

    def _control_ended(self, code: int) -> bool:
        """Start control again?  Fails open: while there is a snapshot to serve from, a control that cannot run takes
        nothing down; it said why, and is tried again until somebody mends it."""
        if code != CONTROL_REFUSED:
            return True
        if self._folder.snapshot.exists():
            return True
        self._exit_code = CONTROL_REFUSED
        self._stop.set()
        return False

    def _changed(self) -> None:
        self._dirty = True

    async def _stop_in_order(self) -> None:
        grace = self._options.grace
        stopping = asyncio.create_task(self._stop_all(grace))
        hurrying = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({stopping, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            self._say("stopping at once")
            for keeper in (*self._workers, self._control):
                keeper.kill()
        hurrying.cancel()
        await stopping

    async def _stop_all(self, grace: float) -> None:
        await asyncio.gather(*(worker.stop(grace + CUT_SECONDS) for worker in self._workers))
        self._listener.close()
        await self._control.stop(grace)
        await self._targets.stop()

    # --- helpers

    async def _follow(self) -> None:
        """Follow the snapshot, and keep ``run/processes.json`` true."""
        while True:
            await self._targets.follow()
            if self._dirty:
                self._write_facts()
            await asyncio.sleep(0.2)

    def _write_facts(self) -> None:
        self._dirty = False
        facts = [keeper.facts for keeper in (*self._workers, self._control)] + self._targets.facts()
        document = {
            "listen": bound(self._listener) if self._listener.fileno() >= 0 else None,
            "metrics": bound(self._metrics) if self._metrics.fileno() >= 0 else None,
            "processes": facts,
        }
        write_atomically(self._folder.run / "processes.json", msgspec.json.encode(document))

    async def _announce(self) -> None:
        """One line a fact, as each becomes true."""
        address = bound(self._listener)
        await self._until_ready()
        many = f" ({self._count} workers)" if self._count > 1 else ""
        self._say(f"gateway http://{_reachable(address)}/v1 ready in {self._seconds():.1f} s{many}")
        self._say(f"metrics http://{_reachable(bound(self._metrics))}/metrics")
        await self._internal.until(self._folder.control_socket, "/healthz", lambda status: True, every=READY_POLL * 5)
        self._say(f"control {self._folder.control_socket} ready in {self._seconds():.1f} s")
        told: set[str] = set()
        while True:
            for name, url in self._targets.endpoints.items():
                if name not in told:
                    told.add(name)
                    self._say(f"target {name} ready in {self._seconds():.1f} s at {url}")
            await asyncio.sleep(0.1)

    async def _until_ready(self) -> None:
        for index in range(self._count):
            sock = self._folder.worker_socket(index)
            await self._internal.until(sock, "/readyz", lambda status: status == 200, every=READY_POLL)

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    async def _serve_metrics(self) -> None:
        from roadworthy.wiring.metrics import serve_metrics

        sockets = [self._folder.worker_socket(index) for index in range(self._count)]
        await serve_metrics(self._metrics, self._internal, sockets, self._folder.control_socket)


def _helper_ended(task: asyncio.Task[None]) -> None:
    """A helper that fails takes nothing down, and is not silent about it."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("helper failed", extra={"helper": task.get_name(), "error": str(error)}, exc_info=error)


def up(options: Options, *, say: Say = print) -> int:
    """Start everything in the foreground.  Returns the exit code.

    Raises ``DataFolderError``, ``CannotListen`` or ``ConfigFolderError`` before anything is started.
    """
    started = time.monotonic()
    configure("supervisor")
    folder = create_folder(options.data)
    with FolderLock(folder.supervisor_lock, purpose="roadworthy up"):
        settings = _settings(folder, options)
        check_socket_path(folder.control_socket)
        orphans = any(process.alive for process in run_facts(folder).processes)
        patience = ORPHANS_PATIENCE if orphans else 0.0
        listener = listen_tcp(options.listen or settings.listen, "--listen", patience=patience)
        metrics = listen_tcp(options.metrics or settings.metrics, "--metrics", backlog=64, patience=patience)
        _clear_run(folder)
        ledgers.prepare(folder, options.workers if options.workers is not None else settings.workers)

        async def run() -> int:
            supervisor = Supervisor(
                folder, options, settings, listener, metrics, launcher=LinuxLauncher(), say=say, started=started
            )
            return await supervisor.run()

        try:
            return asyncio.run(run())
        finally:
            listener.close()
            metrics.close()


def _settings(folder: DataFolder, options: Options) -> Settings:
    """Where to listen, before control runs: from the folder that will be applied, else as last applied.

    A folder with errors is control's to refuse; what was last applied serves on.
    """
    if options.config_dir is not None:
        from roadworthy.workflow.files import read_configuration

        checked = read_configuration(read_folder(options.config_dir), price_known=lambda target: True)
        if checked.configuration is not None:
            return checked.configuration.settings
    try:
        return msgspec.json.decode(folder.settings.read_bytes(), type=Settings)
    except FileNotFoundError:
        return Settings()


def _clear_run(folder: DataFolder) -> None:
    """Forget what an earlier run left: sockets that nobody listens on, ports that nobody has."""
    folder.run.mkdir(mode=0o700, exist_ok=True)
    for path in folder.run.iterdir():
        if path.suffix in (".sock", ".port") and path != folder.control_socket:
            path.unlink(missing_ok=True)


def _reachable(address: str) -> str:
    """An address to type: the wildcard becomes loopback."""
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("0.0.0.0", "[::]") else address  # noqa: S104
