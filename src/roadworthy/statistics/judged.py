"""A judge that is sometimes wrong, held against people: how good it is, and what its scores are worth.

No numpy: the counts are small and come one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, erfc, sqrt
from statistics import NormalDist, fmean

import msgspec

from roadworthy.statistics.estimate import Estimate
from roadworthy.statistics.rates import wilson_interval

EXACT_UNDER = 25
"""Discordant pairs under which McNemar's test is the exact binomial one."""
_NORMAL = NormalDist()


class McNemar(msgspec.Struct, frozen=True):
    """Did two versions differ on the same examples?  Reported beside a verdict, never the verdict."""

    gained: int
    lost: int
    p: float
    """Two-sided."""
    chi2: float | None
    """With continuity correction, one degree of freedom; ``None``: the exact test was used."""


def mcnemar(gained: int, lost: int) -> McNemar:
    """Exact below ``EXACT_UNDER`` discordant pairs, else (|b - c| - 1)² / (b + c).  Raises ``ValueError``.

    Source: Q. McNemar, Psychometrika 12 (1947) 153-157; correction: A. L. Edwards, Psychometrika 13 (1948) 185-187.
    """
    if gained < 0 or lost < 0:
        raise ValueError(f"{gained} and {lost} are not counts")
    n = gained + lost
    if n < EXACT_UNDER:
        return McNemar(gained, lost, _sign_test(gained, lost), None)
    chi2 = max(abs(gained - lost) - 1, 0) ** 2 / n
    return McNemar(gained, lost, erfc(sqrt(chi2 / 2)), chi2)


def mean_errors(new: Sequence[float], old: Sequence[float]) -> tuple[float, float]:
    """Standard error of the difference of two means on the same examples: (paired, as if they were unpaired).

    Raises ``ValueError`` for fewer than two pairs.  Source: E. Miller, arXiv 2411.00640, §3 (population variances / n).
    """
    if len(new) != len(old) or len(new) < 2:
        raise ValueError(f"{len(new)} and {len(old)} scores: expected the same examples, at least two")
    n = len(new)
    paired = _variance([a - b for a, b in zip(new, old, strict=True)]) / n
    return sqrt(paired), sqrt(_variance(new) / n + _variance(old) / n)


class Recognises(msgspec.Struct, frozen=True):
    """What a judge makes of answers that people called good, and of those that they called bad."""

    good: int
    """Called good by people."""
    bad: int
    sensitivity: Estimate
    """Of the good ones, the share that the judge calls good; Wilson interval."""
    specificity: Estimate
    """Of the bad ones, the share that the judge calls bad."""


def recognises(people: Sequence[bool], judge: Sequence[bool], confidence: float = 0.95) -> Recognises:
    """``True`` is good.  Raises ``ValueError`` for lists of different length."""
    pairs = list(zip(people, judge, strict=True))
    good = [said for truth, said in pairs if truth]
    bad = [not said for truth, said in pairs if not truth]
    return Recognises(len(good), len(bad), _share(good, confidence), _share(bad, confidence))


class Swapped(msgspec.Struct, frozen=True):
    """Pairwise comparisons, each asked in both orders."""

    pairs: int
    consistent: Estimate
    """Share in which the judge prefers the same answer either way; Wilson interval."""
    first: int
    """Of the others: how often the answer that stood first won twice…"""
    second: int
    """…and how often the second did."""
    p: float
    """Exact two-sided p-value of "neither place is preferred"."""


def swap_consistency(
    forward: Sequence[str], swapped: Sequence[str], ties: str = "tie", confidence: float = 0.95
) -> Swapped:
    """``forward[i]`` and ``swapped[i]``: which *place* won, ``first`` or ``second`` (or ``ties``), before and after the
    two answers changed places.  Raises ``ValueError`` for any other word or lists of different length."""
    words = {"first": "second", "second": "first", ties: ties}
    for word in (*forward, *swapped):
        if word not in words:
            raise ValueError(f"{word!r} is no place: expected 'first', 'second' or {ties!r}")
    pairs = list(zip(forward, swapped, strict=True))
    same = [a == words[b] for a, b in pairs]
    first = sum(a == b == "first" for a, b in pairs)
    second = sum(a == b == "second" for a, b in pairs)
    return Swapped(len(pairs), _share(same, confidence), first, second, _sign_test(first, second))


class Unusable(ValueError):
    """The judge is no better than a coin, so nothing follows from what it says."""


def rogan_gladen(
    said_good: int, judged: int, specificity: tuple[int, int], sensitivity: tuple[int, int], confidence: float = 0.95
) -> Estimate:
    """True share of good answers behind what an imperfect judge said of ``judged`` answers.

    θ = (p + q₀ - 1)/(q₀ + q₁ - 1) with q₀ ``specificity`` and q₁ ``sensitivity``, each (right, of so many hand-scored
    ones); clipped to [0, 1].  The interval carries the uncertainty of all three, with adjusted counts.  Raises
    ``Unusable`` unless q₀ + q₁ > 1 and ``ValueError`` for counts that cannot be.
    Source: W. Rogan and B. Gladen, Am. J. Epidemiol. 107 (1978) 71-76; interval: C. Lee et al., arXiv 2511.21140,
    after J. Lang and J. Reiczigel, Prev. Vet. Med. 113 (2014) 13-22.
    """
    (right0, m0), (right1, m1) = specificity, sensitivity
    if not 0 <= said_good <= judged or not 0 <= right0 <= m0 or not 0 <= right1 <= m1 or not judged or not m0 or not m1:
        raise ValueError(f"{said_good} of {judged}, {right0} of {m0} and {right1} of {m1} are not shares")
    point = _corrected(said_good / judged, right0 / m0, right1 / m1)
    z = _NORMAL.inv_cdf(0.5 + confidence / 2)
    n, p = judged + z**2, (said_good + z**2 / 2) / (judged + z**2)
    q0, q1, m0a, m1a = (right0 + 1) / (m0 + 2), (right1 + 1) / (m1 + 2), m0 + 2, m1 + 2
    if q0 + q1 <= 1:
        return Estimate(_clip(point), 0.0, 1.0)
    theta = (p + q0 - 1) / (q0 + q1 - 1)
    v0, v1 = q0 * (1 - q0) / m0a, q1 * (1 - q1) / m1a
    shift = 2 * z**2 * (-(1 - theta) * v0 + theta * v1)
    error = z * sqrt(p * (1 - p) / n + (1 - theta) ** 2 * v0 + theta**2 * v1) / (q0 + q1 - 1)
    low, high = _clip(theta + shift - error), _clip(theta + shift + error)
    return Estimate(_clip(point), min(low, _clip(point)), max(high, _clip(point)))


class Powered(msgspec.Struct, frozen=True):
    """A mean estimated from a few hand scores and many of the judge."""

    mean: Estimate
    trust: float
    """λ in [0, 1]: 0, the judge adds nothing; 1, its scores count whole."""
    labels: int
    """Hand scores."""
    worth: float
    """Hand scores that would estimate the mean as well: ``labels``, and what the judge adds."""


def prediction_powered(
    hand: Sequence[float], judge: Sequence[float], unlabelled: Sequence[float], confidence: float = 0.95
) -> Powered:
    """PPI++ mean: θ = λ · mean(f_unlabelled) + mean(y - λ f), whatever the judge is good for.

    ``hand`` y and ``judge`` f of the same n answers, ``unlabelled`` f of N others of the same kind;
    λ = Cov(y, f)/((1 + n/N) Var f), clipped to [0, 1].  Raises ``ValueError`` for fewer than two hand scores.
    Source: A. Angelopoulos, J. Duchi, T. Zrnic, arXiv 2311.01453.
    """
    n, big = len(hand), len(unlabelled)
    if n < 2 or len(judge) != n:
        raise ValueError(f"{n} hand scores and {len(judge)} of the judge: expected the same answers, at least two")
    trust = _trust(hand, judge, big)
    rest = [y - trust * f for y, f in zip(hand, judge, strict=True)]
    mean = fmean(rest) + (trust * fmean(unlabelled) if big else 0.0)
    variance = _variance(rest) * n / (n - 1) / n
    if big > 1:
        variance += trust**2 * _variance(unlabelled) / big
    z = _NORMAL.inv_cdf(0.5 + confidence / 2)
    z *= 1 + (z * z + 1) / (4 * (n - 1))  # Student's t, to first order: few hand scores
    plain = _variance(hand) / (n - 1)
    worth = float(n) if variance <= 0 or plain <= 0 else max(float(n), n * plain / variance)
    return Powered(Estimate(mean, mean - z * sqrt(variance), mean + z * sqrt(variance)), trust, n, worth)


def worth_labels(hand: Sequence[float], judge: Sequence[float], judged: int) -> float:
    """Hand scores that n of them and ``judged`` answers scored by the judge alone are worth: n / (1 - ρ² N/(n + N)).

    What ``prediction_powered`` comes to for N answers like these.  A judge that agrees everywhere: n + N.
    """
    n = len(hand)
    if n < 2 or len(judge) != n:
        raise ValueError(f"{n} hand scores and {len(judge)} of the judge: expected the same answers, at least two")
    spread = _variance(hand) * _variance(judge)
    shared = max(_covariance(hand, judge), 0.0) ** 2 / spread if spread > 0 else 0.0
    return n / (1 - min(shared, 1.0) * judged / (n + judged))


def _trust(hand: Sequence[float], judge: Sequence[float], unlabelled: int) -> float:
    spread = _variance(judge)
    if not unlabelled or spread <= 0:
        return 0.0
    return _clip(_covariance(hand, judge) / ((1 + len(hand) / unlabelled) * spread))


def _corrected(p: float, q0: float, q1: float) -> float:
    if q0 + q1 <= 1:
        raise Unusable(f"sensitivity {q1:.2f} and specificity {q0:.2f} are together no better than a coin")
    return (p + q0 - 1) / (q0 + q1 - 1)


def _sign_test(one: int, other: int) -> float:
    n = one + other
    return float(min(1.0, 2 * sum(comb(n, k) for k in range(min(one, other) + 1)) / 2**n))


def _share(right: Sequence[bool], confidence: float) -> Estimate:
    n, k = len(right), sum(right)
    lower, upper = wilson_interval(k, n, confidence)
    return Estimate(k / n if n else 0.0, lower, upper)


def _variance(values: Sequence[float]) -> float:
    middle = fmean(values)
    return fmean((value - middle) ** 2 for value in values)


def _covariance(one: Sequence[float], other: Sequence[float]) -> float:
    a, b = fmean(one), fmean(other)
    return fmean((x - a) * (y - b) for x, y in zip(one, other, strict=True))


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)
