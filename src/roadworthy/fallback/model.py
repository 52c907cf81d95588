"""What happened to an inference so far, and what the ladder says next: frozen data."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from roadworthy.workflow.inference import Failure, StepKind


class Rung(msgspec.Struct, frozen=True, gc=False):
    """A place on a ladder: the failure whose steps are followed, and which of them (from 0)."""

    failure: Failure
    index: int


class Tried(msgspec.Struct, frozen=True, gc=False):
    """One attempt that was not good enough, or a step that ended nothing (``drop``)."""

    target: str
    """Whom it called; empty for a call that was not admitted and for a step without a call."""
    failure: Failure
    rung: Rung | None = None
    """The step that led to this attempt; ``None`` for the first one."""
    retry_after: float | None = None
    """Seconds that the provider asked us to wait."""
    repeatable: bool = True
    """``False``: the same target would fail the same way (an answer cut at its own token limit)."""


NO_COSTS: Mapping[str, float] = {}


class Remaining(msgspec.Struct, frozen=True, gc=False):
    """What is left of the inference, and what its release has to offer."""

    seconds: float
    """Until the deadline; may be negative."""
    targets: frozenset[str] | None = None
    """Targets that can be reached now (up, breaker not open, able to serve this request, affordable by every budget);
    ``None``: all."""
    canned: bool = False
    """A canned answer is declared."""
    cached: float | None = None
    """Age in seconds of a cached answer that may be given to this caller; ``None``: there is none."""
    escalate: bool = False
    """A holding answer is declared and the queue has room."""
    repairable: bool = False
    """The last answer can be sent back with what is wrong with it."""
    retries: bool = True
    """The retry budget grants another call of the same target."""
    dollars: float | None = None
    """Left of the inference's cost allowance; ``None``: it has none."""
    costs: Mapping[str, float] = NO_COSTS
    """Target → US dollars that a call of it may cost at most; one that is not named may cost anything."""


class NextStep(msgspec.Struct, frozen=True, gc=False):
    """What to do next."""

    kind: StepKind
    rung: Rung
    target: str = ""
    """Whom to call (``retry``, ``repair``, ``target``); else empty."""
    wait: float = 0.0
    """Seconds to wait before the call."""
