"""An answer whose body is read while it arrives."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from roadworthy.http1.errors import BodyTooLarge, Http1Error
from roadworthy.http1.messages import Headers

HIGH_WATER = 64 * 1024
"""Unread bytes at which the connection stops reading, so that a slow consumer slows the server."""
LOW_WATER = 16 * 1024


class Source(Protocol):
    """The connection, as its stream sees it."""

    @property
    def reused(self) -> bool: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def abandon(self, waiter: StreamReply) -> None: ...


class StreamReply:
    """Head of the answer, and its body as an async iterator with one consumer.

    Iterating raises the ``Http1Error`` that cut the body, after every byte that came before it.  A consumer that
    stops early calls ``abort``; otherwise the connection's slot stays taken until the idle or total clock.
    """

    __slots__ = (
        "_clean", "_ended", "_error", "_parts", "_size", "_source", "_waiter",
        "complete", "connected", "first_byte", "headers", "paused", "reused", "status",
    )  # fmt: skip

    def __init__(
        self, source: Source, status: int, headers: Headers, connected: float | None, first_byte: float
    ) -> None:
        self.status = status
        self.headers = headers
        self.connected = connected
        """Seconds that obtaining the connection took; ``None`` when it lay ready."""
        self.first_byte = first_byte
        """Seconds from sending to the first byte of the answer."""
        self.reused = source.reused
        self.complete = False
        """True only once the whole body has been consumed and had ended cleanly."""
        self.paused = False
        """The consumer is behind and the connection does not read."""
        self._source: Source | None = source
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._ended = self._clean = False
        self._error: Http1Error | None = None
        self._waiter: asyncio.Future[None] | None = None

    def header(self, name: bytes) -> bytes | None:
        """Value of the first header called ``name`` (lower-case), or ``None``."""
        for found, value in self.headers:
            if found == name:
                return value
        return None

    @property
    def unread(self) -> int:
        """Bytes that have arrived and wait for the consumer."""
        return self._size

    @property
    def ended(self) -> bool:
        """The end of the body has arrived, read or not."""
        return self._ended

    @property
    def chunks(self) -> StreamReply:
        """The body, in the pieces in which it arrived."""
        return self

    def __aiter__(self) -> StreamReply:
        return self

    async def __anext__(self) -> bytes:
        parts = self._parts
        if not parts:
            if not self._ended:
                await self._more()
            if not parts:
                if self._error is not None:
                    raise self._error
                self.complete = self._clean
                raise StopAsyncIteration
        data = parts.popleft()
        self._size -= len(data)
        if self.paused and self._size <= LOW_WATER:
            self.paused = False
            if self._source is not None:
                self._source.resume()
        return data

    async def read(self, max_body: int) -> bytes:
        """The rest of the body in one piece.  Raises ``BodyTooLarge`` past ``max_body`` bytes.

        Aborts then, and when it is cancelled.
        """
        parts: list[bytes] = []
        size = 0
        try:
            async for data in self:
                size += len(data)
                if size > max_body:
                    self.abort()
                    raise BodyTooLarge(f"a body of more than {max_body} bytes")
                parts.append(data)
        except asyncio.CancelledError:
            self.abort()
            raise
        return b"".join(parts)

    def abort(self) -> None:
        """Stop: close the connection unless the body has ended.  Unread pieces are dropped.  Idempotent."""
        source = self._source
        self._source = None
        self._parts.clear()
        self._size = 0
        self._clean = False
        if not self._ended:
            self._ended = True
            if source is not None:
                source.abandon(self)
            self._wake()

    # --- for the connection

    def push(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and not self.paused and self._source is not None:
            self.paused = True
            self._source.pause()
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def end(self, error: Http1Error | None) -> None:
        """No more pieces follow; ``None`` for a clean end."""
        self._ended = True
        self._clean = error is None
        self._error = error
        self.paused = False
        self._source = None
        self._wake()

    async def _more(self) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
