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


def expire(connection: apsw.Connection, cold: ColdDays, now: float, keep: Retention) -> Expired:
    """Apply retention.  Every step is a transaction of its own; an interrupted run is finished by the next."""
    cold.sweep(connection)  # here and not after the move: a reader may still be on the file that was replaced
    bodies = _delete(connection, "body", now - keep.bodies)
    facts = _delete(connection, "fact", now - keep.facts) + _drop_days(connection, cold, now - keep.facts)
    _delete(connection, "tag", now - keep.facts)
    _delete(connection, "feedback", now - keep.facts)
    for table, column in (("bucket", "start"), ("settled", "start"), ("dirty", "start")):
        with connection:
            connection.execute(f"DELETE FROM {table} WHERE {column} + 86400 < ?", (now - keep.facts,))  # noqa: S608
    moved, days = 0, 0
    for day in _due(connection, now - keep.cold_after):
        moved += _move(connection, cold, day)
        days += 1
    return Expired(bodies=bodies, moved=moved, days=days, facts=facts)


def _delete(connection: apsw.Connection, table: str, before: float) -> int:
    total = 0
    key = "rowid" if table in ("fact", "body") else "id"
    while True:
        with connection:
            if key == "rowid":
                chosen = f"SELECT rowid FROM {table} WHERE ts < ? LIMIT {CHUNK}"  # noqa: S608
                connection.execute(f"DELETE FROM {table} WHERE rowid IN ({chosen})", (before,))  # noqa: S608
            else:
                connection.execute(f"DELETE FROM {table} WHERE ts < ?", (before,))  # noqa: S608
            deleted = connection.changes()
        total += deleted
        if deleted < CHUNK or key != "rowid":
            return total


def _drop_days(connection: apsw.Connection, cold: ColdDays, before: float) -> int:
    """Days that are wholly too old; a day is dropped when its newest fact is."""
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
