"""Many callers at once on our own HTTP client, each keeping its own account of what it read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.http1.pool import PoolLimits

PATIENT = Clocks(connect=10.0, first_byte=60.0, idle=60.0, total=90.0)


@dataclass
class Ask:
    """One call, and when its caller walks away."""

    token: str
    user: str
    body: dict[str, Any]
    path: str = "/v1/chat/completions"
    headers: dict[str, str] = field(default_factory=dict)
    leaves_after_content: bool = False
    """In mid-stream, with the first content in hand."""
    patience: float | None = None
    """Seconds after which the caller leaves without having read anything."""

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))


@dataclass
class Heard:
    """What one caller knows afterwards."""

    ask: Ask
    status: int | None = None
    """``None``: no head of an answer arrived."""
    inference: str = ""
    whole: bool = False
    """The answer was read to its end."""
    left: bool = False
    broke: str = ""
    """How the connection ended under the call."""
    replayed: bool = False
    body: dict[str, Any] = field(default_factory=dict)
    """The JSON of the answer, or of the last event of a stream."""
    contents: int = 0
    """Events with text."""

    @property
    def told(self) -> dict[str, Any]:
        """Our object in the answer."""
        found: dict[str, Any] = self.body.get("roadworthy", {})
        return found


class Callers:
    """Callers of one gateway; connections are kept and shared as a busy app does."""

    def __init__(self, address: tuple[str, int], *, connections: int = 256) -> None:
        self._origin = Origin.from_url(f"http://{address[0]}:{address[1]}")
        limits = PoolLimits(per_origin=connections, waiting=100_000)
        self._client = Client(guard=AddressGuard(allowed=[self._origin]), limits=limits)

    async def call(self, ask: Ask) -> Heard:
        heard = Heard(ask)
        sent = [(b"authorization", b"Bearer " + ask.token.encode()), (b"content-type", b"application/json")]
        sent += [(b"x-roadworthy-user", ask.user.encode())]
        sent += [(name.encode(), value.encode()) for name, value in ask.headers.items()]
        made = head(b"POST", ask.path.encode(), self._origin, sent)
        try:
            async with asyncio.timeout(ask.patience):
                await self._read(heard, made, json.dumps(ask.body).encode())
        except TimeoutError:
            heard.left = True
        except Http1Error as error:
            heard.broke = f"{type(error).__name__}: {error}"
        return heard

    async def _read(self, heard: Heard, made: bytes, body: bytes) -> None:
        if not heard.ask.stream:
            reply = await self._client.fetch(self._origin, made, body, PATIENT)
            _head_read(heard, reply.status, reply.headers)
            heard.body, heard.whole = json.loads(reply.body), True
            return
        stream = await self._client.open(self._origin, made, body, PATIENT)
        _head_read(heard, stream.status, stream.headers)
        events = _Events(heard)
        try:
            async for data in stream.chunks:
                events.feed(data)
                if heard.ask.leaves_after_content and heard.contents:
                    heard.left = True
                    return
            events.end()
            heard.whole = True
        finally:
            stream.abort()

    async def all(self, asks: Iterable[Ask], *, at_once: int) -> list[Heard]:
        """Make every call, so many at a time."""
        waiting, heard = iter(asks), list[Heard]()

        async def one_after_the_other() -> None:
            for ask in waiting:
                heard.append(await self.call(ask))

        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
        return heard

    async def close(self) -> None:
        await self._client.close()


def with_callers(address: tuple[str, int], work: Callable[[Callers], Awaitable[Any]], **options: Any) -> Any:
    """Run ``work`` with callers that hang up afterwards."""

    async def run() -> Any:
        callers = Callers(address, **options)
        try:
            return await work(callers)
        finally:
            await callers.close()

    return asyncio.run(run())


def _head_read(heard: Heard, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    found = dict(headers)
    heard.status = status
    heard.inference = found.get(b"x-request-id", b"").decode()
    heard.replayed = b"x-roadworthy-replayed" in found


class _Events:
    """Reads server-sent events as far as these tests look at them."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._rest = b""
        self._last = b""

    def feed(self, data: bytes) -> None:
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            if event != b"data: [DONE]":
                self._last = event
                self._heard.contents += b'"content":"' in event and b'"content":""' not in event

    def end(self) -> None:
        last = self._last if self._last else self._rest
        self._heard.body = json.loads(last.removeprefix(b"data: "))
