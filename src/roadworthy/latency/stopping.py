"""When a test must end before its plan does: dollars, error share, the objective, saturation.  Pure.

A ``Watch`` reads samples as their calls end (``saw``) and the progress (``heard``); both answer with the reason for
which the test must stop, or an empty text.  No rule looks at fewer calls than can carry it.
"""

from __future__ import annotations

from collections import deque

import msgspec

from roadworthy.latency.generator import Progress, is_error
from roadworthy.latency.model import Sample
from roadworthy.latency.saturation import Point, judge
from roadworthy.statistics.rates import wilson_interval
from roadworthy.workflow.inference import SERVED_BY_MODEL

LATEST = 200
"""Calls that the error share and the objective are judged by."""
FEWEST = 50
_POINTS = 16
_EVERY = 2.0
"""Seconds of a stretch that saturation is judged by; 16 of them are half a minute."""


class Limits(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a test may come to; ``None``: no limit."""

    usd: float | None = None
    usd_a_call: float | None = None
    """What a call without a price, or one that is still under way, is taken to cost: the dearest estimate."""
    error_share: float | None = None
    latency_p95: float | None = None
    """The objective: seconds under which 95 % of the calls must stay."""
    saturation: bool = True


class Watch:
    """The state of one test's rules."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._usd = 0.0
        self._errors: deque[bool] = deque(maxlen=LATEST)
        self._slow: deque[bool] = deque(maxlen=LATEST)
        self._points: deque[Point] = deque(maxlen=_POINTS)

    @property
    def usd(self) -> float:
        """Spent, calls without a price at their estimate."""
        return self._usd

    def saw(self, sample: Sample) -> str:
        """A call has ended, or was dropped."""
        if sample.sent is None:
            return ""
        limits = self._limits
        self._usd += sample.usd if sample.usd is not None else limits.usd_a_call or 0.0
        if limits.usd is not None and self._usd >= limits.usd:
            return f"${self._usd:.2f} are spent, ${limits.usd:.2f} were allowed"
        self._errors.append(is_error(sample))
        if limits.error_share is not None and _surely_above(self._errors, limits.error_share):
            return _said(self._errors, "came to an error", limits.error_share)
        if limits.latency_p95 is not None and sample.outcome in SERVED_BY_MODEL:
            self._slow.append(sample.ended is None or sample.ended > limits.latency_p95)
            if _surely_above(self._slow, 0.05):
                return _said(self._slow, f"took more than {limits.latency_p95:g} s", 0.05)
        return ""

    def heard(self, progress: Progress) -> str:
        """How far the test is."""
        limits = self._limits
        if limits.usd is not None and limits.usd_a_call is not None:
            under_way = progress.under_way * limits.usd_a_call
            if self._usd + under_way >= limits.usd:
                return (
                    f"${self._usd:.2f} are spent and up to ${under_way:.2f} are under way, "
                    f"${limits.usd:.2f} were allowed"
                )
        if not limits.saturation or progress.first_token is None:
            return ""
        if not self._points or progress.seconds - self._points[-1].at >= _EVERY:
            backlog = float(progress.under_way + progress.dropped)
            self._points.append(Point(progress.seconds, backlog, progress.first_token))
            found = judge(self._points) if len(self._points) == _POINTS else None
            if found is not None and found.saturated:
                return f"more than the system can do: {found.why}"
        return ""


def _surely_above(latest: deque[bool], share: float) -> bool:
    """Is the share of ``True`` above the limit even at the lower end of its 95 % interval (Wilson)?"""
    bad = sum(latest)
    return len(latest) >= FEWEST and bad > share * len(latest) and wilson_interval(bad, len(latest))[0] > share


def _said(latest: deque[bool], what: str, share: float) -> str:
    return f"{sum(latest)} of the latest {len(latest)} calls {what}, {100 * share:g} % are allowed"
