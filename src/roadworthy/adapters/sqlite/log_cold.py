"""Cold days: facts older than ``cold_after``, one Parquet file a UTC day.

The rule: **a file counts when the database says so.**  A new version of a day is written beside the old one, synced
and counted; one transaction then deletes the rows, points the day to the new file, and only after it the old file
goes.  A crash leaves at most a file that nobody counts, which the next move removes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from roadworthy.adapters.sqlite.log_rows import COLUMNS, NUMBERS, pack_id, unpack_id
from roadworthy.inference_log.model import WORDED, Filter

DAY = 86_400.0
BATCH = 20_000
"""Rows held at a time."""
GROUP = 4_000
"""Rows of a row group: what a look-up has to unpack."""

_COUNTS = ("status", "stream", "input", "cache_read", "cache_write", "output", "reasoning")
_KINDS = {name: pa.float64() for name in ("ts", *NUMBERS)} | {name: pa.int64() for name in _COUNTS}
SCHEMA = pa.schema([(name, _KINDS.get(name, pa.string())) for name in COLUMNS])

Row = tuple[Any, ...]


class ColdDay(msgspec.Struct, frozen=True):
    day: str
    """``2026-11-23``, UTC."""
    file: str
    rows: int
    oldest: float
    newest: float


class ColdMismatch(RuntimeError):
    """A Parquet file holds another number of rows than were written: the disk or the file system lies; kept as was."""


def day_of(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d")


def start_of(day: str) -> float:
    return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()


class ColdDays:
    """The folder of Parquet days.  Which files count is a table of the log's database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def days(self, connection: apsw.Connection, where: Filter | None = None) -> list[ColdDay]:
        """The days that a filter's time range touches, oldest first."""
        since = where.since if where is not None and where.since is not None else float("-inf")
        until = where.until if where is not None and where.until is not None else float("inf")
        query = "SELECT day, file, rows, oldest, newest FROM cold_day WHERE newest >= ? AND oldest < ? ORDER BY day"
        return [ColdDay(*row) for row in connection.execute(query, (since, until))]

    def rows(self, day: ColdDay, where: Filter | None = None, columns: Iterable[str] = COLUMNS) -> Iterator[Row]:
        """Rows of a day that pass the parts of a filter that Parquet can decide; ids as SQLite keeps them."""
        names = list(columns)
        identity = names.index("id") if "id" in names else None
        wanted = _expression(where)
        for batch in self._batches(day, names, wanted):
            values: list[list[Any]] = [column.to_pylist() for column in batch.columns]
            if identity is not None:
                values[identity] = [pack_id(inference) for inference in values[identity]]
            yield from zip(*values, strict=True)

    def _batches(self, day: ColdDay, names: list[str], wanted: pc.Expression | None) -> Iterator[pa.RecordBatch]:
        """Matching rows, of the row groups that hold any: the columns of the filter are read first, alone."""
        dataset = ds.dataset(self.folder / day.file, format="parquet", schema=SCHEMA)
        if wanted is None:
            yield from dataset.to_batches(columns=names, batch_size=BATCH, use_threads=False)
            return
        for fragment in dataset.get_fragments():
            for group in fragment.split_by_row_group(wanted, schema=SCHEMA):
                if group.count_rows(filter=wanted, use_threads=False):
                    yield from group.to_batches(schema=SCHEMA, columns=names, filter=wanted, use_threads=False)

    def one(self, connection: apsw.Connection, inference: str) -> Row | None:
        """The row of an id: its day is in the id; any day is searched when it is not."""
        days = self.days(connection)
        with suppress(ValueError):
            ts = int(inference[4:16], 16) / 1000
            near = [day for day in days if day.oldest - 2 <= ts <= day.newest + 2]
            days = near + [day for day in days if day not in near]
        for day in days:
            for batch in self._batches(day, list(COLUMNS), pc.field("id") == inference):
                for row in batch.to_pylist():
                    return tuple(pack_id(row["id"]) if name == "id" else row[name] for name in COLUMNS)
        return None

    def write(self, day: str, rows: Iterable[Row]) -> ColdDay | None:
        """A new file with these rows: written, synced, counted.  ``None`` for no rows.  Raises ``ColdMismatch``."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        version = sum(1 for name in os.listdir(self.folder) if name.startswith(day))
        while (path := self.folder / f"{day}.{version}.parquet").exists():
            version += 1
        count, oldest, newest = 0, float("inf"), float("-inf")
        stream = iter(rows)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
                while batch := list(islice(stream, BATCH)):
                    writer.write_table(_table(batch), row_group_size=GROUP)
                    count += len(batch)
                    oldest = min(oldest, *(row[1] for row in batch))
                    newest = max(newest, *(row[1] for row in batch))
            file.flush()
            os.fsync(file.fileno())
        if not count:
            path.unlink()
            return None
        _sync_folder(self.folder)
        found = pq.read_metadata(path).num_rows
        if found != count:
            path.unlink()
            raise ColdMismatch(f"{path.name} holds {found} rows, {count} were written")
        return ColdDay(day, path.name, count, oldest, newest)

    def point(self, connection: apsw.Connection, day: str, new: ColdDay | None) -> None:
        """Within a transaction: make ``new`` the file that counts, or the day empty."""
        connection.execute("DELETE FROM cold_day WHERE day = ?", (day,))
        if new is not None:
            connection.execute(
                "INSERT INTO cold_day VALUES (?, ?, ?, ?, ?)", (new.day, new.file, new.rows, new.oldest, new.newest)
            )

    def sweep(self, connection: apsw.Connection) -> int:
        """Remove files that no day counts."""
        counted = {day.file for day in self.days(connection)}
        removed = 0
        with suppress(FileNotFoundError):
            for name in os.listdir(self.folder):
                if name.endswith(".parquet") and name not in counted:
                    (self.folder / name).unlink(missing_ok=True)
                    removed += 1
        return removed


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _table(batch: list[Row]) -> pa.Table:
    columns = list(zip(*batch, strict=True))
    columns[0] = tuple(unpack_id(identity) for identity in columns[0])
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def _expression(where: Filter | None) -> pc.Expression | None:
    if where is None:
        return None
    parts: list[pc.Expression] = []
    for field, column in (("team", "team"), ("workflow", "workflow"), ("unit", "unit"), ("key", "key"),
                          ("target", "target"), ("session", "session"), ("stage", "stage"),
                          ("model", "model_answered")):  # fmt: skip
        if (value := getattr(where, field)) is not None:
            parts.append(pc.field(column) == value)
    worded = [(field, list(where.words(field))) for field in WORDED]
    parts += [pc.field(field).isin(words) for field, words in worded if words]
    if where.since is not None:
        parts.append(pc.field("ts") >= where.since)
    if where.until is not None:
        parts.append(pc.field("ts") < where.until)
    if where.min_cost is not None:
        parts.append(pc.field("cost_usd") >= where.min_cost)
    if where.slower_than is not None:
        parts.append(pc.field("latency") > where.slower_than)
    found: pc.Expression | None = None
    for part in parts:
        found = part if found is None else found & part
    return found
