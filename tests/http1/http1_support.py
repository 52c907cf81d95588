"""A scripted, misbehaving server on a raw socket, and what every client test needs."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvloop

from roadworthy.http1.client import SWEEP, Client
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, Reply, head
from roadworthy.http1.origin import Origin
from roadworthy.http1.pool import PoolLimits

CLOCKS = Clocks(connect=30, first_byte=30, idle=30, total=60)
"""Never meant to run out; tests of a clock skip time instead of waiting."""
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on uvloop, as production does."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


class Skipping:
    """A clock that can be moved forward: ``Client(now=...)``."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._skipped

    async def skip(self, seconds: float) -> None:
        """Let the client catch up with what has come, move on, and let its sweep see that."""
        await asyncio.sleep(4 * SWEEP)
        self._skipped += seconds
        await asyncio.sleep(4 * SWEEP)


class Peer:
    """The server's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number
        """0 for the first connection of the server."""

    async def request(self) -> bytes:
        """Read one whole request; returns its head.  Raises ``IncompleteReadError`` at the end of the connection."""
        got = await self.reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in got.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        self.body = await self.reader.readexactly(length)
        return got

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    def reset(self) -> None:
        """End with RST: what the peer has not read is lost."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SOL_SOCKET, SO_LINGER: on, 0 s
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Scripted:
    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.accepted = 0
        self.heads: list[bytes] = []


@asynccontextmanager
async def scripted(script: Script, *, ssl: Any = None) -> AsyncIterator[Scripted]:
    """Serve ``script`` to every connection; it runs once per connection, which is closed after it."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        peer = Peer(reader, writer, server.accepted)
        server.accepted += 1
        try:
            await script(peer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ssl)
    port = listener.sockets[0].getsockname()[1]
    server = Scripted(Origin.from_url(f"{'https' if ssl else 'http'}://127.0.0.1:{port}"))
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def calling(*origins: Origin, **settings: Any) -> AsyncIterator[Client]:
    """A client that may call ``origins``; at the end nothing of it is left in use."""
    settings.setdefault("guard", AddressGuard(allowed=origins))
    client = Client(**settings)
    try:
        yield client
        assert client.in_use == 0, "a call left its connection behind"
        assert client.waiting == 0, "a call left its place in the queue behind"
        assert client.open_connections == client.idle, "a slot is still being opened"
    finally:
        await client.close()
    assert client.open_connections == 0
    assert client.sockets == 0


async def fetch(client: Client, origin: Origin, *, body: bytes = b"{}", clocks: Clocks = CLOCKS, **kw: Any) -> Reply:
    return await client.fetch(origin, head(b"POST", b"/v1/x", origin, []), body, clocks, **kw)


async def answering(peer: Peer) -> None:
    """A well-behaved server: every request gets ``OK``."""
    while True:
        await peer.request()
        await peer.say(OK)


def saying(*parts: bytes, times: int = 1) -> Script:
    """Answer ``times`` requests with ``parts``, written one by one, then close."""

    async def script(peer: Peer) -> None:
        for _ in range(times):
            await peer.request()
            await peer.say(*parts)

    return script


def silent_after(*parts: bytes) -> Script:
    """Answer with ``parts``, then hold the connection open without another byte."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(*parts)
        await peer.reader.read()

    return script


def limits(per_origin: int = 8, waiting: int = 8, idle_expiry: float = 15.0) -> PoolLimits:
    return PoolLimits(per_origin=per_origin, waiting=waiting, idle_expiry=idle_expiry)
