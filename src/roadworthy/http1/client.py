"""The client: one per worker or load generator, used from one event loop.

The fast path of ``fetch`` is a dictionary look-up, one write and one future; there is no timer, task or lock per
call.  One coarse sweep, running only while connections exist, applies every clock.

Which connection serves a call is decided in ``pool.py``; this module performs it.  A slot is held exactly as long
as its connection lives or is being opened, and every exit gives it back, cancellation included.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

from roadworthy.http1.connection import STREAM, Connection
from roadworthy.http1.connector import Connector
from roadworthy.http1.errors import NOTHING_SENT, ConnectTimeout, Disconnected, NotConnected, PoolFull
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, Reply
from roadworthy.http1.origin import Origin
from roadworthy.http1.pool import Pool, PoolLimits
from roadworthy.http1.stream import StreamReply

MAX_BODY = 16 * 1024 * 1024
SWEEP = 0.025
"""Seconds between two applications of the clocks: their precision."""
AT_ONCE = 64
"""Connections that ``open_ahead`` opens at a time."""

_Waiter = asyncio.Future[Connection | None]
"""Ends with a connection, or with ``None``: a slot to open one in."""
_OriginPool = Pool[Connection, _Waiter]


Ready = Callable[[], None]
"""Asked when a connection had to be waited for, just before the request is sent; what it raises ends the call."""


class Client:
    """HTTP/1.1 calls over kept connections, bounded per origin.

    ``fetch`` and ``open`` raise ``Http1Error`` kinds only.  A call on a reused connection that dies before any
    byte of the answer is sent once more, on a fresh connection: a server may close an idle connection at the
    very moment in which we use it.
    """

    def __init__(
        self,
        *,
        guard: AddressGuard,
        limits: PoolLimits | None = None,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.guard = guard
        self._limits = limits or PoolLimits()
        self._connector = Connector(guard, tls, proxy)
        self._now = now
        self._pools: dict[str, _OriginPool] = {}
        self._connections: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._sockets: set[Connection] = set()
        """Connections whose socket is not closed yet; outlives their slots by a turn of the loop."""
        self._drained: asyncio.Future[None] | None = None
        self.opened = 0
        """Connections opened since the start."""
        self.resent = 0
        """Calls sent once more because a kept connection had died."""

    @property
    def open_connections(self) -> int:
        """Slots taken: connections in use, idle and being opened."""
        return sum(pool.open for pool in self._pools.values())

    @property
    def in_use(self) -> int:
        return sum(pool.busy for pool in self._pools.values())

    @property
    def idle(self) -> int:
        return sum(len(pool.idle) for pool in self._pools.values())

    @property
    def waiting(self) -> int:
        return sum(len(pool.waiters) for pool in self._pools.values())

    @property
    def sockets(self) -> int:
        """Sockets that are not closed yet."""
        return len(self._sockets)

    def fetch(
        self,
        origin: Origin,
        head: bytes,
        body: bytes,
        clocks: Clocks,
        *,
        max_body: int = MAX_BODY,
        ready: Ready | None = None,
    ) -> Coroutine[Any, Any, Reply]:
        """Send one request and return the whole answer, whatever its status.

        ``head`` comes from ``messages.head``.  Raises ``Http1Error`` kinds, and what ``ready`` raises.
        """
        return cast(Coroutine[Any, Any, Reply], self._call(origin, head, body, clocks, max_body, ready))

    def open(
        self, origin: Origin, head: bytes, body: bytes, clocks: Clocks, *, ready: Ready | None = None
    ) -> Coroutine[Any, Any, StreamReply]:
        """Send one request and return once the head of the answer is here.  Raises as ``fetch`` does."""
        return cast(Coroutine[Any, Any, StreamReply], self._call(origin, head, body, clocks, STREAM, ready))

    async def open_ahead(self, origin: Origin, connections: int, clocks: Clocks) -> None:
        """Open connections until so many (at most ``PoolLimits.per_origin``) are open, to lie ready for calls.

        A few at a time, for a server's backlog is short.  Raises ``NotConnected`` kinds; what is open stays.
        """
        pool = self._pools.get(origin.key)
        wanted = min(connections, self._limits.per_origin) - (pool.open if pool is not None else 0)
        while wanted > 0:
            count = min(wanted, AT_ONCE)
            made = await asyncio.gather(
                *(self._open_idle(origin, clocks) for _ in range(count)), return_exceptions=True
            )
            for failed in made:
                if failed is not None:
                    raise failed
            wanted -= count

    async def close(self) -> None:
        """Fail the calls under way, close every connection and wait until the last is gone."""
        self._closed = True
        for pool in self._pools.values():
            for waiter in pool.waiters:
                if not waiter.done():
                    waiter.set_exception(NotConnected("the client was closed"))
            pool.waiters.clear()
        for connection in list(self._connections):
            connection.fail(Disconnected("the client was closed", "in_body"))
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if self._sockets:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    # --- what connections report

    def finished(self, connection: Connection) -> None:
        _hand(self._pools[connection.pool_key].release(connection, self._now()), connection)

    def gone(self, connection: Connection) -> None:
        if connection in self._connections:  # else it never held a slot of its own, or gave it up before
            self._connections.remove(connection)
            _hand(self._pools[connection.pool_key].lost(connection), None)

    def closed(self, connection: Connection) -> None:
        self._sockets.discard(connection)
        if not self._sockets and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # --- inside

    async def _call(
        self, origin: Origin, head: bytes, body: bytes, clocks: Clocks, max_body: int, ready: Ready | None
    ) -> Reply | StreamReply:
        started = self._now()
        if self._connector.proxied:
            head = self._connector.addressed(head, origin)
        connection = self._kept(origin) or self._vetted(await self._first(origin, clocks, started), ready)
        resend = connection.reused
        while True:
            future = connection.send(head, body, clocks, started, max_body)
            try:
                return await future
            except Disconnected as error:
                if not resend or not unheard(error) or self._closed:
                    raise
            except asyncio.CancelledError:
                connection.abandon(future)
                raise
            resend = False
            self.resent += 1
            connection = self._vetted(await self._obtain(origin, clocks, started, fresh=True), ready)

    def _vetted(self, connection: Connection, ready: Ready | None) -> Connection:
        """A connection that was waited for, unless its request may not be sent any more."""
        if ready is not None:
            try:
                ready()
            except BaseException:
                self.finished(connection)
                raise
        return connection

    def _kept(self, origin: Origin) -> Connection | None:
        pool = self._pools.get(origin.key)
        while pool is not None:
            connection = pool.take()
            if connection is None or connection.usable:
                return connection
            connection.abort()
        return None

    async def _first(self, origin: Origin, clocks: Clocks, started: float) -> Connection:
        try:
            return await self._obtain(origin, clocks, started, fresh=False)
        except asyncio.CancelledError as cancelled:
            cancelled.add_note(NOTHING_SENT)
            raise

    async def _obtain(self, origin: Origin, clocks: Clocks, started: float, *, fresh: bool) -> Connection:
        """A connection that no idle one could be; ``fresh``: one that has carried nothing, if that can be had."""
        if self._closed:
            raise NotConnected("the client was closed")
        pool = self._pools.get(origin.key)
        if pool is None:
            pool = self._pools[origin.key] = Pool(self._limits)
        patience = min(clocks.connect, started + clocks.total - self._now())
        try:
            async with asyncio.timeout(patience):
                while True:
                    connection = await self._claim(origin, pool, fresh)
                    if connection.usable:
                        return connection
                    connection.abort()  # died on the way from its last call to this one
        except TimeoutError:
            raise ConnectTimeout(f"no connection to {origin} within {max(patience, 0):g} s") from None

    async def _open_idle(self, origin: Origin, clocks: Clocks) -> None:
        self.finished(await self._obtain(origin, clocks, self._now(), fresh=False))

    async def _claim(self, origin: Origin, pool: _OriginPool, fresh: bool) -> Connection:
        admission = pool.claim()
        if admission == "open":
            return await self._open(origin, pool)
        evicted = pool.evict() if fresh else None
        if evicted is not None:
            self._discard(evicted)
            return await self._open(origin, pool)
        if admission == "full":
            raise PoolFull(f"{origin}: every connection is in use and {self._limits.waiting} calls wait for one")
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        pool.enqueue(waiter)
        try:
            connection = await waiter
        except asyncio.CancelledError:
            pool.leave(waiter)
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._hand_back(pool, waiter.result())
            raise
        return connection or await self._open(origin, pool)

    async def _open(self, origin: Origin, pool: _OriginPool) -> Connection:
        """Open a connection in the slot that the caller holds; gives the slot back when that fails."""
        begun = self._now()
        made: list[Connection] = []

        def make() -> Connection:
            made.append(Connection(self, origin.key, self._now))
            return made[-1]

        kept = False
        try:
            connection = await self._connector.open(origin, make)
            kept = connection.usable and not self._closed
        finally:
            if not kept:
                for unwanted in made:  # cancelled as it was made: uvloop may not even tell it that it is lost
                    unwanted.abort()
                _hand(pool.give_up(), None)
        if not kept:
            raise NotConnected(f"{origin} closed the connection as soon as it was open")
        pool.opened()
        connection.connected = self._now() - begun
        self._connections.add(connection)
        self._sockets.add(connection)
        self.opened += 1
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP, self._sweep)
        return connection

    def _hand_back(self, pool: _OriginPool, connection: Connection | None) -> None:
        """What a waiter was given and could not use any more."""
        if connection is None:
            _hand(pool.give_up(), None)
        elif connection.usable:
            self.finished(connection)
        else:
            connection.abort()

    def _discard(self, connection: Connection) -> None:
        """Close a connection that the pool has let go of."""
        self._connections.discard(connection)
        connection.abort()

    def _sweep(self) -> None:
        now = self._now()
        for connection in list(self._connections):
            connection.expire(now)
        for key, pool in list(self._pools.items()):
            for connection in pool.expired(now):
                self._discard(connection)
            if pool.unused:
                del self._pools[key]
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP, self._sweep) if self._connections else None


def unheard(error: Disconnected) -> bool:
    """Did the server close before a byte of its answer, as it does with a connection that it no longer wants?"""
    return error.phase == "before_first_byte"


def _hand(waiter: _Waiter | None, given: Connection | None) -> None:
    if waiter is not None:
        waiter.set_result(given)
