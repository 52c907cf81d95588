"""What will happen to a caller when a failure lasts, read off the ladder before it happens.  Pure.

``foretell`` climbs the ladder with the very ``next_step`` that serves, so what it promises is what is done; drills
prove it.  Steps whose way is not known in advance (is there a cached answer, has the queue room?) are told as endings
that may come, and the climb goes on as if they had not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from roadworthy.fallback.model import NextStep, Remaining, Tried
from roadworthy.fallback.rules import ENDS, next_step, steps_of
from roadworthy.fallback.words import BLOCKED, FAILED, NO_STEP_LEFT
from roadworthy.workflow.inference import Failure, Outcome, StepKind
from roadworthy.workflow.ladder import LADDER_FAILURES, NOT_ADMITTED, REPAIRABLE, WITHOUT_CALL
from roadworthy.workflow.model import ASKING_CHECKS, Behaviour, Canned, Handling

When = Literal["", "cached", "room", "time"]
"""On what a step depends: a cached answer that is there, room in the queue, time that is left; else empty."""

Shape = Literal["text", "json", "refusal", "error", "model", "provider"]
"""How it reaches the caller: as ``content``, as declared JSON in ``content``, in ``message.refusal``, as our error, as
the model's own answer, as the provider's own 4xx."""

ASKS_FOR_PATIENCE: Final[frozenset[Failure]] = frozenset({"overlimit", "unavailable", "throttled"})
"""Failures that may say ``Retry-After``, which a retry honours as far as the deadline allows."""

NEVER_OF_EMBEDDINGS: Final[frozenset[Failure]] = frozenset({"refused", "unsafe", "truncated"})

TOLD: Final[dict[Failure, Literal["incident", "alert"]]] = {
    "unsafe": "incident",
    "overspent": "alert",
    "misconfigured": "alert",
}
"""Failures of which people are told, beside the record."""


class Reads(msgspec.Struct, frozen=True):
    """What the caller gets."""

    status: int
    shape: Shape
    text: str = ""
    """Word for word where it is ours; an error's message ends with a detail in brackets."""
    json: Any = None
    code: str = ""
    """The ``code`` of an error."""


class Ending(msgspec.Struct, frozen=True):
    """A way in which the inference may end."""

    outcome: Outcome
    reads: Reads
    when: When = ""
    max_age: float | None = None
    """``cached`` only: seconds that the answer may be old."""


class ForetoldStep(msgspec.Struct, frozen=True):
    kind: StepKind
    target: str = ""
    """Whom it calls."""
    wait: float = 0.0
    """Most seconds of backoff before the call; ``Retry-After`` may ask for more."""
    when: When = ""


class Foretold(msgspec.Struct, frozen=True):
    """What follows a failure."""

    failure: Failure
    admitted: bool
    """``False``: the call was turned away before any target was called."""
    steps: list[ForetoldStep]
    """In order, up to the one that always answers."""
    endings: list[Ending]
    """In the order in which they are tried; the last one needs nothing."""
    longest_wait: float
    """Seconds until the caller has its answer, whatever happens."""
    attempts: int
    """Calls of a target at most, hedge included."""
    overspend: float | None
    """US dollars that may be spent beyond the price of one good answer; ``None``: a price is not known."""
    told: Literal["", "incident", "alert"] = ""

    @property
    def outcome(self) -> Outcome:
        """How it ends where no cached answer is there and the queue has room."""
        return self._usual.outcome

    @property
    def reads(self) -> Reads:
        """What the caller reads then."""
        return self._usual.reads

    @property
    def _usual(self) -> Ending:
        return next(ending for ending in self.endings if ending.when != "cached")


def foretell(
    failure: Failure,
    behaviour: Behaviour | None,
    handling: Handling,
    *,
    admitted: bool = True,
    lasts: bool = True,
    costs: Mapping[str, float | None] | None = None,
    allowance: float | None = None,
) -> Foretold:
    """What happens when every attempt ends in ``failure`` (``lasts=False``: only the first one).

    ``behaviour`` is ``None`` for an app that is passed through.  ``admitted=False`` asks about a call that our limits
    or budgets turn away, so only ``throttled`` and ``overspent`` make sense.  ``costs``: target → US dollars that one
    call may cost (checks included), ``None`` where nobody knows.  ``allowance``: what one inference may spend.
    """
    first = behaviour.target if behaviour is not None else "the target"
    climb = _Climb(failure, first if admitted else "", behaviour, handling)
    taken = climb.to_the_end() if lasts else climb.to_the_first_call()
    attempts = [first] if admitted else []
    attempts += [step.target for step, _when in taken if step.kind not in WITHOUT_CALL]
    hedge = handling.hedge.target or first if handling.hedge is not None and admitted else None
    return Foretold(
        failure=failure,
        admitted=admitted,
        steps=[ForetoldStep(step.kind, step.target, step.wait, when) for step, when in taken],
        endings=climb.endings,
        longest_wait=_longest_wait(failure, taken, len(attempts), handling),
        attempts=len(attempts) + (hedge is not None),
        overspend=_overspend(first, [*attempts, *([hedge] if hedge else [])], costs, allowance),
        told=TOLD.get(failure, ""),
    )


def foretell_all(
    behaviour: Behaviour | None,
    handling: Handling,
    *,
    costs: Mapping[str, float | None] | None = None,
    allowance: float | None = None,
) -> list[Foretold]:
    """Every failure that a ladder can meet; those by which a call may be turned away, twice."""
    embeddings = behaviour is not None and behaviour.kind == "embeddings"
    met = [failure for failure in LADDER_FAILURES if not (embeddings and failure in NEVER_OF_EMBEDDINGS)]
    return [
        foretell(failure, behaviour, handling, admitted=admitted, costs=costs, allowance=allowance)
        for failure in met
        for admitted in ((False, True) if failure in NOT_ADMITTED else (True,))
    ]


class _Climb:
    """One climb of the real ladder, in which everything that may be there is there."""

    def __init__(self, failure: Failure, first: str, behaviour: Behaviour | None, handling: Handling) -> None:
        self._failure = failure
        self._handling = handling
        self._structured = behaviour is not None and (behaviour.schema is not None or bool(behaviour.tools))
        self._history = [Tried(first, failure)]
        self._dropped = False
        embeddings = behaviour is not None and behaviour.kind == "embeddings"
        self._remaining = Remaining(
            seconds=handling.deadline,
            canned=handling.canned is not None,
            cached=None if handling.cache is None else 0.0,
            escalate=handling.holding is not None,
            repairable=failure in REPAIRABLE and not embeddings,
        )
        self.endings: list[Ending] = []

    def to_the_end(self) -> list[tuple[NextStep, When]]:
        """Every step, as if each failed that can."""
        taken: list[tuple[NextStep, When]] = []
        calls = 1 if self._history[0].target else 0
        while (step := self._next()) is not None:
            when: When = ""
            if step.kind in ENDS:
                ending = self._ending(step)
                when = ending.when
                self.endings.append(ending)
            elif step.kind == "drop":
                self._dropped = True
            else:
                when = "" if calls * _slowest(self._handling) < self._handling.deadline else "time"
                calls += 1
            taken.append((step, when))
            if step.kind == "canned":
                return taken
            self._history.append(Tried(step.target, self._failure, step.rung))
        self.endings.append(self._nothing_left())
        return taken

    def to_the_first_call(self) -> list[tuple[NextStep, When]]:
        """Steps up to the first call of a target, which is good; the whole ladder where no step calls one."""
        taken = self.to_the_end()
        for index, (step, _when) in enumerate(taken):
            if step.kind not in WITHOUT_CALL:
                before = sum(1 for other, _ in taken[:index] if other.kind in ENDS)
                self.endings = [*self.endings[:before], Ending("recovered", Reads(200, "model"))]
                return taken[: index + 1]
        return taken

    def _next(self) -> NextStep | None:
        return next_step(self._handling.ladder, self._failure, self._history, self._remaining)

    def _ending(self, step: NextStep) -> Ending:
        handling = self._handling
        if step.kind == "canned":
            assert handling.canned is not None
            return Ending("canned", self._text(handling.canned))
        if step.kind == "escalate":
            assert handling.holding is not None
            return Ending("escalated", self._text(handling.holding), "room")
        assert handling.cache is not None
        declared = steps_of(handling.ladder, self._failure)[step.rung.index].max_age
        oldest = handling.cache.max_age if declared is None else min(declared, handling.cache.max_age)
        return Ending("cached", Reads(200, "model"), "cached", oldest)

    def _nothing_left(self) -> Ending:
        failure = self._failure
        if self._dropped:
            return Ending("blocked", self._text(self._handling.blocked or BLOCKED))
        if failure in NOT_ADMITTED:
            return Ending("limited", Reads(429, "error", "", None, failure))
        if failure == "bad_request" or failure == "context_length":
            code = "bad_request" if failure == "bad_request" else "context_length_exceeded"
            return Ending("error", Reads(400, "provider", "", None, code))
        return Ending("error", Reads(503, "error", f"{FAILED[failure]}, {NO_STEP_LEFT}", None, failure))

    def _text(self, text: Canned) -> Reads:
        if not self._structured:
            return Reads(200, "text", text.text)
        return Reads(200, "refusal", text.text) if text.json is None else Reads(200, "json", text.text, text.json)


def _longest_wait(failure: Failure, taken: list[tuple[NextStep, When]], attempts: int, handling: Handling) -> float:
    if attempts == 0:
        return 0.0
    if failure in ASKS_FOR_PATIENCE and any(step.kind == "retry" for step, _when in taken):
        return handling.deadline
    backoff = sum(step.wait for step, _when in taken)
    return min(handling.deadline, attempts * _slowest(handling) + backoff)


def _slowest(handling: Handling) -> float:
    """Seconds that one attempt may take: in the target's queue (as long as to connect), under way, in checks that ask
    somebody else."""
    checks = sum(spec.timeout for spec in handling.checks.values() if spec.kind in ASKING_CHECKS)
    return handling.clocks.connect + handling.clocks.total + checks


def _overspend(
    first: str, attempts: list[str], costs: Mapping[str, float | None] | None, allowance: float | None
) -> float | None:
    """What all attempts may cost together beyond one answer of the first target.

    Where the failure lasts no answer is good, and still only what exceeds the price of one is counted: that much the
    caller would have cost anyway.
    """
    if not attempts:
        return 0.0
    known = costs or {}
    spent = [known.get(target) for target in attempts]
    good = known.get(first)
    if good is None or any(cost is None for cost in spent):
        return None
    total = sum(cost for cost in spent if cost is not None)
    if allowance is not None:
        total = min(total, max(allowance, good))
    return max(0.0, total - good)
