"""What the signed tokens of a snapshot prove here: receipts, revocations, and waivers of enforcement.

Each is verified once, when the snapshot is loaded.  Fails closed: a token that is forged, of another kind or older than
what was seen before counts for nothing, and without a receipt a release is for testers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from roadworthy.evidence.model import Waiver
from roadworthy.evidence.ports import Verifier
from roadworthy.evidence.receipt.model import Receipt, Revocation
from roadworthy.evidence.receipt.rules import Seen
from roadworthy.evidence.receipt.tokens import RECEIPT, REVOCATION
from roadworthy.evidence.sealing import Forged, Seal
from roadworthy.evidence.tokens import WAIVER
from roadworthy.gateway.snapshot import Snapshot, SnapshotRefused

T = TypeVar("T", Receipt, Revocation, Waiver)

MOST_REMEMBERED = 10_000
"""Behaviours, and revocations."""


class Memory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a gateway remembers over its restarts, so that nothing old comes back."""

    epoch: int = 0
    seq: int = 0
    """With ``epoch``: of the newest snapshot that was ever served here."""
    receipts: dict[str, Seen] = {}
    """Workflow and behaviour → order of their newest receipt."""
    revocations: list[str] = []
    """Sealed."""

    def joined(self, other: Memory) -> Memory:
        """The newer of both in everything."""
        receipts = dict(self.receipts)
        for name, seen in other.receipts.items():
            receipts[name] = max(seen, receipts.get(name, seen))
        if len(receipts) > MOST_REMEMBERED:
            receipts = dict(sorted(receipts.items(), key=lambda each: each[1])[-MOST_REMEMBERED:])
        revocations = list(dict.fromkeys([*self.revocations, *other.revocations]))[-MOST_REMEMBERED:]
        epoch, seq = max((self.epoch, self.seq), (other.epoch, other.seq))
        return Memory(epoch, seq, receipts, revocations)


class Proofs(msgspec.Struct, frozen=True):
    """What holds."""

    receipts: Mapping[tuple[str, str], Receipt] = {}
    """(workflow, behaviour) → the newest."""
    revocations: tuple[Revocation, ...] = ()
    waived: frozenset[str] = frozenset()
    """Workflows for which somebody signed a waiver of enforcement, also one that is over."""
    seen: Mapping[str, Seen] = {}
    revoking: tuple[str, ...] = ()
    """The tokens of ``revocations``."""
    forged: int = 0
    """Tokens that count for nothing."""

    def receipt(self, workflow: str, behaviour: str) -> Receipt | None:
        return self.receipts.get((workflow, behaviour))

    def seen_of(self, workflow: str, behaviour: str) -> Seen:
        """Order of the newest receipt of a behaviour that was ever seen here."""
        return self.seen.get(_name(workflow, behaviour), (0, 0.0))


NO_PROOFS = Proofs()


class Notary:
    """Opens tokens.  What it opened for the last snapshot is not verified again for the next one."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._keys: tuple[str, ...] = ()
        self._opened: dict[str, Receipt | Revocation | Waiver | None] = {}

    def proofs(self, snapshot: Snapshot, memory: Memory) -> Proofs:
        """What the snapshot and the gateway's memory prove, under the keys that the snapshot names."""
        keys = tuple(snapshot.permit_keys)
        if keys != self._keys:
            self._keys, self._opened = keys, {}
        kept: dict[str, Receipt | Revocation | Waiver | None] = {}
        receipts = self._all(RECEIPT, snapshot.receipts, Receipt, kept)
        revocations = self._all(REVOCATION, [*snapshot.revocations, *memory.revocations], Revocation, kept)
        waivers = self._all(WAIVER, snapshot.waivers, Waiver, kept)
        self._opened = kept
        newest: dict[tuple[str, str], Receipt] = {}
        for each in receipts:
            before = newest.get((each.workflow, each.behaviour))
            if before is None or each.order > before.order:
                newest[each.workflow, each.behaviour] = each
        return Proofs(
            receipts=newest,
            revocations=tuple(revocations),
            waived=frozenset(each.workflow for each in waivers if each.item is None),
            seen=memory.receipts,
            revoking=tuple(token for token, found in kept.items() if isinstance(found, Revocation)),
            forged=sum(found is None for found in kept.values()),
        )

    def _all(
        self,
        seal: Seal[T],
        tokens: Sequence[str],
        kind: type[T],
        kept: dict[str, Receipt | Revocation | Waiver | None],
    ) -> list[T]:
        for token in tokens:
            if token not in kept:
                kept[token] = self._opened[token] if token in self._opened else self._open(seal, token)
        return [found for token in dict.fromkeys(tokens) if isinstance(found := kept[token], kind)]

    def _open(self, seal: Seal[T], token: str) -> T | None:
        try:
            return seal.opened(token.encode("utf-8", "surrogatepass"), self._keys, self._verifier)
        except Forged:
            return None


def vetted(snapshot: Snapshot, memory: Memory, pinned: Sequence[str] | None) -> Snapshot:
    """A snapshot that may be served, with the keys that count.  Raises ``SnapshotRefused``.

    ``pinned``: public keys that control wrote beside its own; ``None``: it wrote none, and the snapshot's count.
    """
    old = outdated(snapshot, memory)
    if old is not None:
        raise SnapshotRefused(old)
    if pinned is None:
        return snapshot
    strange = [key for key in snapshot.permit_keys if key not in pinned]
    if strange:
        raise SnapshotRefused(
            f"it trusts the public key {strange[0][:16]}…, and signing.pub of this data folder does not: another "
            "control wrote it; restore the signing key, or start control here, which writes signing.pub anew"
        )
    return msgspec.structs.replace(snapshot, permit_keys=list(pinned))


def outdated(snapshot: Snapshot, memory: Memory) -> str | None:
    """Why a snapshot is older than one that was served here; ``None``: it is not."""
    found, seen = (snapshot.epoch, snapshot.seq), (memory.epoch, memory.seq)
    if found >= seen:
        return None
    return (
        f"epoch and number {found} are below {seen}: it was written by a control that has lost its place or its state"
    )


def remembered(snapshot: Snapshot, proofs: Proofs) -> Memory:
    """What is to be kept of a snapshot that is served."""
    receipts = {_name(*about): receipt.order for about, receipt in proofs.receipts.items()}
    return Memory(snapshot.epoch, snapshot.seq, receipts, list(proofs.revoking))


def _name(workflow: str, behaviour: str) -> str:
    return f"{workflow} {behaviour}"
