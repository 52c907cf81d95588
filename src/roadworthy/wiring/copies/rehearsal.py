"""The disposable copy in which a load test is rehearsed: the real release, ladder and limits, served by as many workers
as the install has, in front of simulated targets.

Every target of the release has a simulated one of its own, as the profile says that was fitted to the first of them;
those that only checks ask say that all is well, at once.  The copy signs its own permits.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from roadworthy.adapters.providers import child
from roadworthy.adapters.providers.simulated_script import Sent
from roadworthy.adapters.signatures import Ed25519Signer
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.engine.ports import Launcher
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.fallback.drills.asking import guards
from roadworthy.inference_log.model import Filter
from roadworthy.operations.loading.model import Kill
from roadworthy.wiring.copies.copied import Original
from roadworthy.wiring.copies.install import PATIENCE, POLL, CopiedInstall, CopyFailed, new_root
from roadworthy.wiring.processes.launcher import python
from roadworthy.workflow.inference import Inference

PREFIX = "roadworthy-rehearsal-"
SAYS_SAFE: Mapping[str, Any] = {"answers": ["safe"]}
"""Profile of a target that only checks ask."""
CONFIRM = 10.0
"""Seconds that gateways have to confirm a stop."""
SETTLING = 3.0
"""Seconds after a stop in which an attempt would still be seen."""


class Rehearsal(CopiedInstall):
    """``operations.loading.ports.Rehearsed``."""

    def __init__(
        self, original: Original, profile: Mapping[str, Any], workers: int, root: Path, launcher: Launcher
    ) -> None:
        super().__init__(original, root, launcher)
        self._profile = profile
        self._workers = workers
        self._names: dict[str, str] = {}
        """Target → name of its files."""

    async def start(self) -> None:
        """Raises ``CopyFailed``."""
        only_checks = guards(self.release)
        for place, name in enumerate(self.release.behaviour.targets):
            self._names[name] = f"target-{place}"
            await self._start_target(self._names[name], SAYS_SAFE if name in only_checks else self._profile)
        urls = {name: await self._url(file) for name, file in self._names.items()}
        await self._start_control(urls)
        fd = self._listener.fileno()
        workers = [f"gateway-{number}" for number in range(self._workers)]
        for number, name in enumerate(workers):
            arguments = ["--worker", str(number), "--workers", str(self._workers), "--fd", str(fd)]
            command = python("roadworthy.wiring.gateway", "--data", str(self.folder.root), *arguments)
            await self._start(name, command, fd)
        await self._until_answered(workers)

    def token(self, permit: Permit) -> str:
        """A permit of the copy, for the release as the copy has it."""
        made = msgspec.structs.replace(permit, digest=self.served_digest)
        return sealed(made, Ed25519Signer(self.folder.signing_key()))

    def records(self, permit: str) -> list[Inference]:
        """What the copy's log has of the calls of a permit.  Blocks."""
        if not self.folder.log_db.exists():
            return []
        log = SqliteLog(self.folder.log_db, self.folder.cold)
        try:
            return list(log.scan(Filter(key=permit)))
        finally:
            log.close()

    async def kill(self) -> Kill:
        """Press the kill switch of the workflow, as anybody may, under whatever load there is."""
        workflow = self.release.workflow
        pressed = time.time()
        body = {"workflow": workflow, "reason": "a rehearsal of a load test", "wait": CONFIRM}
        answer = await self._internal.post(
            self.folder.control_socket, "/v1/kill", msgspec.json.encode(body), timeout=CONFIRM + PATIENCE
        )
        took = time.time() - pressed
        if answer is None or answer[0] != 200:
            said = "it did not answer" if answer is None else answer[1][:300].decode("utf-8", "replace")
            raise CopyFailed(f"the kill switch of the copy was not pressed: {said}")
        await asyncio.sleep(SETTLING)
        attempts = await asyncio.to_thread(self._attempts)
        last = max((at for at in attempts if at >= pressed), default=pressed)
        return Kill(
            workflow=workflow,
            said=f"the kill switch of {workflow} in the copy, under the full rate; no live call was touched",
            seconds=last - pressed,
            late=sum(at > pressed + took for at in attempts),
            acknowledged=took,
        )

    # --- its parts

    def _attempts(self) -> list[float]:
        """When each attempt reached a simulated target (Unix seconds)."""
        found: list[float] = []
        for file in self._names.values():
            ledger = self._root / f"{file}.ledger"
            lines = ledger.read_bytes().split(b"\n") if ledger.exists() else []
            found += [_sent(line).ts for line in lines if line]
        return found

    async def _start_target(self, file: str, profile: Mapping[str, Any]) -> None:
        path = self._root / f"{file}.json"
        path.write_bytes(msgspec.json.encode(profile))
        command = child.command(
            "simulated", "--profile", str(path), "--port-file", str(self._root / f"{file}.port"), "--ledger",
            str(self._root / f"{file}.ledger"),
        )  # fmt: skip
        await self._start(file, command)

    async def _url(self, file: str) -> str:
        port, until = self._root / f"{file}.port", time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if port.exists() and (text := port.read_text().strip()):
                return f"http://127.0.0.1:{text}/v1"
            if self._ended[file].done():
                break
            await asyncio.sleep(POLL)
        raise CopyFailed(f"the simulated target did not start: {self._last_words(file)}")


_sent = msgspec.json.Decoder(Sent).decode


@asynccontextmanager
async def rehearsal(
    original: Original, profile: Mapping[str, Any], workers: int, launcher: Launcher
) -> AsyncIterator[Rehearsal]:
    """A copy that is gone, folder and processes, when the block is left.  Raises ``CopyFailed``."""
    root = await asyncio.to_thread(new_root, PREFIX)
    copy = Rehearsal(original, profile, workers, root, launcher)
    try:
        await copy.start()
        yield copy
    finally:
        await copy.close()
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
