"""A link that acts.  Instants are Unix seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

Action = Literal["acknowledge", "last_good", "stop", "accept_invitation", "login"]
"""Take a page over; serve a workflow's last good release; turn its AI off; accept an invitation; sign in."""

OF_PEOPLE: frozenset[Action] = frozenset({"acknowledge", "last_good", "stop"})
"""Only for who is in ``people.yaml`` when it is used; the others bring a person in."""


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a link does, for whom, and until when.  The token itself is never kept."""

    id: str
    """64 hex digits, random; the token is made from it with the install's ``hmac.key`` (``Links.path``)."""
    hash: str
    """Hex HMAC-SHA256 of the token under the same key."""
    action: Action
    subject: str
    """What it acts on: an incident, a workflow, an invitation."""
    person: str
    created_at: float
    expires_at: float
    used_at: float | None = None
    team: str = "default"
