"""Calls to our own processes over their Unix sockets, on our own HTTP client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin


class Internal:
    """One a process; close it."""

    def __init__(self) -> None:
        self._client = Client(guard=AddressGuard())

    async def get(self, sock: Path, path: str, *, timeout: float = 1.0) -> tuple[int, bytes] | None:
        """Status and body, or ``None`` when nobody answers in time."""
        origin = Origin.unix(str(sock))
        try:
            reply = await self._client.fetch(
                origin, head(b"GET", path.encode(), origin, []), b"", Clocks(timeout, timeout, timeout, timeout)
            )
        except Http1Error:
            return None
        return reply.status, reply.body

    async def post(self, sock: Path, path: str, body: bytes, *, timeout: float = 1.0) -> tuple[int, bytes] | None:
        """The same with a JSON body."""
        origin = Origin.unix(str(sock))
        begun = head(b"POST", path.encode(), origin, [(b"content-type", b"application/json")])
        try:
            reply = await self._client.fetch(origin, begun, body, Clocks(timeout, timeout, timeout, timeout))
        except Http1Error:
            return None
        return reply.status, reply.body

    async def until(self, sock: Path, path: str, good: Callable[[int], bool], *, every: float) -> None:
        """Return once ``path`` answers with a status that is good; processes announce themselves in no other way."""
        while True:
            answer = await self.get(sock, path)
            if answer is not None and good(answer[0]):
                return
            await asyncio.sleep(every)

    async def counters(self, sockets: list[Path]) -> list[dict[str, Any]]:
        """The counters of every worker that answers."""
        answers = await asyncio.gather(*(self.get(sock, "/internal/counters") for sock in sockets))
        return [
            msgspec.json.decode(answer[1], type=dict[str, Any])
            for answer in answers
            if answer is not None and answer[0] == 200
        ]

    async def close(self) -> None:
        await self._client.close()
