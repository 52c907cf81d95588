"""The audit trail: a hash chain that the standard library alone can verify.

Each record holds the hash of the one before it, so a record that is changed, removed or slipped in breaks the
chain from there on.  What the chain cannot show, the loss of its newest records, is what checkpoints kept
outside are for: ``verify`` takes one.

The hash is SHA-256 over the record without its ``hash``, as JSON with sorted keys, no spaces, UTF-8.  Records
hold ids and keyed hashes of users, never text of theirs and never a secret.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final, Literal

AuditOutcome = Literal["done", "denied", "failed"]

GENESIS: Final = "0" * 64
"""``previous`` of the first record."""


@dataclasses.dataclass(frozen=True)
class Event:
    """What happened, before it has a place in the chain.  ``before`` and ``after`` are plain JSON values."""

    actor: str
    """A person's id, or ``os:uid``, or ``engine``."""
    action: str
    """``configuration.apply``, ``release.freeze``, ``key.create``, …"""
    target: str
    """What was acted on: ``configuration``, ``workflow/support-triage``, ``key/key_…``."""
    on_behalf_of: str = ""
    before: Any = None
    after: Any = None
    reason: str = ""
    evidence: str = ""
    outcome: AuditOutcome = "done"
    team: str = "default"


@dataclasses.dataclass(frozen=True)
class AuditRecord(Event):
    """An event with its place: ``seq`` counts from 1, ``time`` is Unix seconds."""

    seq: int = 0
    time: float = 0.0
    previous: str = GENESIS
    hash: str = ""

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Broken:
    """Where a chain fails to verify, and why."""

    seq: int
    why: str


@dataclasses.dataclass(frozen=True)
class Which:
    """Which records of the trail.  Everything that is given must hold."""

    actor: str = ""
    action: str = ""
    """Whole."""
    targets: tuple[str, ...] = ()
    """Any of them."""
    since: float | None = None
    """Unix seconds, inclusive."""
    until: float | None = None
    """Unix seconds, exclusive."""

    def holds(self, record: AuditRecord) -> bool:
        return (
            self.actor in ("", record.actor)
            and self.action in ("", record.action)
            and (not self.targets or record.target in self.targets)
            and (self.since is None or record.time >= self.since)
            and (self.until is None or record.time < self.until)
        )


def chain(last: AuditRecord | None, event: Event, now: float) -> AuditRecord:
    """The record that continues the chain after ``last`` (``None``: the first record)."""
    facts = dataclasses.asdict(event)
    facts["seq"] = 1 if last is None else last.seq + 1
    facts["time"] = round(now, 6)
    facts["previous"] = GENESIS if last is None else last.hash
    return AuditRecord(**facts, hash=record_hash(facts))


def record_hash(record: dict[str, Any]) -> str:
    """Hex SHA-256 of a record's facts; a ``hash`` among them is left out."""
    facts = {name: value for name, value in record.items() if name != "hash"}
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def verify(records: Iterable[dict[str, Any]], checkpoint: tuple[int, str] | None = None) -> Broken | None:
    """The first place where the chain is broken, or ``None``.

    ``records`` are dictionaries in order of ``seq``, starting with the first.  ``checkpoint`` is a (seq, hash)
    noted earlier outside of the database: a chain that ends before it, or differs at it, is broken.
    """
    expected_seq, previous = 1, GENESIS
    checkpoint_seen = checkpoint is None
    for record in records:
        seq = record.get("seq")
        if seq != expected_seq:
            return Broken(expected_seq, f"record {expected_seq} is missing: the next one found is {seq}")
        if record.get("previous") != previous:
            return Broken(expected_seq, "its previous hash is not the hash of the record before it")
        if record.get("hash") != record_hash(record):
            return Broken(expected_seq, "its content does not give its hash: it was changed")
        previous = record["hash"]
        if checkpoint is not None and seq == checkpoint[0]:
            if previous != checkpoint[1]:
                return Broken(expected_seq, "its hash is not the one noted in the checkpoint: history was rewritten")
            checkpoint_seen = True
        expected_seq += 1
    if not checkpoint_seen and checkpoint is not None:
        return Broken(expected_seq, f"the chain ends before the checkpoint at record {checkpoint[0]}")
    return None
