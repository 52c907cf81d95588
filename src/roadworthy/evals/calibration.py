"""How far a judge that is a model may be trusted: it scores what people have scored, and the two are compared.

Pure.  Values are the named ones of the rubric; an answer is *good* when its value's score is at least one half.  The
verdict stands on the held-out part where that is large enough (nobody tuned the judge's prompt on it), else on all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final

import msgspec

from roadworthy.evidence.kinds import DAY, Verdict
from roadworthy.statistics.agreement import alpha_interval, kappa_interval
from roadworthy.statistics.estimate import Estimate
from roadworthy.statistics.judged import Recognises, mcnemar, recognises, worth_labels

LIFE: Final = 90 * DAY
"""Seconds that a calibration is good for, while judge and rubric stay as they are."""
LEAST: Final = 50
"""Hand-scored answers under which nothing is decided."""
LEAST_OF_EACH: Final = 10
"""Good ones, and bad ones, that people must have seen: a judge that always says "good" must not look well."""
LEAST_KAPPA: Final = 0.4
"""What agreement must be proven to reach: "moderate" (J. Landis and G. Koch, Biometrics 33 (1977) 159-174)."""
LEAST_CONSISTENT: Final = 0.8
"""Of pairs, in which a pairwise judge says the same when the answers change places."""
GOOD: Final = 0.5
JUDGED_BESIDE: Final = 1000
"""Answers that the judge scores alone, by which its worth in hand scores is shown."""
MOST_NEEDED: Final = 20_000


class Rated(msgspec.Struct, frozen=True):
    """One answer that people and the judge have scored."""

    item: str
    people: list[str]
    """Named values, one a rater."""
    judge: str
    held_out: bool = False


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """The judge against people, on one part of the answers.  Intervals at 95 %."""

    n: int
    kappa: Estimate
    """Cohen's, over the named values; the value of the people is the middle one, of two the worse."""
    weighted: Estimate
    """Of two values that lie near, a smaller disagreement: squared distance of their scores."""
    alpha: Estimate
    """Krippendorff's, of all people and the judge together."""
    people: Estimate | None
    """Krippendorff's α of the people among themselves; ``None``: no answer has two raters, or they gave one value."""
    recognises: Recognises
    lenient: float
    """Mean score of the judge minus that of people."""
    leaning_p: float
    """McNemar's: does it call more, or fewer, answers good than people do?"""
    worth: float
    """Hand scores that these and ``JUDGED_BESIDE`` answers scored by the judge alone are worth."""


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """What a calibration came to."""

    verdict: Verdict
    why: list[str]
    whole: Agreement
    held_out: Agreement | None
    """``None``: no hand-scored answer is held out."""
    unscored: int
    """Answers of which the judge could make nothing; they count against it."""
    swapped: Estimate | None = None
    """Share of pairs in which a pairwise judge was consistent."""
    needed: int | None = None
    """Hand-scored answers at which this agreement would be proven."""
    at: float
    lapses_at: float


class Calibration(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One judge, held against people.  Fixed before its first question; sealed."""

    id: str
    """``cal_`` + 16 hex digits."""
    team: str
    workflow: str
    scorer: str
    """Name of its score."""
    identity: str
    """``jdg_`` + 64 hex digits: the frozen behaviour of the judge's workflow, its scorer's arguments and version."""
    judge: str
    """The workflow that answers."""
    rubric: str
    """Digest of its text."""
    values: dict[str, float]
    """Named value → score."""
    items: list[str]
    """The answers, as ``item_of`` names them."""
    usd: float | None
    """Most that it may cost; ``None``: no limit was set."""
    began: float
    by: str
    on_behalf_of: str = ""
    concluded: Conclusion | None = None


def item_of(example: str, answer: str) -> str:
    """Name of a hand-scored answer: the example, and a digest of the answer's text."""
    return f"{example}/{answer}"


def compare(rated: Sequence[Rated], values: Mapping[str, float]) -> Agreement:
    """``values``: named value → score.  Raises ``ValueError`` for no answers, or a value that the rubric has not."""
    people = [middle(each.people, values) for each in rated]
    judge = [each.judge for each in rated]
    hand, said = [values[each] for each in people], [values[each] for each in judge]
    among = [each.people for each in rated if len(each.people) > 1]
    differ = len({value for each in among for value in each}) > 1  # else there is nothing that they could agree on
    good = [score >= GOOD for score in hand], [score >= GOOD for score in said]
    more = sum(b and not a for a, b in zip(*good, strict=True))
    fewer = sum(a and not b for a, b in zip(*good, strict=True))
    return Agreement(
        n=len(rated),
        kappa=kappa_interval(people, judge),
        weighted=kappa_interval(people, judge, weights="quadratic", scores=values),
        alpha=alpha_interval([[*each.people, each.judge] for each in rated]),
        people=alpha_interval(among) if differ else None,
        recognises=recognises(*good),
        lenient=(sum(said) - sum(hand)) / len(rated),
        leaning_p=mcnemar(more, fewer).p,
        worth=worth_labels(hand, said, JUDGED_BESIDE) if len(rated) > 1 else float(len(rated)),
    )


def conclude(
    rated: Sequence[Rated], values: Mapping[str, float], now: float, *, unscored: int = 0,
    swapped: Estimate | None = None,
) -> Conclusion:  # fmt: skip
    """``unscored``: hand-scored answers of which the judge could make nothing.  Raises as ``compare``."""
    whole = compare(rated, values)
    apart = [each for each in rated if each.held_out]
    held_out = compare(apart, values) if apart else None
    stands_on, name = whole, "all"
    if held_out is not None and held_out.n >= LEAST:
        stands_on, name = held_out, "held-out"
    verdict, why = _decided(stands_on, name, unscored / (unscored + len(rated)), swapped)
    needed = _needed(stands_on) if verdict == "INSUFFICIENT" else None
    if needed is not None and needed > stands_on.n:
        why.append(f"about {needed} hand-scored answers would decide")
    return Conclusion(
        verdict=verdict, why=why, whole=whole, held_out=held_out, unscored=unscored, swapped=swapped, needed=needed,
        at=now, lapses_at=now + LIFE,
    )  # fmt: skip


def middle(people: Sequence[str], values: Mapping[str, float]) -> str:
    """The value that stands for what several raters said.  Raises ``ValueError`` for a word that is no value."""
    unknown = next((each for each in people if each not in values), None)
    if unknown is not None or not people:
        raise ValueError(f"'{unknown}' is no value of the rubric; expected one of {', '.join(values)}")
    ordered = sorted(people, key=lambda each: values[each])
    return ordered[(len(ordered) - 1) // 2]


def nearest(value: float, values: Mapping[str, float]) -> str:
    """The named value that a bare number means; of two as near, the worse."""
    return min(values, key=lambda name: (abs(values[name] - value), values[name]))


def in_force(found: Calibration | None, identity: str, rubric: str, now: float) -> str:
    """Why this calibration does not vouch for that judge now, in words; empty: it does.

    Fails closed: what was never calibrated, was by another judge or rubric, or long ago, vouches for nothing.
    """
    if found is None or found.concluded is None:
        return "it was never calibrated against hand scores"
    if found.rubric != rubric:
        return "the rubric was changed since it was calibrated"
    if found.identity != identity:
        return "its model, prompt, parameters or arguments are others than when it was calibrated"
    if now >= found.concluded.lapses_at:
        return f"its calibration lapsed: one is good for {LIFE / DAY:.0f} days"
    if found.concluded.verdict != "PASS":
        return f"its calibration came to {found.concluded.verdict}: {found.concluded.why[0]}"
    return ""


def _decided(found: Agreement, name: str, lost: float, swapped: Estimate | None) -> tuple[Verdict, list[str]]:
    kappa, seen = found.kappa, found.recognises
    telling = found.n >= LEAST and min(seen.good, seen.bad) >= LEAST_OF_EACH
    if kappa.upper < LEAST_KAPPA and telling:
        return "FAIL", [f"it does not agree with people: kappa {_said(kappa)}, at least {LEAST_KAPPA} is needed"]
    if swapped is not None and swapped.upper < LEAST_CONSISTENT:
        return "FAIL", [f"it prefers a place, not an answer: consistent {_said(swapped)} of the pairs"]
    if lost > 1 - LEAST_CONSISTENT and found.n >= LEAST:
        return "FAIL", [f"it could make nothing of {lost:.0%} of the answers"]
    why = []
    if found.n < LEAST:
        why.append(f"{found.n} of at least {LEAST} hand-scored answers ({name})")
    for word, count in (("good", seen.good), ("bad", seen.bad)):
        if count < LEAST_OF_EACH:
            why.append(f"people called {count} of them {word}; at least {LEAST_OF_EACH} are needed")
    if kappa.lower < LEAST_KAPPA and telling:
        why.append(f"kappa {_said(kappa)} ({name}); at least {LEAST_KAPPA} must be proven")
    if swapped is not None and swapped.value < LEAST_CONSISTENT:
        why.append(f"consistent in {_said(swapped)} of the pairs; at least {LEAST_CONSISTENT} is needed")
    return ("INSUFFICIENT", why) if why else ("PASS", [])


def _needed(found: Agreement) -> int | None:
    """Hand-scored answers at which the figures as they are would decide: a bound comes nearer with the root of n."""
    rarer = min(found.recognises.good, found.recognises.bad)
    each = ceil(found.n * LEAST_OF_EACH / rarer) if rarer else 2 * LEAST_OF_EACH
    least = max(LEAST, each)
    kappa = found.kappa
    if kappa.lower >= LEAST_KAPPA or kappa.value == LEAST_KAPPA:
        return least
    edge = kappa.lower if kappa.value > LEAST_KAPPA else kappa.upper
    needed = max(least, ceil(found.n * ((edge - kappa.value) / (LEAST_KAPPA - kappa.value)) ** 2))
    return needed if needed <= MOST_NEEDED else None


def _said(each: Estimate) -> str:
    return f"{each.value:.2f} ({each.lower:.2f} to {each.upper:.2f})"
