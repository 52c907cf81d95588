"""Who gets which connection of one origin: decisions without I/O.

A *slot* is the right to have one connection open or being opened.  Every slot is in exactly one of three
states, and ``opening + busy + idle <= limits.per_origin`` always holds::

    (free) ──claim──▶ opening ──opened──▶ busy ──release──▶ idle ──take──▶ busy
                         │                  │                 │
                      give_up             lost              lost, evict, expired ──▶ (free)

Calls that find neither an idle connection nor a free slot wait in order of arrival; nobody waits while a slot is
free or a connection idle.  A method that frees something says to whom it went, and the caller does the rest.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Literal, Protocol, TypeVar

import msgspec


class PoolLimits(msgspec.Struct, frozen=True):
    per_origin: int = 512
    """Most connections to one origin, those being opened included."""
    waiting: int = 1024
    """Most calls that may wait for one of them; the next is refused at once."""
    idle_expiry: float = 15.0
    """Seconds after which an unused connection is closed."""


class Waiter(Protocol):
    def done(self) -> bool:
        """Was it cancelled while it waited?"""
        ...


C = TypeVar("C")
W = TypeVar("W", bound=Waiter)
Admission = Literal["open", "wait", "full"]


class Pool(Generic[C, W]):
    """The slots of one origin and the queue for them."""

    __slots__ = ("_limits", "busy", "idle", "opening", "waiters")

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self.opening = 0
        self.busy = 0
        self.idle: dict[C, float] = {}
        """Connection → when it fell idle, oldest first; the youngest is taken first, so the old can expire."""
        self.waiters: deque[W] = deque()

    @property
    def open(self) -> int:
        """Slots in use."""
        return self.opening + self.busy + len(self.idle)

    @property
    def unused(self) -> bool:
        return not (self.opening or self.busy or self.idle or self.waiters)

    def take(self) -> C | None:
        """The youngest idle connection, now busy; ``None`` when there is none."""
        if not self.idle:
            return None
        self.busy += 1
        return self.idle.popitem()[0]

    def claim(self) -> Admission:
        """What a call may do that wants a slot.  After ``open`` it holds one: ``opened`` or ``give_up`` follows."""
        if self.open < self._limits.per_origin:
            self.opening += 1
            return "open"
        return "wait" if len(self.waiters) < self._limits.waiting else "full"

    def evict(self) -> C | None:
        """Trade the oldest idle connection for a slot being opened; the caller closes it."""
        if not self.idle:
            return None
        connection = next(iter(self.idle))
        del self.idle[connection]
        self.opening += 1
        return connection

    def enqueue(self, waiter: W) -> None:
        self.waiters.append(waiter)

    def leave(self, waiter: W) -> None:
        """The waiter gives up its place, if it still has one."""
        if waiter in self.waiters:
            self.waiters.remove(waiter)

    def opened(self) -> None:
        self.opening -= 1
        self.busy += 1

    def give_up(self) -> W | None:
        """Opening failed.  Returns the waiter that now holds the slot and opens in its turn."""
        self.opening -= 1
        return self._pass_slot_on()

    def release(self, connection: C, now: float) -> W | None:
        """The call is over and the connection good.  Returns the waiter that now has it; else it is idle."""
        waiter = self._next()
        if waiter is None:
            self.busy -= 1
            self.idle[connection] = now
        return waiter

    def lost(self, connection: C) -> W | None:
        """The connection is gone, busy or idle.  Returns the waiter that now holds its slot and opens."""
        if self.idle.pop(connection, None) is None:
            self.busy -= 1
        return self._pass_slot_on()

    def expired(self, now: float) -> list[C]:
        """Connections idle for too long, no longer in the pool; the caller closes them."""
        oldest = now - self._limits.idle_expiry
        gone: list[C] = []
        for connection, since in self.idle.items():
            if since > oldest:
                break
            gone.append(connection)
        for connection in gone:
            del self.idle[connection]
        return gone

    def _pass_slot_on(self) -> W | None:
        waiter = self._next()
        if waiter is not None:
            self.opening += 1
        return waiter

    def _next(self) -> W | None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                return waiter
        return None
