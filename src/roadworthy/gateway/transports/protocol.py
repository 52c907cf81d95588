"""The default transport: HTTP/1.1 on an ``asyncio.Protocol``.

One connection answers one request at a time, so pipelined answers leave in order::

    reading head ──▶ reading body ──▶ answering ──▶ reading head (kept) | lingering (closed)
         └───────────────┴─ refused ─────────────────────────────────────▶ lingering

There is one task per request and no timer per connection: the server's sweep applies all time-outs.  A handler
that raises is a defect: its caller gets a 500 (or a stream without its end) and the loop's exception handler gets
the traceback.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from roadworthy.gateway.messages import Gateway, Headers, Request, Response, StreamResponse
from roadworthy.gateway.transports.chunked import ChunkedBody
from roadworthy.gateway.transports.head import CHUNKED, Head, Heads, Malformed, too_long
from roadworthy.gateway.transports.limits import Limits

SWEEP = 0.25
"""Seconds between two looks at the clocks: their precision."""
BACKLOG = 4096

_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_BODILESS = frozenset({204, 304})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_END_OF_CHUNKS = b"0\r\n\r\n"
_colon = b": ".join


class Server:
    """Listening sockets and their connections, for one gateway."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        limits: Limits | None = None,
        internal: bool = False,
        on_cut: Callable[[], None] = lambda: None,
        sweep: float = SWEEP,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``on_cut`` is told before a stop cuts the requests that outlast its grace."""
        self.gateway = gateway
        self.limits = limits or Limits()
        self.internal = internal
        """Requests come over the worker's private socket."""
        self.now = 0.0
        """Clock at the last sweep: good enough for every time-out, and free to read."""
        self.connections: set[Connection] = set()
        self.answering = 0
        """Requests under way."""
        self.stopping = False
        self._on_cut = on_cut
        self._sweep_every = sweep
        self._clock = clock
        self._listeners: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event = asyncio.Event()

    async def start(self, sock: socket.socket) -> None:
        """Accept connections on a bound socket (TCP or Unix), which the server then owns."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._sweep()
        if sock.family == socket.AF_UNIX:
            listener = await loop.create_unix_server(lambda: Connection(self), sock=sock, backlog=BACKLOG)
        else:
            listener = await loop.create_server(lambda: Connection(self), sock=sock, backlog=BACKLOG)
        self._listeners.append(listener)

    async def stop(self, grace: float) -> int:
        """Stop accepting, let requests under way finish for up to ``grace`` seconds, then cut the rest.

        Returns how many requests were cut.
        """
        self.stopping = True
        for listener in self._listeners:
            listener.close()
        for connection in list(self.connections):
            connection.retire()
        cut = 0
        try:
            async with asyncio.timeout(grace):
                await self._until_empty()
        except TimeoutError:
            cut = self.answering
            self._on_cut()
            for connection in list(self.connections):
                connection.abort()
            await self._until_empty()
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        return cut

    async def _until_empty(self) -> None:
        while self.connections or self.answering:
            self._empty.clear()
            await self._empty.wait()

    def left(self) -> None:
        """A connection or a request is over."""
        if not self.connections and not self.answering:
            self._empty.set()

    def _sweep(self) -> None:
        self.now = self._clock()
        for connection in list(self.connections):
            connection.expire(self.now)
        self._timer = asyncio.get_running_loop().call_later(self._sweep_every, self._sweep)


class Connection(asyncio.Protocol):
    """One client connection."""

    __slots__ = (
        "_body", "_buffer", "_chunked", "_head", "_heads", "_keep", "_lingering", "_lost", "_need", "_peer", "_reading",
        "_server", "_since", "_task", "_transport", "_writable",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._peer = ""
        self._buffer = b""
        """Received and not yet parsed."""
        self._heads = Heads()
        self._head: Head | None = None
        """Of the request whose body is being read."""
        self._body = bytearray()
        self._need = 0
        self._chunked: ChunkedBody | None = None
        self._task: asyncio.Task[None] | None = None
        self._keep = True
        self._reading = True
        self._lingering = False
        self._lost = False
        self._since = 0.0
        """When the present wait began, in the server's coarse time."""
        self._writable: asyncio.Future[None] | None = None
        """Pending while the client does not take what was written."""

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self._server
        self._transport = cast(asyncio.Transport, transport)
        self._since = server.now
        server.connections.add(self)
        if len(server.connections) > server.limits.connections or server.stopping:
            self._refuse(Malformed(503, "unavailable", "this worker takes no more connections"))
            return
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        if self._task is not None:
            self._buffer += data
            if len(self._buffer) > self._server.limits.ahead and self._reading:
                self._reading = False
                self._transport.pause_reading()
        elif self._head is not None:
            self._read_body(data)
        else:
            self._read_head(data)

    def eof_received(self) -> None:
        """A client that has sent its end has left; ``connection_lost`` follows."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._task is not None:
            self._task.cancel()
        self._server.connections.discard(self)
        self._server.left()

    def pause_writing(self) -> None:
        self._since = self._server.now
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # --- for the server

    def retire(self) -> None:
        """The server stops: finish the request under way or half received, take no other."""
        self._keep = False
        if self._task is None and self._head is None and not self._buffer:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def expire(self, now: float) -> None:
        limits, waited = self._server.limits, now - self._since
        if self._lingering:
            if waited >= limits.linger_time:
                self.abort()
        elif self._writable is not None:
            if waited >= limits.write_time:
                self.abort()
        elif self._task is not None:
            return
        elif self._head is not None:
            if waited >= limits.body_time:
                self._refuse(Malformed(408, "slow", f"the request body took longer than {limits.body_time:g} s"))
        elif self._buffer:
            if waited >= limits.head_time:
                self._refuse(Malformed(408, "slow", f"the request headers took longer than {limits.head_time:g} s"))
        elif waited >= limits.idle_time:
            self._transport.close()

    # --- reading

    def _read_head(self, data: bytes) -> None:
        """Parse from ``data`` what lies between two requests and the next head."""
        limits = self._server.limits
        seen = len(self._buffer)
        if seen:
            data = self._buffer + data
        if data[:2] == b"\r\n":  # some clients send one too many after a body (RFC 9112, 2.2)
            data = data[2:]
            if not data:
                self._buffer = b""
                return
        end = data.find(b"\r\n\r\n", max(seen - 3, 0))
        try:
            if end < 0 or end > limits.head:
                if not seen:
                    self._since = self._server.now
                self._buffer = data
                _check_unfinished(data, limits)
                return
            self._buffer = b""
            head = self._heads.read(data[: end + 4], limits)
            if head.length > limits.body:
                raise Malformed(
                    413, "body_too_large", f"a body of {head.length} bytes: at most {limits.body} are taken"
                )
        except Malformed as malformed:
            self._refuse(malformed)
            return
        rest = data[end + 4 :]
        if head.length == len(rest):  # the common case: one request in one piece
            self._answer(head, rest)
        elif head.length == 0:
            self._buffer = rest
            self._answer(head, b"")
        else:
            self._head = head
            self._since = self._server.now
            if head.length == CHUNKED:
                self._chunked = ChunkedBody(limits.body)
            else:
                self._need = head.length
            if rest:
                self._read_body(rest)
            elif head.expects:
                self._write(_CONTINUE)

    def _read_body(self, data: bytes) -> None:
        head = cast(Head, self._head)
        if self._chunked is not None:
            try:
                rest = self._chunked.feed(data)
            except Malformed as malformed:
                self._refuse(malformed)
                return
            if rest is None:
                return
            body = self._chunked.body
            self._chunked = None
        else:
            need = self._need
            if len(data) < need:
                self._body += data
                self._need = need - len(data)
                return
            self._body += data[:need]
            body, rest = bytes(self._body), data[need:]
            self._body = bytearray()
        self._head = None
        self._buffer = rest
        self._answer(head, body)

    def _refuse(self, malformed: Malformed) -> None:
        """Answer bytes that never became a request, and close: where the next one begins is unknown."""
        response = self._server.gateway.refuse(malformed.status, malformed.code, malformed.message)
        self._head = self._chunked = None
        self._body = bytearray()
        self._write(_whole(response, b"connection: close\r\n", with_body=True))
        self._linger()

    # --- answering

    def _answer(self, head: Head, body: bytes) -> None:
        server = self._server
        request = Request(head.method, head.path, head.query, head.headers, body, self._peer, server.internal)
        server.answering += 1
        self._task = asyncio.get_running_loop().create_task(self._serve(head, request))

    async def _serve(self, head: Head, request: Request) -> None:
        server = self._server
        answered = False
        try:
            response = await server.gateway.handle(request)
            self._keep = self._keep and head.keep_alive and not server.stopping
            if isinstance(response, Response):
                self._write(_whole(response, self._connection_header(head), with_body=head.method != "HEAD"))
                answered = True
                if self._writable is not None:  # pipelined requests of a client that reads no answer must wait
                    await self._writable
            else:
                await self._stream(head, response)
                answered = True
        finally:
            self._task = None
            server.answering -= 1
            if not answered and not self._lost:
                self._broken()
            if self._lost:
                server.left()
        self._after()

    async def _stream(self, head: Head, response: StreamResponse) -> None:
        chunked = not head.old
        if not chunked:
            self._keep = False  # only the end of the connection ends the body
        chunks = response.chunks
        whole = False
        try:
            framing = b"transfer-encoding: chunked\r\n" if chunked else b""
            self._write(_head(response.status, response.headers, framing + self._connection_header(head)))
            if head.method != "HEAD":
                async for chunk in chunks:
                    if chunk:
                        self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
                        if self._writable is not None:
                            await self._writable
            whole = True
        finally:
            if not whole:
                self._transport.abort()
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()
        if chunked and head.method != "HEAD":
            self._write(_END_OF_CHUNKS)

    def _after(self) -> None:
        """The answer is written: go on with what has come meanwhile, or close."""
        if self._lost:
            return
        self._since = self._server.now
        if not self._keep:
            if self._buffer:
                self._linger()
            else:
                self._transport.close()
            return
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self._read_head(data)

    def _broken(self) -> None:
        """The handler failed.  Before a byte has left, that can be said; after, only cutting is honest."""
        if self._transport.is_closing():
            return
        refusal = self._server.gateway.refuse(500, "internal", "the gateway failed to answer; its log says why")
        self._write(_whole(refusal, b"connection: close\r\n", with_body=True))
        self._linger()

    def _connection_header(self, head: Head) -> bytes:
        if not self._keep:
            return b"connection: close\r\n"
        return b"connection: keep-alive\r\n" if head.old else b""

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if not transport.is_closing():  # uvloop raises where asyncio would not
            transport.write(data)

    def _linger(self) -> None:
        """Send our end and discard what still comes: closing on unread bytes would destroy the answer on its way."""
        self._lingering = True
        self._buffer = b""
        self._since = self._server.now
        transport = self._transport
        if transport.is_closing():
            return
        if not self._reading:
            self._reading = True
            transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()


def _too_large(limits: Limits) -> Malformed:
    return Malformed(413, "body_too_large", f"the body is longer than {limits.body} bytes")


def _check_unfinished(data: bytes, limits: Limits) -> None:
    """Refuse early what can never become a good head.  Raises ``Malformed``."""
    line_end = data.find(b"\r\n")
    if (line_end if line_end >= 0 else len(data)) > limits.target + 32:
        raise too_long(limits)
    if len(data) > limits.head:
        raise Malformed(431, "headers_too_large", f"the headers are longer than {limits.head} bytes")
    if data == b"\r":
        return
    if not 65 <= data[0] <= 90 or data.count(b"\n") != data.count(b"\r\n"):
        raise Malformed(400, "bad_request", "malformed request: this is not HTTP/1.1 with CRLF line ends")


def _head(status: int, headers: Headers, framing: bytes) -> bytes:
    """Status line and headers.  Raises ``ValueError`` for a header that would end early: a defect of the core."""
    line = _STATUS.get(status) or b"HTTP/1.1 %d \r\n" % status
    if not headers:
        return b"%b%b\r\n" % (line, framing)
    block = b"\r\n".join(map(_colon, headers))
    ends = len(headers) - 1
    if block.count(b"\n") != ends or block.count(b"\r") != ends:
        raise ValueError("a response header holds a line end")
    return b"%b%b\r\n%b\r\n" % (line, block, framing)


def _whole(response: Response, framing: bytes, *, with_body: bool) -> bytes:
    body = response.body
    if response.status in _BODILESS:
        return _head(response.status, response.headers, framing)
    head = _head(response.status, response.headers, b"content-length: %d\r\n%b" % (len(body), framing))
    return head + body if with_body else head
