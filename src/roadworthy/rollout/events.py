"""What happens to a ramp, and what follows from it.

``ceiling`` on an event is what readiness allows this release at that moment, ``room`` what people can answer of it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.rollout.model import Analysis, BackTo, Room


class _Event(msgspec.Struct, frozen=True):
    pass


class Start(_Event, frozen=True):
    """A person begins the ramp."""

    by: str
    ceiling: float
    unknown_share: float
    """Of recent calls, how many carried no user."""
    stage: str | None = None
    """``None``: the first; the first live one may be named, to do without testers."""
    unknown_accepted: bool = False
    inherits: float | None = None
    """Share of a release before it with the same behaviour: this one differs only in its handling."""
    drilled: bool = False
    """``inherits``: have the drills of this handling passed?"""


class Look(_Event, frozen=True):
    """The engine looks at it, every few minutes."""

    ceiling: float
    analysis: Analysis | None = None
    room: Room = Room()


class Approve(_Event, frozen=True):
    """A person lets it into the next stage, on the newest analysis."""

    by: str
    ceiling: float
    analysis: Analysis | None
    stage: str | None = None
    """``None``: whichever is next."""
    reason: str = ""
    room: Room = Room()


class Hold(_Event, frozen=True):
    by: str
    reason: str = ""


class Resume(_Event, frozen=True):
    """Held or rolled back, it goes on from where it stands."""

    by: str
    ceiling: float
    reason: str = ""


class RollBack(_Event, frozen=True):
    by: str
    to: BackTo = "release"
    reason: str = ""


class SetLock(_Event, frozen=True):
    by: str
    reason: str = ""


class Unlock(_Event, frozen=True):
    by: str
    reason: str = ""


class Killed(_Event, frozen=True):
    """The kill switch left ``on``."""

    by: str
    reason: str = ""


Event = Start | Look | Approve | Hold | Resume | RollBack | SetLock | Unlock | Killed


class Serve(msgspec.Struct, frozen=True):
    """Publish it: from now on the release gets this share."""

    digest: str
    otherwise: str | None
    """Release of everybody else; ``None``: the bypass."""
    share: float
    stage: str
    epoch: int


class Ask(msgspec.Struct, frozen=True):
    """A person may let it into the next stage: everything else is there."""

    stage: str
    analysis: Analysis


class Tell(msgspec.Struct, frozen=True):
    """The workflow's owner is told."""

    kind: Literal["incident", "alert", "note"]
    text: str


Effect = Serve | Ask | Tell
