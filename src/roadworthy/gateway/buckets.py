"""Token buckets: rates of requests and tokens.  ``now`` is monotonic seconds; a minute's worth may come at once."""

from __future__ import annotations

from roadworthy.workflow.model import TargetLimits

_NEVER = 86_400.0


class Bucket:
    """Fills at ``per_minute``, holds at most a minute's worth, and may owe what was spent after the fact."""

    __slots__ = ("at", "level", "per_minute")

    def __init__(self, per_minute: float, now: float) -> None:
        self.per_minute = per_minute
        self.level = max(1.0, per_minute)
        self.at = now

    def take(self, now: float, per_minute: float) -> float:
        """0 when one was taken, else seconds until there is one."""
        wait = self.wait(now, per_minute)
        if wait == 0.0:
            self.level -= 1.0
        return wait

    def wait(self, now: float, per_minute: float) -> float:
        """Seconds until there is one; nothing is taken."""
        self.per_minute = per_minute
        self.level = min(max(1.0, per_minute), self.level + (now - self.at) * per_minute / 60.0)
        self.at = now
        if self.level >= 1.0:
            return 0.0
        return (1.0 - self.level) * 60.0 / per_minute if per_minute > 0 else _NEVER

    def spend(self, amount: float) -> None:
        self.level -= amount


class Quota:
    """This worker's share of a target's ``requests_per_minute`` and ``tokens_per_minute``.

    Tokens are known only afterwards, so a call is admitted while the bucket owes nothing: the limit may be exceeded
    by what is under way at that moment, and is made up for by waiting.
    """

    __slots__ = ("_requests", "_requests_limit", "_share", "_tokens", "_tokens_limit")

    def __init__(self, limits: TargetLimits, share: float) -> None:
        self._requests: Bucket | None = None
        self._tokens: Bucket | None = None
        self.follow(limits, share)

    def follow(self, limits: TargetLimits, share: float) -> None:
        """Keep to other limits from now on; what was used stays used."""
        self._share = share
        self._requests_limit = limits.requests_per_minute
        self._tokens_limit = limits.tokens_per_minute

    def take(self, now: float) -> float:
        """0 when a call may begin (it is counted), else seconds until one may."""
        if self._tokens_limit is not None:
            rate = self._tokens_limit * self._share
            self._tokens = self._tokens or Bucket(rate, now)
            wait = self._tokens.wait(now, rate)
            if wait > 0.0:
                return wait
        if self._requests_limit is None:
            return 0.0
        rate = self._requests_limit * self._share
        self._requests = self._requests or Bucket(rate, now)
        return self._requests.take(now, rate)

    def spend(self, tokens: int) -> None:
        if self._tokens is not None and self._tokens_limit is not None:
            self._tokens.spend(tokens)
