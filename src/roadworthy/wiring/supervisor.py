"""``roadworthy up``: one process that starts the others, keeps them running and stops them in order.

It owns the listening socket and hands it to the workers, so a worker that dies or is restarted refuses no caller.
Workers start from the last snapshot on disk without waiting for control.  Stopping goes from the callers inwards:
workers first (calls in flight end, journals are sealed), then control (ships what is left), then launched targets.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Coroutine
from typing import Any

import msgspec

from roadworthy.adapters.telemetry.logs import configure
from roadworthy.engine.ports import Launcher
from roadworthy.wiring.fleet import ledgers
from roadworthy.wiring.folders.config_folder import read_folder
from roadworthy.wiring.folders.data_folder import DataFolder, FolderLock, create_folder
from roadworthy.wiring.processes import supervising
from roadworthy.wiring.processes.keeper import Keeper, ProcessFacts
from roadworthy.wiring.processes.launcher import LinuxLauncher, python
from roadworthy.wiring.processes.sockets import bound, check_socket_path
from roadworthy.wiring.processes.supervising import READY_POLL, Say, reachable
from roadworthy.wiring.processes.targets import Targets
from roadworthy.wiring.worker.place import Place
from roadworthy.workflow.model import Settings

CONTROL_REFUSED = 2
"""Control's exit code for what no restart mends: no configuration without errors was ever applied, or the data
folder is newer or damaged."""

CONTROL_PAUSE = 5.0
"""Longest pause before a dead control is started again: while it lasts, no key is revoked and nothing is shipped."""


class Options(msgspec.Struct, frozen=True):
    """What ``roadworthy up`` was asked for; ``None``: as configured."""

    data: str
    config_dir: str | None = None
    workers: int | None = None
    listen: str | None = None
    metrics: str | None = None
    console: str | None = None
    login: tuple[str, ...] = ()
    """People for whom control prints a one-time login code; none given: on a terminal, the first owner."""
    demo: bool = False
    """Let visitors of the console choose whom they are.  ``roadworthy demo`` alone says so; it listens on loopback."""
    grace: float = 30.0
    """Seconds that calls in flight have to end, and then that control has to ship."""


class Supervisor(supervising.Supervisor):
    """The workers of the local gateway, control, and the targets that it launches."""

    def __init__(
        self,
        folder: DataFolder,
        options: Options,
        settings: Settings,
        *,
        launcher: Launcher,
        console: socket.socket | None,
        **more: Any,
    ) -> None:
        """``console``: where people open it, handed to every control in turn; ``more``: as of any supervisor."""
        self._options = options
        super().__init__(
            Place(folder, folder.control_socket),
            _count(options, settings),
            grace=options.grace,
            launcher=launcher,
            **more,
        )
        self._console = console
        self._control = Keeper(
            "control",
            self._control_command,
            launcher,
            pass_fds=() if console is None else (console.fileno(),),
            longest_pause=CONTROL_PAUSE,
            on_change=self._changed,
            on_exit=self._control_ended,
        )
        self._targets = Targets(folder, launcher, on_change=self._changed)

    def _keepers(self) -> list[Keeper]:
        return [*self._workers, self._control]

    def _helpers(self) -> dict[str, Coroutine[Any, Any, None]]:
        self._targets.write()
        return super()._helpers()

    def _facts(self) -> list[ProcessFacts]:
        return super()._facts() + self._targets.facts()

    def _places(self) -> dict[str, socket.socket | None]:
        return {**super()._places(), "console": self._console}

    def _control_command(self) -> list[str]:
        command = python("roadworthy.wiring.control", "--data", str(self._folder.root))
        if self._console is not None:
            command += ["--console-fd", str(self._console.fileno())]
            command += ["--demo"] * self._options.demo
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

    async def _after_workers(self) -> None:
        await self._control.stop(self._grace)
        await self._targets.stop()

    async def _look(self) -> None:
        await self._targets.follow()

    async def _announce_more(self) -> None:
        await self._internal.until(self._folder.control_socket, "/healthz", lambda status: True, every=READY_POLL * 5)
        self._say(f"control {self._folder.control_socket} ready in {self._seconds():.1f} s")
        if self._console is not None:
            self._say(f"console http://{reachable(bound(self._console))}/")
        told: set[str] = set()
        while True:
            for name, url in self._targets.endpoints.items():
                if name not in told:
                    told.add(name)
                    self._say(f"target {name} ready in {self._seconds():.1f} s at {url}")
            await asyncio.sleep(0.1)


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
        addresses = {
            "--listen": options.listen or settings.listen,
            "--metrics": options.metrics or settings.metrics,
            "--console": options.console or settings.console,
        }
        listener, metrics, *consoles = supervising.listeners(folder, addresses)
        console = consoles[0] if consoles else None
        supervising.clear_run(folder)
        ledgers.prepare(folder, _count(options, settings))

        def make() -> Supervisor:
            return Supervisor(
                folder, options, settings, listener=listener, metrics=metrics, launcher=LinuxLauncher(), say=say,
                started=started, console=console,
            )  # fmt: skip

        return supervising.run_until_stopped(make, listener, metrics, *consoles)


def _count(options: Options, settings: Settings) -> int:
    return options.workers if options.workers is not None else settings.workers


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
