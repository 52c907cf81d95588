"""Token buckets: rates of requests and tokens, of which this worker has a share that control lends to and fro.

``now`` is monotonic seconds; a minute's worth may come at once.
"""

from __future__ import annotations

import math

from roadworthy.cost.lending import WHOLE, Slice
from roadworthy.workflow.model import TargetLimits

_NEVER = 86_400.0
_MEMORY = 15.0
"""Seconds over which the pace of use is averaged."""
_PARTS = 1000
"""A rate is told to control in thousandths a minute."""


class Bucket:
    """Fills at its share of a limit per minute, holds at most a minute's worth of it, and may owe what was spent after
    the fact.  A bucket holds one call at least, or no caller of a worker with a small share would ever get through."""

    __slots__ = ("_at", "_level", "_pace", "_paced", "_short", "share")

    def __init__(self, limit: float, share: int, now: float) -> None:
        self.share = share
        """In parts of ``cost.lending.WHOLE``."""
        self._level = max(1.0, limit * share / WHOLE)
        self._at = self._paced = now
        self._pace = 0.0
        self._short = False

    def take(self, now: float, limit: float) -> float:
        """0 when one was taken, else seconds until there is one."""
        wait = self.wait(now, limit)
        if wait == 0.0:
            self.spend(1.0, now)
        return wait

    def wait(self, now: float, limit: float) -> float:
        """Seconds until there is one; nothing is taken."""
        rate = limit * self.share / WHOLE
        most = max(1.0, rate)
        if now > self._at:  # a call's own beginning may lie before the bucket's
            self._level = min(most, self._level + (now - self._at) * rate / 60.0)
            self._at = now
        else:
            self._level = min(most, self._level)
        if self._level * 2.0 < most:
            self._short = True
        if self._level >= 1.0:
            return 0.0
        self._short = True
        return (1.0 - self._level) * 60.0 / rate if rate > 0 else _NEVER

    def spend(self, amount: float, now: float) -> None:
        self._level -= amount
        self._pace = self.pace(now) + amount * 60.0 / _MEMORY
        self._paced = now

    def pace(self, now: float) -> float:
        """What was used a minute, of late."""
        return self._pace * math.exp((self._paced - now) / _MEMORY)

    def word(self, ident: str, limit: float, now: float) -> Slice:
        """What control is told."""
        rate = int(limit * _PARTS)
        held = min(int(self.pace(now) * _PARTS), rate * self.share // WHOLE)
        return Slice(ident, rate, held, self.share, _PARTS if self._short else 0)

    def short(self) -> bool:
        """Has it been less than half full since it was last asked?"""
        found, self._short = self._short, False
        return found


class Quota:
    """This worker's share of a target's ``requests_per_minute`` and ``tokens_per_minute``.

    Tokens are known only afterwards, so a call is admitted while the bucket owes nothing: the limit may be exceeded
    by what is under way at that moment, and is made up for by waiting.
    """

    __slots__ = ("_first", "_now", "limits", "requests", "tokens")

    def __init__(self, limits: TargetLimits, share: float) -> None:
        """``share``: what of the limits is ours until control lends."""
        self._first = int(share * WHOLE)
        self._now = 0.0
        self.limits = limits
        self.requests: Bucket | None = None
        self.tokens: Bucket | None = None

    def follow(self, limits: TargetLimits, share: float) -> None:
        """Keep to other limits from now on; what was used stays used, what was lent stays lent."""
        self._first = int(share * WHOLE)
        self.limits = limits

    def take(self, now: float) -> float:
        """0 when a call may begin (it is counted), else seconds until one may."""
        self._now = now
        if self.limits.tokens_per_minute is not None:
            wait = self.bucket("tokens", now).wait(now, self.limits.tokens_per_minute)
            if wait > 0.0:
                return wait
        if self.limits.requests_per_minute is None:
            return 0.0
        return self.bucket("requests", now).take(now, self.limits.requests_per_minute)

    def spend(self, tokens: int) -> None:
        if self.tokens is not None and self.limits.tokens_per_minute is not None:
            self.tokens.spend(tokens, self._now)

    def bucket(self, kind: str, now: float) -> Bucket:
        """The bucket of ``requests`` or ``tokens``, for which there is a limit."""
        if kind == "tokens":
            if self.tokens is None:
                self.tokens = Bucket(self.limits.tokens_per_minute or 0, self._first, now)
            return self.tokens
        if self.requests is None:
            self.requests = Bucket(self.limits.requests_per_minute or 0, self._first, now)
        return self.requests
