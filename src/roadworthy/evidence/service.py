"""Keeps evidence, acceptances, waivers and receipts, each with its audit record in one transaction; reads only what we
signed.

A row that somebody else wrote into the database is counted and counts for nothing.  A row that somebody removed, or an
older one that was put back, changes nothing either where a ``SealedLog`` is kept: a failed run and the end of a waiver
are read from there, and so is that a workflow was waived at all.  Who may do what is decided before:
accepting, waiving and revoking are for named persons (``api``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from roadworthy.evidence import rules
from roadworthy.evidence.kinds import KINDS, Role
from roadworthy.evidence.model import Accepted, Evidence, Waiver
from roadworthy.evidence.ports import EvidenceState, EvidenceTransaction, SealedLog, Signer, Verifier
from roadworthy.evidence.receipt.model import Receipt, Revocation
from roadworthy.evidence.receipt.rules import receipt_for, replaces
from roadworthy.evidence.receipt.tokens import RECEIPT, REVOCATION
from roadworthy.evidence.rules import Bindings, Refused
from roadworthy.evidence.sealing import Forged, Seal, TooLong
from roadworthy.evidence.tokens import EVIDENCE, WAIVER
from roadworthy.workflow.audit import Event, chain

T = TypeVar("T")

MOST_REMEMBERED = 50_000
"""Opened tokens; some 2 KB each."""


class Known(msgspec.Struct, frozen=True):
    """Everything that is signed about a workflow and the install."""

    evidence: list[Evidence]
    """Newest first."""
    waivers: list[Waiver]
    receipts: list[Receipt]
    revocations: list[Revocation]
    forged: int
    """Rows that we did not sign."""


class _Remembered(msgspec.Struct):
    """What is kept beside the database."""

    evidence: dict[str, Evidence]
    waivers: dict[str, Waiver]
    """As they are now: ended, where somebody ended them."""

    def evidence_about(self, workflow: str, found: Sequence[Evidence]) -> list[Evidence]:
        """With what the database lacks, newest first."""
        there = {each.id for each in found}
        lost = [
            each for each in list(self.evidence.values()) if each.id not in there and each.workflow in ("", workflow)
        ]
        return sorted([*found, *lost], key=lambda each: -each.made_at) if lost else list(found)

    def waivers_of(self, workflow: str, found: Sequence[Waiver]) -> list[Waiver]:
        """With what the database lacks, the one that ends first first."""
        now = {each.id: each for each in found}
        now |= {each.id: each for each in list(self.waivers.values()) if each.workflow == workflow}
        return sorted(now.values(), key=lambda each: each.over)


_EVIDENCE, _WAIVER = EVIDENCE.prefix.decode(), WAIVER.prefix.decode()


class Ledger:
    """Thread-safe as its store is; blocking."""

    def __init__(
        self,
        state: EvidenceState,
        signer: Signer,
        verifier: Verifier,
        *,
        clock: Callable[[], float],
        keys: Sequence[str] = (),
        kept: SealedLog | None = None,
        new_id: Callable[[str], str] = lambda prefix: prefix + secrets.token_hex(8),
    ) -> None:
        """``keys``: public keys of earlier signers of this install, whose signatures still count.  ``kept``: where
        evidence and ended waivers are written beside the database."""
        self._state = state
        self._signer = signer
        self._verifier = verifier
        self._keys = (signer.public_key, *keys)
        self._clock = clock
        self._new_id = new_id
        self._kept = kept
        self._remembered: _Remembered | None = None
        self._known_tokens: dict[bytes, object] = {}
        self._lock = threading.Lock()

    def known(self, workflow: str) -> Known:
        """What readiness is computed from."""
        with self._state.read() as tx:
            tokens = tx.evidence_about(workflow), tx.waivers(workflow), tx.receipts(workflow), tx.revocations(workflow)
        evidence, forged = self._opened(EVIDENCE, tokens[0])
        waivers, forged_waivers = self._opened(WAIVER, tokens[1])
        receipts, forged_receipts = self._opened(RECEIPT, tokens[2])
        revocations, forged_revocations = self._opened(REVOCATION, tokens[3])
        count = forged + forged_waivers + forged_receipts + forged_revocations
        remembered = self._memory()
        return Known(
            remembered.evidence_about(workflow, evidence),
            remembered.waivers_of(workflow, waivers),
            receipts,
            revocations,
            count,
        )

    # --- evidence

    def keep(self, evidence: Evidence, releases: Iterable[Bindings], *, on_behalf_of: str = "") -> Evidence:
        """Take what a run or a person says.  Raises ``Refused``, and the refusal is audited."""
        now = self._clock()
        target = f"workflow/{evidence.workflow}" if evidence.workflow else "install"
        event = Event(
            evidence.by, "evidence.keep", target,
            on_behalf_of=on_behalf_of, evidence=evidence.id, reason=evidence.detail, team=evidence.team,
        )  # fmt: skip
        self._or_denied(event, lambda: rules.admit(evidence, releases, now))
        token = self._sealed(EVIDENCE, evidence, event)
        with self._state.write() as tx:
            tx.add_evidence(evidence, token)
            self._remember(token, evidence=evidence)
            self._audit(tx, dataclasses.replace(event, after=msgspec.to_builtins(evidence)))
        return evidence

    def accept(self, ident: str, person: str, role: Role) -> Evidence:
        """A person takes a forecast or a catalogue.  Raises ``Refused``."""
        now = self._clock()
        event = Event(person, "evidence.accept", f"evidence/{ident}", evidence=ident)
        with self._state.write() as tx:
            found = self._find(tx, ident)
            wanted = KINDS[found.kind].accepted_by if found is not None else None
            if found is not None and wanted == role:
                if any(each.by == person and each.role == role for each in found.accepted):
                    return found
                taken = replace(found, accepted=[*found.accepted, Accepted(person, role, now)])
                tx.accept_evidence(taken, EVIDENCE.sealed(taken, self._signer))
                self._audit(tx, dataclasses.replace(event, after={"role": role}))
                return taken
        if found is None:
            why = f"there is no evidence {ident}; roadworthy ready lists what there is"
        elif wanted is None:
            why = f"a {KINDS[found.kind].title} needs nobody's acceptance; it counts by its figures"
        else:
            why = f"a {KINDS[found.kind].title} is accepted by the {wanted} owner, not as '{role}'"
        raise self._denied(event, why)

    # --- receipts

    def issue(self, ident: str, owner: str, epoch: int) -> Receipt | None:
        """Sign what a kept gate run came to; ``None``: it could not decide, and an earlier receipt stays in force.

        ``owner``: of the workflow, who must have signed the rubric.  Raises ``Refused``.
        """
        now = self._clock()
        event = Event("engine", "receipt.issue", f"evidence/{ident}", evidence=ident)
        with self._state.write() as tx:
            found = self._find(tx, ident)
            try:
                if found is None:
                    raise Refused(f"there is no evidence {ident} that we signed; run: roadworthy evals gate")
                receipt = receipt_for(found, owner, ident=self._new_id("rcp_"), epoch=epoch, now=now)
            except Refused as error:
                why = str(error)
            else:
                earlier, _ = self._opened(RECEIPT, tx.receipts(receipt.workflow))
                before = next((each for each in earlier if each.behaviour == receipt.behaviour), None)
                if not replaces(receipt, before):
                    return None
                tx.add_receipt(receipt, RECEIPT.sealed(receipt, self._signer))
                self._audit(tx, dataclasses.replace(event, after=msgspec.to_builtins(receipt)))
                return receipt
        raise self._denied(event, why)

    def revoke(self, workflow: str, behaviour: str, *, team: str, person: str, reason: str, epoch: int) -> Revocation:
        """Take every receipt of a behaviour back.  Raises ``Refused``."""
        made = Revocation(
            id=self._new_id("rev_"), team=team, workflow=workflow, behaviour=behaviour, person=person, reason=reason,
            at=self._clock(), epoch=epoch,
        )  # fmt: skip
        event = Event(person, "receipt.revoke", f"workflow/{workflow}", reason=reason, evidence=made.id, team=team)
        self._or_denied(event, lambda: rules.check_reason("a revocation", reason))
        token = self._sealed(REVOCATION, made, event)
        with self._state.write() as tx:
            tx.add_revocation(made, token)
            self._audit(tx, dataclasses.replace(event, after=msgspec.to_builtins(made)))
        return made

    # --- waivers

    def waive(self, waiver: Waiver, items: Iterable[int], never: Iterable[int], *, on_behalf_of: str = "") -> Waiver:
        """Raises ``Refused``."""
        event = Event(
            waiver.person, "waiver.make", f"workflow/{waiver.workflow}",
            on_behalf_of=on_behalf_of, reason=waiver.reason, evidence=waiver.id, team=waiver.team,
        )  # fmt: skip
        self._or_denied(event, lambda: rules.admit_waiver(waiver, items, never, self._clock()))
        token = self._sealed(WAIVER, waiver, event)
        with self._state.write() as tx:
            tx.add_waiver(waiver, token)
            self._remember(token, waiver=waiver)
            self._audit(tx, dataclasses.replace(event, after=msgspec.to_builtins(waiver)))
        return waiver

    def end_waiver(self, ident: str, workflow: str, person: str) -> Waiver:
        """Take one back before its end.  Raises ``Refused``."""
        now = self._clock()
        event = Event(person, "waiver.end", f"workflow/{workflow}", evidence=ident)
        with self._state.write() as tx:
            waivers, _ = self._opened(WAIVER, tx.waivers(workflow, ending_after=now))
            found = next((each for each in waivers if each.id == ident), None)
            if found is not None:
                ended = replace(found, ended_at=now)
                token = WAIVER.sealed(ended, self._signer)
                tx.end_waiver(ended, token)
                self._remember(token, waiver=ended)
                self._audit(tx, dataclasses.replace(event, after=msgspec.to_builtins(ended)))
                return ended
        raise self._denied(event, f"no waiver {ident} of {workflow} is in force; roadworthy ready lists those that are")

    def refuse(self, event: Event, why: str) -> Refused:
        """What to raise where a person tried what is not theirs to do; audited."""
        return self._denied(event, why)

    # --- inside

    def _memory(self) -> _Remembered:
        """What is kept beside the database; read once."""
        with self._lock:
            if self._remembered is None:
                tokens = [] if self._kept is None else self._kept.tokens()
                evidence, _ = self._opened(EVIDENCE, (each for each in tokens if each.startswith(_EVIDENCE)))
                waivers, _ = self._opened(WAIVER, (each for each in tokens if each.startswith(_WAIVER)))
                ended = sorted(waivers, key=lambda each: each.ended_at is not None)
                self._remembered = _Remembered({each.id: each for each in evidence}, {each.id: each for each in ended})
            return self._remembered

    def _remember(self, token: str, *, evidence: Evidence | None = None, waiver: Waiver | None = None) -> None:
        """Inside the transaction: what cannot be kept is not done.  Raises ``OSError``."""
        remembered = self._memory()
        if self._kept is not None:
            self._kept.append([token])
            with self._lock:
                if evidence is not None:
                    remembered.evidence[evidence.id] = evidence
                if waiver is not None:
                    remembered.waivers[waiver.id] = waiver

    def _opened(self, seal: Seal[T], tokens: Iterable[str]) -> tuple[list[T], int]:
        """(what we signed, how many we did not)."""
        opened = [self._open(seal, token.encode("utf-8", "replace")) for token in tokens]
        return [each for each in opened if each is not None], opened.count(None)

    def _open(self, seal: Seal[T], token: bytes) -> T | None:
        """A signature takes ten times as long to verify as all else, so what was opened is remembered by its hash."""
        name = seal.prefix + hashlib.sha256(token).digest()
        found: T | None = self._known_tokens.get(name)  # type: ignore[assignment]  # what this seal opened
        if found is None:
            with suppress(Forged):
                found = seal.opened(token, self._keys, self._verifier)
        if len(self._known_tokens) >= MOST_REMEMBERED:
            self._known_tokens.clear()
        if found is not None:
            self._known_tokens[name] = found
        return found

    def _find(self, tx: EvidenceTransaction, ident: str) -> Evidence | None:
        token = tx.evidence(ident)
        found, _ = self._opened(EVIDENCE, [token] if token is not None else [])
        return found[0] if found and found[0].id == ident else None

    def _sealed(self, seal: Seal[T], record: T, event: Event) -> str:
        try:
            return seal.sealed(record, self._signer)
        except TooLong as error:
            raise self._denied(event, str(error)) from error

    def _or_denied(self, event: Event, check: Callable[[], None]) -> None:
        try:
            check()
        except Refused as error:
            raise self._denied(event, str(error)) from error

    def _denied(self, event: Event, why: str) -> Refused:
        """Audited in a transaction of its own, for what was tried is rolled back."""
        with self._state.write() as tx:
            self._audit(tx, dataclasses.replace(event, outcome="denied", reason=why))
        return Refused(why)

    def _audit(self, tx: EvidenceTransaction, event: Event) -> None:
        tx.append_audit(chain(tx.last_audit(), event, self._clock()))
