"""The inference log in SQLite: what composes the parts into a ``LogStore``.

One connection writes, under a lock; readers have connections of their own and never wait for it (WAL).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import apsw
import msgspec

from roadworthy.adapters.sqlite import (
    log_cost,
    log_forget,
    log_keep,
    log_query,
    log_ramp,
    log_rollup,
    log_ship,
    log_stats,
)
from roadworthy.adapters.sqlite.log_bodies import Packer
from roadworthy.adapters.sqlite.log_cold import ColdDays
from roadworthy.adapters.sqlite.log_rows import from_row, pack_id
from roadworthy.adapters.sqlite.log_schema import connect, fetch, migrate
from roadworthy.inference_log.model import (
    Batch,
    Callers,
    Counting,
    Cursor,
    Entry,
    Expired,
    Filter,
    Page,
    Progress,
    Rating,
    Reach,
    Shipped,
    Side,
    Stats,
)
from roadworthy.inference_log.rules import needles
from roadworthy.inference_log.segments import SegmentName
from roadworthy.workflow.inference import Feedback, Inference, InferenceStart
from roadworthy.workflow.model import Retention

Step = TypeVar("Step")
Answer = TypeVar("Answer")

_start = msgspec.json.Decoder(InferenceStart)


class SqliteLog:
    """``LogStore`` over ``log.db`` and the folder of cold days beside it.

    Raises ``LogTooNew`` for a file of a later version and ``apsw.Error`` for a file that is no database.
    """

    def __init__(self, path: Path, cold: Path | None = None) -> None:
        """``cold``: folder of the Parquet days, default ``cold`` beside the file."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._cold = ColdDays(cold if cold is not None else path.with_name("cold"))
        self._lock = threading.RLock()
        self._idle: list[apsw.Connection] = []
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # its WAL takes the mode over
        self._writer = connect(path)
        migrate(self._writer)
        self._packer = Packer(self._writer)
        self._tallies = log_ramp.Tallies(path, self._cold)
        self._tombstones = log_forget.Tombstones(path.with_name(log_forget.FILE))
        for unit, at in log_forget.missing(self._writer, self._cold, self._tombstones):
            log_forget.forget(self._writer, self._cold, self._tombstones, unit, at)

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        """A connection that sees one state of the database until the block ends."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self._path)
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")
            self._idle.append(connection)

    # shipping

    def progress(self) -> dict[SegmentName, Progress]:
        with self._lock:
            rows = fetch(self._writer, "SELECT worker, boot, seq, position, finished FROM segment")
        return {SegmentName(*row[:3]): Progress(row[3], bool(row[4])) for row in rows}

    def open_boots(self) -> set[tuple[str, int]]:
        with self._lock:
            return {(row[0], row[1]) for row in fetch(self._writer, "SELECT DISTINCT worker, boot FROM open_start")}

    def open_starts(self, worker: str, boot: int) -> list[InferenceStart]:
        with self._lock:
            rows = fetch(self._writer, "SELECT line FROM open_start WHERE worker = ? AND boot = ?", (worker, boot))
        return [_start.decode(row[0]) for row in rows]

    def ship(self, batch: Batch) -> Shipped:
        with self._lock:
            shipped = log_ship.ship(self._writer, self._packer, self._tombstones, batch)
        if shipped.replaced:
            self._tallies.forget()
        return shipped

    def counters(self) -> dict[str, int]:
        with self._reading() as connection:
            counts = {row[0]: row[1] for row in fetch(connection, "SELECT name, value FROM counter")}
            counts["in_flight"] = fetch(connection, "SELECT count(*) FROM open_start")[0][0]
        counts["accepted"] = counts.get("stored", 0) + counts["in_flight"] + counts.get("forgotten", 0)
        return counts

    # reading

    def _ask(self, question: Callable[[apsw.Connection], Answer]) -> Answer:
        """Answer from one state of the database; again when a cold day was replaced under the question."""
        for _ in range(3):
            with suppress(FileNotFoundError), self._reading() as connection:
                return question(connection)
        with self._reading() as connection:
            return question(connection)

    def get(self, inference: str) -> Entry | None:
        return self._ask(lambda connection: self._get(connection, inference))

    def _get(self, connection: apsw.Connection, inference: str) -> Entry | None:
        rows = fetch(connection, f"{log_query.SELECT} WHERE id = ?", (pack_id(inference),))
        row = rows[0] if rows else self._cold.one(connection, inference)
        if row is None:
            return None
        found = log_query.with_bodies(connection, self._packer, from_row(row))
        said = "SELECT ts, name, score, label, said_by FROM feedback WHERE id = ? ORDER BY ts, name"
        feedback = [Feedback(inference, *row) for row in fetch(connection, said, (pack_id(inference),))]
        return Entry(found, feedback)

    def reach(self) -> Reach | None:
        return self._ask(lambda connection: log_query.reach(connection, self._cold))

    def find(self, where: Filter, limit: int = 50, after: Cursor | None = None, before: Cursor | None = None) -> Page:
        newest_first = before is None

        def question(connection: apsw.Connection) -> Page:
            matches = self._matches(connection, where, newest_first, after or before)
            return log_query.page(matches, limit, newest_first, asked_past=before is not None)

        return self._ask(question)

    def _matches(
        self, connection: apsw.Connection, where: Filter, newest_first: bool, past: Cursor | None
    ) -> Iterator[Inference]:
        found = log_query.ordered(connection, self._cold, where, newest_first, past)
        if where.text is None:
            return found
        sought = needles(where.text)
        return (inference for inference in found if log_query.holds(connection, self._packer, inference, sought))

    def scan(self, where: Filter, bodies: bool = False) -> Iterator[Inference]:
        with self._reading() as connection:
            for inference in self._matches(connection, where, False, None):
                yield log_query.with_bodies(connection, self._packer, inference) if bodies else inference

    def stats(self, by: Sequence[str], where: Filter, zone: ZoneInfo) -> Stats:
        return self._ask(lambda connection: log_stats.stats(connection, self._cold, by, where, zone))

    # cost

    def sample(self, where: Filter, share: float) -> list[Inference]:
        return self._ask(lambda connection: log_cost.sample(connection, self._cold, where, share))

    def customers(self, where: Filter) -> int:
        return self._ask(lambda connection: log_cost.customers(connection, self._cold, where))

    # scores

    def ratings(self, workflow: str, names: Sequence[str], since: float, until: float) -> list[Rating]:
        with self._reading() as connection:
            return log_ramp.ratings(connection, workflow, names, since, until)

    # ramps

    def count(self, asked: Counting) -> dict[str, Side]:
        return self._tallies.count(asked)

    def sides(self, workflow: str, since: float, digest: str) -> tuple[int, int]:
        with self._reading() as connection:
            return log_ramp.sides(connection, workflow, since, digest)

    def callers(self, workflow: str, since: float, until: float) -> Callers:
        with self._reading() as connection:
            return log_ramp.callers(connection, workflow, since, until)

    def would(self, since: float, until: float) -> dict[str, dict[str, int]]:
        with self._reading() as connection:
            return log_ramp.would(connection, since, until)

    # keeping

    def _stepwise(self, steps: Iterator[Step]) -> Iterator[Step]:
        """Take the lock for one step at a time, so that a shipment waits for one step and not for all."""
        while True:
            with self._lock:
                step = next(steps, None)
            if step is None:
                return
            yield step
            time.sleep(0)  # lets a thread that waits for the lock have it

    def rollup(self, now: float) -> int:
        return sum(self._stepwise(log_rollup.rollup(self._writer, self._cold, now)))

    def expire(self, now: float, keep: Retention) -> Expired:
        total = Expired()
        for step in self._stepwise(log_keep.expire(self._writer, self._cold, now, keep)):
            total += step
        return total

    def train(self, samples: Sequence[bytes]) -> None:
        with self._lock:
            self._packer.train(self._writer, samples)

    def covers(self, unit: str | None, ts: float) -> bool:
        return self._tombstones.cover(unit, ts)

    def unit_hash(self, unit: str) -> str:
        return self._tombstones.hash(unit)

    def covers_hash(self, hashed: str, ts: float) -> bool:
        return ts <= self._tombstones.stones.get(hashed, float("-inf"))

    def forget(self, unit: str, at: float) -> dict[str, int]:
        with self._lock:
            self._tombstones.add(unit, at)
            self._close_idle()
            self._tallies.forget()
            return log_forget.forget(self._writer, self._cold, self._tombstones, unit, at)

    def search(self, needle: str) -> dict[str, int]:
        with self._lock:
            return log_forget.search(self._writer, self._cold, self._path, needle)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def close(self) -> None:
        """Checkpoint and close.  Readers still under way fail."""
        with self._lock:
            self._close_idle()
            self._tallies.forget()
            self._writer.close()
