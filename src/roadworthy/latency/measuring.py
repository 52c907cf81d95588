"""Samples → what the test measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from roadworthy.latency.generator import is_error
from roadworthy.latency.model import Arrivals, Interval, Measured, Percentiles, Sample, Saturation
from roadworthy.latency.saturation import WINDOWS, Point, judge
from roadworthy.statistics import latency
from roadworthy.workflow.inference import SERVED_BY_MODEL, Failure
from roadworthy.workflow.model import Objective

UNDER_LOAD: frozenset[Failure] = frozenset(
    {"unavailable", "slow", "overlimit", "throttled", "overspent", "gateway_lost"}
)
"""Failures that load can cause; the others are about the question or the answer."""
_NEVER_WAITED = frozenset({"cached", "bypassed"})
FEWEST_LENGTHS = 100
"""Calls of known length below which nothing is matched: two groups of fifty."""


def held(arrivals: Arrivals, samples: Sequence[Sample], *, stopped: bool) -> float:
    """Seconds for which the rate was held: all of them, or until a stop.  A ramp and a trace hold their own shape."""
    latest = max((sample.at for sample in samples), default=0.0)
    return latest if stopped or arrivals.shape == "replay" else arrivals.seconds


def measure(samples: Sequence[Sample], objective: Objective, *, seconds: float) -> Measured:
    """What ``samples`` (in order of their intended start) come to; ``seconds`` is how long the rate was ``held``.

    Clocks are of calls whose caller waited for a model and got an answer, from it or from the ladder: an answer out of
    the cache says nothing of a system under load, and a call that came to nothing has no latency; it is counted.
    """
    sent = [sample for sample in samples if sample.sent is not None]
    ended = [sample for sample in sent if _waited(sample)]
    usd = [sample.usd for sample in sent if sample.usd is not None]
    good = _good(sent, objective)
    return Measured(
        planned=len(samples),
        sent=len(sent),
        dropped=len(samples) - len(sent),
        answered=sum(sample.outcome in SERVED_BY_MODEL for sample in sent),
        errors=sum(map(is_error, sent)),
        fell_back=sum(_fell_back(sample) for sample in sent),
        seconds=seconds,
        rate=len(sent) / seconds if seconds > 0 else 0.0,
        whole=_percentiles(ended, lambda sample: sample.ended),
        first_token=_percentiles([each for each in ended if _streamed(each)], lambda sample: sample.first_token),
        between=_percentiles(ended, lambda sample: sample.between),
        matched_ratio=_matched(ended),
        goodput=None if good is None or seconds <= 0 else good / seconds,
        timing_error_p99=_late(sent),
        saturation=saturation(samples),
        outcomes=dict(Counter(sample.outcome or "error" for sample in sent)),
        failures=dict(Counter(sample.failure for sample in sent if sample.failure is not None)),
        usd=sum(usd) if usd else None,
        unpriced=len(sent) - len(usd),
        output_tokens=sum(sample.output_tokens or 0 for sample in sent),
    )


def saturation(samples: Sequence[Sample]) -> Saturation:
    """Of the whole test, looked at after its end."""
    sent = [sample for sample in samples if sample.sent is not None and sample.ended is not None]
    if len(sent) < WINDOWS:
        return Saturation(False, None, f"{len(sent)} calls: too few to tell")
    starts = [sample.at for sample in sent]
    ends = [sample.at + (sample.ended or 0.0) for sample in sent]
    waits = [sample.first_token or sample.ended or 0.0 for sample in sent]
    dropped = iter(sorted(sample.at for sample in samples if sample.sent is None))
    points: list[Point] = []
    gone, next_dropped = 0, next(dropped, None)
    for window in latency.windows(starts, ends, waits, WINDOWS):
        while next_dropped is not None and next_dropped <= window.at:
            gone, next_dropped = gone + 1, next(dropped, None)
        if window.waited is not None:
            points.append(Point(window.at, window.under_way + gone, window.waited))
    return judge(points)


def _percentiles(samples: Sequence[Sample], clock: Callable[[Sample], float | None]) -> Percentiles | None:
    values = [value for sample in samples if (value := clock(sample)) is not None and value > 0]
    if not values:
        return None
    found = latency.quantiles(values)
    return Percentiles(
        _interval(found.p50), _interval(found.p95), _interval(found.p99), _interval(found.ratio), found.calls
    )


def _matched(samples: Sequence[Sample]) -> Interval | None:
    """p99/p50 of latencies over what calls of their output length usually take."""
    known = [
        (sample.ended, sample.output_tokens)
        for sample in samples
        if sample.ended is not None and sample.ended > 0 and sample.output_tokens and sample.outcome in SERVED_BY_MODEL
    ]
    if len(known) < FEWEST_LENGTHS:
        return None
    values, lengths = zip(*known, strict=True)
    return _interval(latency.quantiles(latency.matched(values, lengths)).ratio)


def _good(sent: Sequence[Sample], objective: Objective) -> int | None:
    """Calls that a model or the cache answered within the objective; ``None``: no latency is declared."""
    limit = objective.latency_p95 if objective.latency_p95 is not None else objective.latency_p99
    if limit is None:
        return None
    fine = SERVED_BY_MODEL | {"cached"}
    return sum(each.outcome in fine and each.ended is not None and each.ended <= limit for each in sent)


def _waited(sample: Sample) -> bool:
    return sample.ended is not None and not is_error(sample) and sample.outcome not in _NEVER_WAITED


def _streamed(sample: Sample) -> bool:
    return sample.first_token is not None and sample.ended is not None and sample.first_token < sample.ended


def _fell_back(sample: Sample) -> bool:
    if sample.outcome == "bypassed":  # stopped under the test, or served by no release: no model was asked
        return True
    return (
        sample.outcome not in SERVED_BY_MODEL
        and sample.outcome not in _NEVER_WAITED
        and not is_error(sample)
        and sample.failure in UNDER_LOAD
    )


def _late(sent: Sequence[Sample]) -> float:
    late = sorted(sample.late for sample in sent)
    return late[min(len(late) * 99 // 100, len(late) - 1)] if late else 0.0


def _interval(bounds: latency.Bounds) -> Interval:
    return Interval(bounds.value, bounds.lower, bounds.upper)
