"""Rows in Parquet files, by pyarrow.  Loaded when a cold day is first read or written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from roadworthy.adapters.sqlite.log_rows import COLUMNS, NUMBERS, unpack_id
from roadworthy.inference_log.model import WORDED, Filter
from roadworthy.inference_log.rules import DRAWN

BATCH = 20_000
"""Rows held at a time."""
GROUP = 4_000
"""Rows of a row group: what a look-up has to unpack."""

_COUNTS = ("status", "stream", "input", "cache_read", "cache_write", "output", "reasoning")
_KINDS = {name: pa.float64() for name in ("ts", *NUMBERS)} | {name: pa.int64() for name in _COUNTS}
SCHEMA = pa.schema([(name, _KINDS.get(name, pa.string())) for name in COLUMNS])

Row = tuple[Any, ...]


def batches(
    path: Path, names: Sequence[str], where: Filter | None = None, drawn: str | None = None
) -> Iterator[Sequence[Sequence[Any]]]:
    """Columns of the matching rows, as far as Parquet can decide a filter; ids as people read them.

    Of the row groups that hold any: the columns of the filter are read first, alone.
    """
    dataset = ds.dataset(path, format="parquet", schema=SCHEMA)
    wanted = _expression(where)
    if drawn is not None:
        below = pc.utf8_slice_codeunits(pc.field("id"), *DRAWN) < drawn
        wanted = below if wanted is None else wanted & below
    for batch in _batches(dataset, list(names), wanted):
        yield [column.to_pylist() for column in batch.columns]


def one(path: Path, inference: str) -> dict[str, Any] | None:
    """Column → value of the row of an id."""
    dataset = ds.dataset(path, format="parquet", schema=SCHEMA)
    for batch in _batches(dataset, list(COLUMNS), pc.field("id") == inference):
        for row in batch.to_pylist():
            found: dict[str, Any] = row
            return found
    return None


def write(file: IO[bytes], rows: Iterable[Row]) -> tuple[int, float, float]:
    """(rows, oldest, newest) of what was written; 0 rows leave a file without any."""
    count, oldest, newest = 0, float("inf"), float("-inf")
    stream = iter(rows)
    with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        while batch := list(islice(stream, BATCH)):
            writer.write_table(_table(batch), row_group_size=GROUP)
            count += len(batch)
            oldest = min(oldest, *(row[1] for row in batch))
            newest = max(newest, *(row[1] for row in batch))
    return count, oldest, newest


def count(path: Path) -> int:
    """Rows of a file, by its own metadata."""
    return int(pq.read_metadata(path).num_rows)


def _batches(dataset: ds.Dataset, names: list[str], wanted: pc.Expression | None) -> Iterator[pa.RecordBatch]:
    if wanted is None:
        yield from dataset.to_batches(columns=names, batch_size=BATCH, use_threads=False)
        return
    for fragment in dataset.get_fragments():
        for group in fragment.split_by_row_group(wanted, schema=SCHEMA):
            if group.count_rows(filter=wanted, use_threads=False):
                yield from group.to_batches(schema=SCHEMA, columns=names, filter=wanted, use_threads=False)


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
