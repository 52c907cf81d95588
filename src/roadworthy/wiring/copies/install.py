"""What every disposable copy of an install is made of: a data folder, a control and gateway workers of its own.

Its processes know none of our secrets and end with the thread that started them; its folder goes with them, and what a
killed maker left is removed by the next.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine.ports import Launcher, Process
from roadworthy.evidence.kinds import DAY
from roadworthy.evidence.model import Waiver
from roadworthy.evidence.service import Ledger
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.operations.keys import Keys, KeySpec
from roadworthy.wiring.copies.copied import Original, led_astray
from roadworthy.wiring.folders.data_folder import DataFolder, create_folder
from roadworthy.wiring.processes.internal import Internal
from roadworthy.wiring.processes.launcher import python
from roadworthy.wiring.processes.sockets import listen_tcp
from roadworthy.workflow.model import Configuration, Release
from roadworthy.workflow.ports import AppliedConfiguration
from roadworthy.workflow.service import Actor

PATIENCE = 30.0
"""Seconds for a process of the copy to be there."""
POLL = 0.05
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "TMPDIR")


class CopyFailed(OSError):
    """The copy could not be made or does not answer."""


class CopiedInstall:
    """Its folder and processes.  Whoever derives from it starts what stands for the targets."""

    def __init__(self, original: Original, root: Path, launcher: Launcher) -> None:
        self.release: Release = original.frozen.release
        self._original = original
        self._root = root
        self._launcher = launcher
        self._processes: list[Process] = []
        self._by_name: dict[str, Process] = {}
        self._ended: dict[str, asyncio.Task[int]] = {}
        """Name → exit code, once it has one."""
        self._internal = Internal()
        self._listener = listen_tcp("127.0.0.1:0", "--listen")
        self._client: Client | None = None
        self._token = ""
        self.served_digest = ""
        """Of the release with its targets led astray, once it is served."""
        self.folder = DataFolder(root / "data")

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    async def _start_control(self, urls: dict[str, str]) -> None:
        """``urls``: target → what stands for it."""
        await asyncio.to_thread(self._fill, urls)
        self._client = Client(guard=AddressGuard(allowed=[Origin.from_url(self.base_url)]))
        await self._start("control", python("roadworthy.wiring.control", "--data", str(self.folder.root)))

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
        await self._internal.close()
        for process in self._processes:
            process.kill()
            await process.wait()
        self._listener.close()

    def _fill(self, urls: dict[str, str]) -> None:
        """The copy's data folder: configuration, release, one key."""
        create_folder(self.folder.root)
        state = SqliteState(self.folder.state_db)
        try:
            configuration, frozen = led_astray(self._original, urls)
            self.served_digest = frozen.release.digest
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

    async def _until_answered(self, names: Sequence[str] = ("gateway",)) -> None:
        """Until the workers of these names are ready.  Raises ``CopyFailed``."""
        assert self._client is not None
        origin = Origin.from_url(self.base_url)
        made = head(b"GET", b"/readyz", origin, [])
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for name in names if self.folder.snapshot.exists() else ("control", *names):
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


def new_root(prefix: str) -> Path:
    """A folder that the next maker removes should this one be killed; what killed ones have left is removed now."""
    sweep(prefix)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))


def sweep(prefix: str) -> None:
    """Remove the folders of copies whose maker was killed.  Two sweep at once: what is gone already is no error."""
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*-*"):
        maker = left.name.removeprefix(prefix).partition("-")[0]
        if not maker.isdigit() or Path(f"/proc/{maker}").exists():
            continue
        with suppress(FileNotFoundError):
            if left.stat().st_uid == os.geteuid():
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
