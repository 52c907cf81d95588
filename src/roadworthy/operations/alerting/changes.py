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
MOST_READ: Final = 1000
"""Newest records of the trail that are looked through."""
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
    "receipt.issue": ("receipt issued", True),
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
        words, serving = known
        clock = datetime.fromtimestamp(record.time, zone).strftime("%H:%M")
        what = shorten(clean(f"{clock} {words}{_detail(record)}, by {record.actor}"), LONGEST)
        found.append(Change(record.time, what, serving))
    return sorted(found, key=lambda one: -one.at)


def newest(audit: Callable[[int, int], list[AuditRecord]], last: int) -> Iterator[AuditRecord]:
    """The newest records of the trail.  ``audit``: (after, limit) → ascending."""
    yield from audit(max(0, last - MOST_READ), MOST_READ)


def _about(record: AuditRecord, workflow: str) -> bool:
    kind, _, name = record.target.partition("/")
    return not workflow or kind not in ("workflow", "rollout") or name in (workflow, "*")


def _detail(record: AuditRecord) -> str:
    after: Any = record.after if isinstance(record.after, dict) else {}
    if record.action == "configuration.apply":
        what = [str(each) for each in after.get("changes") or []]
        return f" ({', '.join(what[:4])}{'…' if len(what) > 4 else ''})" if what else ""
    if record.action.startswith("release."):
        return f" (number {after.get('number')})" if after.get("number") else ""
    if record.action.startswith("kill."):
        return f" ({after.get('state')})" if after.get("state") else ""
    if record.action.startswith("rollout.") and after.get("stage"):
        return f" (at {after['stage']})"
    return ""
