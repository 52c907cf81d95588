"""How many calls of one target may be under way at once, with a short bounded queue, and how many a minute.

One event loop, no locks.  Kept across snapshots, by the target's name.
"""

from __future__ import annotations

import asyncio
from collections import deque

from roadworthy.gateway.buckets import Quota


class Full(Exception):
    """Every slot is taken and no one came free in time, or the queue is full as well."""


class Slots:
    """A slot is taken without awaiting while one is free; then callers wait in order, at most ``limit`` of them."""

    __slots__ = ("_waiting", "limit", "quota", "taken")

    def __init__(self, limit: int, quota: Quota | None = None) -> None:
        self.limit = limit
        self.quota = quota
        """Rates per minute, where the target has any."""
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take a slot if one is free and nobody waits for it."""
        if self.taken < self.limit and not self._waiting:
            self.taken += 1
            return True
        return False

    async def take(self, patience: float) -> None:
        """Wait at most ``patience`` seconds for a slot.  Raises ``Full``."""
        if len(self._waiting) >= self.limit:
            self._waiting = deque(waiter for waiter in self._waiting if not waiter.done())
            if len(self._waiting) >= self.limit:
                raise Full
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting.append(waiter)
        timer = loop.call_later(max(0.0, patience), _expire, waiter)
        try:
            self._pass_on()
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back()  # handed to us in the very moment in which we were cancelled
            raise
        finally:
            timer.cancel()

    def give_back(self) -> None:
        self.taken -= 1
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting and self.taken < self.limit:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self.taken += 1
                waiter.set_result(None)


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(Full())
