"""What the evidence will allow later, should nothing be added to it: so that what has lapsed counts for less even where
nobody is left to compute it.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from roadworthy.evidence.kinds import KINDS
from roadworthy.evidence.model import Evidence, Waiver
from roadworthy.evidence.receipt.rules import newest
from roadworthy.evidence.rules import LONGEST_GRACE, bindings, matches
from roadworthy.readiness.judging import judge
from roadworthy.readiness.model import Subject
from roadworthy.readiness.rules import ceiling, checklist


def falls(
    evidence: Sequence[Evidence], waivers: Sequence[Waiver], subject: Subject, now: float
) -> list[tuple[float, float]]:
    """(instant, ceiling from then on), rising instants after ``now``, each ceiling below the one before.

    Fails closed: a ceiling that would rise by itself is left out.
    """
    out: list[tuple[float, float]] = []
    least = ceiling(checklist(evidence, waivers, subject, now))
    for at in sorted(each for each in _instants(evidence, waivers, subject) if each > now):
        top = ceiling(checklist(evidence, waivers, subject, at))
        if top < least:
            out.append((at, top))
            least = top
    return out


def _instants(evidence: Sequence[Evidence], waivers: Sequence[Waiver], subject: Subject) -> set[float]:
    """When anything that counts becomes stale, lapses or is over."""
    known = bindings(subject.behaviour, subject.handling, subject.workflow)
    ends = set()
    for each in evidence:
        if not matches(each, known):
            continue
        until = judge(each, subject, [other for other in evidence if other.kind == each.kind]).until
        ends.add(each.lapses_at if until is None else min(until, each.lapses_at))
    receipt = newest(subject.receipts, subject.workflow, subject.behaviour)
    if receipt is not None:
        ends.add(min(receipt.expires, receipt.issued + KINDS["eval_gate"].life))
        if subject.published is not None:
            ends.add(subject.published.at)
    grace = min(subject.grace, LONGEST_GRACE)
    return ends | {end + grace for end in ends} | {waiver.over for waiver in waivers}
