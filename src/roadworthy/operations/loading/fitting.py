"""A simulated target fitted to recorded calls, and how far the real one is from it.  Pure.

The fit takes what the *provider* did, from the attempts: time to the first token, tokens, time between tokens, share
of errors by kind.  Quantiles are copied, not smoothed, so a long tail stays as long as it was seen.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from roadworthy.latency.model import Sample
from roadworthy.operations.loading.model import Distance, Fit
from roadworthy.statistics.distances import kolmogorov, kolmogorov_bound
from roadworthy.statistics.rates import wilson_interval
from roadworthy.workflow import simulation
from roadworthy.workflow.inference import SERVED_BY_MODEL, Attempt, Failure, Inference

LEAST = 50
"""Good attempts from which a fit is made."""
SHARES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0)
LEAST_PROBE = 20
"""Live calls without which a rehearsal is not validated."""
LEAST_ERROR_SHARE = 1e-5
CHARS_PER_TOKEN = 4
"""Of the simulated target."""
FAULTS: dict[Failure, dict[str, Any]] = {
    "unavailable": {"fault": "status", "code": 503},
    "overlimit": {"fault": "status", "code": 429},
    "slow": {"fault": "stall", "at": "before_first_byte", "seconds": 30},
    "truncated": {"fault": "cut"},
    "invalid": {"fault": "body", "as": "truncated_json"},
    "refused": {"fault": "content", "as": "refusal"},
}
"""What a provider did wrong → the simulated target's fault for it.  What is ours or the caller's is not simulated."""


class NotFitted(Exception):
    """Too little is recorded; the message says what there is and how to get more."""


class Shown(msgspec.Struct, frozen=True):
    """What the simulated target will say, in tokens of its own (four characters, or a word)."""

    answers: list[str] = []
    """Texts of recorded answers to choose from; empty: made-up words, or what the schema asks for."""
    pieces: float | None = None
    """Of an answer that a schema shapes, on average; ``None``: as long as the recorded ones."""


def fitted(calls: Sequence[Inference], target: str, shown: Shown, *, traffic: str, seed: int = 1) -> Fit:
    """``calls``: recorded inferences of the workflow, of one class, those with answers in ``shown`` holding their
    bodies; ``target``: the release's first one.  Raises ``NotFitted``."""
    attempts = [
        (call, attempt)
        for call in calls
        for attempt in call.attempts
        if attempt.target == target and attempt.step in ("first", "retry", "hedge")
    ]
    good = [(call, attempt) for call, attempt in attempts if _good(attempt)]
    if len(good) < LEAST:
        raise NotFitted(
            f"{len(good)} recorded {traffic} calls of {target} have clocks and tokens, {LEAST} are the least for a "
            "fit; serve more, or record some with a short `roadworthy load` against the real target"
        )
    streamed = [(call, attempt) for call, attempt in good if call.stream and attempt.first_token is not None]
    clocks = _of_streams(streamed) if len(streamed) >= LEAST else _of_wholes(good)
    paces = [took / (shown.pieces or tokens) for _, took, tokens in clocks]
    if shown.answers and shown.pieces is None:
        lengths = [-(-len(text) // CHARS_PER_TOKEN) for text in shown.answers]
        scale = (sum(tokens for _, _, tokens in clocks) / len(clocks)) / max(1.0, sum(lengths) / len(lengths))
        paces = [pace * scale for pace in paces]
    profile: dict[str, Any] = {
        "seed": seed,
        "first_token": {"quantiles": _quantiles([first for first, _, _ in clocks], 0.0)},
        "inter_token": {"quantiles": _quantiles(paces, 0.0)},
        "pace": "answer",
        "output_tokens": {"quantiles": _quantiles([tokens for _, _, tokens in clocks], 1.0)},
        "cached_share": _cached(attempt for _, attempt in good),
        "inline_faults": False,
    }
    if shown.answers:
        profile["answers"] = list(shown.answers)
    faults = _faults(attempt for _, attempt in attempts)
    if faults:
        profile["faults"] = faults
    simulation.parse(profile)  # what is wrong with it is a defect of ours, never the user's
    return Fit(
        calls=len(good), since=min(call.ts for call, _ in good), until=max(call.ts for call, _ in good),
        traffic=traffic, profile=profile,
    )  # fmt: skip


def _of_streams(pairs: Iterable[tuple[Inference, Attempt]]) -> list[tuple[float, float, float]]:
    """(seconds to the first token, seconds from there to the end, tokens) of each."""
    return [
        (attempt.first_token - attempt.started, max(0.0, attempt.ended - attempt.first_token), attempt.tokens.output)
        for _, attempt in pairs
        if attempt.first_token is not None and attempt.tokens is not None
    ]


def _of_wholes(pairs: Iterable[tuple[Inference, Attempt]]) -> list[tuple[float, float, float]]:
    """The same of whole answers.  Nobody saw their first token: it is what is left of each when a token takes what
    the line of time over tokens says."""
    seen = [
        (attempt.ended - attempt.started, float(attempt.tokens.output))
        for _, attempt in pairs
        if attempt.tokens is not None
    ]
    each = _each_token([took for took, _ in seen], [tokens for _, tokens in seen])
    return [(max(0.0, took - each * tokens), min(took, each * tokens), tokens) for took, tokens in seen]


def _good(attempt: Attempt) -> bool:
    return attempt.failure is None and attempt.tokens is not None and attempt.tokens.output > 0


def _each_token(whole: Sequence[float], tokens: Sequence[float]) -> float:
    """Seconds a token: slope of the least-squares line of time over tokens."""
    count = len(whole)
    mean_t, mean_n = sum(whole) / count, sum(tokens) / count
    variance = sum((n - mean_n) ** 2 for n in tokens)
    if not variance:
        return 0.0
    slope = sum((n - mean_n) * (t - mean_t) for t, n in zip(whole, tokens, strict=True)) / variance
    return max(0.0, slope)


def _quantiles(values: Sequence[float], least: float) -> dict[float, float]:
    ordered = sorted(values)
    last = len(ordered) - 1
    found: dict[float, float] = {}
    for share in SHARES:
        place = share * last
        low = math.floor(place)
        value = ordered[low] + (ordered[min(low + 1, last)] - ordered[low]) * (place - low)
        found[share] = round(max(least, value), 6)
    return found


def _cached(attempts: Iterable[Attempt]) -> float:
    read = total = 0
    for attempt in attempts:
        if attempt.tokens is not None:
            read += attempt.tokens.cache_read
            total += attempt.tokens.input + attempt.tokens.cache_read + attempt.tokens.cache_write
    return round(read / total, 4) if total else 0.0


def _faults(attempts: Iterable[Attempt]) -> list[dict[str, Any]]:
    kinds: Counter[Failure] = Counter()
    count = 0
    for attempt in attempts:
        count += 1
        if attempt.failure in FAULTS:
            kinds[attempt.failure] += 1
    made = []
    left = 1.0
    for failure, times in sorted(kinds.items()):
        share = times / count
        if share >= LEAST_ERROR_SHARE:
            # the first fault that strikes counts, so each is drawn among what the ones before it left
            made.append({**FAULTS[failure], "share": round(min(1.0, share / left), 6)})
            left = max(1e-9, left - share)
    return made


def validated(fit: Fit, simulated: Sequence[Sample], live: Sequence[Sample]) -> Fit:
    """The fit with its distances from the real target.  Both were asked the same way, at the same gentle rate."""
    mine, theirs = [_clocks(one) for one in simulated], [_clocks(one) for one in live]
    a, b = [one for one in mine if one is not None], [one for one in theirs if one is not None]
    if len(b) < LEAST_PROBE:
        why = f"{len(b)} of {len(live)} live probe calls were answered; {LEAST_PROBE} are the least"
        return msgspec.structs.replace(fit, probe=len(b), why=why)
    if len(a) < LEAST_PROBE:
        why = f"{len(a)} of {len(simulated)} simulated probe calls were answered; {LEAST_PROBE} are the least"
        return msgspec.structs.replace(fit, probe=len(b), why=why)
    distances = [
        _distance("first token", [one[0] for one in a], [one[0] for one in b]),
        _distance("whole answer", [one[1] for one in a], [one[1] for one in b]),
    ]
    far = [one for one in distances if not one.close]
    failed = _fails_more(simulated, live)
    said = [
        f"the {one.clock} is {one.distance:.2f} away from the real target's (at most {one.allowed:.2f} at this size): "
        f"p50 {one.simulated_p50:.3g} s simulated, {one.live_p50:.3g} s live"
        for one in far
    ]
    why = "; ".join([failed, *said] if failed else said)
    return msgspec.structs.replace(fit, distances=distances, probe=len(b), why=why)


def _fails_more(simulated: Sequence[Sample], live: Sequence[Sample]) -> str:
    """Does the real target leave more calls unanswered than the simulated one?  By Wilson's intervals, two-sided 95 %
    each; empty: not that these calls would show it."""
    mine, theirs = (sum(_clocks(one) is None for one in probe) for probe in (simulated, live))
    if not simulated or wilson_interval(theirs, len(live))[0] <= wilson_interval(mine, len(simulated))[1]:
        return ""
    return f"{theirs} of {len(live)} live probe calls were not answered, {mine} of {len(simulated)} simulated ones"


def _clocks(sample: Sample) -> tuple[float, float] | None:
    """From sending, for a gentle probe measures the target and not a queue.  ``None``: no model's answer."""
    if sample.outcome not in SERVED_BY_MODEL or sample.ended is None or sample.sent is None:
        return None
    first = sample.ended if sample.first_token is None else sample.first_token
    return first - sample.sent, sample.ended - sample.sent


def _distance(clock: Any, simulated: Sequence[float], live: Sequence[float]) -> Distance:
    return Distance(
        clock=clock, distance=kolmogorov(simulated, live), allowed=kolmogorov_bound(len(simulated), len(live)),
        simulated=len(simulated), live=len(live), simulated_p50=_median(simulated), live_p50=_median(live),
    )  # fmt: skip


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0
