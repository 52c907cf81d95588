"""Launches the local and simulated targets that the snapshot names, and says where they are (``endpoints.json``).

A target is in ``endpoints.json`` exactly while its process is up and listening; out of it, its calls are
``unavailable`` and the ladder goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.adapters.providers import child
from roadworthy.engine.ports import Launcher
from roadworthy.gateway import snapshot as snapshots
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.processes.keeper import Keeper, ProcessFacts
from roadworthy.workflow.model import Target

log = logging.getLogger("roadworthy.supervisor")

POLL = 0.05
"""Seconds between two looks at a port file while its target starts."""

STOP_GRACE = 3.0
"""Seconds that a target has to end; it keeps nothing worth waiting for."""


class LaunchedTarget:
    """One child and its port file."""

    def __init__(self, target: Target, folder: DataFolder, launcher: Launcher, moved: Callable[[], None]) -> None:
        self.target = target
        self.url: str | None = None
        self._moved = moved
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", target.name)
        self._port_file = folder.run / f"target-{name}.port"
        self._profile = folder.run / f"target-{name}.json"
        self._folder = folder
        self.keeper = Keeper(
            f"target {target.name}",
            self._command,
            launcher,
            orphan_signal=signal.SIGKILL,
            log_path=folder.run / f"target-{name}.log",
            on_change=self._changed,
        )
        self._watcher: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.keeper.start()

    async def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        await self.keeper.stop(STOP_GRACE)
        self._port_file.unlink(missing_ok=True)
        self._profile.unlink(missing_ok=True)

    def _command(self) -> list[str]:
        self._port_file.unlink(missing_ok=True)
        write_atomically(self._profile, msgspec.json.encode(self.target.simulation or {}))
        return target_command(self.target, self._folder, self._port_file, self._profile)

    def _changed(self) -> None:
        if self.keeper.facts.state == "running":
            self._watcher = asyncio.get_running_loop().create_task(self._watch())
            return
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        if self.url is not None:
            self.url = None
            self._moved()

    async def _watch(self) -> None:
        while (url := child.endpoint(self._port_file)) is None:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(POLL)
        self.url = url
        self._moved()


class Targets:
    """Keeps the launched targets equal to what the snapshot names."""

    def __init__(self, folder: DataFolder, launcher: Launcher, on_change: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._launcher = launcher
        self._on_change = on_change
        self._running: dict[str, LaunchedTarget] = {}
        self._snapshot_seen: tuple[int, int] | None = None
        self._written: dict[str, str] | None = None

    def facts(self) -> list[ProcessFacts]:
        return [launched.keeper.facts for launched in self._running.values()]

    @property
    def endpoints(self) -> dict[str, str]:
        return {name: launched.url for name, launched in self._running.items() if launched.url is not None}

    @property
    def starting(self) -> list[str]:
        return [name for name, launched in self._running.items() if launched.url is None]

    async def follow(self) -> None:
        """Look at the snapshot once; start, replace and stop children as it says."""
        try:
            stat = os.stat(self._folder.snapshot)
        except FileNotFoundError:
            return
        seen = (stat.st_mtime_ns, stat.st_ino)
        if seen == self._snapshot_seen:
            return
        try:
            snapshot = snapshots.decode(self._folder.snapshot.read_bytes())
        except (OSError, snapshots.SnapshotRefused) as error:
            log.error("snapshot cannot be read", extra={"error": str(error)})
            return
        self._snapshot_seen = seen
        wanted = {name: target for name, target in snapshot.targets.items() if launched_here(target)}
        for name, launched in list(self._running.items()):
            if name not in wanted or not same_child(launched.target, wanted[name]):
                del self._running[name]
                self.write()
                await launched.stop()
        for name, target in wanted.items():
            if name not in self._running:
                self._running[name] = LaunchedTarget(target, self._folder, self._launcher, self._moved)
                self._running[name].start()

    async def stop(self) -> None:
        running, self._running = list(self._running.values()), {}
        self.write()
        await asyncio.gather(*(launched.stop() for launched in running))

    def write(self) -> None:
        """Write ``endpoints.json`` when it changed (at the start always: an earlier run may have left one)."""
        endpoints = self.endpoints
        if endpoints != self._written:
            write_atomically(self._folder.endpoints, json.dumps(endpoints, indent=1, sort_keys=True).encode())
            self._written = endpoints

    def _moved(self) -> None:
        self.write()
        self._on_change()


def launched_here(target: Target) -> bool:
    return target.provider in ("local", "simulated") and target.endpoint is None


def same_child(old: Target, new: Target) -> bool:
    """Would both be served by the same process?"""
    return (old.provider, old.model, old.simulation) == (new.provider, new.model, new.simulation)


def target_command(target: Target, folder: DataFolder, port_file: Path, profile: Path) -> list[str]:
    """How the child of a target is started; it writes its port once it listens."""
    if target.provider == "simulated":
        ledger = port_file.with_suffix(".ledger.jsonl")
        return child.command(
            "simulated", "--port-file", str(port_file), "--profile", str(profile), "--ledger", str(ledger)
        )
    return child.command("local", "--port-file", str(port_file), "--data", str(folder.root))
