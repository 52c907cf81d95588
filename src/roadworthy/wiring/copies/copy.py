"""The disposable copy for correlated drills: a control and a gateway of their own in a temporary folder.

It serves the configuration and the release of the live install, but for where they lead: misbehaving servers of this
process stand for every target, and nobody outside is told, asked or exported to (no helpdesk, notifier, telemetry or
HTTP check).  Its processes know none of our secrets and end with the thread that started them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine.ports import Launcher, Process
from roadworthy.evidence.kinds import DAY
from roadworthy.evidence.model import Waiver
from roadworthy.evidence.service import Ledger
from roadworthy.fallback.drills import reading
from roadworthy.fallback.drills.asking import Example, good_answer, guards, nonce_of, question
from roadworthy.fallback.drills.copy import Fault, Missed
from roadworthy.fallback.drills.listener import FaultServer
from roadworthy.fallback.drills.model import Drill, Seen
from roadworthy.gateway import snapshot as snapshots
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.inference_log import segments
from roadworthy.inference_log.model import Filter
from roadworthy.operations.drills.drill import called
from roadworthy.operations.keys import Keys, KeySpec
from roadworthy.wiring.copies.copied import Original, led_astray
from roadworthy.wiring.folders.data_folder import DataFolder, create_folder
from roadworthy.wiring.processes.internal import Internal
from roadworthy.wiring.processes.launcher import python
from roadworthy.wiring.processes.sockets import listen_tcp
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Configuration, Release
from roadworthy.workflow.ports import AppliedConfiguration
from roadworthy.workflow.service import Actor

PATIENCE = 30.0
"""Seconds for a process of the copy to be there."""
POLL = 0.05
PREFIX = "roadworthy-drill-"
MOST_RECORDS = 500
WORKER = "roadworthy.wiring.copies.copy_worker"
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "TMPDIR")


class CopyFailed(OSError):
    """The copy could not be made or does not answer."""


class DisposableCopy:
    """``fallback.drills.copy.Copy``."""

    def __init__(
        self, original: Original, drill: Drill, root: Path, launcher: Launcher, example: Example, worker: str
    ) -> None:
        """``worker``: module that runs the gateway."""
        self.release: Release = original.frozen.release
        self._original = original
        self._drill = drill
        self._root = root
        self._launcher = launcher
        self._example = example
        self._worker = worker
        self._clock, self._disk = root / "clock", root / "disk"
        self._nonce = nonce_of(secrets.randbits(48))
        self._servers: dict[str, FaultServer] = {}
        self._processes: list[Process] = []
        self._by_name: dict[str, Process] = {}
        self._ended: dict[str, asyncio.Task[int]] = {}
        """Name → exit code, once it has one."""
        self._dead: list[Path] = []
        """Segments of workers that were killed."""
        self._internal = Internal()
        self._listener = listen_tcp("127.0.0.1:0", "--listen")
        self._client: Client | None = None
        self._token = ""
        self.folder = DataFolder(root / "data")

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    async def start(self) -> None:
        """Raises ``CopyFailed``."""
        for name in self.release.behaviour.targets:
            well = msgspec.structs.replace(self._drill, fault=None)
            server = FaultServer(well, good_answer(self.release, name, self._example), name, self._nonce)
            self._servers[name] = server
            await server.start()
        await asyncio.to_thread(self._fill)
        self._client = Client(guard=AddressGuard(allowed=[Origin.from_url(self.base_url)]))
        await self._start("control", python("roadworthy.wiring.control", "--data", str(self.folder.root)))
        await self._start_gateway()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
        await self._internal.close()
        for process in self._processes:
            process.kill()
            await process.wait()
        for server in self._servers.values():
            await server.stop()
        self._listener.close()

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

    def _fill(self) -> None:
        """The copy's data folder: configuration, release, one key."""
        create_folder(self.folder.root)
        state = SqliteState(self.folder.state_db)
        try:
            urls = {name: server.url for name, server in self._servers.items()}
            configuration, frozen = led_astray(self._original, urls)
            with state.write() as tx:
                tx.add_configuration(AppliedConfiguration(1, time.time(), "drill", {}, configuration))
                tx.add_release(frozen)
                tx.put_forward(frozen.release.workflow, frozen.release.digest)
            keys = Keys(state, self.folder.hmac_key(), clock=time.time)
            spec = KeySpec("drill", [frozen.release.workflow], team=frozen.team)
            self._token = keys.create(spec, Actor("drill")).token
            waive_enforcement(state, Ed25519Signer(self.folder.signing_key()), configuration)
        finally:
            state.close()

    async def _start_gateway(self) -> None:
        fd = self._listener.fileno()
        arguments = ["--data", str(self.folder.root), "--worker", "0", "--workers", "1", "--fd", str(fd)]
        command = python(self._worker, "--clock", str(self._clock), "--disk", str(self._disk), "--", *arguments)
        await self._start("gateway", command, fd)
        await self._until_answered()

    async def _start(self, name: str, command: Sequence[str], *fds: int) -> None:
        environment = {key: os.environ[key] for key in KEPT_ENVIRONMENT if key in os.environ}
        process = await self._launcher.start(
            command, log=self._root / f"{name}.log", pass_fds=fds, env=environment, orphan_signal=signal.SIGKILL
        )
        self._processes.append(process)
        self._by_name[name] = process
        self._ended[name] = asyncio.ensure_future(process.wait())

    async def _kill(self, name: str) -> None:
        process = self._by_name[name]
        process.kill()
        await process.wait()

    async def _until_answered(self) -> None:
        assert self._client is not None
        origin = Origin.from_url(self.base_url)
        made = head(b"GET", b"/readyz", origin, [])
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for name in ("gateway",) if self.folder.snapshot.exists() else ("control", "gateway"):
                if self._ended[name].done():
                    raise CopyFailed(f"its {name} ended with {self._ended[name].result()}: {self._last_words(name)}")
            try:
                reply = await self._client.fetch(origin, made, b"", Clocks(1.0, 1.0, 1.0, 1.0), max_body=1 << 16)
            except Http1Error:
                await asyncio.sleep(POLL)
                continue
            if reply.status == 200:
                return
            await asyncio.sleep(POLL)
        raise CopyFailed(f"the gateway of the copy was not ready in {PATIENCE:g} s")

    def _last_words(self, name: str) -> str:
        said = (self._root / f"{name}.log").read_text(errors="replace").strip()
        return said.splitlines()[-1][:300] if said else "it said nothing"

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
    await asyncio.to_thread(_sweep)
    root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    copy = DisposableCopy(original, drill, root, launcher, example, worker)
    try:
        await copy.start()
        yield copy
    finally:
        await copy.close()
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)


def _sweep() -> None:
    """Remove the folders of copies whose maker was killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        maker = left.name.removeprefix(PREFIX).partition("-")[0]
        if maker.isdigit() and not Path(f"/proc/{maker}").exists() and left.stat().st_uid == os.geteuid():
            shutil.rmtree(left, ignore_errors=True)


def waive_enforcement(state: SqliteState, signer: Ed25519Signer, configuration: Configuration) -> None:
    """Let the copy serve what it drills to the copy's own callers; its signature is good nowhere else."""
    ledger = Ledger(state, signer, Ed25519Verifier(), clock=time.time)
    now = time.time()
    for flow in configuration.workflows.values():
        waiver = Waiver(
            id=f"wvr_{secrets.token_hex(8)}", team=flow.team, workflow=flow.name, item=None,
            person=flow.owners.workflow, reason="a disposable copy, for drills", starts=now, ends=now + DAY,
        )  # fmt: skip
        ledger.waive(waiver, (), ())
