"""Tables of the inference log and how a connection to them is set up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from roadworthy.adapters.sqlite.log_rows import COLUMNS, LATER, NUMBERS

VERSION = 3

_TYPES = {name: "REAL" for name in ("ts", *NUMBERS)} | {"id": "BLOB NOT NULL"}
_INTEGERS = ("status", "stream", "input", "cache_read", "cache_write", "output", "reasoning")
_TYPES |= {name: "INTEGER NOT NULL" for name in _INTEGERS}
_FACT = ", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in COLUMNS if name not in LATER)

SCHEMA = f"""
CREATE TABLE fact ({_FACT});
CREATE UNIQUE INDEX fact_id ON fact (id);
CREATE INDEX fact_ts ON fact (ts, id);
CREATE INDEX fact_workflow ON fact (workflow, ts, id);
CREATE INDEX fact_unit ON fact (unit, ts, id);
CREATE INDEX fact_bad ON fact (outcome, ts, id) WHERE outcome <> 'answered';

CREATE TABLE tag (name TEXT, value TEXT, ts REAL, id BLOB, PRIMARY KEY (name, value, ts, id)) WITHOUT ROWID;
CREATE INDEX tag_id ON tag (id);

CREATE TABLE body (id BLOB PRIMARY KEY, ts REAL NOT NULL, dictionary INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX body_ts ON body (ts);
CREATE TABLE dictionary (id INTEGER PRIMARY KEY, data BLOB NOT NULL);

CREATE TABLE feedback (id BLOB, ts REAL, name TEXT, score REAL, label TEXT, said_by TEXT,
  PRIMARY KEY (id, ts, name, said_by)) WITHOUT ROWID;

CREATE TABLE open_start (id BLOB PRIMARY KEY, worker TEXT, boot INTEGER, unit TEXT, ts REAL, line BLOB);
CREATE INDEX open_boot ON open_start (worker, boot);
CREATE TABLE segment (worker TEXT, boot INTEGER, seq INTEGER, position INTEGER, finished INTEGER,
  PRIMARY KEY (worker, boot, seq)) WITHOUT ROWID;
CREATE TABLE quarantine (worker TEXT, boot INTEGER, seq INTEGER, position INTEGER, reason TEXT, data BLOB);
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE bucket (width INTEGER, start INTEGER, workflow TEXT, team TEXT, digest TEXT, route TEXT, outcome TEXT,
  target TEXT, traffic TEXT, n INTEGER, input INTEGER, cache_read INTEGER, cache_write INTEGER, output INTEGER,
  reasoning INTEGER, cost REAL, cost_unknown INTEGER, latency BLOB, first_token BLOB,
  PRIMARY KEY (width, start, workflow, team, digest, route, outcome, target, traffic)) WITHOUT ROWID;
CREATE TABLE dirty (start INTEGER, workflow TEXT, PRIMARY KEY (start, workflow)) WITHOUT ROWID;
CREATE TABLE settled (width INTEGER, start INTEGER, PRIMARY KEY (width, start)) WITHOUT ROWID;

CREATE TABLE cold_day (day TEXT PRIMARY KEY, file TEXT NOT NULL, rows INTEGER NOT NULL,
  oldest REAL NOT NULL, newest REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE tombstone (unit TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
"""

UPGRADES = {
    2: """
ALTER TABLE fact ADD COLUMN would TEXT;
ALTER TABLE fact ADD COLUMN kill TEXT;
CREATE INDEX fact_would ON fact (ts, workflow, would) WHERE would IS NOT NULL;
CREATE INDEX feedback_name ON feedback (name, ts);
""",
    3: """
CREATE INDEX fact_failure ON fact (failure, ts, id) WHERE failure IS NOT NULL;
CREATE INDEX fact_kill ON fact (kill, ts, id) WHERE kill IS NOT NULL;
""",
}
"""Version → what makes it of the one before."""


class LogTooNew(RuntimeError):
    """The log was written by a later version of Roadworthy: run that version, or restore a backup."""


def connect(path: Path) -> apsw.Connection:
    """A connection with the log's pragmas; makes the tables when the file is new.

    ``synchronous=FULL``: a journal segment is deleted after the commit, so the commit must be on disk by then.
    """
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(10_000)
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA cache_size = -32768")
    return connection


def migrate(connection: apsw.Connection) -> None:
    """Bring the tables to ``VERSION``.  Raises ``LogTooNew``."""
    version = connection.pragma("user_version")
    if version > VERSION:
        raise LogTooNew(f"the inference log has format {version}, this Roadworthy reads up to {VERSION}")
    with connection:
        if version == 0:
            connection.execute(SCHEMA)
            version = 1
        for upgrade in range(version + 1, VERSION + 1):
            connection.execute(UPGRADES[upgrade])
        if connection.pragma("user_version") != VERSION:
            connection.pragma("user_version", VERSION)


def query(connection: apsw.Connection, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """Rows of a statement, one after the other; closing the iterator ends the statement."""
    cursor = connection.execute(sql, values)
    try:
        yield from cursor
    finally:
        cursor.close()


def fetch(connection: apsw.Connection, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a statement."""
    return list(query(connection, sql, values))
