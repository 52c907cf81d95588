"""Buckets: sums of facts per 5 minutes, and per hour and per day once those have settled.

The rule: **a bucket is a function of the facts, never an addition to what it was.**  Whatever touches the facts of
5 minutes (a shipment however late, a forgotten user) marks them dirty in its own transaction; a dirty bucket is not
read, and is summed anew once its 5 minutes are over.  An hour (a UTC day) settles when it is over and none of its
buckets is dirty; its sums merge theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apsw

from roadworthy.adapters.sqlite.log_cold import ColdDays
from roadworthy.adapters.sqlite.log_query import conditions
from roadworthy.adapters.sqlite.log_rows import TOKENS
from roadworthy.adapters.sqlite.log_schema import fetch, query
from roadworthy.inference_log.model import BUCKET, Filter
from roadworthy.inference_log.rules import hidden
from roadworthy.statistics.sketch import Sketch

HOUR = 3600
DAY = 86_400
LEVELS = (DAY, HOUR)
"""Widths that merge buckets, widest first."""

KEYS = ("workflow", "team", "digest", "route", "outcome", "target", "traffic")
"""What a bucket is about, beside its start; a missing digest or target is the empty text."""

SUMS = ("n", *TOKENS, "cost", "cost_unknown", "latency", "first_token")
_FACTS = (*KEYS, "ts", *TOKENS, "cost_usd", "latency", "first_token")

BucketRow = tuple[Any, ...]
"""(start, *KEYS, *SUMS); latency and first token as encoded sketches, ``None`` for no value."""


class Sums:
    """Running sums of one bucket, or of many merged."""

    __slots__ = ("_waiting", "cost", "cost_unknown", "first", "latency", "n", "outcomes", "tokens")

    def __init__(self) -> None:
        self.n = 0
        self.tokens = [0] * len(TOKENS)
        self.cost: float | None = None
        self.cost_unknown = 0
        self.outcomes: dict[str, int] = {}
        self.latency = Sketch()
        self.first = Sketch()
        self._waiting: tuple[list[float], list[float]] = ([], [])

    def fact(self, tokens: Iterable[int], cost: float | None, latency: float | None, first: float | None) -> None:
        self.n += 1
        self.tokens = [a + b for a, b in zip(self.tokens, tokens, strict=True)]
        if cost is None:
            self.cost_unknown += 1
        else:
            self.cost = cost + (self.cost or 0.0)
        if latency is not None:
            self._waiting[0].append(latency)
        if first is not None:
            self._waiting[1].append(first)

    def bucket(self, sums: BucketRow, outcome: str) -> None:
        """Merge the ``SUMS`` part of a bucket row."""
        n, *tokens, cost, cost_unknown, latency, first = sums
        self.n += n
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + n
        self.tokens = [a + b for a, b in zip(self.tokens, tokens, strict=True)]
        if cost is not None:
            self.cost = cost + (self.cost or 0.0)
        self.cost_unknown += cost_unknown
        if latency is not None:
            self.latency.merge_bytes(latency)
        if first is not None:
            self.first.merge_bytes(first)

    def settle(self) -> None:
        """Put the values of single facts into the sketches."""
        for sketch, values in zip((self.latency, self.first), self._waiting, strict=True):
            if values:
                sketch.add(values)
                values.clear()

    def row(self) -> BucketRow:
        self.settle()
        sketches = [sketch.encode() if sketch.count else None for sketch in (self.latency, self.first)]
        return (self.n, *self.tokens, self.cost, self.cost_unknown, *sketches)


def measure(connection: apsw.Connection, cold: ColdDays, where: Filter) -> Iterator[BucketRow]:
    """Bucket rows made of facts, warm and cold, for a filter that buckets can answer."""
    found: dict[tuple[Any, ...], Sums] = {}
    sql, values = conditions(where)
    sql = f"SELECT {', '.join(_FACTS)} FROM fact WHERE {sql}"  # noqa: S608
    prefix, away = where.digest_prefix, hidden(where)
    for row in query(connection, sql, values):
        _take(found, row)
    for day in cold.days(connection, where):
        for row in cold.rows(day, where, columns=_FACTS):
            if row[0] not in away and (prefix is None or (row[2] or "").startswith(prefix)):
                _take(found, row)
    for key, sums in found.items():
        yield (*key, *sums.row())


def _take(found: dict[tuple[Any, ...], Sums], row: tuple[Any, ...]) -> None:
    names, ts, tokens, rest = row[:7], row[7], row[8:13], row[13:]
    key = (int(ts // BUCKET) * BUCKET, *(name or "" for name in names))
    sums = found.get(key)
    if sums is None:
        sums = found[key] = Sums()
    sums.fact(tokens, *rest)


_INSERT = f"INSERT INTO bucket VALUES ({','.join('?' * (2 + len(KEYS) + len(SUMS)))})"  # noqa: S608


def mark(connection: apsw.Connection, dirty: Iterable[tuple[int, str]]) -> None:
    """Within the transaction that changes facts: these (bucket start, workflow) are to be summed anew."""
    buckets = sorted(dirty)
    connection.executemany("INSERT OR IGNORE INTO dirty VALUES (?, ?)", buckets)
    wider = {(width, start // width * width) for start, _ in buckets for width in LEVELS}
    connection.executemany("DELETE FROM settled WHERE width = ? AND start = ?", sorted(wider))


def rollup(connection: apsw.Connection, cold: ColdDays, now: float) -> Iterator[int]:
    """Sum what is dirty and over, step by step → how many (5 minutes, workflow) each step summed.

    One transaction an hour of buckets; between two steps others may write.
    """
    due = fetch(connection, "SELECT start, workflow FROM dirty WHERE start + ? <= ?", (BUCKET, now))
    hours: dict[int, list[tuple[int, str]]] = {}
    for start, workflow in due:
        hours.setdefault(start // HOUR * HOUR, []).append((start, workflow))
    for _, buckets in sorted(hours.items()):
        with connection:
            for start, workflow in buckets:
                _sum(connection, cold, start, workflow)
        yield len(buckets)
    for width in LEVELS:
        touched = {hour // width * width for hour in hours}
        for start in sorted(touched.union(_unsettled(connection, width, now))):
            with connection:
                _settle(connection, width, start, now)
            yield 0


def _sum(connection: apsw.Connection, cold: ColdDays, start: int, workflow: str) -> None:
    connection.execute("DELETE FROM bucket WHERE width = ? AND start = ? AND workflow = ?", (BUCKET, start, workflow))
    where = Filter(workflow=workflow, since=float(start), until=float(start + BUCKET))
    rows = [(BUCKET, *row) for row in measure(connection, cold, where)]
    connection.executemany(_INSERT, rows)
    connection.execute("DELETE FROM dirty WHERE start = ? AND workflow = ?", (start, workflow))


def _unsettled(connection: apsw.Connection, width: int, now: float) -> list[int]:
    """What ended after its last bucket was summed, since the newest that has settled."""
    since = fetch(connection, "SELECT ifnull(max(start), 0) FROM settled WHERE width = ?", (width,))[0][0]
    sql = """SELECT DISTINCT start / ?1 * ?1 AS wide FROM bucket
      WHERE width = ?2 AND start >= ?3 AND start / ?1 * ?1 + ?1 <= ?4
      AND start / ?1 * ?1 NOT IN (SELECT start FROM settled WHERE width = ?1)"""
    return [start for (start,) in fetch(connection, sql, (width, BUCKET, since, now))]


def _settle(connection: apsw.Connection, width: int, start: int, now: float) -> None:
    end = start + width
    if end > now or fetch(connection, "SELECT 1 FROM dirty WHERE start >= ? AND start < ? LIMIT 1", (start, end)):
        return
    connection.execute("DELETE FROM bucket WHERE width = ? AND start = ?", (width, start))
    merged: dict[tuple[Any, ...], Sums] = {}
    columns = ", ".join((*KEYS, *SUMS))
    sql = f"SELECT {columns} FROM bucket WHERE width = ? AND start >= ? AND start < ?"  # noqa: S608
    for row in query(connection, sql, (BUCKET, start, end)):
        merged.setdefault(row[: len(KEYS)], Sums()).bucket(row[len(KEYS) :], "")
    connection.executemany(_INSERT, [(width, start, *key, *sums.row()) for key, sums in merged.items()])
    connection.execute("INSERT OR IGNORE INTO settled VALUES (?, ?)", (width, start))
