"""The gate: scores of a run → PASS, FAIL or INSUFFICIENT.  Pure.

An example that was not answered counts as bad towards PASS and as good towards FAIL, so that nothing is gained by one
that is left out.  Repeats are averaged example by example, never chosen; what is rounded is rounded against the
release.  PASS asks for everything at once, so no bound need be corrected for there being several floors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, floor
from typing import Final

import msgspec

from roadworthy.evals.model import FloorResult, Judgement, PairResult, Standing
from roadworthy.evidence.kinds import Verdict
from roadworthy.evidence.receipt.rules import LEAST_EXAMPLES
from roadworthy.statistics.paired import (
    paired_lower,
    paired_upper,
    pairs_to_pass,
    smallest_visible_drop,
)
from roadworthy.statistics.rates import exact_lower, exact_upper
from roadworthy.workflow.digest import canonical
from roadworthy.workflow.inference import SERVED_BY_MODEL, Failure, Outcome
from roadworthy.workflow.model import Policy

SAYS_NOTHING: Final[frozenset[Failure]] = frozenset(
    {"unavailable", "slow", "overlimit", "throttled", "overspent", "misconfigured", "gateway_lost"}
)
"""Failures that say nothing about what the model does; the example is asked again."""
USUAL_DISCORDANT: Final = 0.2
"""Share of examples on which two releases differ, for planning (Miller, arXiv 2411.00640)."""
MOST_NEEDED: Final = 20_000
_TINY: Final = 1e-9

Scores = Mapping[str, Mapping[str, float]]
"""Score → example → score; an example that was not answered is left out."""


def standing(outcome: Outcome | None, failure: Failure | None) -> Standing:
    """Only what a model wrote can be good; a canned or a human's answer is none of the release's."""
    if outcome in SERVED_BY_MODEL:
        return "good"
    if outcome is None or failure is None or failure in SAYS_NOTHING:
        return "unanswered"
    return "bad"


def judge(
    scores: Scores,
    n: int,
    floors: Mapping[str, float],
    *,
    margin: float,
    before: Scores | None = None,
    against: int | None = None,
    repeats: int = 1,
) -> Judgement:
    """``n``: examples of the set; ``before``: scores of the release that it is held against (``against``) on the same.

    ``against`` without ``before``: that release was never run on this set, so nothing can PASS.
    """
    results = [_floor(name, least, scores.get(name, {}), n, alone=against is None) for name, least in floors.items()]
    pairs = (
        []
        if before is None
        else [_pair(name, scores.get(name, {}), before.get(name, {}), n, margin) for name in floors]
    )
    unanswered = n - min((len(scores.get(name, {})) for name in floors), default=0)
    why = _why(results, pairs, n, unanswered)
    if against is not None and before is None:
        why.append(f"release {against} has a receipt and was never run on this set, so the two cannot be compared")
    verdicts = [each.verdict for each in results] + [each.verdict for each in pairs]
    verdict: Verdict = "INSUFFICIENT"
    if "FAIL" in verdicts:
        verdict = "FAIL"
    elif verdicts and all(each == "PASS" for each in verdicts) and not why:
        verdict = "PASS"
    return Judgement(
        verdict=verdict, floors_met=bool(results) and all(each.met for each in results), examples=n,
        unanswered=unanswered, floors=results, pairs=pairs, against=against, repeats=repeats, why=why,
        scores={name: sum(found.values()) / n if n else 0.0 for name, found in scores.items()},
        sees=what_it_sees(n, floors, margin, compared=against is not None),
    )  # fmt: skip


def percent(share: float, digits: int = 1) -> str:
    """``97.5 %``."""
    return f"{100 * share:.{digits}f} %"


def signed(difference: float) -> str:
    """``-2.5 %``, ``+0.8 %``."""
    return f"{100 * difference:+.1f} %"


def _why(results: Sequence[FloorResult], pairs: Sequence[PairResult], n: int, unanswered: int) -> list[str]:
    """What keeps it from PASS, in words."""
    why: list[str] = []
    if n < LEAST_EXAMPLES:
        why.append(f"{n} examples; a gate decides on {LEAST_EXAMPLES} at least")
    if unanswered:
        why.append(f"{unanswered} examples were not answered; the same command asks them again")
    for each in results:
        if each.verdict == "FAIL":
            why.append(
                f"{each.name}: {percent(each.share)}, at most {percent(each.upper)}; the floor is {percent(each.floor)}"
            )
        elif each.verdict != "PASS" and not each.met:
            why.append(f"{each.name}: {percent(each.share)} is under the floor of {percent(each.floor)}")
        elif each.verdict != "PASS":
            more = f"; about {each.needed} examples would prove it" if each.needed else ""
            why.append(
                f"{each.name}: {percent(each.share)}, proven {percent(each.lower)} of {percent(each.floor)}{more}"
            )
    for pair in pairs:
        if pair.verdict != "PASS":
            more = f"; about {pair.needed} examples would decide" if pair.needed else ""
            why.append(
                f"{pair.name}: {signed(pair.difference)} beside the release before, possibly {signed(pair.lower)}; "
                f"the margin is {percent(-pair.margin)}{more}"
            )
    return why


def _floor(name: str, least: float, found: Mapping[str, float], n: int, *, alone: bool) -> FloorResult:
    """``alone``: the floor must be proven; beside a release before, it is enough that the sample holds it."""
    good = sum(found.values())
    share = good / n if n else 0.0
    lower = exact_lower(floor(good + _TINY), n) if n else 0.0
    upper = exact_upper(min(n, ceil(good + (n - len(found)) - _TINY)), n) if n else 1.0
    met = n > 0 and share >= least - _TINY
    verdict: Verdict = "INSUFFICIENT"
    if upper < least:
        verdict = "FAIL"
    elif lower >= least or (met and not alone):
        verdict = "PASS"
    return FloorResult(
        name=name, floor=least, share=share, lower=lower, upper=upper, met=met, verdict=verdict,
        needed=None if lower >= least else needed_for(share, least),
    )  # fmt: skip


def _pair(name: str, new: Mapping[str, float], old: Mapping[str, float], n: int, margin: float) -> PairResult:
    """Over the examples of the set; one that either did not answer counts as lost towards PASS, not towards FAIL."""
    differences = [new[each] - old[each] for each in new if each in old]
    gained, lost = sum(d for d in differences if d > 0), -sum(d for d in differences if d < 0)
    missing = n - len(differences)
    low = paired_lower(floor(gained + _TINY), min(n, ceil(lost - _TINY) + missing), n) if n else -1.0
    high = paired_upper(min(n, ceil(gained - _TINY) + missing), floor(lost + _TINY), n) if n else 1.0
    verdict: Verdict = "INSUFFICIENT"
    if high < 0 and low <= -margin:
        verdict = "FAIL"
    elif low > -margin:
        verdict = "PASS"
    discordant = (gained + lost) / n if n else 0.0
    needed = None
    if verdict == "INSUFFICIENT" and margin > 0 and n:
        needed = max(n + 1, pairs_to_pass(margin, max(discordant, margin**2, 1 / n)))
    return PairResult(
        name=name, gained=gained, lost=lost, difference=(gained - lost) / n if n else 0.0, lower=low, upper=high,
        margin=margin, verdict=verdict, needed=needed,
    )  # fmt: skip


def needed_for(share: float, least: float) -> int | None:
    """Examples at which this share would prove the floor; ``None``: more than ``MOST_NEEDED``, or it never would."""
    if share <= least or not proves(share, least, MOST_NEEDED):
        return None
    low, high = 0, MOST_NEEDED
    while high - low > 1:
        middle = (low + high) // 2
        if proves(share, least, middle):
            high = middle
        else:
            low = middle
    return max(high, LEAST_EXAMPLES)


def proves(share: float, least: float, n: int) -> bool:
    return exact_lower(floor(share * n + _TINY), n) >= least


def most_misses(n: int, least: float) -> int | None:
    """Bad answers with which ``n`` examples still prove the floor; ``None``: not even a run without one does."""
    if n < 1 or exact_lower(n, n) < least:
        return None
    low, high = 0, n
    while high - low > 1:
        middle = (low + high) // 2
        if exact_lower(n - middle, n) >= least:
            low = middle
        else:
            high = middle
    return low


def what_it_sees(n: int, floors: Mapping[str, float], margin: float, *, compared: bool) -> str:
    """What a set of this size can and cannot show, in words."""
    if n < 1:
        return "no examples see nothing"
    said: list[str] = []
    if not compared:
        for name, least in floors.items():
            most = most_misses(n, least)
            said.append(
                f"{name} ≥ {percent(least, 0)} is proven by {n - most} good answers of {n}"
                if most is not None
                else f"{name} ≥ {percent(least, 0)} cannot be proven by {n} examples, all good"
            )
    drop = smallest_visible_drop(n, USUAL_DISCORDANT)
    said.append(f"beside another release, {n} examples see a drop of {percent(drop, 0)} or more (four times in five)")
    if compared and margin > 0:
        said.append(
            f"a margin of {percent(margin, 0)} takes about {pairs_to_pass(margin, USUAL_DISCORDANT)} for the same"
        )
    return "; ".join(said)


def averaged(runs: Iterable[Scores]) -> Scores:
    """Score by score and example by example, over those that answered it."""
    sums: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for name, found in run.items():
            for example, score in found.items():
                sums.setdefault(name, {}).setdefault(example, []).append(score)
    return {name: {example: sum(each) / len(each) for example, each in found.items()} for name, found in sums.items()}


def policy_hash(policy: Policy) -> str:
    """``pol_`` + 64 hex digits of everything in it."""
    return "pol_" + hashlib.sha256(canonical(msgspec.to_builtins(policy)).encode("ascii")).hexdigest()


def rubric_digest(text: str) -> str:
    """``rub_`` + 64 hex digits of the text with plain line ends, without space at its end."""
    plain = text.replace("\r\n", "\n").rstrip()
    return "rub_" + hashlib.sha256(plain.encode()).hexdigest()
