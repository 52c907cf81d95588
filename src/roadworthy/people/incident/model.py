"""Notices, and the incidents and alerts that they open.  Instants are Unix seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.people.alerts.model import AlertClass
from roadworthy.workflow.inference import TrafficClass

Kind = Literal["incident", "alert"]
"""An incident must be looked into; an alert says that something needs to be mended."""
IncidentState = Literal["open", "acknowledged", "resolved"]
Role = Literal["workflow", "cost"]
"""Whose matter it is: the workflow's owner, or its cost owner."""

How = Literal["link", "console", "cli", "pagerduty", "stop"]
"""By which way somebody said that it is theirs; ``stop``: by turning the AI off."""
Whose = Literal["provider", "release", "traffic", "roadworthy", "unknown"]

MOST_REMEMBERED = 50
"""Inferences that an incident names: the newest."""
MOST_LINES = 200
"""Of its time line: the newest, and the first."""
LONGEST_LINE = 160
"""Characters of the first line of a page: what a locked phone shows."""


class Fault(msgspec.Struct, frozen=True):
    """Whose fault it is, as far as the evidence goes."""

    whose: Whose = "unknown"
    evidence: str = ""
    """Why, in words with counts."""


class PageText(msgspec.Struct, frozen=True, omit_defaults=True):
    """What whoever is woken reads.  Plain text made from counts, names and our own words: never what a model, a caller
    or a provider wrote."""

    line: str
    """At most ``LONGEST_LINE`` characters, without control characters."""
    affected: str = ""
    """Who, how many, since when, and what they read."""
    fault: str = ""
    """Whose, with the evidence."""
    done: list[str] = []
    """What has been done by itself."""
    otherwise: str = ""
    """If you do nothing."""
    changed: list[str] = []
    """In the last 24 hours, newest first."""


class Joined(msgspec.Struct, frozen=True, omit_defaults=True):
    """An alert that an incident holds, as long as it is watched."""

    alert: str
    part: str
    """What of it, where one alert is about several things: a target, a gateway."""
    since: float
    text: str = ""
    clear_since: float | None = None
    """Since when it has been good again; ``None``: it is not."""
    over: bool = False


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of its time line."""

    at: float
    what: str
    by: str = ""
    """A person; empty: Roadworthy."""


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
    alert: str = ""
    """Its name in the registry; empty: the first part of the key."""
    part: str = ""
    """What of it, where one incident may hold several alerts of the same name."""
    fault: Fault | None = None
    page: PageText | None = None
    """What a page says; ``None``: title and summary are all there is to say."""

    @property
    def name(self) -> str:
        return self.alert or self.key.partition("/")[0]


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
    alert: str = ""
    """That opened it; empty: an older version did."""
    cls: AlertClass = "notify"
    """The most urgent of its alerts."""
    joined: list[Joined] = []
    """Alerts that are watched, in the order in which they came."""
    acknowledged_at: float | None = None
    acknowledged_by: str = ""
    """Who is on it."""
    acknowledged_how: str = ""
    fault: Fault | None = None
    page: PageText | None = None
    lines: list[Line] = []
    """Its time line, oldest first."""

    @property
    def over(self) -> bool:
        return self.state == "resolved"

    @property
    def name(self) -> str:
        """Of the alert that opened it."""
        return self.alert or self.key.partition("/")[0]

    @property
    def line(self) -> str:
        """What happened, in one line."""
        return self.title if self.page is None else self.page.line

    @property
    def told(self) -> str:
        """What happened, and why."""
        return f"{self.summary} {self.cause}".rstrip()
