"""Notices, and the incidents and alerts that they open.  Instants are Unix seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.workflow.inference import TrafficClass

Kind = Literal["incident", "alert"]
"""An incident must be looked into; an alert says that something needs to be mended."""
IncidentState = Literal["open", "resolved"]
Role = Literal["workflow", "cost"]
"""Whose matter it is: the workflow's owner, or its cost owner."""

MOST_REMEMBERED = 50
"""Inferences that an incident names: the newest."""


class Notice(msgspec.Struct, frozen=True):
    """Something that a person must be told, as one record gave cause for it."""

    kind: Kind
    key: str
    """Notices with the same key are one incident."""
    team: str
    workflow: str
    """Empty where it is about no workflow."""
    title: str
    summary: str
    role: Role
    at: float
    inference: str = ""
    traffic: TrafficClass = "live"
    drill: str = ""
    explain: bool = False
    """Nobody is told before its cause was looked up (``Incidents.explain``)."""


class Incident(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person must look at; an alert is one of kind ``alert``."""

    id: str
    """``inc_`` + 12 hex digits."""
    kind: Kind
    key: str
    team: str
    workflow: str
    title: str
    summary: str
    role: Role
    opened_at: float
    seen_at: float
    """Last time."""
    notified_at: float
    count: int = 1
    inferences: list[str] = []
    """Newest last."""
    traffic: TrafficClass = "live"
    drill: str = ""
    state: IncidentState = "open"
    resolved_at: float | None = None
    resolved_by: str = ""
    reason: str = ""
    cause: str = ""
    """Why, where that had to be looked up first."""
    unexplained: bool = False
    """Somebody must be told, and is when the cause is known."""

    @property
    def told(self) -> str:
        """What happened, and why."""
        return f"{self.summary} {self.cause}".rstrip()
