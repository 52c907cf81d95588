"""People who sign in: one-time codes and login sessions."""

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
    via: str = "code"
    """``code``, ``password``, ``invitation``, ``oidc`` or ``link``."""
    address: str = ""
    """Where it was opened from: an address, or ``os:uid``."""
    agent: str = ""
    """What the browser calls itself, shortened."""

    @property
    def id(self) -> str:
        """What it is called: enough of the hash to tell it from the others, and no use to sign in with."""
        return f"ses_{self.hash[:12]}"

    def open(self, now: float) -> bool:
        return self.ended_at is None and now < self.expires_at
