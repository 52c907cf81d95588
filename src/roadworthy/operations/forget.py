"""Forget a user, in every store, and prove it by search.

Order: live gateways begin a new journal segment; the journal is shipped and its old files deleted, so that what
waited there is in the log; the log writes a tombstone and deletes; the other stores delete; then every store is
searched for the user.  What a gateway that did not answer still holds in its segment is said aloud: the file goes
when the segment rotates, and nothing of it can come back, because the tombstone drops such lines at every later
shipment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from roadworthy.inference_log import segments
from roadworthy.inference_log.ports import LogStore
from roadworthy.inference_log.service import Journals, Shipper
from roadworthy.workflow.inference import Seal


class Eraser(Protocol):
    """A store beside the log that may know of a user (escalations, caches, reports, example sets)."""

    @property
    def name(self) -> str: ...

    def forget(self, unit: str, at: float) -> int:
        """Delete what is known of the unit until ``at`` → how much."""

    def search(self, unit: str) -> int:
        """What is left."""


class Forgotten(msgspec.Struct, frozen=True):
    """What was deleted and what a search found afterwards."""

    unit: str
    at: float
    deleted: dict[str, int]
    """Store → rows."""
    found: dict[str, int]
    """Store → occurrences after the deletion; raw files are searched for the text itself, so a short user id may
    be found inside other words."""
    waiting: dict[str, int]
    """Segment that a live gateway still writes to → lines of the user in it.  Never stored; gone at rotation."""
    note: str = ""

    @property
    def complete(self) -> bool:
        """Nothing of the user is left in any store (live segments aside)."""
        return not any(self.found.values())


class UnitRefused(ValueError):
    """Not a user that can be forgotten."""


class Forgetter:
    """Fails closed: an error of any store leaves the tombstone in force and is raised; run it again to finish."""

    def __init__(
        self,
        store: LogStore,
        shipper: Shipper,
        journal: Path | Journals,
        others: Sequence[Eraser] = (),
        *,
        rotate: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``rotate`` has every live gateway begin a new journal segment."""
        self._rotate = rotate
        self._store = store
        self._shipper = shipper
        self._journals: Journals = (lambda: (journal,)) if isinstance(journal, Path) else journal
        self._others = others
        self._now = now

    def forget(self, unit: str) -> Forgotten:
        """Forget everything of a unit up to now.  Raises ``UnitRefused`` for an empty one."""
        if not unit.strip():
            raise UnitRefused("the user is empty: give the value of x-roadworthy-user, for example u-42")
        at = self._now()
        self._rotate()
        self._shipper.ship()
        deleted = self._store.forget(unit, at)
        for other in self._others:
            deleted[other.name] = other.forget(unit, at)
        self._shipper.ship()
        self._store.rollup(self._now())
        found = self._store.search(unit)
        for other in self._others:
            found[other.name] = other.search(unit)
        waiting = self._waiting(unit)
        note = ""
        if waiting:
            note = (
                "a live gateway still writes to these segments; they are deleted when they rotate or the gateway "
                "restarts, and their lines about this user are never stored"
            )
        return Forgotten(unit, at, deleted, found, waiting, note)

    def _waiting(self, unit: str) -> dict[str, int]:
        counts: dict[str, int] = {}
        for name, path in segments.places(self._journals()).items():
            offset, at_end, lines = 0, False, 0
            while not at_end:
                try:
                    scan = segments.scan(path, offset)
                except FileNotFoundError:
                    break
                lines += sum(_unit(line.value) == unit for line in scan.lines)
                at_end = scan.at_end
                offset = scan.offset
            if lines:
                counts[f"journal/{name.worker}/{name.file}"] = lines
        return counts


def _unit(line: object) -> str | None:
    return None if isinstance(line, Seal) else getattr(line, "unit", None)
