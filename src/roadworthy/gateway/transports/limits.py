"""How much of a caller's bytes and time a transport spends before it refuses.  Sizes in bytes, times in seconds."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True):
    body: int = 16 * 1024 * 1024
    """Longest request body; a longer one is refused from its ``content-length``, before it is read."""
    head: int = 32 * 1024
    """Request line and headers together."""
    target: int = 8 * 1024
    """Path and query."""
    headers: int = 100
    """How many headers."""
    head_time: float = 10.0
    """From the first byte of a request to the last of its head."""
    body_time: float = 60.0
    """From there to the last byte of its body."""
    idle_time: float = 75.0
    """Kept connection without a request."""
    write_time: float = 60.0
    """Without the client taking any of an answer that waits for it."""
    linger_time: float = 2.0
    """After a refusal: how long unread bytes are discarded, so that the client can read the answer."""
    connections: int = 20_000
    """Open at once; the next is refused."""
    ahead: int = 64 * 1024
    """Bytes of pipelined requests taken from the kernel while one is being answered."""
