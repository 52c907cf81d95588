"""Who is on call and when, as frozen data.  Instants are Unix seconds; spans are half-open, ``[start, end)``."""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.workflow.calendars import Entry

How = Literal["rotation", "calendar", "pagerduty", "override", "named", "owner"]
"""What puts somebody on call.  ``named``: a workflow names the person; ``owner``: nothing says who, so its owner is."""


class Shift(msgspec.Struct, frozen=True, omit_defaults=True):
    """A span of time and who is on call in it."""

    start: float
    end: float
    people: tuple[str, ...]
    """Ids, the first to be paged first; empty: nobody, and ``why`` says why."""
    how: How = "rotation"
    why: str = ""
    override: str = ""
    """Id of the override that it comes from."""

    @property
    def person(self) -> str:
        """Who is paged first; empty: nobody."""
        return self.people[0] if self.people else ""


class Gap(msgspec.Struct, frozen=True):
    """A span of time in which nobody is on call."""

    start: float
    end: float
    reason: str


class Override(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody takes over for a while.  It wins over rotation, calendar and schedule; of two, the one made later."""

    id: str
    """``ovr_`` + 12 hex digits."""
    team: str
    rotation: str
    person: str
    start: float
    end: float
    by: str
    made_at: float
    why: str = ""
    ended_at: float | None = None
    """When somebody took it back."""
    ended_by: str = ""

    @property
    def holds_until(self) -> float:
        return self.end if self.ended_at is None else min(self.end, self.ended_at)


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last good reading of a schedule that is kept elsewhere, and how the last try went."""

    rotation: str
    team: str
    schedule: str
    """Of which schedule it is: another one's is not used."""
    entries: list[Entry] = []
    start: float = 0.0
    end: float = 0.0
    """Span that was asked for; beyond it nothing is known."""
    fetched_at: float | None = None
    tried_at: float = 0.0
    error: str = ""
    """Of the last try; empty: it went well."""
