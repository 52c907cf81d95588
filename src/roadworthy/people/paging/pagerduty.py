"""What PagerDuty tells us: its V3 webhooks, verified and read.  Pure.

https://developer.pagerduty.com/docs/webhooks-overview: one event a call, signed over the very bytes of the body;
``X-PagerDuty-Signature`` holds ``v1=<hex HMAC-SHA256>``, several separated by commas while a secret is being replaced.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from roadworthy.workflow.model import Person

HEADER: Final = "x-pagerduty-signature"
VERSION: Final = "v1="
MOST: Final = 10
"""Signatures that are looked at."""
HUMAN: Final = "user_reference"
ACKNOWLEDGED: Final = "incident.acknowledged"
RESOLVED: Final = "incident.resolved"
LONGEST_NAME: Final = 60


class Malformed(ValueError):
    """It is no event as PagerDuty documents them."""


class Agent(msgspec.Struct, frozen=True):
    """Who or what did it."""

    id: str = ""
    type: str = ""
    summary: str = ""
    """Name of a user."""
    email: str = ""
    """Not documented; some senders give it."""


class _Data(msgspec.Struct, frozen=True):
    incident_key: str | None = None


class Happening(msgspec.Struct, frozen=True):
    """One event."""

    id: str
    event_type: str
    agent: Agent | None = None
    data: _Data = _Data()

    @property
    def incident(self) -> str:
        """The dedup key: id of our incident."""
        return self.data.incident_key or ""

    @property
    def by_a_human(self) -> bool:
        return self.agent is not None and self.agent.type == HUMAN


class _Envelope(msgspec.Struct, frozen=True):
    event: Happening


def genuine(secrets: Iterable[str], given: str, body: bytes) -> bool:
    """Is one of the signatures made with one of the secrets?  Compares in constant time; an empty secret signs
    nothing."""
    wanted = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets if secret]
    found = [part.strip().removeprefix(VERSION) for part in given.split(",")[:MOST] if part.strip().startswith(VERSION)]
    return any(hmac.compare_digest(one.encode(), other.encode()) for one in wanted for other in found)


def read(body: bytes) -> Happening:
    """Raises ``Malformed``."""
    try:
        return msgspec.json.decode(body, type=_Envelope).event
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise Malformed(str(error)[:200]) from error


def who(agent: Agent, people: Mapping[str, Person]) -> str:
    """Id of our person, by address or by a name that only one of us has; else ``pagerduty:NAME``."""
    for what, told in (("email", agent.email), ("name", agent.summary), ("email", agent.summary)):
        wanted = " ".join(told.split()).casefold()
        found = [person.id for person in people.values() if wanted and getattr(person, what).casefold() == wanted]
        if len(found) == 1:
            return found[0]
    name = "".join(letter for letter in agent.summary if letter.isprintable())[:LONGEST_NAME]
    return f"pagerduty:{name or agent.id[:LONGEST_NAME] or 'somebody'}"
