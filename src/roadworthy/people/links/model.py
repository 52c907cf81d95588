"""A link that acts.  Instants are Unix seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

Action = Literal["acknowledge", "last_good", "stop"]
"""Take an incident over; serve a workflow's last good release; turn its AI off."""


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a link does, for whom, and until when.  The token itself is never kept."""

    id: str
    """64 hex digits, random; the token is made from it with the install's ``hmac.key`` (``Links.path``)."""
    hash: str
    """Hex HMAC-SHA256 of the token under the same key."""
    action: Action
    subject: str
    """Id of the incident that it was mailed about."""
    person: str
    """Who must not have left when it is used."""
    created_at: float
    expires_at: float
    used_at: float | None = None
    team: str = "default"
