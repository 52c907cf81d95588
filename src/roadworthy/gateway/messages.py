"""What a transport and the gateway core say to each other, free of sockets and frameworks.

Built once per request on the hot path, hence msgspec structs: construction is one C call.  Header names are
lower-case bytes in both directions; a transport adds the framing headers (``content-length``,
``transfer-encoding``, ``connection``) itself, so the core never names them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

Headers = list[tuple[bytes, bytes]]
"""(lower-case name, value) in order of arrival; a name may occur more than once."""


class Request(msgspec.Struct, gc=False):
    """One whole request: the transport has read, framed and limited it."""

    method: str
    path: str
    """As sent, not percent-decoded, always starting with ``/``; without the query."""
    query: str
    """Without the question mark; empty when there is none."""
    headers: Headers
    body: bytes
    peer: str
    """Address of the caller, for records; empty when the transport does not know it."""
    internal: bool = False
    """Came over the worker's private socket, not from a caller."""

    def header(self, name: bytes) -> bytes | None:
        """Value of the first header called ``name`` (lower-case), or ``None``."""
        for found, value in self.headers:
            if found == name:
                return value
        return None


class Response(msgspec.Struct, gc=False):
    """A whole answer: leaves in one write with its ``content-length``."""

    status: int
    headers: Headers
    body: bytes


class StreamResponse(msgspec.Struct):
    """An answer whose body is made while it leaves.

    The transport iterates ``chunks`` and calls its ``aclose()``, where it has one, exactly once: after the last
    chunk, or when the client has left.  An exception out of ``chunks`` ends the answer without the terminal
    chunk, so that no client can take it for whole.
    """

    status: int
    headers: Headers
    chunks: AsyncIterator[bytes]


class Gateway(Protocol):
    """The transport-free core, as the transports see it."""

    async def handle(self, request: Request) -> Response | StreamResponse:
        """Answer one request.  Cancelled when the client leaves before the answer."""
        ...

    def refuse(self, status: int, code: str, message: str) -> Response:
        """The answer to bytes that never became a request, in the OpenAI error shape."""
        ...
