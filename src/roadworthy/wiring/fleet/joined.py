"""``roadworthy gateway``: one more gateway of an install, with a supervisor, workers and a data folder of its own.

It joins control over control's socket and serves from then on with or without it (``link.py``).  Control ships its
journal, lends it budgets and pushes kill switches straight to its workers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from roadworthy.adapters.telemetry.logs import configure
from roadworthy.operations.gateways import Joining
from roadworthy.wiring.fleet import ledgers
from roadworthy.wiring.fleet.link import HASTE, PATIENCE, Link, NotJoined, Silent
from roadworthy.wiring.folders import gateway_folder
from roadworthy.wiring.folders.data_folder import DataFolder, DataFolderError, FolderLock
from roadworthy.wiring.folders.gateway_folder import Mark
from roadworthy.wiring.processes import supervising
from roadworthy.wiring.processes.internal import Internal
from roadworthy.wiring.processes.launcher import LinuxLauncher
from roadworthy.wiring.processes.sockets import bound, check_socket_path
from roadworthy.wiring.processes.supervising import Say
from roadworthy.wiring.worker.place import Place
from roadworthy.workflow.model import Settings


class JoinFailed(Exception):
    """Control did not let this gateway join; the message says why."""


class Options(msgspec.Struct, frozen=True):
    """What ``roadworthy gateway`` was asked for."""

    data: str
    control: str
    """Control's socket."""
    name: str
    listen: str
    metrics: str = "127.0.0.1:0"
    workers: int | None = None
    """``None``: as many as configured for the install."""
    grace: float = 30.0


class Supervisor(supervising.Supervisor):
    """The workers of one joined gateway, and its link."""

    def __init__(self, place: Place, count: int, mark: Mark, joining: Callable[[], Joining], **more: Any) -> None:
        super().__init__(place, count, **more)
        self._link = Link(place.folder, mark, joining, self._internal)

    def _helpers(self) -> dict[str, Coroutine[Any, Any, None]]:
        return {**super()._helpers(), "link": self._link.run()}

    async def _announce_more(self) -> None:
        self._say(f"gateway {self._place.name} joined {self._place.control}")

    async def _after_workers(self) -> None:
        await self._link.leave()


def gateway(options: Options, *, say: Say = print) -> int:
    """Run one more gateway in the foreground.  Returns the exit code.

    Raises ``DataFolderError``, ``CannotListen`` or ``JoinFailed`` before anything is started.
    """
    started = time.monotonic()
    control = Path(options.control).absolute()
    configure(f"gateway {options.name}")
    if not _joined_before(options):
        gateway_folder.vet_control(control)
    folder, mark = gateway_folder.prepare(options.data, control, options.name)
    with FolderLock(folder.supervisor_lock, purpose="roadworthy gateway"):
        check_socket_path(folder.worker_socket(999))
        listener, metrics = supervising.listeners(folder, {"--listen": options.listen, "--metrics": options.metrics})
        supervising.clear_run(folder)

        def joining() -> Joining:
            return Joining(options.name, str(folder.root), count, listen=bound(listener), metrics=bound(metrics))

        count = options.workers or _configured(folder) or 1
        try:
            mark = asyncio.run(_first_join(folder, mark, joining, say))
            count = options.workers or _configured(folder) or 1
        except BaseException:
            listener.close()
            metrics.close()
            raise
        assert mark.first is not None
        place = Place(folder, control, mark.name, mark.first)
        ledgers.prepare(folder, count)

        def make() -> Supervisor:
            return Supervisor(
                place, count, mark, joining, listener=listener, metrics=metrics, grace=options.grace,
                launcher=LinuxLauncher(), say=say, started=started,
            )  # fmt: skip

        return supervising.run_until_stopped(make, listener, metrics)


async def _first_join(folder: DataFolder, mark: Mark, joining: Callable[[], Joining], say: Say) -> Mark:
    """Join before serving, so that the workers have their numbers, keys and a fresh snapshot.

    Fails open for a gateway that joined before: with control silent it serves what it has.
    """
    internal = Internal()
    link = Link(folder, mark, joining, internal, patience=PATIENCE if mark.first is None else HASTE)
    try:
        mark = await link.join()
        await link.pull()
    except Silent as silent:
        if mark.first is None:
            raise JoinFailed(f"{silent}; start it with `roadworthy up` and try again") from silent
        say(f"{silent}: serving what this gateway has, and asking again")
    except NotJoined as refused:
        raise JoinFailed(str(refused)) from refused
    finally:
        await internal.close()
    return mark


def _joined_before(options: Options) -> bool:
    known = gateway_folder.mark_of(Path(options.data))
    return known is not None and known.first is not None


def _configured(folder: DataFolder) -> int | None:
    try:
        return msgspec.json.decode(folder.settings.read_bytes(), type=Settings).workers
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise DataFolderError(f"{folder.settings}: cannot be read ({error}); run the same version of both") from error
