"""The terms that owners have agreed to, sealed, and kept beside the database (``evidence.ports.SealedLog``).

Rule: what is configured is in force as far as it is at least as strict as the agreed terms.  Whoever writes the
database can make a workflow stricter and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

import msgspec

from roadworthy.evidence.ports import SealedLog, Signer, Verifier
from roadworthy.evidence.sealing import Forged, Seal
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.ports import AppliedConfiguration
from roadworthy.workflow.strictness import Terms, strictest, terms_of, under


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """Terms of one workflow."""

    workflow: str
    number: int
    """Rises with every agreement about the workflow: an older one is a replay."""
    terms: Terms
    by: str
    """Who approved, or applied what was new or stricter."""
    at: float


AGREEMENT = Seal(Agreed, "agreement", b"rwg-", longest=1 << 20)


class SealedAgreements:
    """``workflow.ports.Agreements``.  Thread-safe."""

    def __init__(
        self,
        kept: SealedLog,
        signer: Signer,
        verifier: Verifier,
        *,
        clock: Callable[[], float],
        keys: Sequence[str] = (),
    ) -> None:
        """``keys``: public keys of earlier signers of this install, whose signatures still count."""
        self._kept = kept
        self._signer = signer
        self._clock = clock
        self._lock = threading.Lock()
        self._agreed: dict[str, Agreed] = {}
        for token in kept.tokens():
            if token.startswith(AGREEMENT.prefix.decode()):
                self._take(token, (signer.public_key, *keys), verifier)

    def _take(self, token: str, keys: Sequence[str], verifier: Verifier) -> None:
        try:
            found = AGREEMENT.opened(token.encode("utf-8", "replace"), keys, verifier)
        except Forged:
            return
        before = self._agreed.get(found.workflow)
        if before is None or found.number > before.number:
            self._agreed[found.workflow] = found

    def terms(self, workflow: str) -> Terms | None:
        found = self._agreed.get(workflow)
        return None if found is None else found.terms

    def agree(self, workflow: str, configured: Terms, *, by: str, approved: Collection[str] = ()) -> None:
        with self._lock:
            before = self._agreed.get(workflow)
            terms = configured if before is None else strictest(before.terms, configured, approved=approved)
            if before is not None and before.terms == terms:
                return
            number = 1 if before is None else before.number + 1
            agreed = Agreed(workflow=workflow, number=number, terms=terms, by=by, at=self._clock())
            self._kept.append([AGREEMENT.sealed(agreed, self._signer)])
            self._agreed[workflow] = agreed

    def in_force(self, applied: AppliedConfiguration) -> AppliedConfiguration:
        """What of an applied configuration is in force."""
        workflows = {name: self._in_force(each) for name, each in applied.configuration.workflows.items()}
        if all(workflows[name] is each for name, each in applied.configuration.workflows.items()):
            return applied
        configuration = msgspec.structs.replace(applied.configuration, workflows=workflows)
        return msgspec.structs.replace(applied, configuration=configuration)

    def _in_force(self, workflow: Workflow) -> Workflow:
        terms = self.terms(workflow.name)
        return workflow if terms is None else under(workflow, strictest(terms, terms_of(workflow)))
