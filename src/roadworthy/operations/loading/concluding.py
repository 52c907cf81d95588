"""What a test came to, from what it has shown: measured, judged, explained, drawn.  Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from roadworthy.evidence.kinds import LoadTest
from roadworthy.latency import verdict as three
from roadworthy.latency.measuring import held, measure
from roadworthy.latency.model import Interval, Measured, Sample
from roadworthy.operations.loading.leading import Seen
from roadworthy.operations.loading.model import Came, Figure, Limit, Slot
from roadworthy.operations.loading.planning import Ready
from roadworthy.operations.loading.whereabouts import helps, parts, where
from roadworthy.workflow.inference import SERVED_BY_MODEL
from roadworthy.workflow.model import Objective

SLOTS = 120
LEAST_SLOT = 1.0
"""Seconds."""
CHANCE = 3.0
"""Standard deviations of a Poisson count below its mean that are still taken for chance."""
SPREAD = (
    0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0,
)  # fmt: skip


def concluded(ready: Ready, seen: Seen) -> Came | None:
    """``None``: not one call was made."""
    if seen.limit:
        return _searched(ready, seen)
    if not seen.samples:
        return None
    objective = ready.policy.objective
    seconds = held(ready.arrivals, seen.samples, stopped=bool(seen.stopped))
    measured = measure(seen.samples, objective, seconds=seconds)
    spent = parts(seen.records)
    measured = msgspec.structs.replace(measured, where=where(spent))
    found = three.judge(measured, objective)
    word, why = found.verdict, [found.why]
    if found.calls_needed is not None and found.verdict == "INSUFFICIENT":
        why.append(f"about {found.calls_needed:,} calls would decide")
    if seen.fit is not None and word != "FAIL" and (doubt := _doubt(ready, seen)):
        word, why = "INSUFFICIENT", [doubt, *why]
    if seen.kill is not None and seen.kill.late:
        word, why = "FAIL", [f"{seen.kill.late} attempts came after the kill switch was acknowledged", *why]
    if cached := _cached(measured):
        why.append(
            f"{cached:,} of {measured.sent:,} calls were answered out of the cache: they are no part of its rate"
        )
    if seen.stopped:
        why.append(f"it ended early: {seen.stopped}")
    return Came(
        verdict=word, why=why, measured=measured, figures=_figures(found), parts=spent,
        helps=helps(measured, spent, ready.plan, seen.records), slots=slots(seen.samples, ready.plan.seconds),
        spread=_spread(one.ended for one in seen.samples if _counts(one)),
        first_spread=_spread(one.first_token for one in seen.samples if _counts(one)),
        fit=seen.fit, kill=seen.kill, objective=declared(objective),
    )  # fmt: skip


def evidence(ready: Ready, seen: Seen, came: Came) -> LoadTest | None:
    """The figures to keep; ``None``: it shows nothing of the workflow at a rate."""
    measured = came.measured
    if seen.limit or measured is None or measured.whole is None or not measured.sent:
        return None
    objective, whole, fit = ready.policy.objective, measured.whole, seen.fit
    return LoadTest(
        seconds=0.0 if ready.order.shape == "ramp" else measured.seconds, rate=reached(ready, measured),
        calls=measured.sent,
        p50=whole.p50.value, p95=whole.p95.value, p99=whole.p99.value,
        error_share=min(1.0, (measured.errors + measured.fell_back) / measured.sent),
        objective_p95=objective.latency_p95, objective_errors=objective.error_share,
        objective_p99=objective.latency_p99, live_probe=fit is not None and not _doubt(ready, seen),
        judged=came.verdict, why=came.why[0][:300], saturated=measured.saturation.saturated,
        first_token_ratio=_value(measured.first_token.ratio if measured.first_token is not None else None),
        matched_ratio=_value(measured.matched_ratio),
        projected=None if ready.plan.peak is None else ready.plan.peak.rate,
        projected_from="" if ready.plan.peak is None else ready.plan.peak.said[:200],
    )  # fmt: skip


def reached(ready: Ready, measured: Measured) -> float:
    """Calls a second that the system really had to bear: neither what never started nor what the cache answered.

    The planned rate stands for the starts, as long as they are as many as chance makes likely: bursts can be so rare
    that an hour holds few of them.
    """
    rate, expected = ready.plan.rate, ready.plan.rate * measured.seconds
    if measured.seconds > 0 and measured.planned < expected - CHANCE * math.sqrt(expected):
        rate = measured.planned / measured.seconds
    return rate * (measured.sent - _cached(measured)) / measured.planned


def _cached(measured: Measured) -> int:
    return measured.outcomes.get("cached", 0)


def _doubt(ready: Ready, seen: Seen) -> str:
    """Why a rehearsal does not count; empty: it does."""
    fit = seen.fit
    assert fit is not None
    if fit.why:
        return f"the rehearsal does not fit the real target: {fit.why}"
    if not ready.order.probe:
        return "rehearsed without a live probe: nobody knows whether the real target is as fast"
    return "" if fit.distances else "the live probe was not made"


def _searched(ready: Ready, seen: Seen) -> Came | None:
    if not seen.steps:
        return None
    best = max((step.rate for step in seen.steps if step.held), default=0.0)
    broke = min((step.rate for step in seen.steps if not step.held), default=None)
    found = Limit(list(seen.steps), best, broke)
    if best and broke is not None:
        why = f"holds {best:.3g} calls/s within the objective, not {broke:.3g}"
    elif best:
        why = f"holds {best:.3g} calls/s within the objective, the highest that was tried"
    else:
        why = f"does not hold {broke or 0.0:.3g} calls/s within the objective"
    step = next((one for one in seen.steps if one.rate == best), None)
    objective = ready.policy.objective
    measured: Measured | None = None
    if step is not None and seen.samples:
        measured = measure(seen.samples, objective, seconds=step.seconds)
    spent = parts(seen.records)
    return Came(
        verdict="PASS" if best else "FAIL", why=[why, *([f"it ended early: {seen.stopped}"] if seen.stopped else [])],
        measured=measured, parts=spent, limit=found, objective=declared(objective),
        helps=[] if measured is None else helps(measured, spent, ready.plan, seen.records),
    )  # fmt: skip


def declared(objective: Objective) -> dict[str, float]:
    named = {"p95": objective.latency_p95, "p99": objective.latency_p99, "errors": objective.error_share}
    return {name: value for name, value in named.items() if value is not None}


def _figures(found: three.Verdict3) -> list[Figure]:
    named = {
        "p99/p50 of the whole answer": found.raw,
        "p99/p50 of the first token": found.first_token,
        "p99/p50 at matched output length": found.matched,
    }
    return [Figure(name, ratio, three.RATIO, None if ratio is None else _clear(ratio)) for name, ratio in named.items()]


def _clear(ratio: Interval) -> bool | None:
    """``None``: the limit is inside of its interval."""
    return True if ratio.upper <= three.RATIO else False if ratio.lower > three.RATIO else None


def slots(samples: Sequence[Sample], seconds: float) -> list[Slot]:
    """The test in stretches of equal length, for plots."""
    if not samples:
        return []
    end = max(seconds, max(sample.at for sample in samples) + 1e-9)
    length = max(LEAST_SLOT, end / SLOTS)
    rows: list[list[Sample]] = [[] for _ in range(max(1, math.ceil(end / length)))]
    for sample in samples:
        rows[min(len(rows) - 1, int(sample.at / length))].append(sample)
    busy = _under_way(samples, length, len(rows))
    return [_slot(place * length, length, row, busy[place]) for place, row in enumerate(rows)]


def _slot(at: float, length: float, row: Sequence[Sample], under_way: float) -> Slot:
    good = [one for one in row if _counts(one)]
    whole = sorted(one.ended for one in good if one.ended is not None)
    first = sorted(one.first_token for one in good if one.first_token is not None)
    dropped = sum(one.sent is None for one in row)
    return Slot(
        at=round(at, 3), seconds=round(length, 3), started=len(row) - dropped, good=len(good),
        errors=len(row) - dropped - len(good), dropped=dropped, under_way=round(under_way, 2),
        p50=_at(whole, 0.5), p95=_at(whole, 0.95), p99=_at(whole, 0.99), first_p50=_at(first, 0.5),
        first_p99=_at(first, 0.99),
    )  # fmt: skip


def _under_way(samples: Sequence[Sample], length: float, count: int) -> list[float]:
    """Mean calls under way in each stretch: call-seconds over seconds."""
    found = [0.0] * count
    for sample in samples:
        if sample.sent is None or sample.ended is None:
            continue
        begin, end = sample.at, sample.at + sample.ended
        place = int(begin / length)
        while place < count and place * length < end:
            found[place] += max(0.0, min(end, (place + 1) * length) - max(begin, place * length))
            place += 1
    return [seconds / length for seconds in found]


def _counts(sample: Sample) -> bool:
    return sample.outcome in SERVED_BY_MODEL and sample.ended is not None


def _spread(values: Iterable[float | None]) -> list[tuple[float, float]]:
    ordered = sorted(value for value in values if value is not None)
    return [(share, round(_at(ordered, share) or 0.0, 6)) for share in SPREAD] if ordered else []


def _at(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 6) if ordered else None


def _value(found: Interval | None) -> float | None:
    return None if found is None else found.value
