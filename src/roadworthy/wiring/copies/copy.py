"""The disposable copy for correlated drills: a control and a gateway of their own in a temporary folder.

It serves the configuration and the release of the live install, but for where they lead: misbehaving servers of this
process stand for every target, and nobody outside is told, asked or exported to (no helpdesk, notifier, telemetry or
HTTP check).  Its processes know none of our secrets and end with the thread that started them.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.engine.ports import Launcher
from roadworthy.fallback.drills import reading
from roadworthy.fallback.drills.asking import Example, good_answer, guards, nonce_of, question
from roadworthy.fallback.drills.copy import Fault, Missed
from roadworthy.fallback.drills.listener import FaultServer
from roadworthy.fallback.drills.model import Drill, Seen
from roadworthy.gateway import snapshot as snapshots
from roadworthy.inference_log import segments
from roadworthy.inference_log.model import Filter
from roadworthy.operations.drills.drill import called
from roadworthy.wiring.copies.copied import Original
from roadworthy.wiring.copies.install import PATIENCE, POLL, CopiedInstall, CopyFailed, new_root
from roadworthy.wiring.processes.launcher import python
from roadworthy.workflow.inference import Inference

PREFIX = "roadworthy-drill-"
MOST_RECORDS = 500
WORKER = "roadworthy.wiring.copies.copy_worker"


class DisposableCopy(CopiedInstall):
    """``fallback.drills.copy.Copy``."""

    def __init__(
        self, original: Original, drill: Drill, root: Path, launcher: Launcher, example: Example, worker: str
    ) -> None:
        """``worker``: module that runs the gateway."""
        super().__init__(original, root, launcher)
        self._drill = drill
        self._example = example
        self._worker = worker
        self._clock, self._disk = root / "clock", root / "disk"
        self._nonce = nonce_of(secrets.randbits(48))
        self._servers: dict[str, FaultServer] = {}
        self._dead: list[Path] = []
        """Segments of workers that were killed."""

    async def start(self) -> None:
        """Raises ``CopyFailed``."""
        for name in self.release.behaviour.targets:
            well = msgspec.structs.replace(self._drill, fault=None)
            server = FaultServer(well, good_answer(self.release, name, self._example), name, self._nonce)
            self._servers[name] = server
            await server.start()
        await self._start_control({name: server.url for name, server in self._servers.items()})
        await self._start_gateway()

    async def close(self) -> None:
        await super().close()
        for server in self._servers.values():
            await server.stop()

    # --- the scene

    async def ask(self, *, stream: bool = False) -> Seen:
        seen = await self._call(stream)
        until = time.monotonic() + 5.0
        while seen.inference:
            record = next((one for one in await self.records() if one.id == seen.inference), None)
            if record is not None or time.monotonic() > until:
                seen = reading.with_record(seen, record)
                break
            await asyncio.sleep(POLL)
        seen.sent = [sent for server in self._servers.values() for sent in server.sent]
        return seen

    async def ask_many(self, count: int, *, stream: bool = False) -> list[Seen]:
        return list(await asyncio.gather(*(self._call(stream) for _ in range(count))))

    def targets(self, fault: Fault | None, names: Sequence[str] = ()) -> None:
        for name in names or self._servers.keys() - guards(self.release):
            server = self._servers[name]
            server.drill = msgspec.structs.replace(self._drill, fault=fault)

    async def kill_control(self) -> None:
        await self._kill("control")

    @property
    def others(self) -> list[str]:
        first = self.release.behaviour.target
        return [name for name in self._servers if name != first and name not in guards(self.release)]

    async def begun(self, calls: int) -> None:
        def all_of_them(told: dict[str, Any]) -> bool:
            ended: int = sum(count["count"] for count in told["inferences"])
            return ended + int(told["in_flight"]) >= calls

        await self._told(f"{calls} calls begun", all_of_them)

    async def kill_gateway(self) -> None:
        await self._kill("gateway")
        self._dead += [name.path(self.folder.journal) for name in segments.segments(self.folder.journal)]
        try:
            await self._start_gateway()
        except CopyFailed as failed:
            raise Missed("a new worker", "ready", str(failed)) from failed

    async def lose_state(self) -> None:
        def spoil() -> None:
            for suffix in ("-wal", "-shm"):
                Path(f"{self.folder.state_db}{suffix}").unlink(missing_ok=True)
            self.folder.state_db.write_bytes(b"this was a database " * 4096)

        await asyncio.to_thread(spoil)

    async def fill_journal(self) -> None:
        used = sum(path.stat().st_size for path in self.folder.journal.rglob("*") if path.is_file())
        write_atomically(self._disk, f"{used}\n{self.folder.journal}".encode())

    async def jump_clock(self, seconds: float) -> None:
        write_atomically(self._clock, f"{seconds:g}".encode())

    async def go_back(self) -> None:
        def older() -> None:
            found = snapshots.decode(self.folder.snapshot.read_bytes())
            stale = msgspec.structs.replace(found, seq=0, epoch=0, made_at=0.0, workflows={}, releases={}, keys={})
            write_atomically(self.folder.snapshot, snapshots.encode(stale))

        await asyncio.to_thread(older)
        await self._told(
            "a look at the older snapshot", lambda told: told["snapshots_refused"] > 0 or told["snapshot_seq"] == 0
        )

    async def records(self) -> list[Inference]:
        until = time.monotonic() + PATIENCE
        while not self._ended["control"].done() and any(path.exists() for path in self._dead):
            if time.monotonic() > until:
                raise Missed("the journal of a dead worker", "recovered by control", f"not in {PATIENCE:g} s")
            await asyncio.sleep(POLL)
        return await asyncio.to_thread(self._records)

    # --- its parts

    async def _told(self, what: str, good: Callable[[dict[str, Any]], bool]) -> None:
        """Until the worker's own counters say so."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for told in await self._internal.counters([self.folder.worker_socket(0)]):
                if good(told):
                    return
            await asyncio.sleep(POLL)
        raise Missed(what, f"in {PATIENCE:g} s", "not")

    async def _call(self, stream: bool) -> Seen:
        assert self._client is not None
        body = question(self.release, stream=stream, user="drill")
        seen = await called(self._client, self.base_url, self._token, self.release, body, stream=stream)
        seen.asked = body.get("messages", [])
        return seen

    async def _start_gateway(self) -> None:
        fd = self._listener.fileno()
        arguments = ["--data", str(self.folder.root), "--worker", "0", "--workers", "1", "--fd", str(fd)]
        command = python(self._worker, "--clock", str(self._clock), "--disk", str(self._disk), "--", *arguments)
        await self._start("gateway", command, fd)
        await self._until_answered()

    def _records(self) -> list[Inference]:
        found: dict[str, Inference] = {}
        for name in segments.segments(self.folder.journal):
            try:
                lines = segments.scan(name.path(self.folder.journal), read_bytes=1 << 28).lines
            except OSError:  # shipped and removed meanwhile: the log has it
                continue
            found.update({line.value.id: line.value for line in lines if isinstance(line.value, Inference)})
        logged = self._logged()
        for record in logged:  # both have it until its segment is gone; told in two ways it would be there twice
            if record.id in found and found[record.id].outcome == record.outcome:
                del found[record.id]
        return [*logged, *found.values()]

    def _logged(self) -> list[Inference]:
        if not self.folder.log_db.exists():
            return []
        log = SqliteLog(self.folder.log_db, self.folder.cold)
        try:
            return log.find(Filter(), limit=MOST_RECORDS).items
        finally:
            log.close()


@asynccontextmanager
async def disposable(
    original: Original,
    drill: Drill,
    launcher: Launcher,
    example: Example,
    *,
    worker: str = WORKER,
) -> AsyncIterator[DisposableCopy]:
    """A copy that is gone, folder and processes, when the block is left.  Raises ``CopyFailed``."""
    root = await asyncio.to_thread(new_root, PREFIX)
    copy = DisposableCopy(original, drill, root, launcher, example, worker)
    try:
        await copy.start()
        yield copy
    finally:
        await copy.close()
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
