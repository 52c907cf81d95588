"""What ramps need of the world."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from roadworthy.rollout.events import Effect
from roadworthy.rollout.model import Grounds, Observed, Rollout, Room, Traffic
from roadworthy.workflow.audit import AuditRecord
from roadworthy.workflow.ports import Transaction


class RolloutTransaction(Transaction, Protocol):
    """Part of the state store's transaction: a ramp and its audit record are written together.

    Ramps are kept as sealed tokens; who reads opens them, so a row that somebody else wrote counts for nothing.
    """

    def rollout(self, workflow: str) -> str | None:
        """The token of the latest one of a workflow; earlier ones are in the audit log."""
        ...

    def rollouts(self) -> dict[str, str]:
        """Workflow → the token of its latest one."""
        ...

    def put_rollout(self, team: str, workflow: str, token: str) -> None:
        """Insert, or replace the workflow's."""
        ...

    def audit_of(
        self, target: str, *, until: float | None = None, limit: int = 1000, done: bool = False
    ) -> Sequence[AuditRecord]:
        """Records about a target, newest first; ``until``: up to this instant, inclusive; ``done``: without what was
        denied, of which anybody can make as many as they like."""
        ...


class RolloutState(Protocol):
    """The state store, as far as ramps need it."""

    def read(self) -> AbstractContextManager[RolloutTransaction]: ...

    def write(self) -> AbstractContextManager[RolloutTransaction]: ...


class Feed(Protocol):
    """What guardrails are computed from."""

    def observe(self, rollout: Rollout, now: float) -> Observed:
        """What the stage showed since it was entered: live calls (testers' at the testers' stage), never pooled."""
        ...

    def traffic(self, workflow: str, now: float) -> Traffic:
        """What the workflow was called lately, as far back as a calendar looks."""
        ...


class Evidenced(Protocol):
    """What a release stands on."""

    def grounds(self, workflow: str, digest: str, now: float) -> Grounds:
        """Fails closed: a ceiling of 0 for a release of which nothing is known."""
        ...


class Manned(Protocol):
    """How much people can carry."""

    def __call__(self, workflow: str, digest: str, share: float, now: float) -> Room:
        """With the release at this share of live traffic."""
        ...


class Telling(Protocol):
    """Who must know is told, in the transaction that changes the ramp."""

    def __call__(self, tx: RolloutTransaction, rollout: Rollout, effects: Sequence[Effect], now: float) -> None: ...
