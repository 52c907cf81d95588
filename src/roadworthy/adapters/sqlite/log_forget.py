"""Forgetting a user: tombstones that outlive every restore, and the deletion itself.

The rule: **a tombstone is on disk before the first row goes, and holds no name.**  ``forgotten.jsonl`` beside the
log keeps a salted hash of each forgotten unit and the instant up to which it is forgotten.  It is no part of a
backup's restore: a restored log is opened, finds tombstones it has not applied, and applies them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec

from roadworthy.adapters.sqlite.log_cold import ColdDays
from roadworthy.adapters.sqlite.log_rollup import mark
from roadworthy.adapters.sqlite.log_rows import COLUMNS
from roadworthy.adapters.sqlite.log_schema import fetch
from roadworthy.inference_log.model import BUCKET, Filter

FILE = "forgotten.jsonl"
_UNIT = COLUMNS.index("unit")
_WORKFLOW = COLUMNS.index("workflow")


class _Head(msgspec.Struct):
    salt: str


class _Stone(msgspec.Struct):
    unit: str
    at: float


class Tombstones:
    """The forgotten units by salted hash (BLAKE2b, 16 bytes), with the instant up to which each is forgotten."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.stones: dict[str, float] = {}
        lines = path.read_bytes().splitlines() if path.exists() else []
        if not lines:
            head = _Head(os.urandom(16).hex())
            self._append(msgspec.json.encode(head))
        else:
            head = msgspec.json.decode(lines[0], type=_Head)
        self._salt = bytes.fromhex(head.salt)
        for line in lines[1:]:
            stone = msgspec.json.decode(line, type=_Stone)
            self.stones[stone.unit] = max(stone.at, self.stones.get(stone.unit, stone.at))

    def hash(self, unit: str) -> str:
        return hashlib.blake2b(unit.encode(), digest_size=16, key=self._salt).hexdigest()

    def cover(self, unit: str | None, ts: float) -> bool:
        """Is a call of this unit at this instant forgotten?  Later calls of the same user are new data."""
        return bool(self.stones) and unit is not None and ts <= self.stones.get(self.hash(unit), float("-inf"))

    def add(self, unit: str, at: float) -> None:
        """Returns once the tombstone is on disk."""
        stone = _Stone(self.hash(unit), at)
        self._append(msgspec.json.encode(stone))
        self.stones[stone.unit] = max(at, self.stones.get(stone.unit, at))

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, line + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def missing(connection: apsw.Connection, cold: ColdDays, tombstones: Tombstones) -> Iterator[tuple[str, float]]:
    """(unit, at) of tombstones that this database has not applied: it was restored from before them."""
    applied: dict[str, float] = dict(fetch(connection, "SELECT unit, at FROM tombstone"))
    due = {unit: at for unit, at in tombstones.stones.items() if applied.get(unit, float("-inf")) < at}
    if not due:
        return
    units = {row[0] for row in fetch(connection, "SELECT unit FROM fact UNION SELECT unit FROM open_start")}
    for day in cold.days(connection):
        units.update(row[0] for row in cold.rows(day, columns=["unit"]))
    for unit in sorted(units - {None}):
        hashed = tombstones.hash(unit)
        if hashed in due:
            yield unit, due[hashed]
    rows = [(unit, at) for unit, at in due.items()]
    connection.executemany("INSERT OR REPLACE INTO tombstone VALUES (?, ?)", rows)


def forget(connection: apsw.Connection, cold: ColdDays, tombstones: Tombstones, unit: str, at: float) -> dict[str, int]:
    """Delete everything of a unit up to ``at`` → rows deleted per store.  The tombstone must be on disk already."""
    counts = {"facts": 0, "bodies": 0, "feedback": 0, "open starts": 0, "quarantine": 0, "cold facts": 0}
    replaced: list[tuple[str, Any]] = []
    gone: list[bytes | str] = []
    dirty: set[tuple[int, str]] = set()
    for day in cold.days(connection, Filter(until=at + 1e-6)):
        mine = [row for row in cold.rows(day, Filter(unit=unit)) if row[1] <= at]
        if mine:
            counts["cold facts"] += len(mine)
            gone += [row[0] for row in mine]
            dirty |= {(int(row[1] // BUCKET) * BUCKET, row[_WORKFLOW]) for row in mine}
            rest = (row for row in cold.rows(day) if row[_UNIT] != unit or row[1] > at)
            replaced.append((day.day, cold.write(day.day, rest)))
    with connection:
        for name, new in replaced:
            cold.point(connection, name, new)
        warm = fetch(connection, "SELECT id, ts, workflow FROM fact WHERE unit = ? AND ts <= ?", (unit, at))
        gone += [row[0] for row in warm]
        dirty |= {(int(ts // BUCKET) * BUCKET, workflow) for _, ts, workflow in warm}
        counts["facts"] = len(warm)
        for identity in gone:
            for table, name in (("body", "bodies"), ("feedback", "feedback"), ("tag", ""), ("fact", "")):
                connection.execute(f"DELETE FROM {table} WHERE id = ?", (identity,))  # noqa: S608
                if name:
                    counts[name] += connection.changes()
        connection.execute("DELETE FROM open_start WHERE unit = ? AND ts <= ?", (unit, at))
        counts["open starts"] = connection.changes()
        connection.execute("DELETE FROM quarantine WHERE instr(data, ?) > 0", (unit.encode(),))
        counts["quarantine"] = connection.changes()
        mark(connection, dirty)
        connection.execute("INSERT OR REPLACE INTO tombstone VALUES (?, ?)", (tombstones.hash(unit), at))
    cold.sweep(connection)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return counts


def search(connection: apsw.Connection, cold: ColdDays, path: Path, needle: str) -> dict[str, int]:
    """Occurrences per store: rows that name the unit, bytes in the raw files, rows of cold days."""
    found = {"rows": 0, "cold rows": 0}
    for table in ("fact", "open_start"):
        query = f"SELECT count(*) FROM {table} WHERE unit = ?"  # noqa: S608
        found["rows"] += fetch(connection, query, (needle,))[0][0]
    for day in cold.days(connection):
        found["cold rows"] += sum(1 for _ in cold.rows(day, Filter(unit=needle), columns=["unit"]))
    for file in (path, path.with_name(path.name + "-wal")):
        found[f"bytes of {file.name}"] = occurrences(file, needle.encode())
    return found


def occurrences(path: Path, needle: bytes) -> int:
    """How often a file holds some bytes, read in blocks; 0 for no file."""
    count, kept = 0, b""
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                data = kept + block
                count += data.count(needle)
                kept = data[-(len(needle) - 1) :] if len(needle) > 1 else b""
    except FileNotFoundError:
        return 0
    return count
