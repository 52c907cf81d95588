"""People who sign in: one-time codes and login sessions.  Accounts are the ids of ``people.yaml``."""

from __future__ import annotations

import msgspec


class LoginCode(msgspec.Struct, frozen=True):
    """A one-time code, printed once for a person and kept as a hash."""

    hash: str
    """Hex HMAC-SHA256 of the code under the install's ``hmac.key``."""
    person: str
    created_at: float
    expires_at: float
    used_at: float | None = None
    team: str = "default"


class LoginSession(msgspec.Struct, frozen=True):
    """A signed-in person.  The token itself is never kept."""

    hash: str
    """Hex HMAC-SHA256 of the token under the install's ``hmac.key``."""
    person: str
    created_at: float
    expires_at: float
    ended_at: float | None = None
    team: str = "default"
