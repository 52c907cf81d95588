"""Keeps one child process running: started, restarted when it dies, stopped in good order."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from roadworthy.engine.ports import Launcher, Process

log = logging.getLogger("roadworthy.supervisor")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
STEADY = 30.0
"""Seconds of life after which a death counts as the first again."""

Command = Callable[[], Sequence[str]]


class ProcessFacts(msgspec.Struct):
    """What ``run/processes.json`` says of a child."""

    name: str
    pid: int | None = None
    state: Literal["starting", "running", "waiting", "stopped"] = "starting"
    since: float = 0.0
    """Unix seconds of the last change of state."""
    restarts: int = 0
    last_exit: str = ""


def restart_pause(deaths_in_a_row: int, longest: float = LONGEST_PAUSE) -> float:
    """Seconds before the next start after this many quick deaths: 0.1 doubled each time, at most ``longest``."""
    pause: float = FIRST_PAUSE * 2.0 ** min(max(deaths_in_a_row - 1, 0), 16)
    return min(pause, longest)


def exit_in_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


class Keeper:
    """One child and its story."""

    def __init__(
        self,
        name: str,
        command: Command,
        launcher: Launcher,
        *,
        orphan_signal: int = signal.SIGTERM,
        pass_fds: Sequence[int] = (),
        log_path: Path | None = None,
        longest_pause: float = LONGEST_PAUSE,
        on_change: Callable[[], None] = lambda: None,
        on_exit: Callable[[int], bool] = lambda code: True,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``on_exit`` gets the code of a child that ended by itself and says whether to start it again.

        ``longest_pause``: seconds between a death and the next start; short where a pause is an outage.
        """
        self.facts = ProcessFacts(name)
        self._command = command
        self._launcher = launcher
        self._orphan_signal = orphan_signal
        self._pass_fds = pass_fds
        self._log_path = log_path
        self._longest_pause = longest_pause
        self._on_change = on_change
        self._on_exit = on_exit
        self._clock = clock
        self._sleep = sleep
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep(), name=f"keeper-{self.facts.name}")

    async def stop(self, grace: float) -> None:
        """Ask the child to end, kill it after ``grace`` seconds, and wait until it is gone."""
        self._stopping = True
        if self._process is not None:
            self._process.terminate()
        elif self._task is not None and self.facts.state == "waiting":
            self._task.cancel()  # a child that is being started is told as soon as it exists
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=grace)
            if late:
                self._log("child did not end in time; killed", logging.WARNING, seconds=grace)
                self.kill()
                await asyncio.wait({self._task})
        self._change("stopped")

    def kill(self) -> None:
        self._stopping = True
        if self._process is not None:
            self._process.kill()

    async def _keep(self) -> None:
        deaths = 0
        while not self._stopping:
            self._change("starting")
            born = self._clock()
            code = await self._one_life()
            if self._stopping:
                return
            deaths = 1 if self._clock() - born >= STEADY else deaths + 1
            self.facts.last_exit = "could not be started" if code is None else exit_in_words(code)
            if code is not None and not self._on_exit(code):
                self._change("stopped")
                return
            pause = restart_pause(deaths, self._longest_pause)
            self._log("child ended", logging.ERROR, reason=self.facts.last_exit, seconds=pause)
            self._change("waiting")
            await self._sleep(pause)
            self.facts.restarts += 1

    async def _one_life(self) -> int | None:
        try:
            self._process = await self._launcher.start(
                self._command(), log=self._log_path, pass_fds=self._pass_fds, orphan_signal=self._orphan_signal
            )
        except OSError as error:
            self._log("child could not be started", logging.ERROR, error=str(error))
            return None
        if self._stopping:
            self._process.terminate()
        self.facts.pid = self._process.pid
        self._change("running")
        try:
            return await self._process.wait()
        finally:
            self._process = None
            self.facts.pid = None

    def _change(self, state: Literal["starting", "running", "waiting", "stopped"]) -> None:
        self.facts.state = state
        self.facts.since = self._clock()
        self._on_change()

    def _log(self, message: str, level: int, **facts: object) -> None:
        log.log(level, message, extra={"process_name": self.facts.name, **facts})
