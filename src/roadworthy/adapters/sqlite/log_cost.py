"""What is asked of the log about cost beside sums: a sample of calls with their attempts, the customers behind them.

A sample is drawn by the random digits of the id, which stand in the index: only what is drawn is read.
"""

from __future__ import annotations

from typing import Any

import apsw

from roadworthy.adapters.sqlite.log_cold import ColdDays
from roadworthy.adapters.sqlite.log_query import SELECT, conditions
from roadworthy.adapters.sqlite.log_rows import from_row
from roadworthy.adapters.sqlite.log_schema import query
from roadworthy.inference_log.model import Cursor, Filter, FilterRefused
from roadworthy.inference_log.rules import DRAWN, drawn_below, matches
from roadworthy.workflow.inference import Inference

_AT = (DRAWN[0] - len("inf_")) // 2 + 1
"""Byte of a packed id at which the drawn digits begin, from 1 as SQL counts."""
_WIDTH = DRAWN[1] - DRAWN[0]
_NAMED = "unit IS NOT NULL AND unit_source <> 'random'"


def sample(connection: apsw.Connection, cold: ColdDays, where: Filter, share: float) -> list[Inference]:
    _refuse_text(where)
    sql, values = conditions(where)
    below = drawn_below(share) if share < 1.0 else None
    if below is not None:
        packed, text = f"substr(id, {_AT}, {_WIDTH // 2}) < ?", f"substr(id, {DRAWN[0] + 1}, {_WIDTH}) < ?"
        sql += f" AND CASE typeof(id) WHEN 'blob' THEN {packed} ELSE {text} END"
        values += [bytes.fromhex(below), below]
    found = [from_row(row) for row in query(connection, f"{SELECT} WHERE {sql}", values)]
    for day in cold.days(connection, where):
        rows = (from_row(row) for row in cold.rows(day, where, drawn=below))
        found += [row for row in rows if matches(where, row)]
    return sorted(found, key=Cursor.of)


def customers(connection: apsw.Connection, cold: ColdDays, where: Filter) -> int:
    _refuse_text(where)
    sql, values = conditions(where)
    named = f"SELECT DISTINCT unit FROM fact WHERE {sql} AND {_NAMED}"  # noqa: S608 - constant column names
    users: set[Any] = {unit for (unit,) in query(connection, named, values)}
    if (
        where.tag is not None
        or where.release is not None
        or where.would is not None
        or where.workflow is None
        or where.among
    ):
        for day in cold.days(connection, where):
            rows = (from_row(row) for row in cold.rows(day, where))
            users.update(row.unit for row in rows if _names(row.unit, row.unit_source) and matches(where, row))
        return len(users)
    for day in cold.days(connection, where):  # Parquet decides all the rest of a filter by itself
        units = cold.rows(day, where, columns=("unit", "unit_source"))
        users.update(unit for unit, source in units if _names(unit, source))
    return len(users)


def _names(unit: str | None, source: str) -> bool:
    return unit is not None and source != "random"


def _refuse_text(where: Filter) -> None:
    if where.text is not None:
        raise FilterRefused("text cannot be summed: search with `log --text`, sum by another filter")
