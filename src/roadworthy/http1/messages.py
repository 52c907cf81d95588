"""What a caller hands to the client and what it gets back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from roadworthy.http1.origin import Origin

Headers = list[tuple[bytes, bytes]]
"""(lower-case name, value) in order of arrival."""

_OURS = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"te", b"upgrade"})
"""Headers that decide how messages are framed and connections live: the client's own business."""


class Clocks(msgspec.Struct, frozen=True):
    """Patience, in seconds.  Kept to about a sweep of the client (25 ms)."""

    connect: float
    """To have a usable connection: a free slot, the name, the handshakes."""
    first_byte: float
    """From the request's last byte handed to the kernel to the answer's first."""
    idle: float
    """Between two pieces of the answer; stands still while the consumer is behind."""
    total: float
    """From the call to the answer's last byte."""


class Reply(msgspec.Struct, gc=False):
    """A whole answer.  Durations are seconds."""

    status: int
    headers: Headers
    body: bytes
    connected: float | None
    """What obtaining the connection took; ``None`` when it lay ready."""
    first_byte: float
    """From sending to the first byte of the answer."""
    reused: bool

    def header(self, name: bytes) -> bytes | None:
        """Value of the first header called ``name`` (lower-case), or ``None``."""
        for found, value in self.headers:
            if found == name:
                return value
        return None


def head(method: bytes, path: bytes, origin: Origin, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A request up to and including ``Content-Length: ``; the client appends the length and the body.

    Made once and sent many times where nothing in it changes.  Raises ``ValueError`` for anything that could
    change the framing: line ends, NULs, spaces in the target, headers that belong to the client.
    """
    lines = [b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (method, path, origin.authority)]
    for name, value in headers:
        if name.lower() in _OURS:
            raise ValueError(f"header {name!r} is set by the client itself")
        lines.append(b"%b: %b\r\n" % (name, value))
    lines.append(b"Content-Length: ")
    made = b"".join(lines)
    ends = len(headers) + 2
    if made.count(b"\n") != ends or made.count(b"\r") != ends or b"\0" in made or lines[0].count(b" ") != 3:
        raise ValueError("method, path or a header holds a space, a line end or a NUL where none may be")
    return made
