"""A joined gateway's line to control: it joins, pulls what changed, shows that it lives, and leaves in order.

Rule: the gateway serves whatever becomes of the line.  What is pulled is put in place whole or not at all; a control
that is dead, restarting or another install's changes nothing here, and is asked again after a growing pause.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.gateway.snapshot import SnapshotRefused, decode
from roadworthy.operations.gateways import Joined, Joining, Pull, Pulled
from roadworthy.wiring.fleet.parts import keep_parts
from roadworthy.wiring.folders.data_folder import DataFolder, DataFolderError
from roadworthy.wiring.folders.gateway_folder import Mark, accept, keep_signing_pub
from roadworthy.wiring.processes.internal import Internal
from roadworthy.wiring.processes.keeper import restart_pause

log = logging.getLogger("roadworthy.link")

PULL_EVERY = 0.2
"""Seconds between two looks at what is new: as often as workers look at the snapshot."""
PATIENCE = 5.0
"""Seconds for an answer of control, which may be busy."""
HASTE = 1.0
"""The same while callers wait for a gateway to start that could serve without."""
LONGEST_PAUSE = 5.0
"""Most seconds until a silent control is asked again."""

T = TypeVar("T")


class Silent(Exception):
    """Control does not answer."""


class NotJoined(Exception):
    """Control answers, and said no; the message is control's."""


class Link:
    """One gateway's."""

    def __init__(
        self,
        folder: DataFolder,
        mark: Mark,
        joining: Callable[[], Joining],
        internal: Internal,
        *,
        patience: float = PATIENCE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``joining``: what to say of this gateway now."""
        self._folder = folder
        self._mark = mark
        self._control = Path(mark.control)
        self._joining = joining
        self._internal = internal
        self._patience = patience
        self._sleep = sleep
        self._joined = False
        self._stamp = ""
        self._trouble = ""

    async def run(self) -> None:
        """Keep the line until cancelled."""
        failures = 0
        while True:
            try:
                if not self._joined:
                    await self.join()
                await self.pull()
            except (Silent, NotJoined, DataFolderError, OSError) as error:
                failures += 1
                self._told(str(error))
            else:
                failures = 0
                self._told("")
            await self._sleep(PULL_EVERY if failures == 0 else restart_pause(failures, LONGEST_PAUSE))

    async def join(self) -> Mark:
        """Raises ``Silent``, ``NotJoined``, ``DataFolderError`` (control is another install's) or ``OSError``."""
        asking = msgspec.structs.replace(self._joining(), first=self._mark.first or 0)
        joined = await self._ask("join", asking, Joined)
        assert joined is not None
        self._mark = accept(self._folder, self._mark, joined)
        self._joined, self._stamp = True, ""
        return self._mark

    async def pull(self) -> None:
        """Take what is new.  Raises as ``join`` does."""
        pulled = await self._ask("pull", Pull(self._mark.name, self._stamp), Pulled, unknown=True)
        if pulled is None:  # a control that has forgotten us, or was restored
            self._joined = False
            return
        if pulled.stamp == self._stamp:
            return
        keep_signing_pub(self._folder, pulled.signing_pub)  # first: the snapshot may be the first under a new key
        keep_parts(self._folder.parts_file, pulled.parts)
        _put(self._folder.settings, bytes(pulled.settings))
        snapshot = bytes(pulled.snapshot)
        try:
            if snapshot:
                decode(snapshot)
        except SnapshotRefused as error:
            raise NotJoined(f"control's snapshot cannot be served: {error}") from error
        _put(self._folder.snapshot, snapshot)
        self._stamp = pulled.stamp

    async def leave(self) -> None:
        """Say that this gateway ended in good order; a control that does not hear it ships the journal anyway."""
        if not self._joined:
            return
        try:
            await self._ask("leave", {"name": self._mark.name}, dict, unknown=True)
        except (Silent, NotJoined) as error:
            log.warning("left without a word of control", extra={"reason": str(error)})

    async def _ask(self, what: str, body: object, kind: type[T], *, unknown: bool = False) -> T | None:
        """Control's answer; ``None``: it does not know this gateway, where that is ``unknown`` and no error."""
        answer = await self._internal.post(
            self._control, f"/v1/gateways/{what}", msgspec.json.encode(body), timeout=self._patience
        )
        if answer is None:
            raise Silent(f"{self._control}: control does not answer")
        status, data = answer
        if status == 404 and unknown:
            return None
        if status != 200:
            raise NotJoined(_message(status, data))
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.MsgspecError as error:
            raise NotJoined(f"control's answer cannot be read: {error}; run the same version of both") from error

    def _told(self, trouble: str) -> None:
        """A line when something changed, not one a look."""
        if trouble and trouble != self._trouble:
            log.warning("control cannot be reached, serving on", extra={"reason": trouble})
        elif self._trouble and not trouble:
            log.info("control is back", extra={"gateway": self._mark.name})
        self._trouble = trouble


def _put(path: Path, data: bytes) -> None:
    if data and (not path.exists() or path.read_bytes() != data):
        write_atomically(path, data)


class _Said(msgspec.Struct):
    message: str = ""


class _Error(msgspec.Struct):
    error: _Said = msgspec.field(default_factory=_Said)


def _message(status: int, data: bytes) -> str:
    try:
        said = msgspec.json.decode(data, type=_Error).error.message
    except msgspec.MsgspecError:
        said = ""
    return said or f"control answered {status}"
