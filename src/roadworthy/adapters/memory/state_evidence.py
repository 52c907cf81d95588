"""The in-memory twin of the evidence, receipts and waivers of the state store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from roadworthy.evidence.model import Evidence, Waiver
from roadworthy.evidence.receipt.model import Receipt, Revocation
from roadworthy.workflow.ports import StateConflict

T = TypeVar("T")


@dataclass
class Proofs:
    """Id → (record, token)."""

    evidence: dict[str, tuple[Evidence, str]] = field(default_factory=dict)
    receipts: dict[str, tuple[Receipt, str]] = field(default_factory=dict)
    revocations: dict[str, tuple[Revocation, str]] = field(default_factory=dict)
    waivers: dict[str, tuple[Waiver, str]] = field(default_factory=dict)

    def copy(self) -> Proofs:
        return Proofs(dict(self.evidence), dict(self.receipts), dict(self.revocations), dict(self.waivers))


class EvidenceTables:
    """Needs ``_proofs`` and ``_proofs_change`` of ``MemoryTransaction``."""

    @property
    def _proofs(self) -> Proofs:
        raise NotImplementedError

    @property
    def _proofs_change(self) -> Proofs:
        raise NotImplementedError

    def add_evidence(self, evidence: Evidence, token: str) -> None:
        _add(self._proofs_change.evidence, evidence.id, evidence, token)

    def accept_evidence(self, evidence: Evidence, token: str) -> None:
        _replace(self._proofs_change.evidence, evidence.id, evidence, token)

    def evidence(self, ident: str) -> str | None:
        found = self._proofs.evidence.get(ident)
        return None if found is None else found[1]

    def evidence_about(self, workflow: str, *, kind: str | None = None, limit: int = 10_000) -> Sequence[str]:
        mine = [row for row in self._proofs.evidence.values() if row[0].workflow in ("", workflow)]
        mine = [row for row in mine if kind in (None, row[0].kind)]
        return [token for _, token in sorted(mine, key=lambda row: (row[0].made_at, row[0].id), reverse=True)][:limit]

    def add_receipt(self, receipt: Receipt, token: str) -> None:
        _add(self._proofs_change.receipts, receipt.id, receipt, token)

    def receipts(self, workflow: str | None = None) -> Sequence[str]:
        newest: dict[tuple[str, str], tuple[Receipt, str]] = {}
        for receipt, token in sorted(self._proofs.receipts.values(), key=lambda row: (*row[0].order, row[0].id)):
            if workflow in (None, receipt.workflow):
                newest[receipt.workflow, receipt.behaviour] = receipt, token
        return [newest[key][1] for key in sorted(newest)]

    def add_revocation(self, revocation: Revocation, token: str) -> None:
        _add(self._proofs_change.revocations, revocation.id, revocation, token)

    def revocations(self, workflow: str | None = None) -> Sequence[str]:
        mine = [row for row in self._proofs.revocations.values() if workflow in (None, row[0].workflow)]
        return [token for _, token in sorted(mine, key=lambda row: (row[0].at, row[0].id))]

    def add_waiver(self, waiver: Waiver, token: str) -> None:
        _add(self._proofs_change.waivers, waiver.id, waiver, token)

    def end_waiver(self, waiver: Waiver, token: str) -> None:
        _replace(self._proofs_change.waivers, waiver.id, waiver, token)

    def waivers(self, workflow: str, *, ending_after: float = 0.0) -> Sequence[str]:
        mine = [
            row for row in self._proofs.waivers.values() if row[0].workflow == workflow and row[0].over > ending_after
        ]
        return [token for _, token in sorted(mine, key=lambda row: (row[0].over, row[0].id))]


def _add(rows: dict[str, tuple[T, str]], ident: str, record: T, token: str) -> None:
    if ident in rows:
        raise StateConflict(f"{ident} exists already")
    rows[ident] = record, token


def _replace(rows: dict[str, tuple[T, str]], ident: str, record: T, token: str) -> None:
    if ident not in rows:
        raise StateConflict(f"there is no {ident}")
    rows[ident] = record, token
