"""The in-memory twin of the state port: the same promises, no file."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from roadworthy.adapters.memory import state_reviews
from roadworthy.adapters.memory.state_accounts import Accounts, AccountTables
from roadworthy.adapters.memory.state_books import Books, BookTables
from roadworthy.adapters.memory.state_evals import EvalTables, Trials
from roadworthy.adapters.memory.state_evidence import EvidenceTables, Proofs
from roadworthy.adapters.memory.state_forecasts import Forecasts, ForecastTables
from roadworthy.adapters.memory.state_judges import Bench, JudgeTables
from roadworthy.adapters.memory.state_loads import Loads, LoadTables
from roadworthy.adapters.memory.state_on_call import OnCallBook, OnCallTables
from roadworthy.adapters.memory.state_pages import Paged, PageTables
from roadworthy.adapters.memory.state_people import PeopleTables, Tables
from roadworthy.adapters.memory.state_reviews import ReviewTables
from roadworthy.adapters.memory.state_rollouts import RolloutTables
from roadworthy.fallback.drills.model import DrillRun
from roadworthy.people.model import LoginCode, LoginSession
from roadworthy.workflow.audit import AuditRecord, Which
from roadworthy.workflow.model import ApiKey, FrozenRelease
from roadworthy.workflow.ports import AppliedConfiguration, InForce, StateConflict, as_applied
from roadworthy.workflow.wording import Wording

K = TypeVar("K")
V = TypeVar("V")


@dataclass
class _Rows:
    configurations: dict[int, AppliedConfiguration] = field(default_factory=dict)
    releases: dict[str, FrozenRelease] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)
    wordings: dict[str, Wording] = field(default_factory=dict)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    login_codes: dict[str, LoginCode] = field(default_factory=dict)
    login_sessions: dict[str, LoginSession] = field(default_factory=dict)
    audit: dict[int, AuditRecord] = field(default_factory=dict)
    people: Tables = field(default_factory=Tables)
    known: Accounts = field(default_factory=Accounts)
    paged: Paged = field(default_factory=Paged)
    on_call: OnCallBook = field(default_factory=OnCallBook)
    drill_runs: dict[str, DrillRun] = field(default_factory=dict)
    proofs: Proofs = field(default_factory=Proofs)
    trials: Trials = field(default_factory=Trials)
    bench: Bench = field(default_factory=Bench)
    rollouts: dict[str, str] = field(default_factory=dict)
    forecasts: Forecasts = field(default_factory=dict)
    books: Books = field(default_factory=dict)
    loads: Loads = field(default_factory=dict)
    reviews: state_reviews.Kept = field(default_factory=dict)
    epoch: int = 0

    def copy(self) -> _Rows:
        return replace(
            self,
            configurations=dict(self.configurations),
            releases=dict(self.releases),
            served=dict(self.served),
            wordings=dict(self.wordings),
            keys=dict(self.keys),
            login_codes=dict(self.login_codes),
            login_sessions=dict(self.login_sessions),
            audit=dict(self.audit),
            people=self.people.copy(),
            known=self.known.copy(),
            paged=self.paged.copy(),
            on_call=self.on_call.copy(),
            drill_runs=dict(self.drill_runs),
            proofs=self.proofs.copy(),
            trials=self.trials.copy(),
            bench=self.bench.copy(),
            rollouts=dict(self.rollouts),
            forecasts=dict(self.forecasts),
            books=dict(self.books),
            loads=dict(self.loads),
            reviews=dict(self.reviews),
        )


class MemoryState:
    """``State`` in memory.  A write works on a copy that replaces the rows when it commits."""

    def __init__(self, in_force: InForce = as_applied) -> None:
        self._rows = _Rows()
        self._writer = threading.Lock()
        self._in_force = in_force

    @contextmanager
    def read(self) -> Iterator[MemoryTransaction]:
        yield MemoryTransaction(self._rows, writable=False, in_force=self._in_force)

    @contextmanager
    def write(self) -> Iterator[MemoryTransaction]:
        with self._writer:
            rows = self._rows.copy()
            yield MemoryTransaction(rows, writable=True, in_force=self._in_force)
            self._rows = rows

    def scrub(self) -> None:
        """Nothing is kept of what was deleted."""


class MemoryTransaction(
    PeopleTables,
    AccountTables,
    PageTables,
    EvidenceTables,
    EvalTables,
    JudgeTables,
    RolloutTables,
    ForecastTables,
    BookTables,
    LoadTables,
    OnCallTables,
    ReviewTables,
):
    """What every property needs of the state store, on a copy of the rows."""

    def __init__(self, rows: _Rows, *, writable: bool, in_force: InForce = as_applied) -> None:
        self._rows = rows
        self._writable = writable
        self._in_force = in_force

    @property
    def _change(self) -> _Rows:
        if not self._writable:
            raise RuntimeError("a read transaction was asked to write; open it with State.write()")
        return self._rows

    @property
    def _people(self) -> Tables:
        return self._rows.people

    @property
    def _people_change(self) -> Tables:
        return self._change.people

    @property
    def _paged(self) -> Paged:
        return self._rows.paged

    @property
    def _paged_change(self) -> Paged:
        return self._change.paged

    @property
    def _on_call(self) -> OnCallBook:
        return self._rows.on_call

    @property
    def _on_call_change(self) -> OnCallBook:
        return self._change.on_call

    @property
    def _known(self) -> Accounts:
        return self._rows.known

    @property
    def _known_change(self) -> Accounts:
        return self._change.known

    @property
    def _sessions(self) -> dict[str, LoginSession]:
        return self._rows.login_sessions

    @property
    def _proofs(self) -> Proofs:
        return self._rows.proofs

    @property
    def _proofs_change(self) -> Proofs:
        return self._change.proofs

    @property
    def _trials(self) -> Trials:
        return self._rows.trials

    @property
    def _trials_change(self) -> Trials:
        return self._change.trials

    @property
    def _bench(self) -> Bench:
        return self._rows.bench

    @property
    def _bench_change(self) -> Bench:
        return self._change.bench

    @property
    def _ramps(self) -> dict[str, str]:
        return self._rows.rollouts

    @property
    def _ramps_change(self) -> dict[str, str]:
        return self._change.rollouts

    @property
    def _booked(self) -> Books:
        return self._rows.books

    @property
    def _booked_change(self) -> Books:
        return self._change.books

    @property
    def _loads(self) -> Loads:
        return self._rows.loads

    @property
    def _loads_change(self) -> Loads:
        return self._change.loads

    @property
    def _reviews(self) -> state_reviews.Kept:
        return self._rows.reviews

    @property
    def _reviews_change(self) -> state_reviews.Kept:
        return self._change.reviews

    @property
    def _foretold(self) -> Forecasts:
        return self._rows.forecasts

    @property
    def _foretold_change(self) -> Forecasts:
        return self._change.forecasts

    @property
    def _trail(self) -> dict[int, AuditRecord]:
        return self._rows.audit

    # configuration
    def applied(self) -> AppliedConfiguration | None:
        newest = self.configurations(limit=1)
        return self._in_force(newest[0]) if newest else None

    def configurations(self, limit: int = 20) -> Sequence[AppliedConfiguration]:
        return sorted(self._rows.configurations.values(), key=lambda row: -row.version)[:limit]

    def add_configuration(self, applied: AppliedConfiguration) -> None:
        _add(self._change.configurations, applied.version, applied, "configuration version")

    # releases
    def releases(self, workflow: str | None = None) -> Sequence[FrozenRelease]:
        found = [row for row in self._rows.releases.values() if workflow in (None, row.release.workflow)]
        return sorted(found, key=lambda row: (row.release.workflow, -row.number))

    def release(self, digest: str) -> FrozenRelease | None:
        return self._rows.releases.get(digest)

    def newest(self) -> dict[str, str]:
        by_number = sorted(self._rows.releases.values(), key=lambda row: row.number)
        return {row.release.workflow: row.release.digest for row in by_number}

    def add_release(self, release: FrozenRelease) -> None:
        if any(row.number == release.number for row in self.releases(release.release.workflow)):
            raise StateConflict(f"workflow {release.release.workflow} has a release {release.number} already")
        _add(self._change.releases, release.release.digest, release, "release")

    def candidates(self) -> dict[str, str]:
        return dict(self._rows.served)

    def put_forward(self, workflow: str, digest: str) -> None:
        release = self.release(digest)
        if release is None or release.release.workflow != workflow:
            raise StateConflict(f"workflow {workflow} has no release {digest}")
        self._change.served[workflow] = digest

    # words
    def wording(self, workflow: str) -> Wording | None:
        return self._rows.wordings.get(workflow)

    def wordings(self) -> Sequence[Wording]:
        return [self._rows.wordings[name] for name in sorted(self._rows.wordings)]

    def put_wording(self, wording: Wording) -> None:
        self._change.wordings[wording.workflow] = wording

    # keys
    def keys(self) -> Sequence[ApiKey]:
        return sorted(self._rows.keys.values(), key=lambda key: (key.created_at, key.id))

    def key(self, key_id: str) -> ApiKey | None:
        return self._rows.keys.get(key_id)

    def put_key(self, key: ApiKey) -> None:
        if any(other.hash == key.hash and other.id != key.id for other in self._rows.keys.values()):
            raise StateConflict(f"another key than {key.id} has the same hash")
        self._change.keys[key.id] = key

    # signing in (people.ports.LoginTransaction)
    def login_code(self, code_hash: str) -> LoginCode | None:
        return self._rows.login_codes.get(code_hash)

    def put_login_code(self, code: LoginCode) -> None:
        self._change.login_codes[code.hash] = code

    def login_session(self, token_hash: str) -> LoginSession | None:
        return self._rows.login_sessions.get(token_hash)

    def put_login_session(self, session: LoginSession) -> None:
        self._change.login_sessions[session.hash] = session

    # audit
    def last_audit(self) -> AuditRecord | None:
        return self._rows.audit[max(self._rows.audit)] if self._rows.audit else None

    def append_audit(self, record: AuditRecord) -> None:
        _add(self._change.audit, record.seq, record, "audit record")

    def audit(self, after: int = 0, limit: int = 1000) -> Sequence[AuditRecord]:
        return [self._rows.audit[seq] for seq in sorted(self._rows.audit) if seq > after][:limit]

    def trail(self, which: Which, before: int | None = None, limit: int = 50) -> Sequence[AuditRecord]:
        newest = (self._rows.audit[seq] for seq in sorted(self._rows.audit, reverse=True))
        return [row for row in newest if (before is None or row.seq < before) and which.holds(row)][:limit]

    def trail_words(self, field: Literal["actor", "action"]) -> Sequence[str]:
        return sorted({getattr(record, field) for record in self._rows.audit.values()})

    # drills
    def put_drill_run(self, run: DrillRun) -> None:
        self._change.drill_runs[run.id] = run

    def drill_run(self, ident: str) -> DrillRun | None:
        return self._rows.drill_runs.get(ident)

    def drill_runs(self, workflow: str, limit: int = 20) -> Sequence[DrillRun]:
        found = [run for run in self._rows.drill_runs.values() if run.workflow == workflow]
        return sorted(found, key=lambda run: (run.began, run.id), reverse=True)[:limit]

    def keep_drill_runs(self, workflow: str, most: int) -> None:
        rows = self._change.drill_runs
        for run in self.drill_runs(workflow, len(rows))[most:]:
            del rows[run.id]

    # fencing
    def epoch(self) -> int:
        return self._rows.epoch

    def next_epoch(self, above: int = 0) -> int:
        self._change.epoch = max(self._rows.epoch, above) + 1
        return self._rows.epoch


def _add(rows: dict[K, V], key: K, value: V, what: str) -> None:
    if key in rows:
        raise StateConflict(f"{what} {key} exists already")
    rows[key] = value
