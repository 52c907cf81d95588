"""The ladder: which step follows a failure.  Pure, and it always ends.

Steps are followed in order, separately for each failure.  A step is used up once it was taken (``retry`` and
``repair`` after ``times``), and steps before it are never gone back to, so an inference takes at most as many steps
as its ladder has rungs.  Passed over without being taken:

- what cannot be begun before the deadline, or costs more than is left of the inference's allowance;
- a target that cannot be reached, that said no for good (``misconfigured``, ``bad_request``, ``context_length``), or,
  for the step ``target``, that this inference has called already (``retry`` is the step that repeats);
- a retry that the retry budget refuses, or of an answer that the same target would give again;
- a repair of what cannot be sent back;
- a cached answer that is not there or too old, a canned one that is not declared, a human whose queue is full;
- everything that calls a target, for an inference that was not admitted, and the default steps of ``throttled``.

``cache``, ``canned`` and ``escalate`` end the ladder; ``drop`` forgets the answer and the ladder goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roadworthy.fallback.model import NextStep, Remaining, Rung, Tried
from roadworthy.workflow.inference import Failure, StepKind
from roadworthy.workflow.ladder import DEFAULT_LADDER, NEVER_RETRIED, WITHOUT_CALL
from roadworthy.workflow.model import Ladder, Step

LEAST_USEFUL_SECONDS: Final = 0.05
"""An attempt with less time than this is not begun."""

LONGEST_BACKOFF: Final = 10.0

ENDS: Final[frozenset[StepKind]] = frozenset({"cache", "canned", "escalate"})
"""Steps after which the caller is answered."""


def next_step(
    ladder: Ladder, failure: Failure, history: Sequence[Tried], remaining: Remaining, *, jitter: float = 1.0
) -> NextStep | None:
    """The step after ``failure`` of the last attempt in ``history``; ``None``: nothing is left, tell the caller.

    ``jitter`` in [0, 1] scales the backoff (full jitter).  The wait of a step always ends before the deadline; a
    provider's ``Retry-After`` is honoured when it fits and otherwise the retry is passed over.  A failure that
    ``ladder`` does not name (an adopted app, a release older than this rule) follows ``DEFAULT_LADDER``.
    """
    begin, taken = _progress(failure, history)
    called = _last_called(history)
    steps = steps_of(ladder, failure)
    for index in range(begin, len(steps)):
        step = steps[index]
        if called is None and (step.admitted_only or step.kind not in WITHOUT_CALL):
            continue
        done = taken if index == begin else 0
        found = _take(step, Rung(failure, index), done, called, history, remaining, jitter)
        if found is not None:
            return found
    return None


def steps_of(ladder: Ladder, failure: Failure) -> Sequence[Step]:
    """The steps that follow a failure."""
    steps = ladder.get(failure)
    return DEFAULT_LADDER.get(failure, []) if steps is None else steps


def _take(
    step: Step,
    rung: Rung,
    done: int,
    called: Tried | None,
    history: Sequence[Tried],
    remaining: Remaining,
    jitter: float,
) -> NextStep | None:
    """The step, if it can be taken now.  ``done``: how often it was taken; ``called``: the last attempt."""
    if step.kind in WITHOUT_CALL:
        return NextStep(step.kind, rung) if done == 0 and _offered(step, remaining) else None
    if called is None or done >= step.times:
        return None
    if step.kind == "target":
        fresh = done == 0 and step.target is not None and all(tried.target != step.target for tried in history)
        return _call(step, rung, step.target or "", 0.0, remaining) if fresh else None
    if _hopeless(called, remaining):
        return None
    if step.kind == "repair":
        return _call(step, rung, called.target, 0.0, remaining) if remaining.repairable else None
    return _call(step, rung, called.target, _backoff(step, done, called, jitter), remaining)


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


def _last_called(history: Sequence[Tried]) -> Tried | None:
    """The last attempt; ``None``: the inference was not admitted."""
    return next((tried for tried in reversed(history) if tried.target), None)


def _offered(step: Step, remaining: Remaining) -> bool:
    match step.kind:
        case "cache":
            age = remaining.cached
            return age is not None and (step.max_age is None or age <= step.max_age)
        case "canned":
            return remaining.canned
        case "escalate":
            return remaining.escalate
        case _:
            return True


def _hopeless(called: Tried, remaining: Remaining) -> bool:
    """Would the same target fail again, or may it not be asked again?"""
    return not called.repeatable or called.failure in NEVER_RETRIED or not remaining.retries


def _backoff(step: Step, done: int, called: Tried, jitter: float) -> float:
    wait = min(step.backoff * 2.0**done, LONGEST_BACKOFF) * jitter
    return wait if called.retry_after is None else max(wait, called.retry_after)


def in_time(wait: float, seconds: float) -> bool:
    """Can a call be begun after ``wait`` seconds when ``seconds`` are left?  A provider may ask for a day."""
    return wait + LEAST_USEFUL_SECONDS <= seconds


def _call(step: Step, rung: Rung, target: str, wait: float, remaining: Remaining) -> NextStep | None:
    """The call, if it can be reached, begun in time and paid for."""
    if remaining.targets is not None and target not in remaining.targets:
        return None
    if not in_time(wait, remaining.seconds):
        return None
    if remaining.dollars is not None and not remaining.costs.get(target, float("inf")) <= remaining.dollars:
        return None
    return NextStep(step.kind, rung, target, wait)
