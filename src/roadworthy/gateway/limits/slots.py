"""What one worker lets through to one target: calls at once, calls a minute, and none while its breaker is open.

**The limit adapts** (``limits.adaptive``) by additive increase and multiplicative decrease, as TCP and Netflix's
``AIMDLimit`` do, in the form that recovers in a bounded number of rounds at any width (Kelly, *Scalable TCP*, 2003).
It narrows when more than ``TOLERATED`` of the latest calls were told that they are too many (its 429, a time-out, a 503
or 529), at most once for all the calls that were under way together.  Fewer are left to the retry budget: a provider
that fails 3 % of its calls at random bears as many as before, and a limit that narrowed at each of them would turn
callers away for nothing.  It does not read latency, as gradient and Vegas limits do: a model's answer takes as long
as it is long, and the time to its first token as its prompt, so both would narrow on a change of traffic.

What finds no slot waits in order, at most ``limits.queue`` calls, each for a bounded time; the rest are shed.

One event loop, no locks.  Kept across snapshots, by the target's name.
"""

from __future__ import annotations

import asyncio
from collections import deque

from roadworthy.gateway.limits.breakers import Breaker
from roadworthy.gateway.limits.buckets import Quota
from roadworthy.gateway.limits.retries import RetryBudget
from roadworthy.workflow.inference import Attempt, Failure
from roadworthy.workflow.model import Breaker as BreakerSettings
from roadworthy.workflow.model import TargetLimits

NARROWING = 0.75
"""Of the calls under way, what is let through after the target said that they are too many."""

TOLERATED = 0.18
"""Share of the latest calls that may be refused as too many without consequence."""

MEMORY = 0.015
"""Weight of one call in that share (an exponentially weighted mean): fourteen refusals in a row exceed it."""

WIDENING = 0.05
"""A round of good answers widens the limit by so much, and by one call at least."""

OVERLOADED: frozenset[Failure] = frozenset({"overlimit", "slow"})
OVERLOADED_STATUSES = frozenset({503, 529})

LEFT = "the client left"
OVERTAKEN = "overtaken: the other call of this inference answered first"
FAILED_HERE = "the gateway failed during the call"
STOPPED = "stopped by the kill switch"
GIVEN_UP: frozenset[str] = frozenset({LEFT, OVERTAKEN, FAILED_HERE, STOPPED})
"""Details of attempts that were ended from our side: they show nothing of the target."""

REFUSED_HERE: frozenset[Failure] = frozenset({"bad_request", "context_length", "misconfigured"})
"""Failures that, without a status, were found before the call left: they show nothing of the target either."""

SHORTEST_HINT, LONGEST_HINT = 1.0, 30.0
"""Seconds; bounds of what a shed call is told to wait."""


class Full(Exception):
    """Every slot is taken and none came free in time, or too many wait already."""


class Slots:
    """Calls of one target under way, and those that wait for their turn.  ``now``: monotonic seconds."""

    __slots__ = (
        "_changed", "_refused", "_waiting", "_width", "adaptive", "breaker", "ceiling", "limit", "queue", "quota",
        "retries", "shed", "taken",
    )  # fmt: skip

    def __init__(self, limits: TargetLimits, breaker: BreakerSettings) -> None:
        self.limit = self.ceiling = max(1, limits.concurrency)
        """``limit``: calls that may be under way now, in [1, ``ceiling``]."""
        self.adaptive = limits.adaptive
        self.queue = limits.queue
        self.quota: Quota | None = None
        """Rates per minute, where the target has any."""
        self.breaker = Breaker(breaker)
        self.retries = RetryBudget()
        self.taken = 0
        self.shed = 0
        """Calls that got no slot."""
        self._width = float(self.limit)
        self._refused = 0.0
        """Share of the latest calls that were too many."""
        self._changed = -1.0
        """When the limit was last narrowed."""
        self._waiting: deque[asyncio.Future[None]] = deque()

    def follow(self, limits: TargetLimits, breaker: BreakerSettings) -> None:
        """Keep to other settings from now on; what was learnt about the target stays."""
        before, self.ceiling = self.ceiling, max(1, limits.concurrency)
        self.adaptive, self.queue = limits.adaptive, limits.queue
        if not self.adaptive or self.limit >= before:
            self._width = float(self.ceiling)
        self._resize()
        self.breaker.follow(breaker)

    @property
    def waiting(self) -> int:
        return sum(not waiter.done() for waiter in self._waiting)

    def has_room(self) -> bool:
        """Is there so much room that a call may be made that is not needed yet (a hedge)?"""
        return 2 * (self.taken + 1) <= self.limit and not self._waiting

    def take_now(self) -> bool:
        """Take a slot if one is free and nobody waits for it."""
        if self.taken < self.limit and not self._waiting:
            self.taken += 1
            return True
        return False

    async def take(self, patience: float) -> None:
        """Wait at most ``patience`` seconds for a slot, behind those who came before.  Raises ``Full``."""
        if len(self._waiting) >= self.queue:
            self._waiting = deque(waiter for waiter in self._waiting if not waiter.done())
            if self.take_now():
                return
            if len(self._waiting) >= self.queue:
                self.shed += 1
                raise Full
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting.append(waiter)
        timer = loop.call_later(max(0.0, patience), _expire, waiter)
        try:
            self._pass_on()
            await waiter
        except Full:
            self.shed += 1
            raise
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back()  # handed to us in the very moment in which we were cancelled
            raise
        finally:
            timer.cancel()

    def give_back(self) -> None:
        self.taken -= 1
        if self._waiting:
            self._pass_on()

    def hint(self, now: float) -> float:
        """Seconds after which a call that was shed may find a slot, by the pace of the last ones."""
        pace = self.breaker.per_second(now)
        expected = (self.waiting + 1) / pace if pace > 0.0 else SHORTEST_HINT
        return min(LONGEST_HINT, max(SHORTEST_HINT, expected))

    def ended(self, attempt: Attempt, began: float, now: float) -> None:
        """A call that held a slot is over: learn from it.  ``began``: when it began.  Comes before ``give_back``."""
        failure = attempt.failure
        if failure is None:
            if attempt.detail and attempt.detail in GIVEN_UP:
                self.breaker.lost(attempt)
                return
            self.retries.earned += 1
            if self._refused:
                self._refused *= 1.0 - MEMORY
            if self.limit < self.ceiling:
                self._widen()
            if not self.breaker.shut:
                self.breaker.good(now)
                return
        elif failure in OVERLOADED or attempt.status in OVERLOADED_STATUSES:
            self._narrow(began, now)
        if failure in REFUSED_HERE and attempt.status is None:
            self.breaker.lost(attempt)
            return
        if failure == "truncated" and attempt.finish == "length":
            failure = None  # the target did what it was told
        self.breaker.ended(attempt, began, now, failure)

    def _narrow(self, began: float, now: float) -> None:
        """Once a round: calls that began before the last change say nothing about the limit of now.

        A call that was alone says nothing about how many are too many.
        """
        if not self.adaptive or began < self._changed or self.taken <= 1:
            return
        self._refused += MEMORY * (1.0 - self._refused)
        if self._refused <= TOLERATED:
            return
        self._changed, self._refused = now, 0.0
        self._width = max(1.0, NARROWING * min(self._width, self.taken))
        self._resize()

    def _widen(self) -> None:
        """Only while the limit is made use of: an unused limit was not shown to be borne."""
        if 2 * self.taken >= self.limit or self._waiting:
            self._width += max(1.0 / self._width, WIDENING)
            self._resize()

    def _resize(self) -> None:
        self._width = min(self._width, float(self.ceiling))
        self.limit = max(1, int(self._width))
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
