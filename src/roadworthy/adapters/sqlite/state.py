"""The state port on SQLite: WAL, foreign keys, one writer.

Rule: every write transaction is ``BEGIN IMMEDIATE`` and is committed with ``synchronous=FULL``, so what was
acknowledged survives a power cut.  Within the process writers queue on a lock; other processes are kept out by
``control.lock``.  SQLite's errors are mapped here: a taken number becomes ``StateConflict``, a file that cannot be
read or written ``StateUnavailable``.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.adapters.sqlite.state_accounts import AccountRows
from roadworthy.adapters.sqlite.state_books import BookRows
from roadworthy.adapters.sqlite.state_drills import DrillRows
from roadworthy.adapters.sqlite.state_evals import EvalRows
from roadworthy.adapters.sqlite.state_evidence import EvidenceRows
from roadworthy.adapters.sqlite.state_forecasts import ForecastRows
from roadworthy.adapters.sqlite.state_judges import JudgeRows
from roadworthy.adapters.sqlite.state_loads import LoadRows
from roadworthy.adapters.sqlite.state_migrations import migrate
from roadworthy.adapters.sqlite.state_on_call import OnCallRows
from roadworthy.adapters.sqlite.state_pages import PageRows
from roadworthy.adapters.sqlite.state_people import PeopleRows
from roadworthy.adapters.sqlite.state_reviews import ReviewRows
from roadworthy.adapters.sqlite.state_rollouts import RolloutRows
from roadworthy.people.model import LoginCode, LoginSession
from roadworthy.workflow.audit import AuditRecord, Which
from roadworthy.workflow.model import DEFAULT_TEAM, ApiKey, Configuration, FrozenRelease
from roadworthy.workflow.ports import AppliedConfiguration, InForce, StateConflict, as_applied
from roadworthy.workflow.wording import Wording

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process (a backup) before giving up."""


T = TypeVar("T")


class StateUnavailable(Exception):
    """The database file cannot be opened, read or written."""


class Decoded:
    """The configuration that was read last: every request asks for it, some many times, and it changes seldom.

    It is what its row says to the letter, so a transaction that was rolled back leaves nothing behind.
    """

    def __init__(self) -> None:
        self._last: tuple[tuple[Any, ...], AppliedConfiguration] | None = None

    def of(self, row: sa.Row[Any]) -> AppliedConfiguration:
        known, said = self._last, tuple(row)
        if known is not None and known[0] == said:
            return known[1]
        made = decoded(row)
        self._last = said, made
        return made


def decoded(row: sa.Row[Any]) -> AppliedConfiguration:
    return AppliedConfiguration(
        version=row.version,
        applied_at=row.applied_at,
        applied_by=row.applied_by,
        files=json.loads(row.files),
        configuration=msgspec.json.decode(row.configuration, type=Configuration),
    )


class SqliteState:
    """``State`` on one SQLite file.  Thread-safe."""

    def __init__(self, path: str | os.PathLike[str], in_force: InForce = as_applied) -> None:
        """Open the file (0600), creating or migrating it.

        Raises ``StateTooNew`` or ``StateUnavailable``.
        """
        self.path = Path(path)
        self._in_force = in_force
        self._decoded = Decoded()
        self._writer = threading.Lock()
        self.writes = 0
        """Transactions that were committed here, for whoever shows what changes."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StateUnavailable(f"{self.path}: {error.strerror}; check the folder's owner and mode") from error
        with _mapped(self.path):
            self._engine = _engine(self.path)
            migrate(self._engine, str(self.path))

    @contextmanager
    def read(self) -> Iterator[SqliteTransaction]:
        with _mapped(self.path), self._engine.connect() as connection, connection.begin():
            yield SqliteTransaction(connection, self._decoded, writable=False, in_force=self._in_force)

    @contextmanager
    def write(self) -> Iterator[SqliteTransaction]:
        with self._writer:
            with (
                _mapped(self.path),
                self._engine.connect().execution_options(roadworthy_write=True) as connection,
                connection.begin(),
            ):
                yield SqliteTransaction(connection, self._decoded, writable=True, in_force=self._in_force)
            self.writes += 1  # still the only writer: whoever keeps what was read under a number must not miss one

    def scrub(self) -> None:
        """Let the write-ahead log keep nothing of what was deleted (pages are overwritten as they are freed)."""
        with self._writer, _mapped(self.path):
            connection = self._engine.raw_connection()  # outside of any transaction, or SQLite refuses
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()

    def close(self) -> None:
        self._engine.dispose()


class SqliteTransaction(
    PeopleRows,
    AccountRows,
    PageRows,
    DrillRows,
    EvidenceRows,
    EvalRows,
    JudgeRows,
    RolloutRows,
    ForecastRows,
    BookRows,
    LoadRows,
    OnCallRows,
    ReviewRows,
):
    """What every property needs of the state store, on one connection."""

    def __init__(
        self, connection: sa.Connection, known: Decoded, *, writable: bool, in_force: InForce = as_applied
    ) -> None:
        self._connection = connection
        self._known = known
        self._writable = writable
        self._in_force = in_force

    # configuration
    def applied(self) -> AppliedConfiguration | None:
        query = sa.select(t.configuration).order_by(t.configuration.c.version.desc()).limit(1)
        row = self._connection.execute(query).first()
        return None if row is None else self._in_force(self._known.of(row))

    def configurations(self, limit: int = 20) -> Sequence[AppliedConfiguration]:
        query = sa.select(t.configuration).order_by(t.configuration.c.version.desc()).limit(limit)
        return [decoded(row) for row in self._connection.execute(query)]

    def add_configuration(self, applied: AppliedConfiguration) -> None:
        self._insert(
            t.configuration,
            version=applied.version,
            team=DEFAULT_TEAM,
            applied_at=applied.applied_at,
            applied_by=applied.applied_by,
            files=json.dumps(applied.files),
            configuration=_text(applied.configuration),
        )

    # releases
    def releases(self, workflow: str | None = None) -> Sequence[FrozenRelease]:
        query = sa.select(t.release.c.record).order_by(t.release.c.workflow, t.release.c.number.desc())
        if workflow is not None:
            query = query.where(t.release.c.workflow == workflow)
        return [msgspec.json.decode(text, type=FrozenRelease) for text in self._connection.scalars(query)]

    def release(self, digest: str) -> FrozenRelease | None:
        return self._one(t.release, t.release.c.digest == digest, FrozenRelease)

    def newest(self) -> dict[str, str]:
        c = t.release.c
        last = sa.select(c.workflow, sa.func.max(c.number).label("number")).group_by(c.workflow).subquery()
        same = sa.and_(c.workflow == last.c.workflow, c.number == last.c.number)
        query = sa.select(c.workflow, c.digest).join(last, same)
        return {row.workflow: row.digest for row in self._connection.execute(query)}

    def add_release(self, release: FrozenRelease) -> None:
        self._insert(
            t.release,
            digest=release.release.digest,
            team=release.team,
            workflow=release.release.workflow,
            number=release.number,
            record=_text(release),
        )

    def candidates(self) -> dict[str, str]:
        return {row.workflow: row.digest for row in self._connection.execute(sa.select(t.served))}

    def put_forward(self, workflow: str, digest: str) -> None:
        release = self.release(digest)
        if release is None or release.release.workflow != workflow:
            raise StateConflict(f"workflow {workflow} has no release {digest}")
        self._put(t.served, "workflow", workflow=workflow, team=release.team, digest=digest)

    # words
    def wording(self, workflow: str) -> Wording | None:
        return self._one(t.wording, t.wording.c.workflow == workflow, Wording)

    def wordings(self) -> Sequence[Wording]:
        query = sa.select(t.wording.c.record).order_by(t.wording.c.workflow)
        return [msgspec.json.decode(text, type=Wording) for text in self._connection.scalars(query)]

    def put_wording(self, wording: Wording) -> None:
        self._put(t.wording, "workflow", workflow=wording.workflow, team=wording.team, record=_text(wording))

    # keys
    def keys(self) -> Sequence[ApiKey]:
        query = sa.select(t.api_key.c.record).order_by(t.api_key.c.created_at, t.api_key.c.id)
        return [msgspec.json.decode(text, type=ApiKey) for text in self._connection.scalars(query)]

    def key(self, key_id: str) -> ApiKey | None:
        return self._one(t.api_key, t.api_key.c.id == key_id, ApiKey)

    def put_key(self, key: ApiKey) -> None:
        self._put(
            t.api_key, "id", id=key.id, team=key.team, hash=key.hash, created_at=key.created_at, record=_text(key)
        )

    # signing in (people.ports.LoginTransaction)
    def login_code(self, code_hash: str) -> LoginCode | None:
        return self._one(t.login_code, t.login_code.c.hash == code_hash, LoginCode)

    def put_login_code(self, code: LoginCode) -> None:
        self._put_login(t.login_code, code)

    def login_session(self, token_hash: str) -> LoginSession | None:
        return self._one(t.login_session, t.login_session.c.hash == token_hash, LoginSession)

    def put_login_session(self, session: LoginSession) -> None:
        self._put_login(t.login_session, session)

    # audit
    def last_audit(self) -> AuditRecord | None:
        query = sa.select(t.audit.c.record).order_by(t.audit.c.seq.desc()).limit(1)
        text = self._connection.scalar(query)
        return None if text is None else AuditRecord(**json.loads(text))

    def append_audit(self, record: AuditRecord) -> None:
        self._insert(
            t.audit,
            seq=record.seq,
            team=record.team,
            time=record.time,
            actor=record.actor,
            action=record.action,
            target=record.target,
            record=json.dumps(record.as_dict(), ensure_ascii=False),
        )

    def audit(self, after: int = 0, limit: int = 1000) -> Sequence[AuditRecord]:
        query = sa.select(t.audit.c.record).where(t.audit.c.seq > after).order_by(t.audit.c.seq).limit(limit)
        return [AuditRecord(**json.loads(text)) for text in self._connection.scalars(query)]

    def trail(self, which: Which, before: int | None = None, limit: int = 50) -> Sequence[AuditRecord]:
        c = t.audit.c
        query = sa.select(c.record)
        for column, value in ((c.actor, which.actor), (c.action, which.action)):
            if value:
                query = query.where(column == value)
        if which.targets:
            query = query.where(c.target.in_(which.targets))
        if which.since is not None:
            query = query.where(c.seq > self._seq_before(which.since), c.time >= which.since)
        if which.until is not None:
            query = query.where(c.seq <= self._seq_before(which.until), c.time < which.until)
        if before is not None:
            query = query.where(c.seq < before)
        found = self._connection.scalars(query.order_by(c.seq.desc()).limit(limit))
        return [AuditRecord(**json.loads(text)) for text in found]

    def _seq_before(self, instant: float) -> int:
        """Of the newest record that is older: time and number rise together, and only the number is the order of every
        index here."""
        c = t.audit.c
        query = sa.select(c.seq).where(c.time < instant).order_by(c.time.desc(), c.seq.desc()).limit(1)
        return int(self._connection.scalar(query) or 0)

    def trail_words(self, field: Literal["actor", "action"]) -> Sequence[str]:
        column, found = t.audit.c[field], list[str]()
        smallest = sa.select(sa.func.min(column))
        while (word := self._connection.scalar(smallest.where(column > (found[-1] if found else "")))) is not None:
            found.append(str(word))  # one step in the index a word, however many records have it
        return found

    # fencing
    def epoch(self) -> int:
        return int(self._connection.scalar(sa.select(t.fencing.c.epoch).where(t.fencing.c.name == "control")) or 0)

    def next_epoch(self, above: int = 0) -> int:
        epoch = max(self.epoch(), above) + 1
        self._put(t.fencing, "name", name="control", team=DEFAULT_TEAM, epoch=epoch)
        return epoch

    def _one(self, table: sa.Table, where: sa.ColumnElement[bool], kind: type[T]) -> T | None:
        text = self._connection.scalar(sa.select(table.c.record).where(where))
        return None if text is None else msgspec.json.decode(text, type=kind)

    def _put_login(self, table: sa.Table, login: LoginCode | LoginSession) -> None:
        self._put(
            table,
            "hash",
            hash=login.hash,
            team=login.team,
            person=login.person,
            expires_at=login.expires_at,
            record=_text(login),
        )

    def _insert(self, table: sa.Table, **values: Any) -> None:
        self._change(sa.insert(table).values(**values))

    def _put(self, table: sa.Table, key: str, **values: Any) -> None:
        rest = {name: value for name, value in values.items() if name != key}
        self._change(insert(table).values(**values).on_conflict_do_update(index_elements=[key], set_=rest))

    def _change(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        if not self._writable:
            raise RuntimeError("a read transaction was asked to write; open it with State.write()")
        try:
            return self._connection.execute(statement)
        except sa.exc.IntegrityError as error:
            raise StateConflict(str(error.orig)) from error


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False, "isolation_level": None}
    )

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _: object) -> None:
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("roadworthy_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    try:
        yield
    except sa.exc.DatabaseError as error:
        raise StateUnavailable(f"{path}: {error.orig}; check the disk and the file's owner") from error


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
