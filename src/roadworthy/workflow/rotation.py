"""Who is on call, as configured in ``people.yaml``: one weekly rotation, a calendar, or a schedule kept elsewhere."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HAND_UP: Final = 600.0
PAGERDUTY: Final = "https://api.pagerduty.com"


class PagerDutySchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A schedule that is kept in PagerDuty and only read."""

    schedule: str
    """Its id, such as ``PI7DH85``."""
    token: str
    """Name of the secret that holds a read-only API key."""
    url: str = PAGERDUTY
    allow_private: bool = False


class Rotation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is on call for a team, or for the workflows that name it.  Exactly one of ``members``, ``calendar`` and
    ``pagerduty`` says who."""

    name: str
    """A team's own rotation is called as the team."""
    catch_all: str
    """Who is paged when nobody else answered, or nobody is on call."""
    zone: str = "UTC"
    """IANA name; of the hand-offs, and of what a calendar says without a zone."""
    hand_up: float = HAND_UP
    """Seconds until a page that nobody acknowledged goes to the next one."""
    members: list[str] = []
    """Take turns in this order, a week each."""
    weekday: int = 0
    """Of the hand-off; 0 is Monday."""
    minute: int = 9 * 60
    """Of the day, on the clock on the wall."""
    start: str = ""
    """A day of the week in which the first member begins, ``2026-11-02``."""
    calendar: str = ""
    """Text of an iCalendar file."""
    calendar_file: str = ""
    pagerduty: PagerDutySchedule | None = None

    @property
    def source(self) -> Literal["rotation", "calendar", "pagerduty"]:
        if self.pagerduty is not None:
            return "pagerduty"
        return "calendar" if self.calendar_file else "rotation"

    @property
    def handoff(self) -> str:
        """As people write it: ``monday 09:00``."""
        return f"{WEEKDAYS[self.weekday]} {self.minute // 60:02d}:{self.minute % 60:02d}"
