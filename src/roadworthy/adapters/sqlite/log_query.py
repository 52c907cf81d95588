"""Filters as SQL, and a page read from warm rows and cold days in one order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apsw

from roadworthy.adapters.sqlite import log_bodies
from roadworthy.adapters.sqlite.log_bodies import Packer
from roadworthy.adapters.sqlite.log_cold import ColdDay, ColdDays
from roadworthy.adapters.sqlite.log_rows import COLUMNS, from_row, pack_id
from roadworthy.inference_log.model import ANY, EQUAL, WORDED, Cursor, Filter, Page, Reach
from roadworthy.inference_log.rules import hidden, matches
from roadworthy.workflow.inference import Inference

SELECT = f"SELECT {', '.join(COLUMNS)} FROM fact"  # noqa: S608 - constant column names


BEST = ("unit", "failure", "kill")
"""Columns whose index is used where they are asked for, the best first."""


def conditions(where: Filter) -> tuple[str, list[Any]]:
    """SQL over the columns of warm facts (all but ``text``) and its values.

    Of several indexes the one of users is the best by far, then those of what is rare, which SQLite cannot know: a plus
    keeps it from the others.
    """
    parts: list[str] = []
    values: list[Any] = []
    best = next((field for field in BEST if getattr(where, field) is not None), "")

    def using(column: str) -> str:
        return column if best in ("", column) else f"+{column}"

    def need(sql: str, *bound: Any) -> None:
        parts.append(sql)
        values.extend(bound)

    for field, column in EQUAL.items():
        if (value := getattr(where, field)) is not None:
            need(f"{using(column)} = ?", value)
    if where.among is not None:
        names = where.among.split(",")
        need(f"{using('workflow')} IN ({','.join('?' * len(names))})", *names)
    if where.workflow is None:
        away = hidden(where)
        need(f"workflow NOT IN ({','.join('?' * len(away))})", *away)
    for field in WORDED:
        words = where.words(field)
        if words:
            need(f"{using(field)} IN ({','.join('?' * len(words))})", *words)
    if where.outcome and "answered" not in where.words("outcome"):
        need(f"{using('outcome')} <> 'answered'")  # lets the partial index be used
    if where.since is not None:
        need("ts >= ?", where.since)
    if where.until is not None:
        need("ts < ?", where.until)
    if where.min_cost is not None:
        need("cost_usd >= ?", where.min_cost)
    if where.slower_than is not None:
        need("latency > ?", where.slower_than)
    if (prefix := where.digest_prefix) is not None:
        need("digest >= ? AND digest < ?", prefix, prefix + "\U0010ffff")
    if where.would is not None:
        need("would IS NOT NULL")
        if where.would != ANY:
            need("would >= ? AND would < ?", where.would, where.would + "\U0010ffff")
    if where.tag is not None:
        _tag(where, need)
    return " AND ".join(parts) or "1", values


def _tag(where: Filter, need: Callable[..., None]) -> None:
    """By the table of tags, whose key is (name, value, ts, id)."""
    name, value = where.tag_pair
    found, bound = "SELECT id FROM tag WHERE name = ?", [name]
    if value is not None:
        found, bound = found + " AND value = ?", [name, value]
    times: list[float] = []
    for sign, limit in ((">=", where.since), ("<", where.until)):
        if limit is not None:
            found += f" AND ts {sign} ?"
            times.append(limit)
    need(f"id IN ({found})", *bound, *times)


def warm(connection: apsw.Connection, where: Filter, newest_first: bool, past: Cursor | None) -> Iterator[Inference]:
    """Matching rows of SQLite, in order, beginning after ``past``."""
    sql, values = conditions(where)
    order = "DESC" if newest_first else "ASC"
    if past is not None:
        sql += f" AND (ts, id) {'<' if newest_first else '>'} (?, ?)"
        values += [past.ts, pack_id(past.id)]
    query = f"{SELECT} WHERE {sql} ORDER BY ts {order}, id {order}"
    for row in connection.execute(query, values):
        yield from_row(row)


def merged(
    rows: Iterator[Inference],
    days: Sequence[ColdDay],
    read: Callable[[ColdDay], Iterator[Inference]],
    newest_first: bool,
) -> Iterator[Inference]:
    """Warm rows and cold days in one order; a day is opened only when the order reaches it."""
    sign = -1 if newest_first else 1

    def key(inference: Inference) -> tuple[float, str]:
        return inference.ts, inference.id

    waiting: Inference | None = next(rows, None)
    for day in sorted(days, key=lambda day: day.oldest, reverse=newest_first):
        near, far = (day.newest, day.oldest) if newest_first else (day.oldest, day.newest)
        while waiting is not None and sign * waiting.ts < sign * near:
            yield waiting
            waiting = next(rows, None)
        within: list[Inference] = []
        while waiting is not None and sign * waiting.ts <= sign * far:
            within.append(waiting)
            waiting = next(rows, None)
        yield from heapq.merge(within, sorted(read(day), key=key, reverse=newest_first), key=key, reverse=newest_first)
    if waiting is not None:
        yield waiting
        yield from rows


def ordered(
    connection: apsw.Connection, cold: ColdDays, where: Filter, newest_first: bool, past: Cursor | None
) -> Iterator[Inference]:
    """Every match but for ``text``, without bodies, in (ts, id) order."""

    def read(day: ColdDay) -> Iterator[Inference]:
        for row in cold.rows(day, where):
            inference = from_row(row)
            beyond = past is None or (Cursor.of(inference) < past if newest_first else Cursor.of(inference) > past)
            if beyond and matches(where, inference):
                yield inference

    days = [
        day
        for day in cold.days(connection, where)
        if past is None or (day.oldest <= past.ts if newest_first else day.newest >= past.ts)
    ]
    return merged(warm(connection, where, newest_first, past), days, read, newest_first)


def reach(connection: apsw.Connection, cold: ColdDays) -> Reach | None:
    oldest, newest = connection.execute("SELECT (SELECT min(ts) FROM fact), (SELECT max(ts) FROM fact)").get
    days = cold.days(connection)
    times = [time for day in days for time in (day.oldest, day.newest)] + [t for t in (oldest, newest) if t is not None]
    return Reach(min(times), max(times), max(times) if oldest is None else oldest) if times else None


def body(connection: apsw.Connection, packer: Packer, inference: str) -> bytes | None:
    row = connection.execute("SELECT dictionary, data FROM body WHERE id = ?", (pack_id(inference),)).fetchone()
    return None if row is None else packer.unpack(*row)


def holds(connection: apsw.Connection, packer: Packer, inference: Inference, needles: Sequence[bytes]) -> bool:
    """Do the bodies hold a text?  One look-up and one unpacking: some 30 microseconds an inference."""
    data = body(connection, packer, inference.id)
    if data is None:
        return False
    lowered = data.lower()
    return any(needle in lowered for needle in needles)


def with_bodies(connection: apsw.Connection, packer: Packer, inference: Inference) -> Inference:
    """Fill in the bodies; where they are gone by retention, say so."""
    data = body(connection, packer, inference.id)
    if data is not None:
        log_bodies.into(inference, data)
    elif not inference.bodies_dropped and inference.failure != "gateway_lost":
        inference.bodies_dropped = "expired"
    return inference


def page(items: Iterator[Inference], limit: int, newest_first: bool, asked_past: bool) -> Page:
    """Cut a page from ordered matches.  The page itself is always newest first."""
    found: list[Inference] = []
    more = False
    for inference in items:
        if len(found) == limit:
            more = True
            break
        found.append(inference)
    if not newest_first:
        found.reverse()
    if not found:
        return Page([])
    older = more if newest_first else asked_past
    return Page(
        items=found,
        next=str(Cursor.of(found[-1])) if older else None,
        previous=str(Cursor.of(found[0])),
    )
