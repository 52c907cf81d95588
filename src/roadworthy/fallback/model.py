"""What happened to an inference so far, and what the ladder says next: frozen data."""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.workflow.inference import Failure


class Rung(msgspec.Struct, frozen=True, gc=False):
    """A place on a ladder: the failure whose steps are followed, and which of them (from 0)."""

    failure: Failure
    index: int


class Tried(msgspec.Struct, frozen=True, gc=False):
    """One attempt that was not good enough."""

    target: str
    failure: Failure
    rung: Rung | None = None
    """The step that led to this attempt; ``None`` for the first one."""
    retry_after: float | None = None
    """Seconds that the provider asked us to wait."""
    repeatable: bool = True
    """``False``: the same target would fail the same way (an answer cut at its own token limit)."""


class Remaining(msgspec.Struct, frozen=True, gc=False):
    """What is left of the inference."""

    seconds: float
    """Until the deadline; may be negative."""
    targets: frozenset[str] | None = None
    """Targets that can be reached now; ``None``: all."""
    canned: bool = False
    """A canned answer is declared."""


class NextStep(msgspec.Struct, frozen=True, gc=False):
    """What to do next."""

    kind: Literal["retry", "target", "canned"]
    rung: Rung
    target: str = ""
    """Whom to call; empty for ``canned``."""
    wait: float = 0.0
    """Seconds to wait before the call."""
