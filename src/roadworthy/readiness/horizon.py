"""What the evidence will allow later, should nothing be added to it: so that what has lapsed counts for less even where
nobody is left to compute it.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from roadworthy.evidence.kinds import KINDS
from roadworthy.evidence.model import Evidence, Waiver
from roadworthy.evidence.receipt.rules import newest
from roadworthy.evidence.rules import LONGEST_GRACE
from roadworthy.readiness.model import Subject
from roadworthy.readiness.rules import Judgements, Weighed, ceiling, role_of, states, uncleared, weighed


def falls(
    evidence: Sequence[Evidence], waivers: Sequence[Waiver], subject: Subject, now: float
) -> list[tuple[float, float]]:
    """(instant, ceiling from then on), rising instants after ``now``, each ceiling below the one before.

    Fails closed: a ceiling that would rise by itself is left out.
    """
    out: list[tuple[float, float]] = []
    found = {kind: _lasting(rows) for kind, rows in weighed(evidence, subject).items()}
    least = ceiling(states(found, waivers, subject, now))
    for at in sorted(each for each in _instants(found, waivers, subject) if each > now):
        top = ceiling(states(found, waivers, subject, at))
        if top < least:
            out.append((at, top))
            least = top
    return out


def _lasting(rows: Sequence[Weighed]) -> list[Weighed]:
    """Without what can decide nothing any more, so that years of evidence cost no more than the newest: what passed and
    allows no more than something else that holds as long."""
    out: list[Weighed] = []
    for role in dict.fromkeys(map(role_of, rows)):
        mine = [each for each in rows if role_of(each) == role]
        failed, top = uncleared(mine), -1.0
        passed = [each for each in mine if each.judged.verdict == "PASS"]
        if failed is not None or not passed:
            out.append(failed or mine[-1])
            continue
        for each in sorted(passed, key=lambda one: (-one.lapses_at, -one.judged.cap)):
            if each.judged.cap > top:
                out.append(each)
                top = each.judged.cap
    return out


def _instants(found: Judgements, waivers: Sequence[Waiver], subject: Subject) -> set[float]:
    """When anything that counts becomes stale, lapses or is over."""
    ends = {each.lapses_at for rows in found.values() for each in rows}
    receipt = newest(subject.receipts, subject.workflow, subject.behaviour)
    if receipt is not None:
        ends.add(min(receipt.expires, receipt.issued + KINDS["eval_gate"].life))
        if subject.published is not None:
            ends.add(subject.published.at)
    grace = min(subject.grace, LONGEST_GRACE)
    return ends | {end + grace for end in ends} | {waiver.over for waiver in waivers}
