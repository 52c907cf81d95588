"""The background engine: modules that run again and again, each isolated from the others.

Rule: a module that raises, hangs or is slow harms nobody but itself.  It has its own interval and its own time-out;
a failure is logged as one structured line, counted, and followed by another run after a growing pause.  This file is
the one place in Roadworthy where a broad ``except`` is allowed: everything that a module can do wrong ends here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import msgspec

log = logging.getLogger("roadworthy.engine")

NICENESS_BEHIND = 10
"""Of threads that work behind what serves: about a tenth of a contended core."""
LONGEST_PAUSE = 60.0
"""Most seconds between two runs of a failing module, unless its own interval is longer."""


class Module(msgspec.Struct, frozen=True):
    """One background duty."""

    name: str
    run: Callable[[], Awaitable[None]]
    """Does one round.  Blocking work is wrapped with ``blocking``."""
    interval: float
    """Seconds between the end of one round and the start of the next."""
    timeout: float = 30.0
    """Seconds after which a round is cancelled and counted as failed."""
    last_round: bool = False
    """Run once more when the engine stops in good order (the shipper does)."""


class ModuleHealth(msgspec.Struct):
    """What ``roadworthy status`` says about a module.  Instants are Unix seconds."""

    name: str
    state: Literal["waiting", "running", "failing"] = "waiting"
    rounds: int = 0
    failures: int = 0
    """Since the start."""
    failures_in_a_row: int = 0
    last_good: float | None = None
    last_error: str = ""


def pause_after(interval: float, failures_in_a_row: int) -> float:
    """Seconds to the next round: the interval, doubled for each failure in a row up to the longest pause."""
    if failures_in_a_row == 0:
        return interval
    doubled: float = max(interval, 0.1) * 2.0 ** min(failures_in_a_row, 16)
    return min(doubled, max(LONGEST_PAUSE, interval))


def blocking(work: Callable[[], object], *, name: str, behind: bool = False) -> Callable[[], Awaitable[None]]:
    """Wrap a blocking function: it runs in a thread of its own, never twice at once.

    ``behind``: its thread gives way to what serves callers on the same cores; a backlog is worked off later.

    A thread cannot be cancelled; a round that hangs past its time-out keeps the thread, and later rounds time out
    until it ends, which ``ModuleHealth`` shows.
    """
    threads = ThreadPoolExecutor(1, f"engine-{name}", initializer=_give_way if behind else None)

    async def run() -> None:
        await asyncio.get_running_loop().run_in_executor(threads, work)

    return run


def _give_way() -> None:
    """Lower the priority of this thread alone (Linux counts niceness by thread)."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS_BEHIND)


class Engine:
    """Runs modules until it is stopped."""

    def __init__(self, modules: Sequence[Module], *, clock: Callable[[], float] = time.time) -> None:
        names = [module.name for module in modules]
        if len(set(names)) != len(names):
            raise ValueError(f"two engine modules share a name: {sorted(names)}")
        self._modules = {module.name: module for module in modules}
        self._health = {name: ModuleHealth(name) for name in names}
        self._wake = {name: asyncio.Event() for name in names}
        self._busy = {name: asyncio.Lock() for name in names}
        self._clock = clock
        self._stopping = False

    def health(self) -> list[ModuleHealth]:
        return list(self._health.values())

    def wake(self, name: str) -> None:
        """Have a module run now instead of at the end of its pause."""
        self._wake[name].set()

    def stop(self) -> None:
        """Let every module end its round, give those that ask for it a last one, and let ``run`` return."""
        self._stopping = True
        for event in self._wake.values():
            event.set()

    async def run(self) -> None:
        """Run until ``stop``."""
        await asyncio.gather(*(self._loop(module) for module in self._modules.values()))

    async def round(self, name: str) -> bool:
        """Run one round of a module now, guarded.  Returns whether it went well."""
        module, health = self._modules[name], self._health[name]
        async with self._busy[name]:
            health.state = "running"
            health.rounds += 1
            started = time.monotonic()
            try:
                async with asyncio.timeout(module.timeout) as limit:
                    await module.run()
            except Exception as error:  # noqa: BLE001 - the isolation of modules is what this file is for
                if limit.expired():
                    self._failed(health, f"took longer than its {module.timeout:g} s", started, trace=False)
                else:
                    self._failed(health, f"{type(error).__name__}: {error}", started, trace=True)
            else:
                health.state, health.failures_in_a_row, health.last_error = "waiting", 0, ""
                health.last_good = self._clock()
                return True
        return False

    async def _loop(self, module: Module) -> None:
        wake = self._wake[module.name]
        while not self._stopping:
            wake.clear()
            await self.round(module.name)
            if self._stopping:
                break
            pause = pause_after(module.interval, self._health[module.name].failures_in_a_row)
            try:
                async with asyncio.timeout(pause):
                    await wake.wait()
            except TimeoutError:
                pass
        if module.last_round:
            await self.round(module.name)

    def _failed(self, health: ModuleHealth, error: str, started: float, *, trace: bool) -> None:
        health.state = "failing"
        health.failures += 1
        health.failures_in_a_row += 1
        health.last_error = error[:300]
        log.error(
            "engine module failed",
            extra={
                "module_name": health.name,
                "error": health.last_error,
                "failures_in_a_row": health.failures_in_a_row,
                "seconds": round(time.monotonic() - started, 3),
            },
            exc_info=trace,
        )
