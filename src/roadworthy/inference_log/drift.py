"""Did something change that nobody changed?  Scores, what comes in, and the model that answers.  Pure.

- *Scores* of one release: against its first weeks, else against its gate's run.  A sequential test is begun every day
  and looked at for two weeks; each raises a false alarm with probability ``LEVEL`` at most, however often one looks, so
  with one begun a day a false alarm comes once in 1/``LEVEL`` days on average, at most (J. Shin, A. Ramdas, A. Rinaldo,
  E-detectors, New England J. Stat. Data Sci. 2 (2024) 229-260).  Exact for scores in [0, 1], not for shares alone: the
  mixture's likelihood ratio is convex in each score.
- *Input mix* (length, language, kind of question): the last day against earlier ones; users, not calls, are what
  chance shuffles; it must show in two looks in a row and be large enough to matter.
- *Model*: within one release the model that a target answers with is the provider's to change, and this tells.

Every finding names what it was held against and the counts behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from math import log
from typing import Final, Literal

import msgspec

from roadworthy.inference_log.counting import counted
from roadworthy.inference_log.model import Rating, StatsRow
from roadworthy.statistics.drift import Shift, mix_shift
from roadworthy.statistics.eprocess import log_above
from roadworthy.statistics.rates import wilson_upper

DAY: Final = 86_400.0
WEEK: Final = 7 * DAY

RECENT: Final = 14 * DAY
"""How long the test that is begun on a day is looked at."""
FIRST_WEEKS: Final = 28 * DAY
"""Of a release: what its later scores are held against."""
HISTORY: Final = 90 * DAY
LEVEL: Final = 0.001
TOLERANCE: Final = 0.02
"""Of a mean score: a smaller fall is not worth a person's time."""
LEAST_REFERENCE: Final = 50
LEAST_SCORES: Final = 20
LEAST_SHORTFALL: Final = 3.0
"""Whole bad answers' worth that must be seen."""

MIX_LEVEL: Final = 0.0002
MIX_DRAWS: Final = 9999
LEAST_BITS: Final = 0.02
"""A bucket that goes from 10 % to 21 % of the calls, about."""
LEAST_USERS: Final = 50
"""In either period."""
MIX_FROM: Final = 3 * DAY
SEASONS_FROM: Final = 22 * DAY
SEASONS: Final = 3
"""Earlier weeks whose same day the last one is held against."""

MODEL_HISTORY: Final = 7 * DAY
LEAST_KNOWN: Final = 20
"""Calls that earlier models must have answered: before that nothing is usual."""
LEAST_NEW: Final = 3

What = Literal["score", "mix", "model"]


class Drift(msgspec.Struct, frozen=True):
    """Something that changed by itself."""

    workflow: str
    what: What
    key: str
    """The same for the same thing at every look."""
    title: str
    text: str
    """For a person: regime, counts, what to do."""
    inference: str = ""
    """One that shows it."""


class Gated(msgspec.Struct, frozen=True):
    """What a gate's run came to on one score."""

    mean: float
    n: int


def scores(
    workflow: str, ratings: Sequence[Rating], now: float, gated: Callable[[str, str], Gated | None]
) -> list[Drift]:
    """``ratings``: of ``HISTORY``, oldest first; ``gated``: (release, score) → its gate's run."""
    series: dict[tuple[str, str], list[Rating]] = {}
    for each in ratings:
        if each.digest is not None:
            series.setdefault((each.digest, each.name), []).append(each)
    found = (_score(workflow, *key, rows, now, gated) for key, rows in sorted(series.items()))
    return [each for each in found if each is not None]


def _score(
    workflow: str, digest: str, name: str, rows: Sequence[Rating], now: float,
    gated: Callable[[str, str], Gated | None],
) -> Drift | None:  # fmt: skip
    today = now // DAY * DAY
    first = rows[0].ts
    end = min(first + FIRST_WEEKS, today - RECENT)
    usual = _worth([each for each in rows if each.ts < end])
    regime = "its first weeks"
    if usual.n < LEAST_REFERENCE:
        gate = gated(digest, name)
        if gate is None or gate.n < LEAST_REFERENCE:
            return None
        usual, regime = _Worth((1 - gate.mean) * gate.n, float(gate.n), gate.n), "its gate's run"
    least = min(wilson_upper(usual.short, usual.n) + TOLERANCE, 0.99)
    for start in (today - RECENT + day * DAY for day in range(int(RECENT / DAY) + 1)):
        since = [each for each in rows if each.ts >= max(start, end)]
        recent = _worth(since)
        if recent.n < LEAST_SCORES or recent.short < LEAST_SHORTFALL:
            continue
        if log_above(recent.short, recent.n, least) >= log(1 / LEVEL):
            return _fallen(workflow, digest, name, since, recent, usual, regime)
    return None


class _Worth(msgspec.Struct, frozen=True):
    """Scores, with those of one user counting as fewer."""

    short: float
    """What they fall short of 1, in sum."""
    n: float
    calls: int


def _worth(rows: Sequence[Rating]) -> _Worth:
    users: dict[str, list[float]] = {}
    for each in rows:
        users.setdefault(each.user, []).append(1.0 - each.score)
    found = counted(users.values(), mean=False)
    return _Worth(min(found.alone_total, found.alone), found.alone, len(rows))


def _fallen(
    workflow: str, digest: str, name: str, since: Sequence[Rating], recent: _Worth, usual: _Worth, regime: str
) -> Drift:
    mean, before = 1 - recent.short / recent.n, 1 - usual.short / usual.n
    worst = min(since, key=lambda each: (each.score, -each.ts))
    text = (
        f"{name} averages {mean:.2f} over the last {len(since)} scored calls, {before:.2f} in {regime} "
        f"({usual.calls} scores), by the same release {digest[:12]} (always-valid test, level {LEVEL:g}). The release "
        f"did not change, so what comes in or the model did. Look at one: roadworthy show {worst.inference}; put it "
        f"into the examples: roadworthy evals add {worst.inference}"
    )
    title = f"{workflow}: {name} fell from {before:.2f} to {mean:.2f}"
    return Drift(workflow, "score", f"drift/score/{workflow}/{digest}/{name}", title, text, worst.inference)


# --- what comes in


class Asked(msgspec.Struct, frozen=True):
    """One call: who asked, and into which bucket of each feature its question falls."""

    user: str
    inference: str
    buckets: Mapping[str, str]


def periods(first: float, now: float) -> tuple[list[tuple[float, float]], str]:
    """(Spans of the reference, regime) for the last day; no spans: it is too early to say what is usual."""
    begin = now - DAY
    if now - first >= SEASONS_FROM:
        return [(begin - week * WEEK, now - week * WEEK) for week in range(1, SEASONS + 1)], (
            f"the same day of the {SEASONS} weeks before"
        )
    if begin - first >= MIX_FROM:
        return [(max(first, begin - WEEK), begin)], "the days before"
    return [], ""


def mixes(workflow: str, before: Sequence[Asked], now: Sequence[Asked], regime: str, *, seed: int = 1) -> list[Drift]:
    """One finding a feature at most; whether it persists is for whoever looks again."""
    names = sorted({name for each in (*before, *now) for name in each.buckets})
    found = (_mix(workflow, name, before, now, regime, seed) for name in names)
    return [each for each in found if each is not None]


def _mix(
    workflow: str, feature: str, before: Sequence[Asked], now: Sequence[Asked], regime: str, seed: int
) -> Drift | None:
    old, new = _by_user(before, feature), _by_user(now, feature)
    if min(len(old), len(new)) < LEAST_USERS:
        return None
    shift = mix_shift(old, new, seed=seed, draws=MIX_DRAWS)
    if shift.bits < LEAST_BITS or shift.p > MIX_LEVEL:
        return None
    example = next((each.inference for each in reversed(now) if each.buckets.get(feature) == shift.bucket), "")
    return Drift(
        workflow, "mix", f"drift/mix/{workflow}/{feature}",
        f"{workflow}: other questions come in than before ({feature})",
        _mixed(feature, shift, regime, len(now), len(new), len(before), example), example,
    )  # fmt: skip


def _mixed(feature: str, shift: Shift, regime: str, calls: int, users: int, earlier: int, example: str) -> str:
    look = f" Look at one: roadworthy show {example}." if example else ""
    return (
        f"{feature} '{shift.bucket}' makes up {shift.now:.0%} of the last day's questions ({calls} calls of {users} "
        f"users looked at), {shift.before:.0%} on {regime} ({earlier} calls); {shift.bits:.3f} bits apart, chance does "
        f"that in {shift.p:.2%} of cases at most.{look} What was measured on the examples may no longer hold: "
        "roadworthy evals capture brings such questions into them."
    )


def _by_user(asked: Iterable[Asked], feature: str) -> list[dict[str, int]]:
    users: dict[str, dict[str, int]] = {}
    for each in asked:
        if feature in each.buckets:
            counts = users.setdefault(each.user, {})
            counts[each.buckets[feature]] = counts.get(each.buckets[feature], 0) + 1
    return list(users.values())


# --- who answers


def models(rows: Sequence[StatsRow], zone: tzinfo) -> list[Drift]:
    """``rows``: live calls by workflow, release, target, model and hour, of ``MODEL_HISTORY``."""
    targets: dict[tuple[str, str, str], dict[str, dict[float, int]]] = {}
    for row in rows:
        group = row.group
        workflow, digest, target, model = (group.get(name) for name in ("workflow", "release", "target", "model"))
        if workflow and digest and target and model:
            hour = datetime.fromisoformat(group["hour"] or "").timestamp()
            hours = targets.setdefault((workflow, digest, target), {}).setdefault(model, {})
            hours[hour] = hours.get(hour, 0) + row.count
    found = []
    for (workflow, digest, target), seen in sorted(targets.items()):
        for model in sorted(seen):
            drift = _model(workflow, digest, target, model, seen, zone)
            if drift is not None:
                found.append(drift)
    return found


def _model(
    workflow: str, digest: str, target: str, model: str, seen: Mapping[str, Mapping[float, int]], zone: tzinfo
) -> Drift | None:
    """``None``: it is not new, or too few calls say so."""
    since, calls = min(seen[model]), sum(seen[model].values())
    before = {
        other: sum(count for hour, count in hours.items() if hour < since)
        for other, hours in seen.items() if other != model
    }  # fmt: skip
    known = sum(before.values())
    if calls < LEAST_NEW or known < LEAST_KNOWN:
        return None
    together = sum(count for hours in seen.values() for hour, count in hours.items() if hour >= since)
    usual = max(before, key=lambda each: before[each])
    when = datetime.fromtimestamp(since, zone).strftime("%a %d %b %H:%M")
    text = (
        f"{model} answered {calls} of the {together} calls since {when}; {usual} did before ({before[usual]} of "
        f"{known} in {MODEL_HISTORY / DAY:.0f} days). Release {digest[:12]} did not change: the provider did. Its gate "
        f"was passed by the other model: roadworthy evals run {workflow}"
    )
    title = f"{workflow}: target {target} answers with another model ({model})"
    return Drift(workflow, "model", f"drift/model/{workflow}/{digest}/{target}/{model}", title, text)
