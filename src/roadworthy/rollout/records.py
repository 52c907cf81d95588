"""What the audit trail says of a ramp, written and read again: who allowed which share, and on what evidence.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from roadworthy.rollout.gates import gates
from roadworthy.rollout.model import ENGINE, Grounds, Kept, Rollout
from roadworthy.workflow.audit import AuditRecord

ACTION = "rollout."
DID = {
    "start": "started", "approve": "approved", "widen": "widened", "complete": "completed", "hold": "held",
    "resume": "resumed", "roll_back": "rolled back", "step_back": "stepped back", "lower": "lowered",
    "raise": "raised", "lock": "locked", "unlock": "unlocked", "ask": "asked for approval",
}  # fmt: skip
"""What was done → in words."""


class Change(msgspec.Struct, frozen=True):
    """One audit record about a ramp."""

    seq: int
    """Of the audit trail."""
    time: float
    actor: str
    on_behalf_of: str
    action: str
    """``start``, ``approve``, ``roll_back``…"""
    outcome: str
    reason: str
    evidence: str
    """Ids, separated by commas; the receipt in force first."""
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    """``summary``; ``None`` for what was denied."""


def target_of(workflow: str) -> str:
    return f"rollout/{workflow}"


def did(action: str) -> str:
    return DID.get(action, action.replace("_", " "))


def same(before: Rollout, after: Rollout) -> bool:
    """Has nothing changed that anybody would want to read of?  The ceiling alone is no change."""
    return _essence(before) == _essence(after)


def _essence(rollout: Rollout) -> tuple[object, ...]:
    share = (rollout.state, rollout.at, rollout.share, rollout.entered_at)
    return (*share, rollout.epoch, rollout.asked, rollout.lock, rollout.digest)


def action_of(before: Rollout, after: Rollout) -> str:
    """What the engine did, as a word."""
    if after.state != before.state:
        words = {"rolled_back": "step_back" if after.stage.share else "roll_back", "done": "complete", "held": "hold"}
        return ACTION + words.get(after.state, after.state)
    if after.at != before.at:
        return ACTION + ("widen" if after.at > before.at else "roll_back")
    if after.share != before.share:
        return ACTION + ("lower" if after.share < before.share else "raise")
    return ACTION + ("ask" if after.asked != before.asked else "look")


def summary(kept: Kept, grounds: Grounds | None, now: float, before: Kept | None = None) -> dict[str, Any]:
    """Plain JSON.  ``grounds``: with what it was decided on; the analysis and the gates are those of the stage that
    was left (``before``)."""
    rollout = kept.rollout
    said: dict[str, Any] = {
        "seq": kept.seq,
        "epoch": rollout.epoch,
        "state": rollout.standing,
        "stage": rollout.stage.name,
        "share": rollout.share,
        "release": rollout.digest,
        "predecessor": rollout.predecessor,
        "ceiling": rollout.ceiling,
    }
    if grounds is None:
        return said
    said |= {"receipt": grounds.receipt, "evidence": list(grounds.evidence), "label": grounds.label}
    if kept.shadow:
        said["shadow"] = True
    if before is None or kept.analysis is None:
        return said
    approved = kept.rollout.at > before.rollout.at and kept.rollout.by != ENGINE
    judged = gates(before.rollout, kept.analysis, grounds.ceiling, now, approved=approved, room=grounds.room)
    said["analysis"] = msgspec.to_builtins(kept.analysis)
    said["gates"] = [msgspec.to_builtins(gate) for gate in judged]
    return said


def read(record: AuditRecord) -> Change | None:
    """``None``: it is about no ramp."""
    if not record.action.startswith(ACTION):
        return None
    return Change(
        record.seq, record.time, record.actor, record.on_behalf_of, record.action.removeprefix(ACTION), record.outcome,
        record.reason, record.evidence, record.before, record.after,
    )  # fmt: skip


def allowing(changes: Iterable[Change]) -> Change | None:
    """Of changes, newest first: the one that brought about the share in force, not what left it as it was."""
    found: Change | None = None
    for change in changes:
        if change.outcome != "done" or change.after is None:
            continue
        if found is not None and _served(found) != _served(change):
            return found
        found = change
    return found


def _served(change: Change) -> tuple[object, ...]:
    after = change.after or {}
    return after.get("release"), after.get("stage"), after.get("share")


def newest_seq(trail: Iterable[AuditRecord]) -> int:
    """Of the newest change in a trail (newest first); 0: there is none."""
    return _newest(trail, "seq")


def newest_epoch(trail: Iterable[AuditRecord]) -> int:
    """An epoch above all that sessions may have been pinned in."""
    found = _newest(trail, "epoch")
    return found + 1 if found else 0


def _newest(trail: Iterable[AuditRecord], name: str) -> int:
    for record in trail:
        if record.outcome == "done" and isinstance(record.after, dict) and isinstance(record.after.get(name), int):
            return int(record.after[name])
    return 0
