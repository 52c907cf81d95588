"""Sums per group: from buckets where they can answer (within 1 %), else exactly from facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import ceil, floor
from typing import Any, cast
from zoneinfo import ZoneInfo

import apsw

from roadworthy.adapters.sqlite.log_cold import ColdDays
from roadworthy.adapters.sqlite.log_query import conditions
from roadworthy.adapters.sqlite.log_rollup import HOUR, KEYS, LEVELS, SUMS, BucketRow, Sums, measure
from roadworthy.adapters.sqlite.log_rows import COLUMNS, TOKENS, from_row
from roadworthy.adapters.sqlite.log_schema import fetch, query
from roadworthy.inference_log.model import BUCKET, BUCKET_DIMENSIONS, Filter, FilterRefused, Stats, StatsRow
from roadworthy.inference_log.rules import hidden, labels, matches, sorted_rows
from roadworthy.statistics.sketch import RELATIVE_ERROR
from roadworthy.workflow.inference import OUTCOMES, Tokens

_BUCKET_FILTERS = {"team", "workflow", "outcome", "release", "route", "target", "traffic", "since", "until"}
_COLUMN = {"release": "digest", "model": "model_answered"}
_TIMES = ("hour", "day")


def stats(connection: apsw.Connection, cold: ColdDays, by: Sequence[str], where: Filter, zone: ZoneInfo) -> Stats:
    """Sums per group.  Raises ``FilterRefused`` for a text filter: bodies are searched by ``find``."""
    if where.text is not None:
        raise FilterRefused("text cannot be summed: search with `log --text`, sum by another filter")
    by = tuple(dict.fromkeys(by))
    groups = by if "traffic" in by else (*by, "traffic")
    asked = {name for name in where.__struct_fields__ if getattr(where, name) is not None}
    if BUCKET_DIMENSIONS.issuperset(groups) and asked <= _BUCKET_FILTERS:
        rows = _from_buckets(connection, cold, groups, where, zone)
        return Stats(by, sorted_rows(rows, by), "buckets", RELATIVE_ERROR)
    return Stats(by, sorted_rows(_from_facts(connection, cold, groups, where, zone), by), "facts", 0.0)


# --- time ----------------------------------------------------------------------------------------------------


def _widths(zone: ZoneInfo, times: set[str], start: float, end: float) -> list[int]:
    """Which merged buckets never straddle an hour or a day of the zone, over the whole range.

    Offsets are looked up at both ends and every four weeks: no zone changes to and fro within.
    """
    if not times:
        return list(LEVELS)
    step = 28 * 86_400.0
    instants = [start, end, *(start + step * n for n in range(1, int((end - start) // step) + 1))]
    offsets = [datetime.fromtimestamp(instant, UTC).astimezone(zone).utcoffset() for instant in instants]
    seconds = [offset.total_seconds() if offset is not None else 0.0 for offset in offsets]
    if "hour" not in times and not any(seconds):
        return list(LEVELS)
    return [HOUR] if all(offset % HOUR == 0 for offset in seconds) else []


# --- buckets -------------------------------------------------------------------------------------------------


def _from_buckets(
    connection: apsw.Connection, cold: ColdDays, groups: Sequence[str], where: Filter, zone: ZoneInfo
) -> Iterator[StatsRow]:
    at = {name: 1 + KEYS.index(_COLUMN.get(name, name)) for name in groups if name not in _TIMES}
    label = labels(zone)
    outcome_at = 1 + KEYS.index("outcome")
    found: dict[tuple[Any, ...], Sums] = {}
    for row in _buckets(connection, cold, where, zone, set(_TIMES).intersection(groups)):
        group = tuple(label[name](row[0]) if name in _TIMES else row[at[name]] or None for name in groups)
        sums = found.get(group)
        if sums is None:
            sums = found[group] = Sums()
        sums.bucket(row[1 + len(KEYS) :], row[outcome_at])
    for group, sums in found.items():
        latency, first = sums.latency, sums.first
        yield StatsRow(
            group=dict(zip(groups, group, strict=True)),
            count=sums.n,
            outcomes=sums.outcomes,
            p50=latency.quantile(0.5),
            p95=latency.quantile(0.95),
            p99=latency.quantile(0.99),
            first_token_p50=first.quantile(0.5),
            tokens=Tokens(*sums.tokens),
            cost_usd=sums.cost,
            cost_unknown=sums.cost_unknown,
        )


def _buckets(
    connection: apsw.Connection, cold: ColdDays, where: Filter, zone: ZoneInfo, times: set[str]
) -> Iterator[BucketRow]:
    """Rows that together are the facts of the filter: days, hours, 5 minutes, and what is dirty or cut by the range."""
    bounds = _bounds(connection, cold)
    if bounds is None:
        return
    since = max(where.since if where.since is not None else bounds[0], bounds[0])
    until = min(where.until if where.until is not None else bounds[1], bounds[1])
    if since >= until:
        return
    start, end = ceil(since / BUCKET) * BUCKET, floor(until / BUCKET) * BUCKET
    if start >= end:
        yield from _measured(connection, cold, where, since, until)
        return
    yield from _measured(connection, cold, where, since, start)
    yield from _measured(connection, cold, where, end, until)
    dirty = fetch(
        connection,
        "SELECT start, group_concat(workflow, char(10)) FROM dirty WHERE start >= ? AND start < ? GROUP BY start",
        (start, end),
    )
    away = hidden(where)
    for begin, workflows in dirty:
        for workflow in workflows.split("\n"):
            if where.workflow in (None, workflow) and workflow not in away:
                narrowed = _with(where, workflow=workflow)
                yield from _measured(connection, cold, narrowed, begin, begin + BUCKET)
    levels = []
    for width in _widths(zone, times, since, until):
        sql = "SELECT start FROM settled WHERE width = ? AND start >= ? AND start + width <= ? ORDER BY start"
        levels.append((width, [row[0] for row in fetch(connection, sql, (width, start, end))]))
    for width, first, last in _spans(start, end, levels):
        yield from _stored(connection, where, width, first, last)


def _bounds(connection: apsw.Connection, cold: ColdDays) -> tuple[float, float] | None:
    """From the oldest fact to just after the newest; ``None`` for an empty log."""
    oldest, newest = fetch(connection, "SELECT (SELECT min(ts) FROM fact), (SELECT max(ts) FROM fact)")[0]
    days = cold.days(connection)
    lows = [day.oldest for day in days] + ([oldest] if oldest is not None else [])
    highs = [day.newest for day in days] + ([newest] if newest is not None else [])
    return (floor(min(lows) / BUCKET) * BUCKET, ceil((max(highs) + 1e-3) / BUCKET) * BUCKET) if lows else None


def _spans(start: int, end: int, levels: Sequence[tuple[int, Sequence[int]]]) -> Iterator[tuple[int, int, int]]:
    """(width, first, last) ranges that cover [start, end): what has settled at the widest level, gaps by the next."""
    if not levels:
        yield BUCKET, start, end
        return
    (width, settled), *narrower = levels
    runs: list[tuple[int, int]] = []
    for at in settled:
        if at < start or at + width > end:
            continue
        if runs and runs[-1][1] == at:
            runs[-1] = (runs[-1][0], at + width)
        else:
            runs.append((at, at + width))
    reached = start
    for first, last in runs:
        if reached < first:
            yield from _spans(reached, first, narrower)
        yield width, first, last
        reached = last
    if reached < end:
        yield from _spans(reached, end, narrower)


def _with(where: Filter, **changes: Any) -> Filter:
    fields = {name: getattr(where, name) for name in where.__struct_fields__}
    return Filter(**{**fields, **changes})


def _measured(
    connection: apsw.Connection, cold: ColdDays, where: Filter, since: float, until: float
) -> Iterator[BucketRow]:
    """Rows from facts; the range is cut with the filter's own."""
    since = max(since, where.since if where.since is not None else since)
    until = min(until, where.until if where.until is not None else until)
    if since < until:
        yield from measure(connection, cold, _with(where, since=since, until=until))


def _stored(connection: apsw.Connection, where: Filter, width: int, first: int, last: int) -> Iterator[BucketRow]:
    sql, values = conditions(_with(where, since=None, until=None))
    clean = ""
    if width == BUCKET:
        clean = " AND NOT EXISTS (SELECT 1 FROM dirty d WHERE d.start = bucket.start AND d.workflow = bucket.workflow)"
    statement = (
        f"SELECT start, {', '.join((*KEYS, *SUMS))} FROM bucket "  # noqa: S608
        f"WHERE width = ? AND start >= ? AND start < ? AND {sql}{clean}"
    )
    return query(connection, statement, (width, first, last, *values))


# --- facts ---------------------------------------------------------------------------------------------------


def _from_facts(
    connection: apsw.Connection, cold: ColdDays, groups: Sequence[str], where: Filter, zone: ZoneInfo
) -> Iterator[StatsRow]:
    """Exact sums by SQL.  Cold rows that match are laid beside the warm ones in a temporary table first."""
    for name, label in labels(zone).items():
        connection.create_scalar_function(f"local_{name}", cast(Any, label), 1, deterministic=True)
    columns = ", ".join(COLUMNS)
    connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS cold_fact ({columns})")
    connection.execute("DELETE FROM cold_fact")
    marks = ",".join("?" * len(COLUMNS))
    for day in cold.days(connection, where):
        rows = (row for row in cold.rows(day, where) if matches(where, from_row(row)))
        connection.executemany(f"INSERT INTO cold_fact VALUES ({marks})", rows)  # noqa: S608
    sql, values = conditions(where)
    expressions, bound = [], []
    for name in groups:
        if name in _TIMES:
            expressions.append(f"local_{name}(ts)")
        elif name.startswith("tag:"):
            expressions.append("(SELECT value FROM json_each(tags) WHERE json_each.key = ?)")
            bound.append(name[4:])
        elif name == "stream":
            expressions.append("CASE stream WHEN 1 THEN 'yes' ELSE 'no' END")
        else:
            expressions.append(_COLUMN.get(name, name))
    outcomes = ", ".join(f"sum(outcome = '{outcome}')" for outcome in OUTCOMES)
    tokens = ", ".join(f"sum({name})" for name in TOKENS)
    group_by = ", ".join(str(n + 1) for n in range(len(groups)))
    statement = f"""SELECT {", ".join(expressions)}, count(*), percentile_cont(latency, 0.5),
      percentile_cont(latency, 0.95), percentile_cont(latency, 0.99), percentile_cont(first_token, 0.5),
      sum(cost_usd), sum(cost_usd IS NULL), {tokens}, {outcomes}
      FROM (SELECT {columns} FROM fact WHERE {sql} UNION ALL SELECT {columns} FROM cold_fact)
      GROUP BY {group_by}"""  # noqa: S608
    for row in query(connection, statement, (*bound, *values)):
        yield _row(groups, row)
    connection.execute("DELETE FROM cold_fact")


def _row(groups: Sequence[str], row: tuple[Any, ...]) -> StatsRow:
    group, sums = row[: len(groups)], row[len(groups) :]
    counts = zip(OUTCOMES, sums[7 + len(TOKENS) :], strict=True)
    return StatsRow(
        group={name: value or None for name, value in zip(groups, group, strict=True)},
        count=sums[0],
        outcomes={outcome: count for outcome, count in counts if count},
        p50=sums[1],
        p95=sums[2],
        p99=sums[3],
        first_token_p50=sums[4],
        tokens=Tokens(*sums[7 : 7 + len(TOKENS)]),
        cost_usd=sums[5],
        cost_unknown=sums[6],
    )
