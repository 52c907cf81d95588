"""Who signs, who verifies, and what the state store keeps of evidence."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from roadworthy.evidence.model import Evidence, Waiver
from roadworthy.evidence.receipt.model import Receipt, Revocation
from roadworthy.workflow.ports import Transaction


class Signer(Protocol):
    """Holds a private key.  Only control has one."""

    @property
    def public_key(self) -> str:
        """What verifiers need, as text."""
        ...

    def sign(self, message: bytes) -> bytes: ...


class Verifier(Protocol):
    def verify(self, public_keys: Sequence[str], message: bytes, signature: bytes) -> bool:
        """Did the holder of one of the keys sign ``message``?  Fails closed: false for a key that cannot be read."""
        ...


class SealedLog(Protocol):
    """Tokens kept beside the database: what it lacks, because somebody removed it or put back an older copy, is here.

    Whoever reads opens them: a line that we did not sign, or that a power cut tore, counts for nothing.
    """

    def tokens(self) -> Sequence[str]:
        """In the order in which they were appended."""
        ...

    def append(self, tokens: Sequence[str]) -> None:
        """Durable when it returns.  Raises ``OSError``."""
        ...


class EvidenceTransaction(Transaction, Protocol):
    """Sealed tokens, with the facts by which they are found.

    Nothing is ever deleted or replaced by ``add_…``: an id that is taken raises ``StateConflict``.  Who reads opens the
    tokens, so a row that somebody else wrote counts for nothing.
    """

    def add_evidence(self, evidence: Evidence, token: str) -> None: ...

    def accept_evidence(self, evidence: Evidence, token: str) -> None:
        """Replace the token of this id by one with more acceptances.  Raises ``StateConflict`` when there is none."""
        ...

    def evidence(self, ident: str) -> str | None:
        """Its token."""
        ...

    def evidence_about(self, workflow: str, *, kind: str | None = None, limit: int = 10_000) -> Sequence[str]:
        """Tokens about a workflow or the install, newest ``made_at`` first."""
        ...

    def add_receipt(self, receipt: Receipt, token: str) -> None: ...

    def receipts(self, workflow: str | None = None) -> Sequence[str]:
        """The newest of each (workflow, behaviour) by (epoch, issued), ordered by workflow and behaviour."""
        ...

    def add_revocation(self, revocation: Revocation, token: str) -> None: ...

    def revocations(self, workflow: str | None = None) -> Sequence[str]:
        """Oldest first."""
        ...

    def add_waiver(self, waiver: Waiver, token: str) -> None: ...

    def end_waiver(self, waiver: Waiver, token: str) -> None:
        """Replace the token of this id by one that is over.  Raises ``StateConflict`` when there is none."""
        ...

    def waivers(self, workflow: str, *, ending_after: float = 0.0) -> Sequence[str]:
        """Those that end, or were ended, after the instant; the one that ends first comes first."""
        ...


class EvidenceState(Protocol):
    """The state store, as far as evidence needs it."""

    def read(self) -> AbstractContextManager[EvidenceTransaction]: ...

    def write(self) -> AbstractContextManager[EvidenceTransaction]: ...
