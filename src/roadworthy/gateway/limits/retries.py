"""How many extra calls a target may get: retries and repairs, or hedges, as a share of what goes well.

Every good answer earns a part of a retry, as in gRPC's retry throttling (gRFC A6) and Finagle's ``RetryBudget``; what
was earned is forgotten with a time constant of ``WINDOW``.  A quarter a good answer holds retries to a fifth of all
calls whatever share of them fails, so the amplification stays at 1.25 or less; and a target that answers nothing earns
nothing, so its retries die away but for the floor that lets a quiet workflow retry at all.

The hot path adds one to an integer; decay is worked out, exactly for a steady rate, when somebody asks.
"""

from __future__ import annotations

from math import exp

WINDOW = 10.0
"""Seconds."""

EARNED_A_GOOD_ANSWER = 0.25
FLOOR = 10.0
"""Retries that may be made at once by a target that has earned none…"""
FLOOR_SECONDS = 60.0
"""…and the seconds in which as many come back."""


class Allowance:
    """``share`` of an extra call is earned by each thing counted in ``earned``.  ``now``: monotonic seconds."""

    __slots__ = ("_at", "_balance", "_floor", "_floor_left", "_refill", "denied", "earned", "share", "spent")

    def __init__(self, share: float, floor: float, floor_seconds: float = FLOOR_SECONDS) -> None:
        self.share = share
        self.earned = 0
        """Good answers since somebody last asked: add to it."""
        self.spent = 0
        self.denied = 0
        self._floor = self._floor_left = floor
        self._refill = floor / floor_seconds
        self._balance = 0.0
        self._at: float | None = None

    def grants(self, now: float) -> bool:
        """May one more be made?"""
        self._settle(now)
        granted = self._balance + self._floor_left >= 1.0
        self.denied += not granted
        return granted

    def spend(self, now: float) -> None:
        """One is made: out of what was earned, else out of the floor."""
        self._settle(now)
        self.spent += 1
        from_floor = max(0.0, 1.0 - self._balance)
        self._balance = max(0.0, self._balance - 1.0)
        self._floor_left = max(0.0, self._floor_left - from_floor)

    def _settle(self, now: float) -> None:
        """Forget what is old and add what was earned since, as if at a steady rate."""
        passed = WINDOW if self._at is None else max(0.0, now - self._at)
        self._at = now
        fresh = self.share * self.earned
        self.earned = 0
        if passed > 0.0:
            kept = exp(-passed / WINDOW)
            self._balance = self._balance * kept + fresh * (1.0 - kept) * WINDOW / passed
            self._floor_left = min(self._floor, self._floor_left + self._refill * passed)
        else:
            self._balance += fresh


class RetryBudget(Allowance):
    """Of one target: its retries and repairs."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(EARNED_A_GOOD_ANSWER, FLOOR)
