"""Both sides of a ramp, counted per user: so that calls of one user being alike can be told from chance.

A ramp is looked at every minute, and its stage may have millions of calls; so what was counted is kept per user in a
temporary table, and only facts that are new since then are read (by rowid, which rises as they are stored).  It is
counted anew when facts went that were counted: a forgotten user, a call given up for lost that ended after all.  What
moves to a cold day stays counted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw

from roadworthy.adapters.sqlite.log_cold import ColdDays
from roadworthy.adapters.sqlite.log_rows import COLUMNS, unpack_id
from roadworthy.adapters.sqlite.log_schema import connect, fetch
from roadworthy.inference_log.counting import MEANS, alikeness, counted
from roadworthy.inference_log.model import (
    BAD_LABELS,
    BAD_SCORE,
    NOT_JUDGED,
    SCORER,
    Callers,
    Counted,
    Counting,
    Filter,
    Measured,
    Rating,
    Side,
)
from roadworthy.workflow.inference import SERVED_BY_MODEL

_USER = "CASE WHEN {0}unit_source = 'random' OR {0}unit IS NULL THEN {0}id ELSE {0}unit END"
"""Whoever is not named is a user of one call."""
_UNSAFE = '"failure":"unsafe"'


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


_JUDGED = f"outcome NOT IN ({_listed(NOT_JUDGED)})"
_ANSWERED = f"outcome IN ({_listed(SERVED_BY_MODEL)}) AND latency IS NOT NULL"
_VALUES = {
    "errors": f"CASE WHEN {_JUDGED} THEN outcome = 'error' END",
    "fallbacks": f"CASE WHEN {_JUDGED} THEN failure IS NOT NULL AND outcome <> 'error' END",
    "escalations": f"CASE WHEN {_JUDGED} THEN outcome = 'escalated' END",
    "unsafe": f"CASE WHEN {_JUDGED} THEN failure IS 'unsafe' OR instr(more, '{_UNSAFE}') > 0 "
    f"OR ifnull(instr(attempts, '{_UNSAFE}'), 0) > 0 END",
    "cost": "cost_usd",
    "latency": f"CASE WHEN {_ANSWERED} THEN latency END",
}
"""Kind → SQL over a fact; NULL: not judged."""


class Tallies:
    """One connection of its own, for temporary tables are a connection's.  Thread-safe."""

    def __init__(self, path: Path, cold: ColdDays) -> None:
        self._path = path
        self._cold = cold
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None
        self._kept: dict[tuple[str, str], tuple[Counting, int]] = {}
        """(workflow, class) → what is counted there, and up to which rowid."""

    def forget(self) -> None:
        """Facts that were counted are no more, or others: count anew.  Leaves no trace of whom it knew."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._kept.clear()

    def count(self, asked: Counting) -> dict[str, Side]:
        with self._lock:
            if self._connection is None:
                self._connection = connect(self._path)
            connection = self._connection
            facts = tuple(each for each in asked.measured if each.kind != "said")
            with connection:
                table = self._brought_up(connection, asked, facts)
                sides = _summed(connection, table, asked, facts)
                for each in asked.measured:
                    if each.kind == "said":
                        _said(connection, asked, each, sides)
        return sides

    def _brought_up(self, connection: apsw.Connection, asked: Counting, facts: tuple[Measured, ...]) -> str:
        """The table's name; it holds what the log holds now."""
        slot = asked.workflow, asked.traffic
        kept, upto = self._kept.get(slot, (None, 0))
        newest = fetch(connection, "SELECT ifnull(max(rowid), 0) FROM fact")[0][0]
        table = f'temp."{_quoted("ramp " + asked.traffic + " " + asked.workflow)}"'
        if kept != asked or newest < upto:
            upto = 0
            columns = "".join(f", n{i} INTEGER, t{i} REAL, q{i} REAL" for i in range(len(facts)))
            connection.execute(f"DROP TABLE IF EXISTS {table}")
            connection.execute(
                f"CREATE TABLE {table} (side TEXT, user, calls INTEGER, last REAL{columns}, PRIMARY KEY (side, user))"
                " WITHOUT ROWID"
            )
            self._add_cold(connection, table, asked, facts)
        _add(connection, table, "fact", asked, facts, upto, newest)
        self._kept[slot] = asked, newest
        return table

    def _add_cold(self, connection: apsw.Connection, table: str, asked: Counting, facts: tuple[Measured, ...]) -> None:
        where = Filter(workflow=asked.workflow, traffic=asked.traffic, since=asked.since)
        days = self._cold.days(connection, where)
        if not days:
            return
        connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS ramp_cold ({', '.join(COLUMNS)})")
        marks = ",".join("?" * len(COLUMNS))
        for day in days:
            connection.execute("DELETE FROM ramp_cold")
            connection.executemany(f"INSERT INTO ramp_cold VALUES ({marks})", self._cold.rows(day, where))  # noqa: S608
            _add(connection, table, "ramp_cold", asked, facts, 0, None)
        connection.execute("DROP TABLE ramp_cold")


def _quoted(name: str) -> str:
    return name.replace('"', '""').replace("\0", "")


def _value(measured: Measured) -> tuple[str, tuple[Any, ...]]:
    if measured.kind == "slower":
        return f"CASE WHEN {_ANSWERED} THEN latency > ? END", (measured.above,)
    return _VALUES[measured.kind], ()


def _add(
    connection: apsw.Connection, table: str, source: str, asked: Counting, facts: tuple[Measured, ...],
    after: int, upto: int | None,
) -> None:  # fmt: skip
    """Add facts, those with ``after`` < rowid <= ``upto``."""
    wanted: list[str] = []
    values: list[Any] = []
    for i, measured in enumerate(facts):
        expression, bound = _value(measured)
        wanted.append(f"{expression} AS v{i}")
        values += bound
    fresh = after == 0  # then found by workflow and time; else by rowid, which is faster for few
    workflow, ts, rowid = ("workflow", "ts", "+rowid") if fresh else ("+workflow", "+ts", "rowid")
    marks = ",".join("?" * len(asked.digests))
    where = f"{workflow} = ? AND {ts} >= ? AND traffic = ? AND digest IN ({marks}) AND ifnull(kill, '') = ''"
    where += " AND ifnull(route, '') <> 'bypass'"
    bounds: list[Any] = [*values, asked.workflow, asked.since, asked.traffic, *asked.digests]
    if upto is not None:
        where += f" AND {rowid} > ? AND {rowid} <= ?"
        bounds += [after, upto]
    sums = "".join(f", count(v{i}), total(v{i}), total(v{i} * v{i})" for i in range(len(facts)))
    names = [name for i in range(len(facts)) for name in (f"n{i}", f"t{i}", f"q{i}")]
    update = "".join(f", {name} = {name} + excluded.{name}" for name in names)
    chosen = ", ".join(["digest", f"{_USER.format('')} AS user", "ts", *wanted])
    connection.execute(
        f"INSERT INTO {table} SELECT digest, user, count(*), max(ts){sums} FROM "  # noqa: S608
        f"(SELECT {chosen} FROM {source} WHERE {where}) WHERE 1 GROUP BY 1, 2 "
        f"ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, last = max(last, excluded.last){update}",
        bounds,
    )


def _summed(connection: apsw.Connection, table: str, asked: Counting, facts: tuple[Measured, ...]) -> dict[str, Side]:
    sides = {digest: Side(counted={each.name: Counted() for each in asked.measured}) for digest in asked.digests}
    sums = "".join(
        f", total(n{i}), total(t{i}), total(q{i}), total(n{i} * n{i}), total(t{i} * t{i}), total(n{i} * t{i})"
        for i in range(len(facts))
    )
    for row in fetch(connection, f"SELECT side, sum(calls), max(last){sums} FROM {table} GROUP BY side"):  # noqa: S608
        side = sides[row[0]]
        side.calls, side.last_call = row[1], row[2]
        for i, measured in enumerate(facts):
            side.counted[measured.name] = Counted(*row[3 + 6 * i : 9 + 6 * i])
        _weigh(connection, table, row[0], side, facts)
    return sides


def _weigh(connection: apsw.Connection, table: str, digest: str, side: Side, facts: tuple[Measured, ...]) -> None:
    """A second reading, now that it is known how alike the calls of a user are."""
    wanted, alike = [], []
    for i, measured in enumerate(facts):
        wanted += [f"total(n{i} / (1 + max(n{i} - 1, 0) * ?))", f"total(t{i} / (1 + max(n{i} - 1, 0) * ?))"]
        alike += [alikeness(side.counted[measured.name], measured.kind in MEANS)] * 2
    if not facts:
        return
    [row] = fetch(connection, f"SELECT {', '.join(wanted)} FROM {table} WHERE side = ?", (*alike, digest))  # noqa: S608
    for i, measured in enumerate(facts):
        found = side.counted[measured.name]
        found.alone, found.alone_total = row[2 * i], row[2 * i + 1]


def _said(connection: apsw.Connection, asked: Counting, measured: Measured, sides: dict[str, Side]) -> None:
    """Of what one person said of a call, the last counts; of several persons, each."""
    marks = ",".join("?" * len(asked.digests))
    bad = f"CASE WHEN score IS NOT NULL THEN score < {BAD_SCORE} ELSE ifnull(label, '') IN ({_listed(BAD_LABELS)}) END"
    rows = fetch(
        connection,
        f"""SELECT f.digest, {_USER.format("f.")} AS user, s.bad FROM
          (SELECT id, {bad} AS bad, max(ts) FROM feedback WHERE name = ? AND ts >= ? GROUP BY id, said_by) s
          CROSS JOIN fact f ON f.id = s.id
          WHERE f.workflow = ? AND f.ts >= ? AND f.traffic = ? AND f.digest IN ({marks})
            AND ifnull(f.kill, '') = '' AND ifnull(f.route, '') <> 'bypass'""",  # noqa: S608
        (measured.said, asked.since, asked.workflow, asked.since, asked.traffic, *asked.digests),
    )
    users: dict[str, dict[Any, list[float]]] = {digest: {} for digest in asked.digests}
    for digest, user, value in rows:
        users[digest].setdefault(user, []).append(float(value))
    for digest, values in users.items():
        sides[digest].counted[measured.name] = counted(values.values(), mean=False)


def ratings(
    connection: apsw.Connection, workflow: str, names: Sequence[str], since: float, until: float
) -> list[Rating]:
    """By the name of the score and when it was given, which is never before the call."""
    rows = fetch(
        connection,
        f"""SELECT f.id, f.ts, {_USER.format("f.")}, f.digest, s.name, s.score FROM feedback s
          CROSS JOIN fact f ON f.id = s.id
          WHERE s.name IN ({",".join("?" * len(names))}) AND s.ts >= ? AND s.score IS NOT NULL
            AND substr(s.said_by, 1, {len(SCORER)}) = '{SCORER}'
            AND f.workflow = ? AND f.ts >= ? AND f.ts < ? AND f.traffic = 'live' ORDER BY f.ts, f.id, s.name""",  # noqa: S608
        (*names, since, workflow, since, until),
    )
    return [
        Rating(unpack_id(row[0]), row[1], unpack_id(row[2]) if isinstance(row[2], bytes) else row[2], *row[3:])
        for row in rows
    ]


def sides(connection: apsw.Connection, workflow: str, since: float, digest: str) -> tuple[int, int]:
    """Warm facts only: a stage's users come back within a week."""
    row = fetch(
        connection,
        """SELECT count(DISTINCT CASE WHEN digest IS ? AND route <> 'bypass' THEN unit END),
          count(DISTINCT CASE WHEN digest IS NOT ? OR route = 'bypass' THEN unit END) FROM fact
          WHERE workflow = ? AND ts >= ? AND traffic = 'live' AND unit_source <> 'random' AND unit IS NOT NULL
          AND route IN ('release', 'previous', 'bypass') AND ifnull(kill, '') = ''""",
        (digest, digest, workflow, since),
    )[0]
    return row[0], row[1]


def callers(connection: apsw.Connection, workflow: str, since: float, until: float) -> Callers:
    row = fetch(
        connection,
        """SELECT total(traffic = 'live'), total(traffic = 'live' AND unit_source = 'random'),
          count(DISTINCT CASE WHEN traffic = 'live' AND unit_source <> 'random' THEN unit END),
          total(traffic = 'tester'), min(CASE WHEN traffic = 'live' THEN ts END)
          FROM fact WHERE workflow = ? AND ts >= ? AND ts < ?""",
        (workflow, since, until),
    )[0]
    return Callers(int(row[0]), int(row[1]), row[2], int(row[3]), row[4])


def would(connection: apsw.Connection, since: float, until: float) -> dict[str, dict[str, int]]:
    """By an index of its own: on a page."""
    found: dict[str, dict[str, int]] = {}
    sql = "SELECT workflow, would, count(*) FROM fact WHERE would IS NOT NULL AND ts >= ? AND ts < ? GROUP BY 1, 2"
    for workflow, what, n in fetch(connection, sql, (since, until)):
        found.setdefault(workflow, {})[what] = n
    return found
