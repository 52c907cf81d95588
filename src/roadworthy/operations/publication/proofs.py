"""The signed tokens that gateways are given: receipts, revocations and waivers of enforcement.

Receipts and revocations are kept twice, in state and in ``sealed.log`` beside it.  A gate that failed, or a receipt
that was taken back, so stays known when somebody removes its row, or puts back an older copy of the database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from roadworthy.evidence.model import Waiver
from roadworthy.evidence.ports import EvidenceState, EvidenceTransaction, SealedLog, Verifier
from roadworthy.evidence.receipt.model import Receipt, Revocation
from roadworthy.evidence.receipt.tokens import RECEIPT, REVOCATION
from roadworthy.evidence.sealing import Forged, Seal
from roadworthy.evidence.tokens import WAIVER
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.ports import StateConflict

T = TypeVar("T")
U = TypeVar("U", Receipt, Revocation)


class Proven(msgspec.Struct, frozen=True):
    """What we signed, with its tokens."""

    receipts: dict[tuple[str, str], tuple[Receipt, str]] = {}
    """(workflow, behaviour) → the newest."""
    revocations: list[str] = []
    waivers: list[tuple[Waiver, str]] = []
    """Of enforcement, also those that are over."""
    forged: int = 0
    """Rows that somebody else wrote."""


class SealedProofs:
    """Thread-safe; blocking.  A token that was opened once is not verified again."""

    def __init__(
        self,
        state: EvidenceState,
        kept: SealedLog,
        verifier: Verifier,
        keys: Sequence[str],
        *,
        clock: Callable[[], float],
    ) -> None:
        """``keys``: the public key of this install's signer, then those of earlier ones."""
        self._clock = clock
        self._state = state
        self._kept = kept
        self._verifier = verifier
        self._keys = keys
        self._lock = threading.Lock()
        self._opened: dict[str, object | None] = {}
        self._logged = dict.fromkeys(
            token for token in kept.tokens() if token.startswith((RECEIPT.prefix.decode(), REVOCATION.prefix.decode()))
        )

    def read(self, workflows: Iterable[str]) -> Proven:
        """What holds now; what state has and ``sealed.log`` lacks is added there first.  Raises ``OSError``."""
        with self._state.read() as tx:
            receipts, revocations = list(tx.receipts()), list(tx.revocations())
            waivers = [token for workflow in workflows for token in tx.waivers(workflow)]
        with self._lock:
            new = [token for token in receipts if self._open(RECEIPT, token) is not None]
            new += [token for token in revocations if self._open(REVOCATION, token) is not None]
            new = [token for token in new if token not in self._logged]
            if new:
                self._kept.append(new)
                self._logged |= dict.fromkeys(new)
            return self._proven([*receipts, *self._logged], [*revocations, *self._logged], waivers)

    def merge(self) -> int:
        """Give state back what it lacks; returns how much that was.  Called at each start, audited."""
        logged = self._proven(self._logged, self._logged, [])
        with self._state.write() as tx:
            known = self._proven(tx.receipts(), tx.revocations(), [])
            back: list[Receipt | Revocation] = []
            for about, (receipt, token) in logged.receipts.items():
                if about not in known.receipts or known.receipts[about][0].order < receipt.order:
                    back += _added(tx.add_receipt, receipt, token)
            for token in logged.revocations:
                revocation = self._open(REVOCATION, token)
                if revocation is not None and token not in known.revocations:
                    back += _added(tx.add_revocation, revocation, token)
            for each in back:
                self._audit(tx, each)
        return len(back)

    def _audit(self, tx: EvidenceTransaction, found: Receipt | Revocation) -> None:
        reason = "state lacked it and sealed.log has it: a row was removed, or an older copy was put back"
        event = Event("engine", "evidence.restored", f"workflow/{found.workflow}", reason=reason, evidence=found.id)
        tx.append_audit(chain(tx.last_audit(), event, self._clock()))

    def _proven(self, receipts: Iterable[str], revocations: Iterable[str], waivers: Iterable[str]) -> Proven:
        newest: dict[tuple[str, str], tuple[Receipt, str]] = {}
        forged = 0
        for token in receipts:
            receipt = self._open(RECEIPT, token)
            if receipt is None:
                forged += not token.startswith(REVOCATION.prefix.decode())
                continue
            about = receipt.workflow, receipt.behaviour
            if about not in newest or receipt.order > newest[about][0].order:
                newest[about] = receipt, token
        good = [token for token in dict.fromkeys(revocations) if self._open(REVOCATION, token) is not None]
        waived = [(found, token) for token in waivers if (found := self._open(WAIVER, token)) is not None]
        return Proven(newest, good, [each for each in waived if each[0].item is None], forged)

    def _open(self, seal: Seal[T], token: str) -> T | None:
        """What we signed; ``None`` for anything else."""
        if not token.startswith(seal.prefix.decode()):
            return None
        if token not in self._opened:
            try:
                self._opened[token] = seal.opened(token.encode("utf-8", "replace"), self._keys, self._verifier)
            except Forged:
                self._opened[token] = None
        found: T | None = self._opened[token]  # type: ignore[assignment]
        return found


def _added(add: Callable[[U, str], None], found: U, token: str) -> list[U]:
    """What was added: not a row that is there and that a forged one hides."""
    try:
        add(found, token)
    except StateConflict:
        return []
    return [found]
