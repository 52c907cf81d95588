"""The gate: scores of a run → PASS, FAIL or INSUFFICIENT.  Pure.

In this order.  FAIL: a critical example was not answered well; the observed share is below a declared floor; or the
score is worse than the release before for certain (upper bound below 0) and possibly by more than the margin.  PASS:
the lower bound is above -margin; of a first release, every floor is proven.  Else INSUFFICIENT, with the number of
examples that would decide.  Under 50 examples nothing passes.

An example that was not answered counts as bad towards PASS and as good towards FAIL, so that nothing is gained by one
that is left out.  Repeats are averaged example by example, never chosen.  PASS asks for everything at once, so no bound
need be corrected for there being several floors; slices are looked at one by one, so their bounds are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from roadworthy.evals.model import (
    CriticalFailure,
    Example,
    FloorResult,
    Judgement,
    PairResult,
    SliceResult,
)
from roadworthy.evals.planning import needed_for, what_it_sees
from roadworthy.evals.rules import Scores
from roadworthy.evals.wording import percent, signed
from roadworthy.evidence.kinds import Verdict
from roadworthy.evidence.receipt.rules import LEAST_EXAMPLES
from roadworthy.statistics.means import difference_lower, difference_upper, share_bounds
from roadworthy.statistics.paired import pairs_to_pass

DEFAULT_FLOOR: Final = 0.80
"""Of a primary score for which nobody declared one."""
LEAST_SLICE: Final = 5
"""Examples under which a slice says nothing."""
ERROR: Final = 0.05
_TINY: Final = 1e-9

Found = Mapping[str, float]
"""Example → score."""


class Asked(msgspec.Struct, frozen=True):
    """The examples of a run, as far as they decide."""

    ids: tuple[str, ...]
    clusters: Mapping[str, str] = {}
    """Example → user or thread; those without one are missing."""
    tags: Mapping[str, Mapping[str, str]] = {}
    critical: frozenset[str] = frozenset()
    lacking: Mapping[str, frozenset[str]] = {}
    """Score → examples that do not say what would be right for it."""

    @classmethod
    def of(cls, items: Iterable[Example], lacking: Mapping[str, frozenset[str]] | None = None) -> Asked:
        found = list(items)
        return cls(
            tuple(each.id for each in found),
            {each.id: each.cluster for each in found if each.cluster},
            {each.id: each.tags for each in found if each.tags},
            frozenset(each.id for each in found if each.critical),
            lacking or {},
        )

    def scored_by(self, name: str) -> list[str]:
        left_out = self.lacking.get(name, frozenset())
        return [each for each in self.ids if each not in left_out]

    def labels(self, ids: Sequence[str]) -> list[str] | None:
        """A label for each; ``None``: nobody declared a cluster."""
        return [self.clusters.get(each, each) for each in ids] if self.clusters else None


class Beside(msgspec.Struct, frozen=True):
    """The release that a run is held against."""

    number: int
    scores: Scores | None
    """On the same examples; ``None``: it never ran on them, so nothing can PASS."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What was declared before the run."""

    floors: Mapping[str, float]
    margin: float = 0.10
    primary: str = ""
    """Empty: every score with a floor decides."""
    slices: Sequence[str] = ()
    graded: Collection[str] = ()
    """Scores between 0 and 1: a critical example must reach their floor, of others 1."""
    uncarried: Mapping[str, str] = {}
    """Score → why it may not carry a floor (an uncalibrated judge)."""

    @property
    def deciding(self) -> list[str]:
        return [self.primary] if self.primary else list(self.floors)


def judge(
    scores: Scores,
    asked: Asked,
    terms: Terms,
    *,
    beside: Beside | None = None,
    elsewhere: Mapping[str, Scores] | None = None,
    repeats: int = 1,
) -> Judgement:
    """``elsewhere``: target → scores of the critical examples that were asked of it."""
    n = len(asked.ids)
    floors = [_floor(name, least, scores.get(name, {}), asked, terms, beside) for name, least in terms.floors.items()]
    pairs = [] if beside is None or beside.scores is None else paired(scores, beside.scores, asked, terms)
    slices = _slices(scores, beside, asked, terms)
    failed = critical_failed(scores, asked, terms)
    there = {each: critical_failed(found, asked, terms, each) for each, found in (elsewhere or {}).items()}
    unanswered = max((_missing(scores.get(name, {}), asked.scored_by(name)) for name in terms.floors), default=n)
    why = _why(floors, pairs, slices, n, unanswered, terms)
    if beside is not None and beside.scores is None:
        why.append(
            f"release {beside.number} has a receipt and was never run on this set, so the two cannot be compared"
        )
    if failed:
        why.insert(0, f"{len(failed)} of {len(asked.critical)} critical examples were not answered well")
    verdicts = [each.verdict for each in floors] + [each.verdict for each in pairs if each.decides]
    verdict: Verdict = "INSUFFICIENT"
    if failed or "FAIL" in verdicts or any(each.failed for each in slices):
        verdict = "FAIL"
    elif verdicts and all(each == "PASS" for each in verdicts) and not why:
        verdict = "PASS"
    return Judgement(
        verdict=verdict, floors_met=bool(floors) and all(each.met for each in floors), examples=n,
        unanswered=unanswered, floors=floors, pairs=pairs, against=None if beside is None else beside.number,
        repeats=repeats, slices=slices, critical=len(asked.critical),
        critical_failed=[*failed, *(each for found in there.values() for each in found)],
        targets={target: not found for target, found in there.items()}, why=why,
        scores={name: _mean(found, asked.scored_by(name)) for name, found in scores.items()},
        sees=what_it_sees(n, terms.floors, terms.margin, compared=beside is not None),
    )  # fmt: skip


def worse_within(pair: PairResult) -> bool:
    """It passes, and is worse for certain."""
    return pair.verdict == "PASS" and pair.upper < 0


# --- floors


def _floor(name: str, least: float, found: Found, asked: Asked, terms: Terms, beside: Beside | None) -> FloorResult:
    """A first release must prove the floor; beside one before, it is enough that the sample holds it."""
    ids = asked.scored_by(name)
    n = len(ids)
    clusters = asked.labels(ids)
    good = [found.get(each, 0.0) for each in ids]
    best = [found.get(each, 1.0) for each in ids]
    share = sum(good) / n if n else 0.0
    lower, upper = share_bounds(good, clusters)[0], share_bounds(best, clusters)[1]
    carried = name not in terms.uncarried
    met = n > 0 and share >= least - _TINY and carried
    verdict: Verdict = "INSUFFICIENT"
    if n and sum(best) / n < least - _TINY and carried:
        verdict = "FAIL"
    elif carried and (lower >= least or (met and beside is not None)):
        verdict = "PASS"
    return FloorResult(
        name=name, floor=least, share=share, lower=lower, upper=upper, met=met, verdict=verdict, examples=n,
        needed=None if lower >= least else needed_for(share, least),
    )  # fmt: skip


# --- beside the release before


def paired(new: Scores, old: Scores, asked: Asked, terms: Terms) -> list[PairResult]:
    """Each deciding score and each with a floor, over the examples that say what is right for it."""
    names = list(dict.fromkeys([*terms.deciding, *terms.floors]))
    return [_pair(name, new.get(name, {}), old.get(name, {}), asked, terms) for name in names]


def _pair(name: str, new: Found, old: Found, asked: Asked, terms: Terms) -> PairResult:
    """What may not carry a floor decides nothing here either: neither for a release nor against it."""
    ids, margin = asked.scored_by(name), terms.margin
    n = len(ids)
    known = [new[each] - old[each] for each in ids if each in new and each in old]
    gained, lost = sum(d for d in known if d > 0), -sum(d for d in known if d < 0)
    low, high = _bounds(new, old, ids, asked.labels(ids), ERROR)
    verdict: Verdict = "INSUFFICIENT"
    carried = name not in terms.uncarried
    if high < 0 and low <= -margin and carried:
        verdict = "FAIL"
    elif low > -margin and carried:
        verdict = "PASS"
    needed = None
    if verdict == "INSUFFICIENT" and carried and 0 < margin < 1 and n:
        discordant = min(max((gained + lost) / n, margin**2, 1 / n), 1.0)
        needed = max(n + 1, pairs_to_pass(margin, discordant))
    return PairResult(
        name=name, gained=gained, lost=lost, difference=(gained - lost) / n if n else 0.0, lower=low, upper=high,
        margin=margin, verdict=verdict, needed=needed, decides=name in terms.deciding, mcnemar=_mcnemar(known),
    )  # fmt: skip


def _bounds(
    new: Found, old: Found, ids: Sequence[str], clusters: Sequence[str] | None, error: float
) -> tuple[float, float]:
    """One that either did not answer counts as lost towards PASS and as gained towards FAIL."""
    both = [each in new and each in old for each in ids]
    worst = [new[each] - old[each] if there else -1.0 for each, there in zip(ids, both, strict=True)]
    best = [new[each] - old[each] if there else 1.0 for each, there in zip(ids, both, strict=True)]
    return difference_lower(worst, clusters, 1 - error), difference_upper(best, clusters, 1 - error)


def _mcnemar(differences: Sequence[float]) -> float | None:
    from roadworthy.statistics.judged import mcnemar  # loads numpy, which a control that judges nothing need not

    if any(each not in (-1.0, 0.0, 1.0) for each in differences):
        return None
    return mcnemar(differences.count(1.0), differences.count(-1.0)).p


# --- slices


def _slices(new: Scores, beside: Beside | None, asked: Asked, terms: Terms) -> list[SliceResult]:
    found = [(tag, value, name) for tag in terms.slices for value in _values(asked, tag) for name in terms.deciding]
    return [_slice(tag, value, name, new, beside, asked, terms, ERROR / len(found)) for tag, value, name in found]


def _values(asked: Asked, tag: str) -> list[str]:
    return sorted({tags[tag] for tags in asked.tags.values() if tag in tags})


def _slice(
    tag: str, value: str, name: str, new: Scores, beside: Beside | None, asked: Asked, terms: Terms, error: float
) -> SliceResult:
    """It fails when it is under the floor for certain, or worse for certain and possibly by more than the margin."""
    ids = [each for each in asked.scored_by(name) if asked.tags.get(each, {}).get(tag) == value]
    mine, n = new.get(name, {}), len(ids)
    failed = ""
    if n >= LEAST_SLICE and name not in terms.uncarried:
        clusters, least = asked.labels(ids), terms.floors.get(name, 0.0)
        upper = share_bounds([mine.get(each, 1.0) for each in ids], clusters, 1 - error)[1]
        if upper < least:
            failed = f"at most {percent(upper)}, and the floor is {percent(least)}"
        elif beside is not None and beside.scores is not None:
            low, high = _bounds(mine, beside.scores.get(name, {}), ids, clusters, error)
            if high < 0 and low <= -terms.margin:
                failed = f"worse than release {beside.number} by {percent(-high)} to {percent(-low)}"
    return SliceResult(tag=tag, value=value, name=name, examples=n, share=_mean(mine, ids), failed=failed)


# --- critical examples


def critical_failed(scores: Scores, asked: Asked, terms: Terms, target: str = "") -> list[CriticalFailure]:
    """Critical examples with a floored score that is not full; on another ``target``, also those that were not
    answered."""
    out = []
    for each in sorted(asked.critical):
        bad = [name for name, least in terms.floors.items() if _fails(each, name, least, scores, asked, terms, target)]
        if bad:
            out.append(CriticalFailure(example=each, scores=bad, target=target))
    return out


def _fails(example: str, name: str, least: float, scores: Scores, asked: Asked, terms: Terms, target: str) -> bool:
    if example in asked.lacking.get(name, ()) or name in terms.uncarried:
        return False
    found = scores.get(name, {}).get(example)
    if found is None:
        return bool(target)
    return found < (least if name in terms.graded else 1.0) - _TINY


# --- in words


def _why(
    floors: Sequence[FloorResult], pairs: Sequence[PairResult], slices: Sequence[SliceResult], n: int,
    unanswered: int, terms: Terms,
) -> list[str]:  # fmt: skip
    """What keeps it from PASS."""
    why: list[str] = []
    if n < LEAST_EXAMPLES:
        why.append(f"{n} examples; a gate decides on {LEAST_EXAMPLES} at least")
    if unanswered:
        why.append(f"{unanswered} examples have no score; the same command asks what was not answered")
    why += [
        f"{name} cannot carry a floor: {reason}" for name, reason in terms.uncarried.items() if name in terms.floors
    ]
    for each in floors:
        if each.name in terms.uncarried:
            continue
        if each.examples < LEAST_EXAMPLES <= n:
            why.append(f"{each.name}: {each.examples} examples say what is right, {LEAST_EXAMPLES} are needed")
        if each.verdict == "FAIL":
            why.append(f"{each.name}: {percent(each.share)} is under the floor of {percent(each.floor)}")
        elif each.verdict != "PASS" and each.met:
            more = f"; about {each.needed} examples would prove it" if each.needed else ""
            why.append(
                f"{each.name}: {percent(each.share)}, proven {percent(each.lower)} of {percent(each.floor)}{more}"
            )
    why += [
        _of_pair(pair) for pair in pairs if pair.decides and pair.verdict != "PASS" and pair.name not in terms.uncarried
    ]
    why += [f"{each.name} where {each.tag} is {each.value}: {each.failed}" for each in slices if each.failed]
    return why


def _of_pair(pair: PairResult) -> str:
    more = f"; about {pair.needed} examples would decide" if pair.needed else ""
    return (
        f"{pair.name}: {signed(pair.difference)} beside the release before, possibly {signed(pair.lower)}; "
        f"the margin is {percent(-pair.margin)}{more}"
    )


def _missing(found: Found, ids: Iterable[str]) -> int:
    return sum(each not in found for each in ids)


def _mean(found: Found, ids: Sequence[str]) -> float:
    return sum(found.get(each, 0.0) for each in ids) / len(ids) if ids else 0.0
