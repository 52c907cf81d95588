"""The verdict of a load test, in three figures.  Pure.

A raw p99/p50 of at most 3 passes.  Above that a test passes only if the ratio of the times to the first token and the
ratio at matched output length are both at most 3 and p99 meets the limit that the owner states: then the tail is long
answers, not the system.  Anything else fails.  A limit inside of a figure's 95 % interval decides nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Literal

import msgspec

from roadworthy.latency.model import Interval, Measured
from roadworthy.statistics.rates import wilson_interval
from roadworthy.workflow.model import Objective

RATIO = 3.0
"""Most that p99 may be of p50."""
FEWEST_CALLS = 368
"""With fewer the largest value is no upper bound of p99: 1 - 0.99^368 is 97.5 %."""
LOST = 0.01
"""Share of calls without an answer where no objective says otherwise: with more of them p99 itself never came."""
LATE = 0.1
"""Share of the median that the generator may be late itself…"""
LATE_SECONDS = 0.002
"""…and the least that matters."""
LONG_ANSWERS = "the tail is long answers, not the system"

Word = Literal["PASS", "FAIL", "INSUFFICIENT"]


class Verdict3(msgspec.Struct, frozen=True, omit_defaults=True):
    """A verdict and the three figures that made it; ``None``: that figure could not be measured."""

    verdict: Word
    why: str
    raw: Interval | None
    first_token: Interval | None
    matched: Interval | None
    calls_needed: int | None = None
    """About how many calls would decide, where it is ``INSUFFICIENT`` for want of calls."""


class _Found(msgspec.Struct, frozen=True):
    word: Word
    why: str
    calls: int | None = None


def judge(measured: Measured, objective: Objective) -> Verdict3:
    """What the test shows of the system, whatever its length; the caps by length are the readiness's."""
    whole, first = measured.whole, measured.first_token
    found = next(_refused(measured, objective), None) or _by_ratio(measured, objective)
    if found.word == "FAIL" and _generator_late(measured):
        late = f"the generator itself began calls {1000 * measured.timing_error_p99:.1f} ms late at p99"
        found = _Found("INSUFFICIENT", f"{late}, so this may be its own fault: {found.why}")
    return Verdict3(
        found.word,
        found.why,
        None if whole is None else whole.ratio,
        None if first is None else first.ratio,
        measured.matched_ratio,
        found.calls,
    )


def _refused(measured: Measured, objective: Objective) -> Iterator[_Found]:
    """Why the ratio does not even matter, the gravest first."""
    if measured.planned == 0:
        yield _Found("INSUFFICIENT", "no call was made", FEWEST_CALLS)
        return
    if measured.saturation.saturated:
        at = f" from second {measured.saturation.at:.0f} on" if measured.saturation.at is not None else ""
        yield _Found("FAIL", f"more than the system can do{at}: {measured.saturation.why}")
    lost = measured.dropped + measured.errors + measured.fell_back
    limit = LOST if objective.error_share is None else objective.error_share
    lower = wilson_interval(lost, measured.planned)[0]
    said = (
        f"{lost:,} of {measured.planned:,} calls got no answer of a model ({measured.errors:,} errors, "
        f"{measured.fell_back:,} fell back, {measured.dropped:,} never started), {100 * limit:g} % are allowed"
    )
    if lost == measured.planned or (lost > limit * measured.planned and lower > limit):
        yield _Found("FAIL", said)
    if measured.whole is None:
        yield _Found("FAIL", "no call was answered")
        return
    p95 = objective.latency_p95
    if p95 is not None and measured.whole.p95.lower > p95:
        yield _Found("FAIL", f"the objective is missed: p95 {_seconds(measured.whole.p95)}, {p95:g} s are allowed")
    if measured.whole.count < FEWEST_CALLS:
        yield _Found("INSUFFICIENT", f"{measured.whole.count} answers: too few to know a p99", FEWEST_CALLS)
    if lost > limit * measured.planned:
        share = lost / measured.planned
        yield _Found("INSUFFICIENT", said, _needed(Interval(share, lower, 2 * share - lower), limit, measured.planned))
    if p95 is not None and measured.whole.p95.upper > p95:
        calls = _needed(measured.whole.p95, p95, measured.whole.count)
        yield _Found("INSUFFICIENT", f"p95 {_seconds(measured.whole.p95)} is not clear of {p95:g} s", calls)


def _by_ratio(measured: Measured, objective: Objective) -> _Found:
    whole = measured.whole
    assert whole is not None, "a test without answers was refused"
    raw = f"p99/p50 is {_ratio(whole.ratio)}"
    if whole.ratio.upper <= RATIO:
        return _Found("PASS", f"{raw}, at most {RATIO:g} is allowed")
    excused = _excused(measured, objective)
    if excused.word == "PASS":
        doubt = "" if whole.ratio.value > RATIO else f"it may be above {RATIO:g}, "
        return _Found("PASS", f"{raw}, {doubt}but {LONG_ANSWERS}: {excused.why}")
    if whole.ratio.lower <= RATIO:
        needed = _needed(whole.ratio, RATIO, whole.count)
        return _Found("INSUFFICIENT", f"{raw}, not clear of {RATIO:g}; {excused.why}", needed)
    return _Found(excused.word, f"{raw}, above {RATIO:g}; {excused.why}", excused.calls)


def _excused(measured: Measured, objective: Objective) -> _Found:
    """May the tail be long answers?  ``why`` says what holds, or the first thing that does not."""
    assert measured.whole is not None, "a test without answers was refused"
    p99, limit = measured.whole.p99, objective.latency_p99
    first = None if measured.first_token is None else measured.first_token.ratio
    calls = measured.whole.count
    unsure: _Found | None = None
    held: list[str] = []
    for name, found, allowed, missing in (
        ("the first-token ratio", first, RATIO, "answers were not streamed, so nobody saw their first token"),
        ("the ratio at matched output length", measured.matched_ratio, RATIO, "output lengths are not known"),
        ("p99", p99, limit, "objective.latency_p99 is not stated, so no tail is long answers"),
    ):
        if found is None or allowed is None:
            return _Found("FAIL", missing)
        said = f"{name} is {_seconds(found) if name == 'p99' else _ratio(found)}"
        if found.lower > allowed:
            return _Found("FAIL", f"{said}, above {allowed:g}")
        if found.upper > allowed and unsure is None:
            unsure = _Found("INSUFFICIENT", f"{said}, not clear of {allowed:g}", _needed(found, allowed, calls))
        held.append(f"{said} (≤ {allowed:g})")
    if unsure is not None:
        return unsure
    return _Found("PASS", "; ".join(held))


def _generator_late(measured: Measured) -> bool:
    if measured.whole is None:
        return False
    return measured.timing_error_p99 > max(LATE * measured.whole.p50.value, LATE_SECONDS)


def _needed(found: Interval, limit: float, calls: int) -> int:
    """About how many calls bring ``limit`` out of the interval: it shrinks with the root of their number."""
    half = max(found.upper - found.value, found.value - found.lower)
    distance = max(abs(found.value - limit), half / 1000, 1e-9)
    return max(ceil(calls * (half / distance) ** 2), FEWEST_CALLS)


def _ratio(found: Interval) -> str:
    return f"{found.value:.2f} [{found.lower:.2f}, {found.upper:.2f}]"


def _seconds(found: Interval) -> str:
    return f"{found.value:.2f} s [{found.lower:.2f}, {found.upper:.2f}]"
