"""The state port: what control keeps about configuration, releases, keys and its audit trail.

One store, reached only through transactions.  A change and its audit record are written in the same
transaction, so neither exists without the other.  Adapters: ``adapters/memory``, ``adapters/sqlite``; one
contract suite runs against both.  Every row carries a ``team``.

Calls are synchronous and short; control runs them off its event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import msgspec

from roadworthy.workflow.audit import AuditRecord, Which
from roadworthy.workflow.model import ApiKey, Configuration, FrozenRelease
from roadworthy.workflow.strictness import Terms
from roadworthy.workflow.wording import Wording


class AppliedConfiguration(msgspec.Struct, frozen=True):
    """One ``roadworthy apply`` that changed something."""

    version: int
    """1, 2, 3…; the newest is in force."""
    applied_at: float
    applied_by: str
    files: dict[str, str]
    """Relative path → text, as applied."""
    configuration: Configuration
    """What the files say."""


class Transaction(Protocol):
    """Reads and writes of one transaction; it sees its own writes.

    A violated uniqueness (a version, release or audit number that is taken) raises ``StateConflict``.
    """

    # configuration
    def applied(self) -> AppliedConfiguration | None:
        """The configuration in force: the newest version, with what waits for an owner as it was agreed before;
        ``None`` before the first apply."""
        ...

    def configurations(self, limit: int = 20) -> Sequence[AppliedConfiguration]:
        """As applied, newest first."""
        ...

    def add_configuration(self, applied: AppliedConfiguration) -> None: ...

    # releases
    def releases(self, workflow: str | None = None) -> Sequence[FrozenRelease]:
        """By workflow name, then newest number first."""
        ...

    def release(self, digest: str) -> FrozenRelease | None: ...

    def newest(self) -> dict[str, str]:
        """Workflow name → digest of its release with the highest number."""
        ...

    def add_release(self, release: FrozenRelease) -> None:
        """``(workflow, number)`` and ``digest`` are unique."""
        ...

    def candidates(self) -> dict[str, str]:
        """Workflow name → digest of the release that was put forward last: what everybody gets under ``observe``, and
        what waits for its ramp under ``enforce``."""
        ...

    def put_forward(self, workflow: str, digest: str) -> None:
        """This release of the workflow, which must have been added, is its candidate from now on."""
        ...

    # words
    def wording(self, workflow: str) -> Wording | None:
        """What somebody has in hand with the words of a workflow."""
        ...

    def wordings(self) -> Sequence[Wording]: ...

    def put_wording(self, wording: Wording) -> None:
        """Insert, or replace that of the same workflow."""
        ...

    # keys
    def keys(self) -> Sequence[ApiKey]:
        """All of them, revoked ones included, oldest first."""
        ...

    def key(self, key_id: str) -> ApiKey | None: ...

    def put_key(self, key: ApiKey) -> None:
        """Insert, or replace the key with the same id."""
        ...

    # audit
    def last_audit(self) -> AuditRecord | None: ...

    def append_audit(self, record: AuditRecord) -> None: ...

    def audit(self, after: int = 0, limit: int = 1000) -> Sequence[AuditRecord]:
        """Records with ``seq`` > ``after``, ascending."""
        ...

    def trail(self, which: Which, before: int | None = None, limit: int = 50) -> Sequence[AuditRecord]:
        """Records that match, newest first; ``before``: with a smaller ``seq``."""
        ...

    def trail_words(self, field: Literal["actor", "action"]) -> Sequence[str]:
        """Every value that the field has in the trail, in order."""
        ...

    # fencing
    def epoch(self) -> int:
        """The epoch of the control in charge; 0 before the first."""
        ...

    def next_epoch(self, above: int = 0) -> int:
        """Raise the epoch by one, to more than ``above``, and return it: called once by each control that takes the
        lock."""
        ...


class State(Protocol):
    """Opens transactions.  Leaving the block commits; an exception rolls everything back and travels on."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A consistent view.  Writing through it is a programming error."""
        ...

    def write(self) -> AbstractContextManager[Transaction]:
        """One writer at a time."""
        ...


class Agreements(Protocol):
    """The terms of every workflow that are in force, kept where the database cannot change them."""

    def terms(self, workflow: str) -> Terms | None:
        """``None``: nothing was ever agreed, so the first terms that are applied are in force at once."""
        ...

    def agree(self, workflow: str, configured: Terms, *, by: str, approved: Collection[str] = ()) -> None:
        """From now on the stricter of what was agreed and what is configured is in force; what is ``approved``, and the
        first terms of all, as configured.  Durable when it returns; one after another.  Raises ``OSError``."""
        ...


InForce = Callable[[AppliedConfiguration], AppliedConfiguration]
"""A configuration as applied → as it is in force."""


def as_applied(applied: AppliedConfiguration) -> AppliedConfiguration:
    """Nobody has to agree to anything."""
    return applied


class StateConflict(Exception):
    """Two writers claimed the same number, or a release was put forward that does not exist."""
