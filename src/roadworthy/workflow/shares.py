"""Who is inside a share of the traffic: stable buckets of users.

A user's *position* in a workflow is a stable hash of salt ∥ workflow ∥ unit, at a resolution of 10⁻⁶.  The users of a
share are those whose position lies below it, so that nobody leaves as a share widens, the same user is not early in
every workflow, and no state is kept.  Fail-closed: a share of 0 holds nobody, whatever the position.

A *session* keeps the side on which it began: to move somebody between two models in the middle of a conversation is
worse than either.  A rollback or a kill ends that by raising the ramp's ``epoch``; pins of an earlier epoch are void.
"""

from __future__ import annotations

import hmac
from hashlib import blake2b
from typing import Final, NamedTuple

RESOLUTION: Final = 1_000_000

_SPAN: Final = 1 << 64


class Pin(NamedTuple):
    """The side on which a session began."""

    digest: str | None
    """Its release; ``None``: outside the ramp, with no release before it."""
    epoch: int


def position(salt: str, workflow: str, unit: str) -> int:
    """Where a user stands in a workflow: in [0, ``RESOLUTION``), evenly spread over users.

    ``salt`` is the install's, so that nobody outside can choose an id that is let in first.  Parts are told apart by
    their length, so no two triples are hashed alike.
    """
    parts = (salt.encode(), workflow.encode(), unit.encode("utf-8", "surrogatepass"))
    digest = blake2b(b"".join(len(part).to_bytes(4, "big") + part for part in parts), digest_size=8).digest()
    return int.from_bytes(digest, "big") * RESOLUTION // _SPAN


class Places:
    """``position`` for the users of one workflow: what they share is hashed once, which halves the time."""

    __slots__ = ("_begun",)

    def __init__(self, salt: str, workflow: str) -> None:
        parts = (salt.encode(), workflow.encode())
        self._begun = blake2b(b"".join(len(part).to_bytes(4, "big") + part for part in parts), digest_size=8)

    def of(self, unit: str) -> int:
        """In [0, ``RESOLUTION``)."""
        return self.mark(unit) * RESOLUTION // _SPAN

    def mark(self, *names: str) -> int:
        """64 bits that name a user, or a session of one, and tell nobody who it is."""
        whole = self._begun.copy()
        for name in names:
            named = name.encode("utf-8", "surrogatepass")
            whole.update(len(named).to_bytes(4, "big") + named)
        return int.from_bytes(whole.digest(), "big")


def salt_of(key: bytes) -> str:
    """The salt of an install, from the key (``hmac.key``) that all of its gateways hold."""
    return hmac.digest(key, b"roadworthy shares", "sha256")[:16].hex()


def inside(position: int, share: float) -> bool:
    """Is the user of this position inside ``share`` (in [0, 1])?"""
    return position < round(share * RESOLUTION)


def side(position: int, share: float, release: str, otherwise: str | None, pin: Pin | None, epoch: int) -> str | None:
    """Digest that serves: ``release`` inside the share, else ``otherwise`` (the release before, ``None``: the bypass).

    A session's pin of this epoch wins while what it names is still one of the two.  A share of 0 ends all sessions on
    the release: it is how the ceiling and the testers' stage take live traffic away.
    """
    if share > 0 and pin is not None and pin.epoch == epoch and pin.digest in (release, otherwise):
        return pin.digest
    return release if inside(position, share) else otherwise
