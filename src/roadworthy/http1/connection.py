"""One connection to a server: one call at a time, answers framed by httptools.

The call is a future (``fetch``) or a ``StreamReply`` (``open``).  Whoever awaits is woken once per answer, or once
per piece of a stream; there is no task and no timer here.  The client's sweep calls ``expire``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from roadworthy.http1.errors import BodyTooLarge, Disconnected, Http1Error, Phase, ProtocolViolation, ReadTimeout
from roadworthy.http1.messages import Clocks, Headers, Reply
from roadworthy.http1.stream import StreamReply

MAX_HEAD = 64 * 1024
"""Most bytes of a response head."""
MAX_HEADERS = 256
MAX_INTERIM = 16
"""Most 1xx answers before the real one."""
JOIN_BELOW = 64 * 1024
"""Smaller bodies are joined to the head: one buffer, one write."""
STREAM = -1
"""As ``max_body``: hand the body over while it arrives."""

Answer = asyncio.Future[Reply | StreamReply]


class Owner(Protocol):
    """What a connection tells its client."""

    def closed(self, connection: Connection) -> None:
        """Its socket is closed."""
        ...

    def finished(self, connection: Connection) -> None:
        """The answer ended cleanly and the connection can carry another call."""
        ...

    def gone(self, connection: Connection) -> None:
        """The connection must not be used again.  Called exactly once, before ``closed``."""
        ...


class Connection(asyncio.Protocol):
    __slots__ = (
        "_answered",
        "_begun",
        "_clocks",
        "_extra",
        "_fault",
        "_first_at",
        "_gone",
        "_head_bytes",
        "_head_done",
        "_head_only",
        "_headers",
        "_interim",
        "_last",
        "_max_body",
        "_now",
        "_owner",
        "_parser",
        "_parts",
        "_sent_at",
        "_size",
        "_status",
        "_stream",
        "_touched",
        "_transport",
        "_until",
        "_waiter",
        "connected",
        "pool_key",
        "reused",
    )

    def __init__(self, owner: Owner, pool_key: str, now: Callable[[], float]) -> None:
        self._owner = owner
        self._now = now
        self.pool_key = pool_key
        self.reused = False
        """Has carried an answer before this call."""
        self.connected: float | None = None
        """Seconds that opening it took, for the first call's reply."""
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._gone = False
        self._extra = False
        """More bytes came, or none may follow: not for another call."""
        self._waiter: Answer | None = None
        self._stream: StreamReply | None = None
        self._fault: Http1Error | None = None
        self._status = 0
        self._headers: Headers = []
        self._parts: bytes | list[bytes] = b""
        self._head_bytes = self._interim = self._size = self._max_body = 0
        self._begun = self._head_done = self._head_only = self._answered = self._touched = False
        self._sent_at = self._first_at = self._last = self._until = 0.0
        self._clocks: Clocks | None = None

    # --- for the client

    @property
    def usable(self) -> bool:
        """Can a call be sent on it now?"""
        return not self._gone and self._transport is not None and not self._transport.is_closing()

    def send(self, head: bytes, body: bytes, clocks: Clocks, started: float, max_body: int) -> Answer:
        """Send a call.  The future ends with a ``Reply``, or an ``Http1Error``.

        With ``max_body=STREAM`` it ends with a ``StreamReply`` once the head of the answer is here.
        """
        transport = cast(asyncio.Transport, self._transport)
        waiter: Answer = asyncio.get_running_loop().create_future()
        self._waiter = waiter
        self._clocks = clocks
        self._until = started + clocks.total
        self._max_body = max_body
        self._headers = []
        self._parts = b""
        self._head_bytes = self._interim = self._size = 0
        self._begun = self._head_done = self._answered = False
        self._head_only = head.startswith(b"HEAD ")
        if len(body) < JOIN_BELOW:
            transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        else:
            transport.writelines((b"%b%d\r\n\r\n" % (head, len(body)), body))
        self._sent_at = self._now()
        return waiter

    def abandon(self, waiter: Answer | StreamReply) -> None:
        """Whoever waited for ``waiter`` no longer does: end the call, if it is still that one."""
        if isinstance(waiter, asyncio.Future) and waiter.done() and not waiter.cancelled():
            given = None if waiter.exception() else waiter.result()
            if isinstance(given, StreamReply):  # it came too late to be taken
                given.abort()
        elif self._waiter is waiter or self._stream is waiter:
            self._waiter = self._stream = None
            self.abort()

    def abort(self) -> None:
        """Close at once, without an answer for anybody."""
        if self._transport is not None:
            self._transport.abort()
        self._leave()

    def fail(self, error: Http1Error) -> None:
        """End the call with ``error`` and the connection with it."""
        waiter, stream = self._waiter, self._stream
        self._waiter = self._stream = None
        self.abort()
        if waiter is not None:
            if not waiter.done():
                waiter.set_exception(error)
        elif stream is not None:
            stream.end(error)

    def expire(self, now: float) -> None:
        """Apply the clocks of the call under way, if any."""
        clocks = self._clocks
        if clocks is None or (self._waiter is None and self._stream is None):
            return
        if now >= self._until:
            self.fail(ReadTimeout("total", clocks.total))
        elif not self._begun:
            if now - self._sent_at >= clocks.first_byte:
                self.fail(ReadTimeout("first_byte", clocks.first_byte))
        elif self._touched or (self._stream is not None and self._stream.paused):
            self._touched = False
            self._last = now
        elif now - self._last >= clocks.idle:
            self.fail(ReadTimeout("idle", clocks.idle))

    def pause(self) -> None:
        if self.usable:
            cast(asyncio.Transport, self._transport).pause_reading()

    def resume(self) -> None:
        if self.usable:
            cast(asyncio.Transport, self._transport).resume_reading()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None and self._stream is None:  # nobody asked: never to be taken for an answer
            self.abort()
            return
        self._touched = True
        if not self._begun:
            self._begun = True
            self._first_at = self._last = self._now()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fault = ProtocolViolation("the server switched protocols")
        except httptools.HttpParserError as error:
            if self._answered:  # the answer itself was whole
                self._extra = True
            else:
                self._fault = ProtocolViolation(f"not an HTTP/1.1 response: {error}")
        if not self._head_done:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._fault = self._fault or ProtocolViolation(f"a response head of more than {MAX_HEAD} bytes")
        if self._answered:
            self._finish()
        elif self._fault is not None:
            self.fail(self._fault)

    def eof_received(self) -> None:
        """Half-closed is closed: ``connection_lost`` follows."""

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None or self._stream is not None:
            if exc is None and self._ends_with_connection():
                self._answered = self._extra = True
                self._finish()
            else:
                self.fail(Disconnected(f"the server closed the connection ({exc or 'end of file'})", self._phase()))
        self._leave()
        self._transport = None
        del self._parser  # breaks the reference cycle
        self._owner.closed(self)

    # --- httptools callbacks

    def on_message_begin(self) -> None:
        if self._answered:
            self._extra = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:  # a trailer
            return
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._answered:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            return
        self._status = status
        self._head_done = True
        if len(self._headers) > MAX_HEADERS:
            self._fault = ProtocolViolation(f"more than {MAX_HEADERS} response headers")
        waiter = self._waiter
        if self._max_body == STREAM and waiter is not None and self._fault is None:
            self._waiter = None
            if waiter.done():  # cancelled: the body has no taker
                self._fault = Disconnected("the caller left", "in_body")
            else:
                connected = None if self.reused else self.connected
                wait = self._first_at - self._sent_at
                self._stream = StreamReply(self, status, self._headers, connected, wait)
                waiter.set_result(self._stream)
        if self._head_only:
            self._answered = True
            self._extra = not self._parser.should_keep_alive()
            self._parser = httptools.HttpResponseParser(self)  # this one expects a body that never comes

    def on_body(self, data: bytes) -> None:
        if self._answered:
            self._extra = True
            return
        stream = self._stream
        if stream is not None:
            stream.push(data)
            return
        self._size += len(data)
        if self._size > self._max_body:
            self._fault = self._fault or BodyTooLarge(f"a body of more than {self._max_body} bytes")
        elif not self._parts:
            self._parts = data
        elif isinstance(self._parts, list):
            self._parts.append(data)
        else:
            self._parts = [self._parts, data]

    def on_message_complete(self) -> None:
        if self._head_done:
            if not self._answered:
                self._answered = True
                self._extra = not self._parser.should_keep_alive()
            return
        self._interim += 1
        self._headers = []
        if self._interim > MAX_INTERIM:
            self._fault = ProtocolViolation(f"more than {MAX_INTERIM} interim responses")

    # --- inside

    def _finish(self) -> None:
        """The answer is whole: hand it over, and the connection back, or close it."""
        waiter, stream = self._waiter, self._stream
        self._waiter = self._stream = None
        fault = self._fault
        transport = self._transport
        reply: Reply | None = None
        if fault is None and stream is None:
            parts = self._parts
            body = parts if isinstance(parts, bytes) else b"".join(parts)
            connected = None if self.reused else self.connected
            reply = Reply(self._status, self._headers, body, connected, self._first_at - self._sent_at, self.reused)
        if stream is not None and stream.paused:
            self.resume()
        if (
            self._extra
            or fault is not None
            or transport is None
            or transport.is_closing()
            or transport.get_write_buffer_size()  # answered before it had the whole request
        ):
            self.abort()
        else:
            self.reused = True
            self._owner.finished(self)
        if stream is not None:
            stream.end(fault)
        elif waiter is not None and not waiter.done():
            if reply is None:
                waiter.set_exception(fault or ProtocolViolation("no answer"))
            else:
                waiter.set_result(reply)

    def _leave(self) -> None:
        if not self._gone:
            self._gone = True
            self._owner.gone(self)

    def _ends_with_connection(self) -> bool:
        """Is the body under way one that only the end of the connection can end?"""
        if not self._head_done or self._fault is not None:
            return False
        return not any(name in (b"content-length", b"transfer-encoding") for name, _ in self._headers)

    def _phase(self) -> Phase:
        if not self._begun:
            return "before_first_byte"
        return "in_body" if self._head_done else "in_head"
