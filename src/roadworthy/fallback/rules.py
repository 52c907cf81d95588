"""The ladder: which step follows a failure.  Pure, and it always ends.

Steps are followed in order, separately for each failure.  A step is used up once it was taken (``retry`` after
``times``), and steps before it are never gone back to, so an inference takes at most as many attempts as its
ladder has rungs.  Skipped without being taken: what cannot be finished before the deadline, a target that said
no for good (``misconfigured``, ``bad_request``, ``context_length``), and a target that this inference has called
already (``retry`` is the step that repeats).
"""

from __future__ import annotations

from collections.abc import Sequence

from roadworthy.fallback.model import NextStep, Remaining, Rung, Tried
from roadworthy.workflow.inference import FINAL_FAILURES, Failure
from roadworthy.workflow.model import Ladder, Step

NEVER_RETRIED: frozenset[Failure] = FINAL_FAILURES | {"overspent", "gateway_lost"}

LEAST_USEFUL_SECONDS = 0.05
"""An attempt with less time than this is not begun."""

LONGEST_BACKOFF = 10.0

_CANNED = Step(kind="canned")
_TWICE = [Step(kind="retry", times=2), _CANNED]
_ONCE = [Step(kind="retry", times=1), _CANNED]

DEFAULT_LADDER: Ladder = {
    "unavailable": _TWICE,
    "overlimit": _TWICE,
    "slow": _ONCE,
    "truncated": _ONCE,
    "invalid": _ONCE,
    "throttled": _ONCE,
    "refused": [_CANNED],
    "unsafe": [_CANNED],
    "overspent": [_CANNED],
    "misconfigured": [_CANNED],
}
"""Steps of every failure that a release's ladder does not name.  ``bad_request`` and ``context_length`` have none:
the caller must read why.  A ladder switches a default off with an empty list."""


def next_step(
    ladder: Ladder, failure: Failure, history: Sequence[Tried], remaining: Remaining, *, jitter: float = 1.0
) -> NextStep | None:
    """The step after ``failure`` of the last attempt in ``history``; ``None``: nothing is left, tell the caller.

    ``jitter`` in [0, 1] scales the backoff (full jitter).  The wait of a step always ends before the deadline;
    a provider's ``Retry-After`` is honoured when it fits and otherwise the retry is skipped.
    """
    steps = ladder.get(failure)
    if steps is None:
        steps = DEFAULT_LADDER.get(failure, [])
    begin, taken = _progress(failure, history)
    for index in range(begin, len(steps)):
        step = steps[index]
        rung = Rung(failure, index)
        if step.kind == "retry":
            done = taken if index == begin else 0
            wait = _retry_wait(step, done, history, remaining, jitter)
            if wait is not None:
                return NextStep("retry", rung, history[-1].target, wait)
        elif step.kind == "target":
            if step.target is not None and _may_call(step.target, history, remaining):
                return NextStep("target", rung, step.target)
        elif step.kind == "canned" and remaining.canned:
            return NextStep("canned", rung)
    return None


def _progress(failure: Failure, history: Sequence[Tried]) -> tuple[int, int]:
    """(first rung that may still be taken, how often it was taken)."""
    furthest, taken = 0, 0
    for tried in history:
        rung = tried.rung
        if rung is None or rung.failure != failure:
            continue
        if rung.index > furthest:
            furthest, taken = rung.index, 1
        elif rung.index == furthest:
            taken += 1
    return furthest, taken


def _retry_wait(step: Step, done: int, history: Sequence[Tried], remaining: Remaining, jitter: float) -> float | None:
    """Seconds to wait before the retry, or ``None`` when it is used up, hopeless or too late."""
    if done >= step.times or not history:
        return None
    last = history[-1]
    if not last.repeatable or last.failure in NEVER_RETRIED or not _reachable(last.target, remaining):
        return None
    wait = min(step.backoff * 2.0**done, LONGEST_BACKOFF) * jitter
    if last.retry_after is not None:
        wait = max(wait, last.retry_after)
    return wait if wait + LEAST_USEFUL_SECONDS <= remaining.seconds else None


def _may_call(target: str, history: Sequence[Tried], remaining: Remaining) -> bool:
    if remaining.seconds < LEAST_USEFUL_SECONDS or not _reachable(target, remaining):
        return False
    return all(tried.target != target for tried in history)


def _reachable(target: str, remaining: Remaining) -> bool:
    return remaining.targets is None or target in remaining.targets
