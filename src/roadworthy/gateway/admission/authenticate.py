"""Who may call.

Authentication fails closed: a key is looked up by the full HMAC of the whole token, so nothing about a key can be
learnt from timing, and a key that is not in the snapshot (unknown, revoked) or has expired does not exist.
"""

from __future__ import annotations

import hashlib

from roadworthy.evidence.permit.tokens import PREFIX as PERMIT
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.world import ServedKey, World

LONGEST_TOKEN = 512


def token_of(headers: dict[bytes, bytes]) -> bytes | None:
    """The caller's token: ``Authorization: Bearer`` or ``x-api-key``."""
    given = headers.get(b"authorization")
    if given is not None:
        scheme, _, token = given.partition(b" ")
        if scheme.lower() == b"bearer":
            return token.strip()
    return headers.get(b"x-api-key")


class PermitShown(Exception):
    """The token is a permit: it is vetted by ``permits.py`` and opens a lane of its own."""

    def __init__(self, token: bytes) -> None:
        super().__init__("a permit")
        self.token = token


class KeyedHash:
    """HMAC-SHA256 (RFC 2104) under one key whose two blocks are hashed once: a third of what ``hmac.digest`` takes."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        """``key``: at most 64 bytes, a block of SHA-256."""
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def hex(self, message: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


def authenticate(headers: dict[bytes, bytes], world: World, keyed: KeyedHash, now: float) -> ServedKey:
    """The caller's key.  Raises ``Refused`` 401 ``invalid_api_key`` and ``PermitShown``."""
    token = token_of(headers)
    if not token or len(token) > LONGEST_TOKEN:
        if token and token.startswith(PERMIT):
            raise PermitShown(token)
        raise Refused(
            401,
            "invalid_api_key",
            "No API key was given. Send 'Authorization: Bearer rw-…' with a key made by 'roadworthy keys create'.",
        )
    found = world.keys.get(keyed.hex(token))
    if found is None or found.key.revoked_at is not None:
        if token.startswith(PERMIT):
            raise PermitShown(token)
        raise Refused(
            401,
            "invalid_api_key",
            "This API key is unknown or revoked. Keys are listed by 'roadworthy keys list'.",
        )
    if found.key.expires_at is not None and found.key.expires_at <= now:
        raise Refused(401, "invalid_api_key", "This API key has expired. Make a new one with 'roadworthy keys rotate'.")
    return found
