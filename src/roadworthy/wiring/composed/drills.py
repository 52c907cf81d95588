"""Drills, composed: who signs, where misbehaving servers live, and what people heard."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.adapters.providers.simulated_answer import example
from roadworthy.adapters.signatures import Ed25519Signer
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine.ports import Launcher
from roadworthy.fallback.drills.host import LONGEST_LINE, Order, Report, Stand
from roadworthy.fallback.drills.model import Drill, Sent, Wire
from roadworthy.fallback.drills.wires import played
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.inference_log.service import Log, Shipper
from roadworthy.operations.drills.drill import Heard, Ports, Subject
from roadworthy.operations.drills.drill_runs import AfterRun, DrillRefused, DrillRuns
from roadworthy.operations.notices import notices
from roadworthy.wiring.copies.copied import Original
from roadworthy.wiring.copies.copy import DisposableCopy, disposable
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.processes.launcher import LinuxLauncher, python
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Release, Settings
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Unknown
from roadworthy.workflow.simulation import Seeded

HOST = "roadworthy.fallback.drills.host"
STOP_GRACE = 2.0


class HostProcess:
    """``Faults`` over the socket of a host process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()
        self._reports = msgspec.json.Decoder(Report)

    async def begin(self, call: int, drill: str, nonce: str, targets: Mapping[str, Stand]) -> dict[str, str]:
        return (await self._told(Order(call, drill, nonce, dict(targets)))).urls

    async def end(self, call: int) -> list[Sent]:
        return (await self._told(Order(call))).sent

    async def _told(self, order: Order) -> Report:
        async with self._turn:
            self._writer.write(msgspec.json.encode(order) + b"\n")
            await self._writer.drain()
            line = await self._reader.readline()
        if not line:
            raise OSError("the process of the misbehaving servers has ended")
        report = self._reports.decode(line)
        if report.error:
            raise OSError(f"a misbehaving server cannot be started: {report.error}")
        return report


class HostProcesses:
    """``FaultProcesses``: each a child that ends with the socket, with its parent, and after its time to live."""

    def __init__(self, folder: DataFolder, launcher: Launcher) -> None:
        self._folder = folder
        self._launcher = launcher

    @asynccontextmanager
    async def open(self, ttl: float) -> AsyncIterator[HostProcess]:
        async with leased(self._launcher, HOST, ttl, self._folder.run / "drills.log", LONGEST_LINE) as (reader, writer):
            yield HostProcess(reader, writer)


@asynccontextmanager
async def leased(
    launcher: Launcher, module: str, ttl: float, log: Path, longest_line: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A child that obeys over a socket, and ends with it, with its parent, and after ``ttl`` seconds."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = await launcher.start(
            python(module, "--fd", str(theirs.fileno()), "--ttl", f"{ttl:.0f}"),
            log=log,
            pass_fds=[theirs.fileno()],
            orphan_signal=signal.SIGKILL,
        )
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=longest_line)
        try:
            yield reader, writer
        finally:
            writer.close()
            try:
                async with asyncio.timeout(STOP_GRACE):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


class Drilling:
    """Everything of control that is about drills."""

    def __init__(
        self,
        state: SqliteState,
        folder: DataFolder,
        signer: Ed25519Signer,
        *,
        snapshot: Callable[[], Snapshot | None],
        settings: Callable[[], Settings],
        base_url: Callable[[], str],
        log: Log,
        shipper: Shipper,
        find: Callable[[str, str], Release],
        after: AfterRun,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``find``: (workflow, as it was named) → a release; ``after``: what is made of a run that has ended."""
        self._find = find
        self._state = state
        self._launcher = LinuxLauncher()
        self._snapshot = snapshot
        self._settings = settings
        self._log = log
        self._shipper = shipper
        ports = Ports(
            signer=signer,
            faults=HostProcesses(folder, self._launcher),
            base_url=base_url,
            record=self._record,
            heard=self._heard,
            copy=self._copy,
            example=_example,
            clock=clock,
        )
        self.runs = DrillRuns(state, state, ports, self._subject, after=after)

    def _record(self, inference: str) -> Inference | None:
        self._shipper.ship()
        entry = self._log.get(inference)
        return None if entry is None else entry.inference

    def _heard(self, record: Inference) -> Heard:
        """What the record gave cause for and people were told, as state has it."""
        zone = ZoneInfo(self._settings().timezone)
        with self._state.read() as tx:
            found = [tx.newest_incident(notice.key) for notice in notices(record, zone)]
            incidents = [incident for incident in found if incident is not None and record.id in incident.inferences]
            if not incidents:
                return Heard()
            first = next((one for one in incidents if one.kind == "incident"), incidents[0])
            notified = None
            if self._settings().notify is not None:
                notified = any(delivery.drill for delivery in tx.deliveries(about=record.id, limit=20))
        return Heard(first.kind, first.role, notified)

    def _copy(self, release: Release, drill: Drill) -> AbstractAsyncContextManager[DisposableCopy]:
        snapshot = self._snapshot()
        with self._state.read() as tx:
            applied = tx.applied()
            frozen = tx.release(release.digest)
        assert snapshot is not None
        assert applied is not None
        assert frozen is not None
        original = Original(
            applied.configuration, msgspec.structs.replace(frozen, release=release), dict(snapshot.prices)
        )
        return disposable(original, drill, self._launcher, _example)

    def _subject(self, workflow: str, by: str, named: str) -> Subject:
        snapshot = self._snapshot()
        served = None if snapshot is None else snapshot.workflows.get(workflow)
        if snapshot is None or served is None:
            known = snapshot.workflows if snapshot is not None else ()
            raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, known)}")
        digest = self._find(workflow, named).digest if named else served.release
        if digest is None:
            raise DrillRefused(f"'{workflow}' serves no release; freeze one: roadworthy freeze {workflow}")
        release = snapshot.releases.get(digest)
        if release is None:
            raise DrillRefused(
                f"release {digest[:16]} of '{workflow}' is at no gateway: what is served and what was frozen last are"
            )
        first = release.behaviour.target
        target = snapshot.targets.get(first)
        continues = target is not None and target.capabilities.prefill != "none"
        with self._state.read() as tx:
            draft = tx.release(digest) is None
        wire = Wire("openai", "chat", own=True) if target is None else played(target)
        return Subject(release, served.policy, first in snapshot.prices, continues, by, draft, wire)


def _example(schema: object) -> object:
    return example(schema, Seeded(1))
