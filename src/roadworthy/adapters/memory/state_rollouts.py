"""The in-memory twin of the ramps of the state store."""

from __future__ import annotations

from collections.abc import Sequence

from roadworthy.workflow.audit import AuditRecord


class RolloutTables:
    """Needs ``_ramps``, ``_ramps_change`` and ``_trail`` of ``MemoryTransaction``."""

    @property
    def _ramps(self) -> dict[str, str]:
        raise NotImplementedError

    @property
    def _ramps_change(self) -> dict[str, str]:
        raise NotImplementedError

    @property
    def _trail(self) -> dict[int, AuditRecord]:
        raise NotImplementedError

    def rollout(self, workflow: str) -> str | None:
        return self._ramps.get(workflow)

    def rollouts(self) -> dict[str, str]:
        return dict(sorted(self._ramps.items()))

    def put_rollout(self, team: str, workflow: str, token: str) -> None:
        self._ramps_change[workflow] = token

    def audit_of(
        self, target: str, *, until: float | None = None, limit: int = 1000, done: bool = False
    ) -> Sequence[AuditRecord]:
        rows = [row for _, row in sorted(self._trail.items(), reverse=True) if row.target == target]
        rows = [row for row in rows if until is None or row.time <= until]
        return [row for row in rows if row.outcome == "done" or not done][:limit]
