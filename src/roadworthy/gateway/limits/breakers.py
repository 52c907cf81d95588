"""Breakers: a target that keeps failing is left alone for a while, then asked again by one call.

Closed, a breaker counts over a sliding window; when ``share`` of at least ``calls`` calls failed it opens.  Open, it
lets nobody through, for ``cooldown`` seconds that double with every probe that fails (at most ``LONGEST_COOLDOWN``)
and are never shorter than what the target itself asked for (``Retry-After``, at most ``LONGEST_WAIT``).  Then it is
half open: one call is let through, all others go on to the ladder.

What counts is what says something about the target: it was not there, too slow, cut its answer, or said that it is
overloaded.  An answer that is merely bad (invalid, refused, a bad request) shows a target that answers; a call that the
client left, or that never left the gateway, shows nothing.
"""

from __future__ import annotations

from typing import Literal

from roadworthy.workflow.inference import Failure
from roadworthy.workflow.model import Breaker as BreakerSettings

State = Literal["closed", "open", "half_open"]
Event = Literal["tripped", "cooled", "probe_good", "probe_bad", "probe_lost"]

TRANSITIONS: dict[tuple[State, Event], State] = {
    ("closed", "tripped"): "open",
    ("open", "cooled"): "half_open",
    ("half_open", "probe_good"): "closed",
    ("half_open", "probe_bad"): "open",
    ("half_open", "probe_lost"): "half_open",
}
"""Pairs that are not named change nothing."""

STATES: tuple[State, ...] = ("closed", "open", "half_open")

BAD: frozenset[Failure] = frozenset({"unavailable", "slow", "overlimit", "truncated"})
SILENT: frozenset[Failure] = frozenset({"throttled", "overspent", "gateway_lost"})
"""Failures of calls of which the target knows nothing."""

LONGEST_COOLDOWN = 60.0
LONGEST_WAIT = 300.0
"""A provider may ask for this much and no more: an absurd ``Retry-After`` must not switch a target off for a day."""

PARTS = 10
"""Of the sliding window: it forgets a tenth at a time."""


class Tally:
    """Calls and bad ones over the last ``window`` seconds.  A call that went well costs one addition."""

    __slots__ = ("_bad", "_bad_before", "_calls", "_calls_before", "_part", "_seconds", "bad", "calls", "part_ends")

    def __init__(self, window: float) -> None:
        self._seconds = window / PARTS
        self.clear()

    def add(self, bad: bool, now: float) -> None:
        if now >= self.part_ends:
            self.roll(now)
        self.calls += 1
        self.bad += bad

    def clear(self) -> None:
        self._calls = [0] * PARTS
        self._bad = [0] * PARTS
        self._part = 0
        self.calls = self.bad = self._calls_before = self._bad_before = 0
        self.part_ends = 0.0

    def per_second(self, now: float) -> float:
        """Calls that ended."""
        if now >= self.part_ends:
            self.roll(now)
        return self.calls / (self._seconds * PARTS)

    def roll(self, now: float) -> None:
        """Begin the part of the window in which ``now`` lies, and forget those that it has left behind."""
        part = int(now / self._seconds)
        self._calls[self._part % PARTS] = self.calls - self._calls_before
        self._bad[self._part % PARTS] = self.bad - self._bad_before
        for old in range(max(self._part + 1, part - PARTS + 1), part + 1):
            self._calls[old % PARTS] = self._bad[old % PARTS] = 0
        self._part = max(self._part, part)
        self.part_ends = (self._part + 1) * self._seconds
        self.calls = self._calls_before = sum(self._calls)
        self.bad = self._bad_before = sum(self._bad)


class Breaker:
    """Of one target, on one worker, for as long as the worker lives.  ``now``: monotonic seconds.

    ``call`` is anything that stands for a call under way; it is only compared by identity, so that an answer to a call
    of before the breaker opened is neither taken for the probe's nor counted after it.
    """

    __slots__ = (
        "_asked",
        "_closed_at",
        "_cooldown",
        "_probe",
        "_settings",
        "_tally",
        "opened",
        "shut",
        "state",
        "until",
    )

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._tally = Tally(settings.window)
        self._cooldown = settings.cooldown
        self._probe: object | None = None
        self._closed_at = self._asked = -1.0
        self.state: State = "closed"
        self.shut = False
        """Not closed: ask ``begin`` before a call."""
        self.opened = 0
        """How often it has opened."""
        self.until = 0.0
        """When an open breaker lets a probe through."""

    def follow(self, settings: BreakerSettings) -> None:
        """Keep to other settings from now on; what is open stays open for as long as was said."""
        if settings == self._settings:
            return
        if settings.window != self._settings.window:
            self._tally = Tally(settings.window)
        self._settings = settings
        if self.state == "closed":
            self._cooldown = settings.cooldown

    def may_call(self, now: float) -> bool:
        """Would a call be let through?"""
        if self.state == "closed":
            return True
        return self._probe is None and (self.state == "half_open" or now >= self.until)

    def wait(self, now: float) -> float:
        """Seconds until the next probe may be made; 0 while one is under way."""
        return max(0.0, self.until - now) if self.state == "open" else 0.0

    def begin(self, call: object, now: float) -> bool:
        """Let ``call`` through?  While half open it is then the probe."""
        if self.state == "closed":
            return True
        if not self.may_call(now):
            return False
        if self.state == "open":
            self._move("cooled", now)
        self._probe = call
        return True

    def asked_to_wait(self, seconds: float, now: float) -> None:
        """The target said when to come again; it counts if it opens now or is open."""
        self._asked = max(self._asked, now + min(seconds, LONGEST_WAIT))
        if self.state == "open":
            self.until = max(self.until, self._asked)

    def good(self, now: float) -> None:
        """A call went well while the breaker is closed: ``ended`` for nearly every call."""
        tally = self._tally
        if now >= tally.part_ends:
            tally.roll(now)
        tally.calls += 1

    def ended(self, call: object, began: float, now: float, failure: Failure | None) -> None:
        """``call``, begun at ``began``, is over."""
        if self.state == "closed":
            if began < self._closed_at or failure in SILENT:
                return
            bad = failure is not None and failure in BAD
            self._tally.add(bad, now)
            if bad and self._is_too_much():
                self._move("tripped", now)
        elif call is self._probe:
            self._probe = None
            self._move("probe_lost" if failure in SILENT else "probe_bad" if failure in BAD else "probe_good", now)

    def lost(self, call: object) -> None:
        """``call`` is over and showed nothing (its client left): if it was the probe, the next one may be made."""
        if call is self._probe:
            self._probe = None

    def per_second(self, now: float) -> float:
        """Calls that ended a second, over the window."""
        return self._tally.per_second(now)

    def _is_too_much(self) -> bool:
        tally, settings = self._tally, self._settings
        return tally.calls >= settings.calls and tally.bad >= settings.share * tally.calls

    def _move(self, event: Event, now: float) -> None:
        after = TRANSITIONS.get((self.state, event), self.state)
        if event == "probe_bad":
            self._cooldown = max(self._settings.cooldown, min(LONGEST_COOLDOWN, 2.0 * self._cooldown))
        if after == "open" and self.state != "open":
            self.opened += 1
            self.until = max(now + self._cooldown, self._asked)
        elif after == "closed":
            self._cooldown = self._settings.cooldown
            self._closed_at = now
            self._tally.clear()
        self.state = after
        self.shut = after != "closed"
