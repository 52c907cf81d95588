"""The audit trail as people look at it: is its chain whole, what did a record change, who allowed a share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from roadworthy.people.roles import Standing
from roadworthy.workflow.audit import GENESIS, AuditRecord, Broken, Which, record_hash
from roadworthy.workflow.ports import State

CHUNK: Final = 1000
"""Records that are read at a time."""
AT_A_LOOK: Final = 200
"""Records that a look at the trail verifies: some 5 ms."""
MOST_READ: Final = 2000
"""Records that are read for a page of those that somebody may see."""
DEEPEST: Final = 12
"""Levels of a value that are told apart."""


class Checked(msgspec.Struct, frozen=True):
    """How much of the chain is known to be whole."""

    seq: int
    """The last record that was verified; 0: none."""
    newest: int
    """There is."""
    at: float | None
    """Unix seconds of the last look; ``None``: nobody looked yet."""
    broken: Broken | None = None


class TrailCheck:
    """Verifies the hash chain piece by piece, remembering where it stood; a whole look begins at the first record.

    What it remembers is in memory: after a start everything is to be verified anew.  Thread-safe; blocking.
    """

    def __init__(self, state: State, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock
        self._lock = threading.Lock()
        self._seq = 0
        self._hash = GENESIS
        self._at: float | None = None
        self._broken: Broken | None = None

    def look(self, most: int = AT_A_LOOK) -> Checked:
        """Verify at most so many records beyond those that were."""
        with self._lock:
            self._go_on(most)
            return self._checked()

    def whole(self) -> Checked:
        """Verify every record, from the first on."""
        with self._lock:
            self._seq, self._hash, self._broken = 0, GENESIS, None
            while self._go_on(CHUNK):
                pass
            return self._checked()

    def _go_on(self, most: int) -> bool:
        """Returns whether there may be more."""
        self._at = self._clock()
        if self._broken is not None:
            return False
        with self._state.read() as tx:
            records = tx.audit(after=self._seq, limit=most)
        for record in records:
            why = self._why_not(record)
            if why:
                self._broken = Broken(self._seq + 1, why)
                return False
            self._seq, self._hash = record.seq, record.hash
        return len(records) == most

    def _why_not(self, record: AuditRecord) -> str:
        if record.seq != self._seq + 1:
            return f"record {self._seq + 1} is missing: the next one found is {record.seq}"
        if record.previous != self._hash:
            return "its previous hash is not the hash of the record before it"
        if record.hash != record_hash(record.as_dict()):
            return "its content does not give its hash: it was changed"
        return ""

    def _checked(self) -> Checked:
        with self._state.read() as tx:
            last = tx.last_audit()
        newest = 0 if last is None else last.seq
        broken = self._broken
        if broken is None and newest < self._seq:
            broken = Broken(newest + 1, f"record {newest + 1} was there and is gone: the end was cut off")
        return Checked(self._seq, newest, self._at, broken)


class Looked(NamedTuple):
    """A page of the trail."""

    records: list[AuditRecord]
    """Newest first."""
    next: int | None
    """Give as ``before`` for the older page; ``None``: there is none."""


def seen(state: State, which: Which, standing: Standing, before: int | None, limit: int) -> Looked:
    """What a person may see of the trail: records of their teams and workflows.

    Reads a bounded number, so a page may be short while there is more; ``next`` then goes on where it stopped.
    """
    found: list[AuditRecord] = []
    read = 0
    while len(found) < limit and read < MOST_READ:
        with state.read() as tx:
            records = tx.trail(which, before, limit)
        for record in records:
            read, before = read + 1, record.seq
            if may_see(record, standing):
                found.append(record)
                if len(found) == limit:
                    break
        if len(records) < limit and len(found) < limit:
            return Looked(found, None)
    return Looked(found, before)


def may_see(record: AuditRecord, standing: Standing) -> bool:
    """A record about a workflow needs the permission there, one that names those of every team in all of them, any
    other one in its team."""
    kind, _, name = record.target.partition("/")
    if kind in ("workflow", "rollout", "words") and name in standing.teams:
        return standing.may("read", name)
    if record.target in ("configuration", "inferences"):
        return record.actor == standing.person or standing.may("read")
    return "read" in standing.within(record.team)


def targets_of(workflow: str) -> tuple[str, ...]:
    """What records about a workflow are about."""
    return tuple(f"{kind}/{workflow}" for kind in ("workflow", "rollout", "words"))


class Changed(NamedTuple):
    """One place of a value that a record changed."""

    where: str
    """``share``, ``policy.budgets.day``."""
    before: str
    after: str


def differences(before: Any, after: Any) -> list[Changed]:
    """What is not the same in two plain JSON values, place by place; missing is an empty text."""
    old, new = dict(_flat(before)), dict(_flat(after))
    places = [*old, *(place for place in new if place not in old)]
    return [
        Changed(place, old.get(place, ""), new.get(place, "")) for place in places if old.get(place) != new.get(place)
    ]


def _flat(value: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value and depth < DEEPEST:
        for name, inner in value.items():
            yield from _flat(inner, f"{place}.{name}" if place else str(name), depth + 1)
    elif value is not None:
        yield place, value if isinstance(value, str) else msgspec.json.encode(value).decode()
