"""The ladder loop: attempts until one is good, the ladder offers a canned answer, or nothing is left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from roadworthy.fallback.model import Remaining, Rung, Tried
from roadworthy.fallback.rules import next_step
from roadworthy.gateway.call import Call
from roadworthy.gateway.errors import failed
from roadworthy.gateway.ports import ANY_MODEL, Clock, Ids, Unusable
from roadworthy.gateway.verdict import repeatable
from roadworthy.gateway.world import ServedTarget
from roadworthy.workflow.inference import Attempt

T = TypeVar("T")
StepWord = Literal["first", "retry", "target"]

_JITTER_BITS = 32


class UseCanned(Exception):
    """The ladder's next step is the canned answer."""


async def climb(
    call: Call, attempt_one: Callable[[Call, ServedTarget, Attempt], Awaitable[T]], clock: Clock, ids: Ids
) -> T:
    """The first good result.  Raises ``UseCanned``, or ``Refused`` when the ladder has nothing left."""
    serving = call.serving
    assert serving is not None
    assert serving.target is not None
    target = serving.target
    step: StepWord = "first"
    rung: Rung | None = None
    while True:
        attempt = _begin(call, target, step, clock)
        try:
            good = await attempt_one(call, target, attempt)
            call.served_by = target
            return good
        except Unusable as unusable:
            call.history.append(_tried(target, attempt, rung, unusable))
            bits = ids.bits(_JITTER_BITS)
            following = next_step(
                serving.ladder,
                unusable.failure,
                call.history,
                Remaining(
                    call.deadline - clock.monotonic(), serving.reachable_for(call.fields), serving.canned is not None
                ),
                jitter=bits / (1 << _JITTER_BITS),
            )
            if following is None:
                raise failed(
                    unusable.failure,
                    unusable.detail,
                    status=unusable.status,
                    message=unusable.message,
                    param=unusable.param,
                    retry_after=unusable.retry_after,
                ) from unusable
            if following.kind == "canned":
                raise UseCanned from unusable
            if following.wait > 0.0:
                await clock.sleep(following.wait)
            target, step, rung = serving.targets[following.target], following.kind, following.rung


def _begin(call: Call, target: ServedTarget, step: StepWord, clock: Clock) -> Attempt:
    asked = call.model if target.target.model == ANY_MODEL else target.target.model
    attempt = Attempt(target.name, step, clock.monotonic() - call.began, model_asked=asked)
    call.attempts.append(attempt)
    return attempt


def _tried(target: ServedTarget, attempt: Attempt, rung: Rung | None, unusable: Unusable) -> Tried:
    return Tried(
        target.name,
        unusable.failure,
        rung,
        unusable.retry_after,
        repeatable((attempt.finish,), unusable) and target.problem is None,
    )
