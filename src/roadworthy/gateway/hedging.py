"""Hedges: a second call beside one that is late; the first good answer counts (Dean and Barroso, *The Tail at Scale*).

Late is what has brought no first token (a stream) or no answer (a whole one) after ``hedge.after``, or after the time
within which 95 of 100 calls of that workflow and target bring theirs.  A hedge is an attempt like any other: it begins
where all attempts begin, takes a slot and a reserve of its own, and is charged.  The loser is cancelled, its connection
closed and its cost estimated.  When both fail, the ladder goes on from the first one's failure.

A hedge is made only while it does no harm: within ``hedge.share`` of the calls, with the breaker closed, nothing
stopped and the target at most half busy; a target that is slow because it is overloaded is not helped by more calls.
Every call made here is a model call without side effects, so making it twice is safe; the act that a tool call asks
for is the app's.

A workflow without ``hedge`` never comes here.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from roadworthy.fallback.model import Tried
from roadworthy.gateway.limits.slots import OVERTAKEN
from roadworthy.gateway.ports import Clock, Unusable
from roadworthy.workflow.inference import Attempt

if TYPE_CHECKING:
    from roadworthy.gateway.attempt import Caller
    from roadworthy.gateway.call import Call
    from roadworthy.gateway.world import ServedTarget

T = TypeVar("T")

QUANTILE = 0.95
LEAST_SAMPLES = 100
"""Answers before their p95 is believed."""
REMEMBERED = 2000
"""Answers after which all counts are halved, so that what was long ago fades."""
SHORTEST = 0.02
"""Seconds; an observed p95 below this is noise that a second call would not mend."""
LEAST_LEFT = 0.05
"""Seconds before the deadline after which no hedge begins."""
MOST_SAVED = 10.0
"""Hedges that quiet traffic may save up."""
MOST_WATCHES = 2000

_GROWTH = 1.1
_BOUNDS = tuple(0.001 * _GROWTH**step for step in range(141))
"""Seconds, 1 ms to 10 minutes: a quantile is read to within 10 %."""


class Times:
    """How long answers took, in logarithmic buckets (as in DDSketch); old ones fade."""

    __slots__ = ("_counts", "_known", "count")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._known: float | None = None
        self.count = 0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(_BOUNDS, seconds)] += 1
        self.count += 1
        if self.count >= REMEMBERED:
            self._counts = [count // 2 for count in self._counts]
            self.count = sum(self._counts)
        if not self.count & 15:
            self._known = None

    def late(self) -> float | None:
        """Seconds after which an answer is late; ``None``: too few are known.  Worked out every 16 answers."""
        if self.count < LEAST_SAMPLES:
            return None
        if self._known is None:
            self._known = max(SHORTEST, self._quantile(QUANTILE))
        return self._known

    def _quantile(self, share: float) -> float:
        rank, seen = share * self.count, 0
        for bound, count in zip(_BOUNDS, self._counts, strict=False):
            seen += count
            if seen >= rank:
                return bound
        return _BOUNDS[-1]


class Watch:
    """What is known of one workflow's calls of one target."""

    __slots__ = ("saved", "times")

    def __init__(self) -> None:
        self.times = Times()
        self.saved = 0.0
        """Hedges that may be made now: a call earns ``share`` of one."""

    def earn(self, share: float) -> None:
        self.saved = min(MOST_SAVED, self.saved + share)


class Hedger:
    """Makes hedges, of one worker."""

    def __init__(self, caller: Caller, clock: Clock) -> None:
        self._caller = caller
        self._clock = clock
        self._watches: dict[tuple[str, str, bool, str], Watch] = {}
        self.made = 0
        self.won = 0
        self.withheld = 0
        """Calls that were late and got no hedge: budget, load or breaker."""

    async def race(
        self,
        call: Call,
        target: ServedTarget,
        attempt: Attempt,
        one: Callable[[Call, ServedTarget, Attempt], Awaitable[T]],
        discard: Callable[[T], None],
    ) -> tuple[T, ServedTarget, Attempt]:
        """(the first good result, who gave it, its attempt).  ``attempt`` has begun; ``one`` makes it.

        ``discard`` gives back what a good result holds that came too late.  Raises what ``one`` raised for the first
        attempt when neither is good, and ``CancelledError`` when the client left.
        """
        assert call.serving is not None
        hedge = call.serving.handling.hedge
        assert hedge is not None
        watch = self._watch(call, target)
        watch.earn(hedge.share)
        after = hedge.after if hedge.after is not None else watch.times.late()
        if after is None:
            good = await one(call, target, attempt)
            self._learn(watch, call, attempt)
            return good, target, attempt
        runners = [_Runner(one(call, target, attempt), target, attempt)]
        winner: _Runner[T] | None = None
        try:
            if await self._is_late(runners[0], after):
                begun = self._begin(call, watch, target)
                if begun is not None:
                    runners.append(_Runner(one(call, *begun), *begun))
            winner = await _first_good(runners)
        finally:
            try:
                await _stop_others(runners, winner, discard)
            except asyncio.CancelledError:  # the client left meanwhile: nobody is told the good answer either
                if winner is not None:
                    discard(winner.task.result())
                raise
        if winner is None:
            raise _honest(call, runners)
        self.won += winner is not runners[0]
        self._learn(watch, call, attempt)
        return winner.task.result(), winner.target, winner.attempt

    def _begin(self, call: Call, watch: Watch, first: ServedTarget) -> tuple[ServedTarget, Attempt] | None:
        """A hedge's attempt, if one may be made."""
        serving = call.serving
        assert serving is not None
        target = serving.hedge_target or first
        now = self._clock.monotonic()
        slots = target.slots
        may = (
            watch.saved >= 1.0
            and not slots.breaker.shut
            and slots.has_room()
            and call.deadline - now > LEAST_LEFT
            and target.name in serving.callable_for(call.fields, now, call.only)
            and not (self._caller.board.any and self._caller.board.halting(call) is not None)
        )
        if not may:
            self.withheld += 1
            return None
        watch.saved -= 1.0
        self.made += 1
        return target, self._caller.begin(call, target, "hedge")

    async def _is_late(self, runner: _Runner[T], after: float) -> bool:
        timer = asyncio.ensure_future(self._clock.sleep(after))
        try:
            await asyncio.wait((runner.task, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        return not runner.task.done()

    def _learn(self, watch: Watch, call: Call, first: Attempt) -> None:
        """The first attempt brought its answer, or was overtaken: then it took this long at least.

        Leaving those out that were overtaken would make the target look faster than it is.
        """
        watch.times.add(self._clock.monotonic() - call.began - first.started)

    def _watch(self, call: Call, target: ServedTarget) -> Watch:
        assert call.serving is not None
        key = (call.serving.name, target.name, call.stream, call.traffic)
        found = self._watches.get(key)
        if found is None:
            if len(self._watches) >= MOST_WATCHES:
                self._watches.pop(next(iter(self._watches)))
            found = self._watches[key] = Watch()
        return found


class _Runner(Generic[T]):
    """One attempt of a race."""

    __slots__ = ("attempt", "target", "task")

    def __init__(self, making: Awaitable[T], target: ServedTarget, attempt: Attempt) -> None:
        self.task = asyncio.ensure_future(making)
        self.target = target
        self.attempt = attempt

    @property
    def is_good(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None


async def _first_good(runners: list[_Runner[T]]) -> _Runner[T] | None:
    """Whoever is good first; ``None``: nobody was."""
    while True:
        good = next((runner for runner in runners if runner.is_good), None)
        under_way = [runner.task for runner in runners if not runner.task.done()]
        if good is not None or not under_way:
            return good
        await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)


async def _stop_others(runners: list[_Runner[T]], winner: _Runner[T] | None, discard: Callable[[T], None]) -> None:
    """Cancel who is under way, and let go what came too late: slots, reserves and connections are given back."""
    others = [runner for runner in runners if runner is not winner]
    under_way = [runner for runner in others if not runner.task.done()]
    for runner in under_way:
        runner.task.cancel()
    try:
        if under_way:
            await asyncio.wait([runner.task for runner in under_way])
    finally:
        for runner in others:
            if winner is not None and (runner in under_way or runner.is_good):
                runner.attempt.detail = OVERTAKEN
            if runner.is_good:
                discard(runner.task.result())


def _honest(call: Call, runners: list[_Runner[T]]) -> BaseException:
    """Why the first attempt failed.  A hedge at another target is written down before it: nobody calls it again."""
    failures = [runner.task.exception() for runner in runners]
    for runner, failure in zip(runners[1:], failures[1:], strict=True):
        if runner.target is not runners[0].target and isinstance(failure, Unusable):
            call.history.append(Tried(runner.target.name, failure.failure, None, failure.retry_after))
    first = failures[0]
    assert first is not None
    return first
