"""A thin typed client of Roadworthy for Python apps: what a standard client has no words for.

Calls are made with the clients that apps already have; this package reads what the gateway says about them (``told``)
and asks what it serves beside inference: feedback, a person's answer to an escalated call, flags.  It needs httpx2 and
nothing of the rest of Roadworthy.  See docs/client.md.
"""

from roadworthy.client.asynchronous import AsyncRoadworthy
from roadworthy.client.blocking import Roadworthy
from roadworthy.client.errors import Limited, Refused, RoadworthyError, TimedOut, Unavailable, Unreachable, Unreadable
from roadworthy.client.protocol import Escalation, Flag, Flags
from roadworthy.client.telling import Escalated, Seam, Told, told
from roadworthy.client.words import EscalationStatus, Failure, FlagReason, KillState, Outcome, Route, Thumb

__all__ = [
    "AsyncRoadworthy",
    "Escalated",
    "Escalation",
    "EscalationStatus",
    "Failure",
    "Flag",
    "FlagReason",
    "Flags",
    "KillState",
    "Limited",
    "Outcome",
    "Refused",
    "Roadworthy",
    "RoadworthyError",
    "Route",
    "Seam",
    "Thumb",
    "TimedOut",
    "Told",
    "Unavailable",
    "Unreachable",
    "Unreadable",
    "told",
]
