"""Passing a request on to another worker of this install, over that worker's private socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from roadworthy.gateway.messages import Headers, Request, Response, StreamResponse
from roadworthy.gateway.ports import StreamReply, Upstream
from roadworthy.http1.errors import Http1Error, NotConnected
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin

CLOCKS = Clocks(connect=2.0, first_byte=660.0, idle=660.0, total=3600.0)
"""The peer keeps the deadline; these only bound a peer that hangs."""
MAX_BODY = 64 * 1024 * 1024
MAX_ASKED = 4 * 1024 * 1024

_FRAMING = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"te", b"upgrade", b"keep-alive"}
)


class PeerGone(Exception):
    """The worker that owns the key cannot be reached."""


class ControlLine:
    """Control on this machine, over its socket.  Whoever asks goes on without an answer."""

    def __init__(self, upstream: Upstream, origin: Origin, patience: float = 1.0) -> None:
        self._upstream = upstream
        self._origin = origin
        self._clocks = Clocks(patience, patience, patience, patience)

    async def ask(self, method: str, path: str, headers: Headers, body: bytes) -> Response | None:
        """Its answer, or ``None`` when there is none in time."""
        made = head(method.encode(), path.encode("latin-1"), self._origin, headers)
        try:
            reply = await self._upstream.fetch(self._origin, made, body, self._clocks, max_body=MAX_ASKED)
        except Http1Error:
            return None
        return Response(reply.status, list(reply.headers), reply.body)


class Peers:
    """The other workers."""

    def __init__(self, upstream: Upstream, origin_of: Callable[[int], Origin]) -> None:
        self._upstream = upstream
        self._origin_of = origin_of

    async def forward(self, request: Request, worker: int) -> Response | StreamResponse:
        """The peer's own answer.  Raises ``PeerGone`` before anything was sent, ``Http1Error`` afterwards."""
        origin = self._origin_of(worker)
        headers = [(name, value) for name, value in request.headers if name not in _FRAMING]
        path = request.path + (f"?{request.query}" if request.query else "")
        made = head(request.method.encode(), path.encode("latin-1"), origin, headers)
        try:
            reply = await self._upstream.open(origin, made, request.body, CLOCKS)
        except NotConnected as error:
            raise PeerGone(str(error)) from error
        answer = [(name, value) for name, value in reply.headers if name not in _FRAMING and name != b"date"]
        if any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in answer):
            return StreamResponse(reply.status, answer, Forwarded(reply))
        return Response(reply.status, answer, await reply.read(MAX_BODY))


class Forwarded:
    """A peer's stream."""

    def __init__(self, reply: StreamReply) -> None:
        self._reply = reply
        self._chunks: AsyncIterator[bytes] = aiter(reply.chunks)

    def __aiter__(self) -> Forwarded:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        self._reply.abort()
