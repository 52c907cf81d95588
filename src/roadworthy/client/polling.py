"""When to ask again for a person's answer.  Pure: the clients bring clock, sleep and chance."""

from __future__ import annotations

from collections.abc import Callable

from roadworthy.client.errors import MAY_PASS, Limited, RoadworthyError, Unavailable
from roadworthy.client.protocol import Escalation

FIRST_PAUSE = 2.0
"""Seconds, where the gateway does not say."""
GROWTH = 1.5
JITTER = 0.25
"""Pauses are longer by up to this share, so that callers that began together do not come together."""


class Polling:
    """Polls of one escalation, from the first to the last.

    A pause is never shorter than the ``Retry-After`` of the answer before it, and each is half as long again as the
    one before, up to ``longest_pause``: people take minutes.
    """

    def __init__(self, *, timeout: float, longest_pause: float, now: float, random: Callable[[], float]) -> None:
        """``timeout``, ``longest_pause``: seconds; ``now``: of the clock by which later times are given."""
        self._end = now + timeout
        self._longest = longest_pause
        self._random = random
        self._pause = 0.0
        self._known: Escalation | None = None
        self._error: RoadworthyError | None = None

    def heard(self, found: Escalation, now: float) -> float | None:
        """Seconds until the next poll; ``None``: this is the end."""
        self._known = found
        return self._next(found.retry_after, now) if found.status == "pending" else None

    def failed(self, error: RoadworthyError, now: float) -> float | None:
        """The same after a poll that went wrong.  Raises ``error`` where the next would, too."""
        if not isinstance(error, MAY_PASS):
            raise error
        self._error = error
        return self._next(error.retry_after if isinstance(error, Limited | Unavailable) else None, now)

    def result(self) -> Escalation:
        """As it stood at the last poll that went well.  Raises the last error where none did."""
        if self._known is not None:
            return self._known
        assert self._error is not None
        raise self._error

    def _next(self, hint: float | None, now: float) -> float | None:
        least = FIRST_PAUSE if hint is None else hint
        self._pause = max(least, min(self._pause * GROWTH, self._longest))
        left = self._end - now
        if left < least or left <= 0.0:
            return None
        return min(self._pause * (1.0 + JITTER * self._random()), left)
