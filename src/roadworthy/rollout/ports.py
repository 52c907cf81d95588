"""What ramps need of the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from roadworthy.rollout.model import Observed, Rollout


class RolloutTransaction(Protocol):
    """Part of the state store's transaction: the ramp and its audit record are written together."""

    def rollout(self, team: str, workflow: str) -> Rollout | None:
        """The latest one of a workflow; earlier ones are in the audit log."""
        ...

    def rollouts(self) -> Sequence[Rollout]:
        """The latest one of each workflow."""
        ...

    def put_rollout(self, rollout: Rollout) -> None:
        """Insert, or replace the workflow's."""
        ...


class Feed(Protocol):
    """What guardrails are computed from."""

    def observe(self, rollout: Rollout, now: float) -> Observed:
        """What the stage showed since it was entered: live calls (testers' at the testers' stage), never pooled."""
        ...


class Ceilings(Protocol):
    """What readiness allows."""

    def ceiling(self, team: str, workflow: str, digest: str, now: float) -> float:
        """Share in [0, 1].  Fails closed: 0 for a release of which nothing is known."""
        ...
