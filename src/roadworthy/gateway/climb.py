"""The ladder loop: attempts until one is good, or the ladder ends in something that is no model's answer.

``Caller.begin`` is the one place where an attempt begins, for a hedge and a continuation as well.  What a ladder may
end in is drawn here::

    End
    ├── UseCached    the answer of an earlier call
    ├── UseCanned    the declared answer
    ├── Escalate     a human answers; the caller reads the holding text
    └── Blocked      an answer was dropped and no step is left

A ladder that has nothing left raises ``errors.Refused``: 429 for what we limit, else the failure's own error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from roadworthy.fallback import model as ladder
from roadworthy.fallback.model import NextStep, Remaining, Tried
from roadworthy.fallback.rules import next_step
from roadworthy.gateway.attempt import Caller, StepWord
from roadworthy.gateway.call import Call
from roadworthy.gateway.errors import failed, limited
from roadworthy.gateway.ports import Clock, Ids, Unusable
from roadworthy.gateway.verdict import repeatable
from roadworthy.gateway.world import ServedTarget, Serving
from roadworthy.workflow.inference import Attempt, Failure, Rung, StepKind

T = TypeVar("T")
One = Callable[[Call, ServedTarget, Attempt], Awaitable[T]]
"""Makes one attempt that has begun.  Raises ``Unusable``."""

NOBODY: frozenset[str] = frozenset()
LIMITED: frozenset[Failure] = frozenset({"throttled", "overspent"})
_JITTER_BITS = 32


class End(Exception):
    """The call ends without a model's answer to it."""

    def __init__(self, failure: Failure, detail: str) -> None:
        """``failure``: what led here, for the record; ``detail``: the same in words for an engineer or a human."""
        super().__init__(failure, detail)
        self.failure: Failure = failure
        self.detail = detail


class UseCached(End):
    pass


class UseCanned(End):
    pass


class Escalate(End):
    pass


class Blocked(End):
    pass


_ENDS: dict[StepKind, type[End]] = {"cache": UseCached, "canned": UseCanned, "escalate": Escalate}


class Climber:
    """Climbs ladders.  Stateless but for its ports."""

    def __init__(self, caller: Caller, clock: Clock, ids: Ids) -> None:
        self._caller = caller
        self._clock = clock
        self._ids = ids

    async def climb(self, call: Call, one: One[T]) -> T:
        """The first good result.  Raises ``End`` or ``Refused``."""
        serving = call.serving
        assert serving is not None
        assert serving.target is not None
        target = serving.target
        attempt = self._caller.begin(call, target, "first")
        rung: ladder.Rung | None = None
        while True:
            try:
                good = await one(call, target, attempt)  # hook [E]: hedged(…) where serving.handling.hedge is declared
                call.served(target, attempt)
                return good
            except Unusable as unusable:
                call.history.append(_tried(target, attempt, rung, unusable))
                step = self._next(call, serving, unusable, admitted=True)
            if step.wait > 0.0:
                await self._clock.sleep(step.wait)
            target, rung = serving.targets[step.target], step.rung
            attempt = self._caller.begin(call, target, _word(call, serving, step))

    def turned_away(self, call: Call, unusable: Unusable) -> NoReturn:
        """End a call that was not admitted: nobody is called, and only what its release declares is given."""
        serving = call.serving
        assert serving is not None
        call.history.append(Tried("", unusable.failure, retry_after=unusable.retry_after, repeatable=False))
        self._next(call, serving, unusable, admitted=False)
        raise AssertionError("a call that was not admitted has nobody to call")

    def _next(self, call: Call, serving: Serving, last: Unusable, *, admitted: bool) -> NextStep:
        """The next call of a target, passing over ``drop``.  Raises how the inference ends without one."""
        failure = last.failure
        while True:
            remaining = self._remaining(call, serving, failure, admitted)
            jitter = self._ids.bits(_JITTER_BITS) / (1 << _JITTER_BITS)
            step = next_step(serving.ladder, failure, call.history, remaining, jitter=jitter)
            if step is None:
                raise _nothing_left(call, last) from last
            at = self._clock.monotonic() - call.began
            call.rungs.append(Rung(failure, step.kind, step.target, at))
            end = _ENDS.get(step.kind)
            if end is not None:
                raise end(call.history[0].failure, last.detail) from last
            if step.kind != "drop":
                return step
            call.dropped = True
            call.draft = call.bad_answer = None
            call.history.append(Tried("", failure, step.rung, repeatable=False))

    def _remaining(self, call: Call, serving: Serving, failure: Failure, admitted: bool) -> Remaining:
        """What the ladder may still use.  ``admitted``: targets may be called at all."""
        # hook [E]: targets whose breaker is closed; retries=RetryBudget.grants(); cached=age of call's cache entry
        # hook [F]: targets & purses.affordable(call); dollars=purses.left(call); costs=purses.costs(call)
        # hook [G]: escalate=serving.holding is not None and escalations.has_room(serving)
        return Remaining(
            seconds=call.deadline - self._clock.monotonic(),
            targets=serving.reachable_for(call.fields) if admitted else NOBODY,
            canned=serving.canned is not None,
            repairable=admitted and failure == "invalid" and call.operation == "chat",
            retries=admitted,
        )


def _word(call: Call, serving: Serving, step: NextStep) -> StepWord:
    """What the attempt is called.  A repair without anything that could be sent back only asks again."""
    if step.kind == "target":
        return "target"
    if step.kind == "retry" or call.bad_answer is None:
        return "retry"
    call.repaired = serving.repair_prompt.repaired(call.fields, call.bad_answer, call.repair)
    return "repair"


def _nothing_left(call: Call, last: Unusable) -> Exception:
    if call.dropped:
        dropped = next(rung.failure for rung in reversed(call.rungs) if rung.step == "drop")
        return Blocked(dropped, last.detail)
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
