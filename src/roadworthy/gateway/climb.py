"""The ladder loop: attempts until one is good, or the ladder ends in something that is no model's answer.

``Caller.begin`` is the one place where an attempt begins, for a hedge and a continuation as well.  What a ladder may
end in is drawn here::

    End
    ├── UseCached    the answer of an earlier call
    ├── UseCanned    the declared answer
    ├── Escalated    a human answers later; the caller reads the holding text
    └── Blocked      an answer was dropped and no step is left

A ladder that has nothing left raises ``errors.Refused``: 429 for what we limit, else the failure's own error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import msgspec

from roadworthy.fallback import model as ladder
from roadworthy.fallback.model import NO_COSTS, NextStep, Remaining, Tried
from roadworthy.fallback.rules import next_step
from roadworthy.gateway.answers.cache import AnswerCache, Cached
from roadworthy.gateway.answers.escalations import Escalations
from roadworthy.gateway.attempt import Caller, StepWord
from roadworthy.gateway.call import Call, Turns
from roadworthy.gateway.errors import failed, limited
from roadworthy.gateway.hedging import Hedger
from roadworthy.gateway.ports import Clock, Ids, Unusable
from roadworthy.gateway.verdict import repeatable
from roadworthy.gateway.world import ServedTarget, Serving
from roadworthy.workflow.inference import Attempt, Failure, Rung

T = TypeVar("T")
One = Callable[[Call, ServedTarget, Attempt], Awaitable[T]]
"""Makes one attempt that has begun.  Raises ``Unusable``."""

NOBODY: frozenset[str] = frozenset()
LIMITED: frozenset[Failure] = frozenset({"throttled", "overspent"})
_JITTER_BITS = 32


class End(Exception):
    """The call ends without a model's answer to it."""

    def __init__(self, failure: Failure | None) -> None:
        """``failure``: what led here, for the record."""
        super().__init__(failure)
        self.failure: Failure | None = failure


class UseCached(End):
    def __init__(self, failure: Failure | None, cached: Cached) -> None:
        super().__init__(failure)
        self.cached = cached


class UseCanned(End):
    pass


class Escalated(End):
    pass


class Blocked(End):
    pass


def _holds_nothing(result: object) -> None:
    """A whole answer has given everything back."""


class Climber:
    """Climbs ladders.  Stateless but for its ports."""

    def __init__(self, caller: Caller, cache: AnswerCache, escalations: Escalations, clock: Clock, ids: Ids) -> None:
        self._caller = caller
        self.hedger = Hedger(caller, clock)
        self._cache = cache
        self._escalations = escalations
        self._clock = clock
        self._ids = ids

    async def climb(self, call: Call, one: One[T], discard: Callable[[T], None] = _holds_nothing) -> T:
        """The first good result.  Raises ``End`` or ``Refused``.

        ``discard`` gives back what a good result holds of which a hedge made two.
        """
        serving = call.serving
        assert serving is not None
        assert serving.target is not None
        target = serving.target
        attempt = self._caller.begin(call, target, "first")
        rung: ladder.Rung | None = None
        while True:
            try:
                if serving.handling.hedge is not None and attempt.step == "first":
                    good, target, attempt = await self.hedger.race(call, target, attempt, one, discard)
                else:
                    good = await one(call, target, attempt)
                call.served(target, attempt)
                return good
            except Unusable as unusable:
                call.history.append(_tried(target, attempt, rung, unusable))
                step = await self._next(call, serving, unusable, admitted=True)
            target, rung = serving.targets[step.target], step.rung
            if step.kind != "target":  # before the wait, or all that fail together are granted the same retry
                target.slots.retries.spend(self._clock.monotonic())
            if step.wait > 0.0:
                await self._clock.sleep(step.wait)
            attempt = self._caller.begin(call, target, _word(call, serving, step))

    async def turned_away(self, call: Call, unusable: Unusable) -> NoReturn:
        """End a call that was not admitted: nobody is called, and only what its release declares is given."""
        serving = call.serving
        assert serving is not None
        call.history.append(Tried("", unusable.failure, retry_after=unusable.retry_after, repeatable=False))
        await self._next(call, serving, unusable, admitted=False)
        raise AssertionError("a call that was not admitted has nobody to call")

    async def _next(self, call: Call, serving: Serving, last: Unusable, *, admitted: bool) -> NextStep:
        """The next call of a target.  Raises how the inference ends without one."""
        failure = last.failure
        while True:
            cached = None if serving.handling.cache is None else self._cache.peek(call, self._clock.monotonic())
            remaining = self._remaining(call, serving, failure, cached, admitted)
            jitter = self._ids.bits(_JITTER_BITS) / (1 << _JITTER_BITS)
            step = next_step(serving.ladder, failure, call.history, remaining, jitter=jitter)
            if call.money is not None and admitted:
                self._note_unaffordable(call, serving, failure, remaining, step, jitter)
            if step is None:
                raise _nothing_left(call, last) from last
            at = self._clock.monotonic() - call.began
            if step.kind == "escalate":
                if await self.handed_over(call, failure, last.detail):
                    call.rungs.append(Rung(failure, "escalate", at=at))
                    raise Escalated(call.first_failure) from last
            else:
                call.rungs.append(Rung(failure, step.kind, step.target, at))
                if step.kind == "canned":
                    raise UseCanned(call.first_failure) from last
                if step.kind == "cache" and cached is not None:
                    raise UseCached(call.first_failure, cached) from last
                if step.kind != "drop":
                    return step
                call.dropped = True
                call.draft = call.bad_answer = None
            call.history.append(Tried("", failure, step.rung, repeatable=False))

    async def handed_over(self, call: Call, failure: Failure | None, detail: str) -> bool:
        """Hand the call to a human, if its release declares what the caller reads meanwhile and there is room."""
        serving = call.serving
        if serving is None or serving.handling.holding is None or not self._escalations.has_room(call):
            return False
        call.escalation = await self._escalations.open(call, failure, detail, serving.handling.holding.text)
        return call.escalation is not None

    def _note_unaffordable(
        self, call: Call, serving: Serving, failure: Failure, remaining: Remaining, step: NextStep | None, jitter: float
    ) -> None:
        """Have the record say which budget a step was passed over for: its cost owner is told."""
        targets = serving.callable_for(call.fields, self._clock.monotonic(), call.only)
        rich = msgspec.structs.replace(remaining, targets=targets, dollars=None)
        wanted = next_step(serving.ladder, failure, call.history, rich, jitter=jitter)
        if wanted is not None and wanted.target and wanted != step:
            self._caller.purses.note_short(call, serving.targets[wanted.target])

    def _remaining(
        self, call: Call, serving: Serving, failure: Failure, cached: Cached | None, admitted: bool
    ) -> Remaining:
        """What the ladder may still use.  ``admitted``: targets may be called at all."""
        now = self._clock.monotonic()
        last = call.history[-1].target
        purses, targets = self._caller.purses, serving.callable_for(call.fields, now, call.only) if admitted else NOBODY
        if call.money is not None:
            targets &= purses.affordable(call)
        return Remaining(
            seconds=call.deadline - now,
            targets=targets,
            canned=serving.canned is not None and call.operation == "chat",
            cached=None if cached is None else cached.age,
            escalate=self._escalations.has_room(call),
            repairable=admitted and failure == "invalid" and call.operation == "chat",
            dollars=None if call.money is None else purses.left(call),
            costs=NO_COSTS if call.money is None else purses.costs(call),
            retries=admitted and (not last or serving.targets[last].slots.retries.grants(now)),
        )


def _word(call: Call, serving: Serving, step: NextStep) -> StepWord:
    """What the attempt is called.  A repair without anything that could be sent back only asks again."""
    if step.kind == "target":
        return "target"
    if step.kind == "retry" or call.bad_answer is None:
        return "retry"
    call.turns = Turns(call.bad_answer, serving.repair_prompt.asked(call.repair))
    return "repair"


def _nothing_left(call: Call, last: Unusable) -> Exception:
    if call.dropped and call.operation == "chat":
        dropped = next(rung.failure for rung in reversed(call.rungs) if rung.step == "drop")
        return Blocked(dropped)
    if last.failure in LIMITED:
        return limited(last.failure, last.detail, last.retry_after)
    return failed(
        last.failure, last.detail, status=last.status, message=last.message, param=last.param,
        retry_after=last.retry_after,
    )  # fmt: skip


def _tried(target: ServedTarget, attempt: Attempt, rung: ladder.Rung | None, unusable: Unusable) -> Tried:
    return Tried(
        target.name,
        unusable.failure,
        rung,
        unusable.retry_after,
        repeatable((attempt.finish,), unusable) and target.problem is None,
    )
