"""One shipment, one transaction: rows, open starts, offsets, counters, marks for the rollup."""

from __future__ import annotations

from typing import Any

import apsw
import msgspec

from roadworthy.adapters.sqlite import log_bodies
from roadworthy.adapters.sqlite.log_bodies import Packer
from roadworthy.adapters.sqlite.log_forget import Tombstones
from roadworthy.adapters.sqlite.log_rollup import mark
from roadworthy.adapters.sqlite.log_rows import COLUMNS, pack_id, to_row
from roadworthy.inference_log.model import BUCKET, Batch, Shipped
from roadworthy.inference_log.rules import may_rate
from roadworthy.workflow.inference import Inference

_INSERT = f"INSERT INTO fact VALUES ({','.join('?' * len(COLUMNS))}) ON CONFLICT (id) DO NOTHING"  # noqa: S608
_REPLACE = (
    f"UPDATE fact SET ({','.join(COLUMNS)}) = ({','.join(f'?{n}' for n in range(1, len(COLUMNS) + 1))})"  # noqa: S608
    " WHERE id = ?1 AND code = 'gateway_lost'"
)
"""Of what is stored already only a call that was given up for lost is replaced, by its real end."""

QUARANTINED_BYTES = 65_536
"""Of a malformed line at most this is kept."""


def ship(connection: apsw.Connection, packer: Packer, tombstones: Tombstones, batch: Batch) -> Shipped:
    """Store a batch whole or not at all."""
    done = Shipped(torn=batch.torn, malformed=len(batch.malformed))
    with connection:
        dirty: set[tuple[int, str]] = set()
        ended: list[tuple[bytes | str]] = []
        for inference in (*batch.ends, *batch.lost):
            identity = pack_id(inference.id)
            ended.append((identity,))
            if tombstones.cover(inference.unit, inference.ts):
                done.forgotten += 1
            elif (kind := _store(connection, packer, identity, inference)) == "ignored":
                done.duplicates += 1
            else:
                dirty.add((int(inference.ts // BUCKET) * BUCKET, inference.workflow))
                done.replaced += kind == "replaced"
                done.stored += kind == "stored"
                done.lost += kind == "stored" and inference.code == "gateway_lost"
        connection.executemany("DELETE FROM open_start WHERE id = ?", ended)
        _starts(connection, tombstones, batch)
        done.feedback = _feedback(connection, tombstones, batch)
        mark(connection, dirty)
        _segments(connection, batch)
        _count(connection, done)
    return done


def _store(connection: apsw.Connection, packer: Packer, identity: bytes | str, inference: Inference) -> str:
    """``stored``, ``replaced`` or ``ignored``."""
    row = to_row(identity, inference)
    connection.execute(_INSERT, row)
    stored = connection.changes()
    if not stored:
        if inference.code == "gateway_lost":
            return "ignored"
        connection.execute(_REPLACE, row)
        if not connection.changes():
            return "ignored"
    if inference.tags:
        tags = [(name, value, inference.ts, identity) for name, value in inference.tags.items()]
        connection.executemany("INSERT OR IGNORE INTO tag VALUES (?, ?, ?, ?)", tags)
    data = log_bodies.of(inference)
    if data is not None:
        packed: tuple[Any, ...] = (identity, inference.ts, *packer.pack(data))
        connection.execute("INSERT OR IGNORE INTO body VALUES (?, ?, ?, ?)", packed)
    return "stored" if stored else "replaced"


def _starts(connection: apsw.Connection, tombstones: Tombstones, batch: Batch) -> None:
    for worker, boot, start in batch.starts:
        identity = pack_id(start.id)
        # an end that is stored already (its segment was read first) needs no start
        if connection.execute("SELECT 1 FROM fact WHERE id = ?", (identity,)).fetchone():
            continue
        if tombstones.cover(start.unit, start.ts):
            continue
        row = (identity, worker, boot, start.unit, start.ts, msgspec.json.encode(start))
        connection.execute("INSERT OR IGNORE INTO open_start VALUES (?, ?, ?, ?, ?, ?)", row)


def _feedback(connection: apsw.Connection, tombstones: Tombstones, batch: Batch) -> int:
    """What callers may say is stored; how much."""
    stored = 0
    for said in batch.feedback:
        identity = pack_id(said.inference)
        about = connection.execute("SELECT team, workflow FROM fact WHERE id = ?", (identity,)).fetchone()
        if not may_rate(said, about) or tombstones.cover(said.by, said.ts):
            continue
        row = (identity, said.ts, said.name, said.score, said.label, said.by)
        connection.execute("INSERT OR IGNORE INTO feedback VALUES (?, ?, ?, ?, ?, ?)", row)
        stored += connection.changes()
    return stored


def _segments(connection: apsw.Connection, batch: Batch) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?)",
        [(n.worker, n.boot, n.seq, p.offset, int(p.finished)) for n, p in batch.progress.items()],
    )
    connection.executemany(
        "DELETE FROM segment WHERE worker = ? AND boot = ? AND seq = ?",
        [(name.worker, name.boot, name.seq) for name in batch.deleted],
    )
    for bad in batch.malformed:
        at = (bad.segment.worker, bad.segment.boot, bad.segment.seq, bad.offset)
        row = (*at, bad.reason, bad.data[:QUARANTINED_BYTES])
        connection.execute("INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?)", row)


def _count(connection: apsw.Connection, done: Shipped) -> None:
    kept = (name for name in done.__struct_fields__ if name not in ("segments_deleted", "replaced"))
    add(connection, {name: getattr(done, name) for name in kept})
    if done.replaced:
        add(connection, {"lost": -done.replaced})


def add(connection: apsw.Connection, counts: dict[str, int]) -> None:
    connection.executemany(
        "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        [(name, count) for name, count in counts.items() if count],
    )
