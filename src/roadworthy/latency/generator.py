"""The load generator: starts calls when they are due, whatever became of those before (open loop).

A call is begun within microseconds of its intended start: the loop sleeps until shortly before and then turns without
sleeping, serving sockets meanwhile.  A call that would be one too many under way is not sent later but counted as
dropped.  Nothing is allocated per call beyond its task and its sample, and the garbage collector only looks at the
young, between calls.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import msgspec

from roadworthy.latency.model import Arrival, Sample
from roadworthy.workflow.inference import SERVED_BY_MODEL

SPIN = 0.0015
"""Seconds before an intended start from which on the loop does not sleep: uvloop's timers count whole milliseconds."""
EVERY = 0.25
"""Seconds between two reports of progress."""
BURST = 64
"""Most calls begun at one go; then sockets get a turn, so that a burst does not wait for its own answers."""
COLLECT = 4096
"""Calls between two looks of the garbage collector where no gap allows one."""
RECENT = 256
"""Latest answers that progress speaks of."""

Send = Callable[[Arrival, float], Awaitable[Sample]]
"""Makes one call, ``due`` being its intended start on the generator's clock, and says what became of it; its clocks
count from there.  Ends with a sample whatever happens; raises nothing but ``CancelledError``."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a test is.  Seconds count from its first intended start."""

    seconds: float
    planned: int
    """Calls whose intended start has come."""
    dropped: int
    under_way: int
    ended: int
    answered: int
    errors: int
    usd: float
    """Known to be spent."""
    unpriced: int
    late: float
    """Seconds that the generator began the latest call late."""
    p50: float | None = None
    """Of the latest answers, whole; ``None`` before the first."""
    p95: float | None = None
    first_token: float | None = None
    """Their median."""
    done: bool = False


class Stop:
    """Says that a test ends before its plan does, and why; the first reason stays."""

    __slots__ = ("cut", "reason")

    def __init__(self) -> None:
        self.reason = ""
        self.cut = False
        """Do not wait for what is under way either."""

    def now(self, reason: str, *, cut: bool = False) -> None:
        self.reason = self.reason or reason
        self.cut = self.cut or cut


def _nothing(_: object) -> None:
    """Nobody asked to be told."""


async def drive(
    arrivals: Iterator[Arrival],
    send: Send,
    *,
    most_under_way: int,
    stop: Stop | None = None,
    told: Callable[[Progress], None] = _nothing,
    seen: Callable[[Sample], None] = _nothing,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> list[Sample]:
    """Play ``arrivals`` and return a sample for each whose start came, in order of their intended start.

    ``told`` hears of the progress every ``EVERY`` seconds, ``seen`` of each sample as its call ends; both run between
    calls and must be quick.  After the last start, or a stop, calls under way are waited for: their own clocks bound
    that; ``stop.cut`` cancels them.  Cancelling ``drive`` cancels them too.  Raises what ``send`` ought not to raise.
    """
    run = _Run(send, most_under_way, told, seen, clock)
    stop = stop or Stop()
    with _quiet():
        try:
            await run.start(arrivals, stop, sleep)
            await run.drain(stop, sleep)
        finally:
            await run.cancel()
    return sorted(run.samples, key=lambda sample: sample.at)


class _Run:
    """One test under way."""

    def __init__(
        self,
        send: Send,
        most_under_way: int,
        told: Callable[[Progress], None],
        seen: Callable[[Sample], None],
        clock: Callable[[], float],
    ) -> None:
        self._send = send
        self._most = most_under_way
        self._told = told
        self._seen = seen
        self._clock = clock
        self._begun = clock()
        self._next_told = 0.0
        self._planned = self._dropped = self._answered = self._errors = self._unpriced = 0
        self._usd = 0.0
        self._late = 0.0
        self._recent: deque[Sample] = deque(maxlen=RECENT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._since_collected = 0
        self._fault: BaseException | None = None
        """Of a ``send`` that raised: the test is worth nothing then, and says so."""
        self.samples: list[Sample] = []

    async def start(self, arrivals: Iterator[Arrival], stop: Stop, sleep: Callable[[float], Awaitable[None]]) -> None:
        clock, tasks, loop = self._clock, self._tasks, asyncio.get_running_loop()
        begun = self._begun = clock()
        burst = 0
        for arrival in arrivals:
            due = begun + arrival.at
            while (left := due - clock()) > 0:
                burst = 0
                self._between(left)
                if stop.reason:
                    return
                await sleep(min(left - SPIN, EVERY) if left > SPIN else 0)
            if burst >= BURST:
                burst = 0
                self._between(0.0)
                await sleep(0)
            if stop.reason:
                return
            burst += 1
            self._planned += 1
            self._late = -left
            if len(tasks) >= self._most:
                self._dropped += 1
                self._keep(Sample(at=arrival.at))
                continue
            task = loop.create_task(self._call(arrival, due))
            tasks.add(task)
            task.add_done_callback(self._over)

    async def drain(self, stop: Stop, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Wait until nothing is under way, or the rest is cut off."""
        while self._tasks and not stop.cut:
            self._between(EVERY)
            await sleep(0.005)
        self._between(0.0)

    async def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._told(self._progress(done=True))

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fault = self._fault or fault

    async def _call(self, arrival: Arrival, due: float) -> None:
        try:
            sample = await self._send(arrival, due)
        except asyncio.CancelledError:
            self._keep(Sample(at=arrival.at, sent=0.0, code="cut_off"))
            raise
        self._keep(sample)

    def _keep(self, sample: Sample) -> None:
        self.samples.append(sample)
        if sample.sent is not None:
            if sample.outcome in SERVED_BY_MODEL:
                self._answered += 1
                self._recent.append(sample)
            elif is_error(sample):
                self._errors += 1
            if sample.usd is None:
                self._unpriced += 1
            else:
                self._usd += sample.usd
        self._seen(sample)

    def _between(self, left: float) -> None:
        """What is done between two calls, ``left`` seconds before the next."""
        if self._planned - self._since_collected >= COLLECT or left > 4 * SPIN:
            self._since_collected = self._planned
            gc.collect(0)
        if self._fault is not None:
            raise self._fault
        if self._clock() - self._begun >= self._next_told:
            self._next_told += EVERY
            self._told(self._progress(done=False))

    def _progress(self, *, done: bool) -> Progress:
        whole = sorted(sample.ended for sample in self._recent if sample.ended is not None)
        first = sorted(sample.first_token for sample in self._recent if sample.first_token is not None)
        return Progress(
            seconds=self._clock() - self._begun,
            planned=self._planned,
            dropped=self._dropped,
            under_way=len(self._tasks),
            ended=len(self.samples) - self._dropped,
            answered=self._answered,
            errors=self._errors,
            usd=self._usd,
            unpriced=self._unpriced,
            late=self._late,
            p50=whole[len(whole) // 2] if whole else None,
            p95=whole[len(whole) * 19 // 20] if whole else None,
            first_token=first[len(first) // 2] if first else None,
            done=done,
        )


def is_error(sample: Sample) -> bool:
    """Was it sent and came to nothing that its caller could use?"""
    return sample.sent is not None and sample.outcome in (None, "error", "limited", "abandoned")


@contextmanager
def _quiet() -> Iterator[None]:
    """Collect garbage only when ``_between`` says so: a full collection stops the world for longer than a gap."""
    enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
        gc.unfreeze()
