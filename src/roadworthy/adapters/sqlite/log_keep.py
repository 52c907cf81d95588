"""Retention: bodies go first, old facts move to cold days, older ones go for good."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import apsw

from roadworthy.adapters.sqlite.log_cold import DAY, ColdDays, day_of, start_of
from roadworthy.adapters.sqlite.log_query import SELECT
from roadworthy.adapters.sqlite.log_schema import fetch, query
from roadworthy.inference_log.model import Expired
from roadworthy.workflow.model import Retention

CHUNK = 5_000
"""Rows deleted in one transaction, so that a shipment never waits long."""


def expire(connection: apsw.Connection, cold: ColdDays, now: float, keep: Retention) -> Iterator[Expired]:
    """Apply retention step by step, each a transaction of its own; between two steps others may write.

    An interrupted run is finished by the next.
    """
    cold.sweep(connection)  # here and not after the move: a reader may still be on the file that was replaced
    for deleted in _delete(connection, "body", now - keep.bodies):
        yield Expired(bodies=deleted)
    for deleted in _delete(connection, "fact", now - keep.facts):
        yield Expired(facts=deleted)
    yield Expired(facts=_drop_days(connection, cold, now - keep.facts))
    with connection:
        for table in ("tag", "feedback"):
            connection.execute(f"DELETE FROM {table} WHERE ts < ?", (now - keep.facts,))  # noqa: S608
        for table in ("bucket", "settled", "dirty"):
            connection.execute(f"DELETE FROM {table} WHERE start + 86400 < ?", (now - keep.facts,))  # noqa: S608
    yield Expired()
    for day in _due(connection, now - keep.cold_after):
        yield Expired(moved=_move(connection, cold, day), days=1)


def _delete(connection: apsw.Connection, table: str, before: float) -> Iterator[int]:
    """Delete old rows chunk by chunk → rows of each chunk."""
    chosen = f"SELECT rowid FROM {table} WHERE ts < ? LIMIT {CHUNK}"  # noqa: S608
    while True:
        with connection:
            connection.execute(f"DELETE FROM {table} WHERE rowid IN ({chosen})", (before,))  # noqa: S608
            deleted = connection.changes()
        if not deleted:
            return
        yield deleted


def _drop_days(connection: apsw.Connection, cold: ColdDays, before: float) -> int:
    """Delete the days that are wholly too old → their facts."""
    old = [day for day in cold.days(connection) if day.newest < before]
    with connection:
        for day in old:
            cold.point(connection, day.day, None)
    cold.sweep(connection)
    return sum(day.rows for day in old)


def _due(connection: apsw.Connection, before: float) -> list[str]:
    """The UTC days that are over and wholly older than ``before`` and still have warm facts."""
    found: list[str] = []
    at = float("-inf")
    while True:
        oldest = fetch(connection, "SELECT min(ts) FROM fact WHERE ts >= ?", (at,))[0][0]
        if oldest is None:
            return found
        day = day_of(oldest)
        at = start_of(day) + timedelta(days=1).total_seconds()
        if at > before:
            return found
        found.append(day)


def _move(connection: apsw.Connection, cold: ColdDays, day: str) -> int:
    """Move a day's facts into its file, with what the file held → facts moved."""
    since, until = start_of(day), start_of(day) + DAY
    old = {known.day: known for known in cold.days(connection)}.get(day)
    newest = fetch(connection, "SELECT max(rowid) FROM fact WHERE ts >= ? AND ts < ?", (since, until))[0][0]
    within = "ts >= ? AND ts < ? AND rowid <= ?"

    def rows() -> Iterator[tuple[Any, ...]]:
        if old is not None:
            yield from cold.rows(old)
        yield from query(connection, f"{SELECT} WHERE {within} ORDER BY ts, id", (since, until, newest))

    new = cold.write(day, rows())
    with connection:
        connection.execute(
            f"DELETE FROM tag WHERE id IN (SELECT id FROM fact WHERE {within})",  # noqa: S608
            (since, until, newest),
        )
        connection.execute(f"DELETE FROM fact WHERE {within}", (since, until, newest))  # noqa: S608
        moved = connection.changes()
        cold.point(connection, day, new)
    return moved
