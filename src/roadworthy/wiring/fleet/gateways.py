"""The fleet: every gateway of the install, on this machine, that control knows.

The gateway ``local`` is the one of control's own data folder and is always there.  Others joined over control's socket
and have data folders of their own.  What is known is kept in ``gateways.json``, so that a control that starts anew
knows whom to ask, whose journals to ship and who may be missing.  A gateway that left in good order stays known, so
that what it wrote and spent counts on; only ``remove`` forgets it.

Worker *n* of a gateway has the number ``first + n``, which no other worker of the install has; its journal and its
records carry the name ``w<number>``.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.cost.lending import EVERYTHING, WHOLE, Parts
from roadworthy.operations.gateways import JoinRefused
from roadworthy.wiring.fleet import ledgers
from roadworthy.wiring.fleet.parts import keep_parts
from roadworthy.wiring.folders.data_folder import DataFolder, lock_holder
from roadworthy.wiring.folders.run_facts import run_facts
from roadworthy.wiring.worker.place import LOCAL

log = logging.getLogger("roadworthy.gateways")

SPAN = 1000
"""Worker numbers that each gateway has for itself: the first joined one begins at 1000, ``local`` at 0."""
STALE = 30.0
"""Seconds without contact after which a gateway counts as stale."""
LONGEST_PERIODS = 65 * 86_400.0
"""Seconds after which no budget goes by what was so before: two months."""
KEEP_SEEN = 10.0
"""Seconds between two writes of when gateways were heard last."""
_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,39}$")
_SOCKET = re.compile(r"^worker-(\d+)\.sock$")


class Known(msgspec.Struct, frozen=True, omit_defaults=True):
    """One gateway.  Instants are Unix seconds."""

    name: str
    folder: str
    """Its data folder, absolute."""
    first: int
    """Number of its worker 0."""
    workers: int
    """How many it runs, as it said; of ``local``, as its supervisor says."""
    listen: str = ""
    metrics: str = ""
    joined_at: float = 0.0
    """When it joined last."""
    seen_at: float = 0.0
    """When it was last heard of."""
    ended_at: float | None = None
    """When it left in good order: it is not missing then."""

    @property
    def local(self) -> bool:
        return self.name == LOCAL

    @property
    def data(self) -> DataFolder:
        return DataFolder(self.folder)

    def sockets(self) -> dict[int, Path]:
        """Number → private socket of each worker that has one; whoever is dead does not answer on it."""
        return _sockets(self.data, self.first)

    def running(self) -> bool:
        """Is its supervisor alive?"""
        return lock_holder(self.data.supervisor_lock) is not None

    def stale(self, now: float) -> bool:
        """Should it be there, and was not heard of for long?"""
        return self.ended_at is None and now - self.seen_at > STALE


class _Kept(msgspec.Struct):
    """``gateways.json``."""

    gateways: list[Known] = []
    next: int = SPAN
    """First number of the next gateway: numbers are never given twice."""
    parts: dict[str, list[tuple[float, int]]] = {}
    """Gateway → its part of every budget, see ``cost.lending``; empty: ``local`` has everything."""


class Fleet:
    """Thread-safe.  Raises ``OSError`` where it cannot be kept."""

    def __init__(self, folder: DataFolder, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._path = folder.root / "gateways.json"
        self._clock = clock
        self._lock = threading.RLock()
        self._began = clock()
        self._written = 0.0
        self._kept = self._read()
        self._retired = folder.root / "retired"

    # --- asking

    def gateways(self) -> list[Known]:
        """All that are known, ``local`` first."""
        with self._lock:
            return [self._local(), *self._kept.gateways]

    def get(self, name: str) -> Known | None:
        return next((known for known in self.gateways() if known.name == name), None)

    def sockets(self) -> dict[int, Path]:
        """Number → private socket of every worker of every gateway, as ``Known.sockets``."""
        found = _sockets(self._folder, 0)
        with self._lock:
            joined = self._kept.gateways
        for known in joined:
            found.update(known.sockets())
        return found

    def journals(self) -> list[Path]:
        """The journal folder of every gateway."""
        with self._lock:
            return [self._folder.journal, *(known.data.journal for known in self._kept.gateways)]

    def numbers(self) -> list[int]:
        """Of every worker of every gateway, dead or alive, and of those of forgotten ones that have spent."""
        with self._lock:
            joined = [range(known.first, known.first + known.workers) for known in self._kept.gateways]
        return sorted({*_sockets(self._folder, 0), *self.retired(), *(number for span in joined for number in span)})

    def retired(self) -> dict[int, Path]:
        """Number → table of what it spent, of each worker of a gateway that was forgotten."""
        return {int(path.stem[1:]): path for path in self._retired.glob("w*.bin") if path.stem[1:].isdigit()}

    def tables(self) -> list[Path]:
        """What every worker has spent, see ``gateway.limits.ledger``."""
        found = list(self.retired().values())
        for known in self.gateways():
            found += ledgers.tables(known.data)
        return found

    def parts_of(self, name: str) -> Parts:
        """The gateway's part of every budget and limit."""
        with self._lock:
            return tuple(self._kept.parts.get(name, EVERYTHING if name == LOCAL else ()))

    # --- changing

    def divide(self) -> None:
        """Split budgets anew when the workers are others than last time, for the periods that begin from now on."""
        with self._lock:
            counts = {LOCAL: max(1, self._local().workers), **{one.name: one.workers for one in self._kept.gateways}}
            parts = self._kept.parts
            if len(counts) == 1 and not parts:
                return
            now, everybody = self._clock(), sum(counts.values())
            made = {}
            for name, count in counts.items():
                known = parts.get(name, [(0.0, WHOLE)] if name == LOCAL else [])
                share = WHOLE * count // everybody
                made[name] = known if known and known[-1][1] == share else [*_recent(known, now), (now, share)]
            if made != parts:
                self._keep(self._kept.gateways, self._kept.next, made)
            keep_parts(self._folder.parts_file, made[LOCAL])

    def add(
        self, name: str, folder: Path, workers: int, *, first: int = 0, listen: str = "", metrics: str = ""
    ) -> Known:
        """A gateway joins, or joins again.  Raises ``JoinRefused``.

        ``first``: the number that it was given once, which it keeps, also when this file was lost meanwhile.
        """
        with self._lock:
            self._vet(name, folder, workers)
            now = self._clock()
            known = next((one for one in self._kept.gateways if one.name == name), None)
            others = [one for one in self._kept.gateways if one.name != name]
            if known is not None:
                first = known.first
            elif first == 0:
                first = self._kept.next
            elif first % SPAN or any(one.first == first for one in others):
                raise JoinRefused(
                    f"first: worker numbers from {first} on are another gateway's; give it a new folder with --data"
                )
            joined = Known(name, str(folder), first, workers, listen, metrics, now, now)
            self._bring_back(joined)
            self._keep([*others, joined], max(self._kept.next, first + SPAN))
            self.divide()
        log.info("gateway joined", extra={"gateway": name, "folder": str(folder)})
        return joined

    def seen(self, name: str) -> bool:
        """It was heard of.  Is it known?

        Fails open: a full disk keeps no gateway from what control tells it.
        """
        now = self._clock()
        try:
            return self._change(name, lambda known: msgspec.structs.replace(known, seen_at=now), soon=False)
        except OSError as error:
            log.error("gateways.json cannot be written", extra={"path": str(self._path), "error": str(error)})
            return True

    def ended(self, name: str) -> bool:
        """It left in good order.  Is it known?"""
        now = self._clock()
        return self._change(name, lambda known: msgspec.structs.replace(known, seen_at=now, ended_at=now), soon=True)

    def remove(self, name: str) -> bool:
        """Forget a gateway that does not run.  Was it known?

        What its workers spent counts on: their tables are kept until every period that they speak of is over.
        """
        with self._lock:
            known = next((one for one in self._kept.gateways if one.name == name), None)
            if known is None:
                return False
            self._retire(known)
            self._keep([one for one in self._kept.gateways if one.name != name], self._kept.next)
            self.divide()
            return True

    def _retire(self, known: Known) -> None:
        self._retired.mkdir(mode=0o700, exist_ok=True)
        for number, path in self.retired().items():
            if self._clock() - path.stat().st_mtime > LONGEST_PERIODS:
                log.info("what a forgotten worker spent is forgotten too", extra={"worker": f"w{number}"})
                path.unlink()
        for index in range(SPAN):
            path = known.data.spend_file(index)
            if path.exists():
                shutil.move(path, kept := self._retired / f"w{known.first + index}.bin")
                os.utime(kept, (self._clock(), self._clock()))

    def _bring_back(self, known: Known) -> None:
        """One that was forgotten and is back goes on with what it had spent."""
        for number, path in self.retired().items():
            own = known.data.spend_file(number - known.first)
            if known.first <= number < known.first + SPAN and not own.exists():
                shutil.move(path, own)

    def _change(self, name: str, change: Callable[[Known], Known], *, soon: bool) -> bool:
        with self._lock:
            if all(one.name != name for one in self._kept.gateways):
                return False
            self._kept.gateways = [change(one) if one.name == name else one for one in self._kept.gateways]
            if soon or self._clock() - self._written > KEEP_SEEN:
                self._keep(self._kept.gateways, self._kept.next)
            return True

    def _vet(self, name: str, folder: Path, workers: int) -> None:
        if name == LOCAL or not _NAME.match(name):
            raise JoinRefused(
                f"name: found {name[:60]!r}, expected lower-case letters, digits and hyphens, and not {LOCAL!r}; "
                "choose another with --name"
            )
        if not 1 <= workers <= SPAN:
            raise JoinRefused(f"workers: found {workers}, expected 1 to {SPAN}")
        if not folder.is_absolute():
            raise JoinRefused(f"folder: found {str(folder)[:200]!r}, expected an absolute path")
        for known in self.gateways():
            there = Path(known.folder).resolve()
            asked = folder.resolve()
            if known.name == name and there == asked:
                continue
            if known.name == name:
                why = "is alive there" if known.running() else "left its journal there"
                raise JoinRefused(
                    f"name: the gateway {name!r} is that of {known.folder} and {why}; choose another name with --name, "
                    f"or forget that one first: roadworthy gateways --remove {name}"
                )
            if there == asked:
                raise JoinRefused(
                    f"folder: {folder} is that of the gateway {known.name!r}; give each gateway a folder of its own"
                )
            if there in asked.parents or asked in there.parents:
                raise JoinRefused(
                    f"folder: {folder} and {known.folder} of the gateway {known.name!r} are inside one another; "
                    "give each gateway a folder of its own"
                )

    def _local(self) -> Known:
        facts = run_facts(self._folder)
        count = sum(process.name.startswith("worker ") for process in facts.processes)
        running = lock_holder(self._folder.supervisor_lock) is not None
        now = self._clock()
        return Known(
            LOCAL,
            str(self._folder.root),
            0,
            count,
            facts.listen or "",
            facts.metrics or "",
            self._began,
            now if running else self._began,
            None if running else self._began,
        )

    def _read(self) -> _Kept:
        """Fails open: gateways that are not known for the moment join again by themselves within seconds."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return _Kept()
        except (OSError, ValueError, RecursionError) as error:
            log.error("gateways.json cannot be read", extra={"path": str(self._path), "error": str(error)})
            return _Kept()

    def _keep(
        self, gateways: list[Known], following: int, parts: dict[str, list[tuple[float, int]]] | None = None
    ) -> None:
        gateways = sorted(gateways, key=lambda known: known.first)
        self._kept = _Kept(gateways, following, self._kept.parts if parts is None else parts)
        write_atomically(self._path, msgspec.json.encode(self._kept))
        self._written = self._clock()


def _recent(parts: Sequence[tuple[float, int]], now: float) -> list[tuple[float, int]]:
    """Those that a period may still go by that runs now."""
    old = [since for since, _ in parts if since < now - LONGEST_PERIODS]
    return [part for part in parts if part[0] >= max(old, default=0.0)]


def _sockets(folder: DataFolder, first: int) -> dict[int, Path]:
    found = {}
    for path in folder.run.glob("worker-*.sock"):
        match = _SOCKET.match(path.name)
        if match is not None:
            found[first + int(match[1])] = path
    return dict(sorted(found.items()))
