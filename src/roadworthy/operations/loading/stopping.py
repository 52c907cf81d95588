"""When a test stops by itself: pure, fed with every sample and asked at every report of progress."""

from __future__ import annotations

from collections import deque

from roadworthy.latency.generator import EVERY, Progress, is_error
from roadworthy.latency.model import Sample
from roadworthy.latency.saturation import WINDOWS, Point, judge
from roadworthy.operations.loading.job import Limits

WINDOW = 10.0
"""Seconds of the latest calls whose error share counts."""
LEAST_ENDED = 20
"""Calls in the window from which a share is taken."""
DROPPED = 0.05
"""Share of the planned calls that may be dropped before the test says that it holds no such rate."""
SLOT = 5.0
"""Seconds of a slot in which calls under way and the first token are averaged."""
LEAST_UNDER_WAY = 8.0
"""With fewer it is a slower provider and no queue."""


class Watch:
    """Watches one stretch of calls."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._latest: deque[tuple[float, bool]] = deque()
        self._errors_in_window = 0
        self._slow = [0] * len(limits.slower_than)
        self._bypassed = False
        self._errors = 0
        self._slot = (0, 0.0, 0.0)
        """(looks, sum of calls under way, sum of first tokens) of the slot under way."""
        self._points: deque[Point] = deque(maxlen=WINDOWS)
        self._slot_ends = SLOT

    def seen(self, sample: Sample) -> None:
        """A call has ended."""
        wrong = is_error(sample)
        if sample.sent is not None:
            self._latest.append((sample.at + (sample.ended or 0.0), wrong))
            self._errors_in_window += wrong
        self._errors += wrong
        self._bypassed |= sample.outcome == "bypassed"
        for place, (seconds, _) in enumerate(self._limits.slower_than):
            self._slow[place] += sample.ended is not None and sample.ended > seconds and not wrong

    def why_stop(self, now: Progress) -> str:
        """Empty: go on."""
        limits = self._limits
        if self._bypassed:
            return "calls were bypassed: the workflow was stopped under the test (roadworthy status)"
        ahead = EVERY * now.planned / max(now.seconds, EVERY)  # may start before the next look
        if limits.usd is not None and now.usd + (now.under_way + ahead) * limits.usd_each >= limits.usd:
            return f"its ${limits.usd:,.4g} are spent, calls under way counted"
        while self._latest and self._latest[0][0] < now.seconds - WINDOW:
            self._errors_in_window -= self._latest.popleft()[1]
        ended = len(self._latest)
        if ended >= LEAST_ENDED and self._errors_in_window / ended > limits.errors:
            return (
                f"{self._errors_in_window} of the last {ended} calls failed, "
                f"more than {100 * limits.errors:g} % of them"
            )
        if now.planned >= LEAST_ENDED and now.dropped > DROPPED * now.planned:
            return f"{now.dropped:,} of {now.planned:,} calls could not start: too many were under way"
        return self._objective() or (self._saturated(now) if limits.saturation else "")

    def _objective(self) -> str:
        """Can it still be met, were every call to come a good one?"""
        planned = self._limits.planned
        if not planned:
            return ""
        for (seconds, share), slow in zip(self._limits.slower_than, self._slow, strict=True):
            if slow > share * planned:
                return f"the objective cannot be met any more: {slow:,} of {planned:,} calls took over {seconds:g} s"
        most = self._limits.error_share
        if most is not None and self._errors > most * planned:
            return f"the objective cannot be met any more: {self._errors:,} of {planned:,} calls failed"
        return ""

    def _saturated(self, now: Progress) -> str:
        """By the rule that judges the whole test afterwards."""
        looks, under_way, first = self._slot
        self._slot = (looks + 1, under_way + now.under_way, first + (now.first_token or 0.0))
        if now.seconds < self._slot_ends:
            return ""
        looks, under_way, first = self._slot
        self._slot, self._slot_ends = (0, 0.0, 0.0), now.seconds + SLOT
        if now.first_token is not None:
            self._points.append(Point(now.seconds, under_way / looks + now.dropped, first / looks))
        found = judge(self._points)
        if not found.saturated or self._points[-1].under_way < LEAST_UNDER_WAY:
            return ""
        return f"over-saturated: {found.why}"
