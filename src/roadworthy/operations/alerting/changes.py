"""What was changed in the last day, from the audit trail, in the words of a page.  Pure but for reading the trail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from roadworthy.operations.alerting.fault import Change
from roadworthy.operations.alerting.text import clean, shorten
from roadworthy.workflow.audit import AuditRecord

DAY: Final = 86_400.0
PIECE: Final = 1000
MOST_READ: Final = 10 * PIECE
"""Newest records of the trail that are looked through: every read of a prompt is one, too."""
LONGEST: Final = 160

WORDS: Final[Mapping[str, tuple[str, bool]]] = {
    "configuration.apply": ("configuration applied", True),
    "release.freeze": ("release frozen", True),
    "release.serve": ("release put forward", True),
    "policy.approve": ("policy loosened", True),
    "rollout.start": ("ramp begun", True),
    "rollout.approve": ("ramp widened", True),
    "rollout.widen": ("ramp widened", True),
    "rollout.resume": ("ramp resumed", True),
    "rollout.roll_back": ("ramp rolled back", True),
    "rollout.step_back": ("ramp taken back a stage", True),
    "rollout.hold": ("ramp held", False),
    "rollout.kill": ("ramp held by the kill switch", False),
    "rollout.lock": ("ramp locked", False),
    "rollout.unlock": ("ramp unlocked", False),
    "kill.press": ("AI stopped", True),
    "kill.trip": ("AI stopped by a trigger", True),
    "kill.restore": ("AI restored", True),
    "kill.undo": ("stop undone", True),
    "key.create": ("key made", False),
    "key.rotate": ("key rotated", True),
    "key.revoke": ("key revoked", True),
    "receipt.revoke": ("receipt revoked", True),
    "receipt.issue": ("receipt issued", False),
    "evals.publish": ("example set published", False),
    "waiver.make": ("waiver made", True),
    "waiver.end": ("waiver ended", True),
    "backup.accept": ("database put back and accepted", True),
}
"""Action → words, and whether it can change what is served.  What is not here changed nothing that matters tonight."""


def changes(records: Iterator[AuditRecord], workflow: str, now: float, zone: ZoneInfo) -> list[Change]:
    """Newest first.  ``workflow``: empty for all; what is about another one is left out."""
    found = []
    for record in records:
        known = WORDS.get(record.action)
        if known is None or record.outcome != "done" or now - record.time > DAY or not _about(record, workflow):
            continue
        applied = _applied(record, workflow)
        if applied is not None and not applied:
            continue
        words, serving = known
        clock = datetime.fromtimestamp(record.time, zone).strftime("%H:%M")
        what = shorten(clean(f"{clock} {words}{_detail(record, applied)}, by {record.actor}"), LONGEST)
        found.append(Change(record.time, what, serving))
    return sorted(found, key=lambda one: -one.at)


def newest(audit: Callable[[int, int], list[AuditRecord]], last: int, now: float) -> Iterator[AuditRecord]:
    """Records of the trail, the newest thousand first, until they are older than a day.  ``audit``: (after, limit) →
    ascending."""
    end = last
    while end > max(0, last - MOST_READ):
        start = max(0, end - PIECE)
        piece = audit(start, end - start)
        yield from piece
        if piece and now - piece[0].time > DAY:
            return
        end = start


def _about(record: AuditRecord, workflow: str) -> bool:
    """Is it about this workflow, or about none?"""
    kind, _, name = record.target.partition("/")
    if kind not in ("workflow", "rollout") and isinstance(record.after, dict):
        name, kind = str(record.after.get("workflow", "")), "workflow" if "workflow" in record.after else kind
    return not workflow or kind not in ("workflow", "rollout") or name in (workflow, "*")


def _applied(record: AuditRecord, workflow: str) -> list[str] | None:
    """What an application of files changed, without what it changed of other workflows; ``None``: it is none, or does
    not say."""
    what = record.after.get("changes") if isinstance(record.after, dict) else None
    if record.action != "configuration.apply" or not what:
        return None
    words = [str(each) for each in what]
    others = [each for each in words if each.split(" ")[1:2] == ["workflow"] and workflow]
    return [each for each in words if each not in others or each.split(" ")[2].rstrip(":") == workflow]


def _detail(record: AuditRecord, what: list[str] | None) -> str:
    after: Any = record.after if isinstance(record.after, dict) else {}
    if what:
        return f" ({', '.join(what[:4])}{'…' if len(what) > 4 else ''})"
    if record.action.startswith("release."):
        return f" (number {after.get('number')})" if after.get("number") else ""
    if record.action.startswith("kill."):
        return f" ({after.get('state')})" if after.get("state") else ""
    if record.action.startswith("rollout.") and after.get("stage"):
        return f" (at {after['stage']})"
    return ""
