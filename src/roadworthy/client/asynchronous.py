"""The client for asyncio."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from types import TracebackType

import httpx2

from roadworthy.client import protocol
from roadworthy.client.errors import RoadworthyError
from roadworthy.client.http import DEFAULT_TIMEOUT, Etags, headers_of, heard, lost
from roadworthy.client.polling import Polling
from roadworthy.client.protocol import Ask, Escalation, Flag, Flags, Heard
from roadworthy.client.telling import Told
from roadworthy.client.words import Thumb


class AsyncRoadworthy:
    """``Roadworthy`` for asyncio: the same methods, errors and promises, to be awaited.  Cancelling one ends it."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float | httpx2.Timeout = DEFAULT_TIMEOUT,
        http_client: httpx2.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """As ``Roadworthy``.  Raises ``ValueError``."""
        self._root, key = protocol.place(base_url, api_key)
        self._headers = headers_of(key)
        self._timeout = timeout
        self._own = http_client is None
        self._http = http_client or httpx2.AsyncClient()
        self._clock = clock
        self._sleep = sleep
        self._etags = Etags()

    async def feedback(
        self,
        inference: str | Told,
        *,
        thumb: Thumb | None = None,
        score: float | None = None,
        comment: str | None = None,
        user: str | None = None,
    ) -> None:
        """See ``Roadworthy.feedback``."""
        protocol.read(await self._send(protocol.ask_feedback(inference, thumb, score, comment, user)))

    async def escalation(self, escalation: str | Told) -> Escalation:
        """See ``Roadworthy.escalation``."""
        return protocol.read_escalation(await self._send(protocol.ask_escalation(escalation)))

    async def wait_for_answer(
        self, escalation: str | Told, *, timeout: float, longest_pause: float = 30.0
    ) -> Escalation:
        """See ``Roadworthy.wait_for_answer``; to stop it, cancel the task."""
        polling = Polling(timeout=timeout, longest_pause=longest_pause, now=self._clock(), random=random.random)
        while True:
            try:
                pause = polling.heard(await self.escalation(escalation), self._clock())
            except RoadworthyError as error:
                pause = polling.failed(error, self._clock())
            if pause is None:
                return polling.result()
            await self._sleep(pause)

    async def is_on(self, workflow: str, user: str | None = None, *, strict: bool = False) -> Flag:
        """See ``Roadworthy.is_on``."""
        try:
            return protocol.read_flag(workflow, await self._send(protocol.ask_flag(workflow, user)))
        except RoadworthyError as error:
            if strict:
                raise
            return protocol.unknown_flag(workflow, error)

    async def flags(self, user: str | None = None, *, strict: bool = False) -> Flags:
        """See ``Roadworthy.flags``."""
        known, etag = self._etags.known(user)
        try:
            answer = await self._send(protocol.ask_flags(user, etag))
            return self._etags.keep(user, answer, known)
        except RoadworthyError as error:
            if strict:
                raise
            return protocol.unknown_flags(error)

    async def models(self) -> list[str]:
        """See ``Roadworthy.models``."""
        return protocol.read_models(await self._send(protocol.ask_models()))

    async def close(self) -> None:
        if self._own:
            await self._http.aclose()

    async def __aenter__(self) -> AsyncRoadworthy:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, ask: Ask) -> Heard:
        try:
            response = await self._http.request(
                ask.method, self._root + ask.path, json=ask.body, headers=self._headers | ask.headers,
                timeout=self._timeout,
            )  # fmt: skip
        except httpx2.RequestError as error:
            raise lost(error, self._root) from error
        return heard(response)
