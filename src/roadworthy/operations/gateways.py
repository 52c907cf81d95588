"""What a gateway and control say to each other: joining, pulling, leaving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec


class JoinRefused(Exception):
    """A gateway may not join or be forgotten; the message says why and how to mend it."""


class Joining(msgspec.Struct, forbid_unknown_fields=True):
    """A gateway asks to be known."""

    name: str
    folder: str
    """Its data folder, absolute."""
    workers: int
    first: int = 0
    """Number of its worker 0, as it was given when it joined first; 0: never."""
    listen: str = ""
    metrics: str = ""


class Joined(msgspec.Struct):
    """Control's answer."""

    first: int
    """Number of its worker 0 among all workers of the install."""
    hmac_key: str
    """Hex."""
    signing_pub: str
    """``signing.pub`` of the install."""


class Pull(msgspec.Struct, forbid_unknown_fields=True):
    """A sign of life, and the question what is new."""

    name: str
    stamp: str = ""
    """Of what the gateway has."""


NOTHING = msgspec.Raw()
"""This very object is left out of what is sent."""


class Pulled(msgspec.Struct, omit_defaults=True):
    """What is new, as the very bytes of the files; nothing: all is as it was."""

    stamp: str
    snapshot: msgspec.Raw = NOTHING
    settings: msgspec.Raw = NOTHING
    signing_pub: str = ""
    """``signing.pub`` of the install."""
    parts: list[tuple[float, int]] = []
    """The gateway's part of every budget and limit, see ``cost.lending``."""


class GatewayStatus(msgspec.Struct, frozen=True):
    """One gateway, for status and metrics.  Instants are Unix seconds."""

    name: str
    folder: str
    listen: str
    metrics: str
    workers: int
    """That it should have."""
    answering: int
    """Of them, those that answer."""
    epoch: int
    """Of the snapshot that its workers serve: the lowest of them."""
    seq: int
    current: bool
    """Do all serve the snapshot that was published last?"""
    joined_at: float
    seen_at: float
    ended_at: float | None
    stale: bool
    pending_bytes: int
    """Of its journal, not in the log yet."""
    pending_seconds: float


class Gateways(Protocol):
    """Control's side.  Raises ``JoinRefused``."""

    def join(self, asked: Joining, actor: str) -> Joined: ...

    def pull(self, asked: Pull) -> Pulled | None:
        """``None``: control does not know that gateway (any more); it joins again."""

    def leave(self, name: str) -> bool:
        """Was it known?"""

    def remove(self, name: str, actor: str, on_behalf_of: str) -> Any:
        """Forget a gateway for good, once its journal is in the log."""

    def status(self) -> Sequence[GatewayStatus]: ...
