"""Cold days: facts older than ``cold_after``, one Parquet file a UTC day.

The rule: **a file counts when the database says so.**  A new version of a day is written beside the old one, synced
and counted; one transaction then deletes the rows, points the day to the new file, and only after it the old file
goes.  A crash leaves at most a file that nobody counts, which the next move removes.

What reads and writes the files (``log_parquet``) is imported where it is used: pyarrow takes a tenth of a second to
load, and most starts of control touch no cold day.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec

from roadworthy.adapters.sqlite.log_rows import COLUMNS, pack_id
from roadworthy.inference_log.model import Filter

DAY = 86_400.0

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

    def rows(
        self,
        day: ColdDay,
        where: Filter | None = None,
        columns: Iterable[str] = COLUMNS,
        drawn: str | None = None,
    ) -> Iterator[Row]:
        """Rows of a day that pass the parts of a filter that Parquet can decide; ids as SQLite keeps them.

        ``drawn``: only ids that are drawn below it (``inference_log.rules.drawn_below``).
        """
        from roadworthy.adapters.sqlite import log_parquet

        names = list(columns)
        identity = names.index("id") if "id" in names else None
        for values in log_parquet.batches(self.folder / day.file, names, where, drawn):
            if identity is not None:
                values = [
                    [pack_id(inference) for inference in column] if n == identity else column
                    for n, column in enumerate(values)
                ]
            yield from zip(*values, strict=True)

    def one(self, connection: apsw.Connection, inference: str) -> Row | None:
        """The row of an id: its day is in the id; any day is searched when it is not."""
        from roadworthy.adapters.sqlite import log_parquet

        days = self.days(connection)
        with suppress(ValueError):
            ts = int(inference[4:16], 16) / 1000
            near = [day for day in days if day.oldest - 2 <= ts <= day.newest + 2]
            days = near + [day for day in days if day not in near]
        for day in days:
            row = log_parquet.one(self.folder / day.file, inference)
            if row is not None:
                return tuple(pack_id(row["id"]) if name == "id" else row[name] for name in COLUMNS)
        return None

    def write(self, day: str, rows: Iterable[Row]) -> ColdDay | None:
        """A new file with these rows: written, synced, counted.  ``None`` for no rows.  Raises ``ColdMismatch``."""
        from roadworthy.adapters.sqlite import log_parquet

        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        version = sum(1 for name in os.listdir(self.folder) if name.startswith(day))
        while (path := self.folder / f"{day}.{version}.parquet").exists():
            version += 1
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            count, oldest, newest = log_parquet.write(file, rows)
            file.flush()
            os.fsync(file.fileno())
        if not count:
            path.unlink()
            return None
        _sync_folder(self.folder)
        found = log_parquet.count(path)
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
