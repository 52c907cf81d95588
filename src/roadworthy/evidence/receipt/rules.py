"""When a receipt is made and what it is worth at an instant.  Pure; every rule fails closed: to testers only.

A gateway decides by these alone, so expiry needs no control.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from roadworthy.evidence.kinds import DAY, KINDS, EvalGate, Verdict
from roadworthy.evidence.model import Evidence
from roadworthy.evidence.receipt.model import Receipt, Revocation, Standing
from roadworthy.evidence.rules import CLOCK_SKEW, GRACE, LONGEST_GRACE, Refused, age

LEAST_EXAMPLES = 50
"""Hand-scored examples under which a gate decides nothing."""

Seen = tuple[int, float]
"""(epoch, issued) of the newest receipt of a behaviour that was ever seen."""


def gate_verdict(gate: EvalGate, owner: str) -> Verdict:
    """The gate's verdict with what it stands on: enough examples, and a rubric that the workflow's owner signed."""
    if gate.verdict == "PASS" and (gate.examples < LEAST_EXAMPLES or gate.rubric_signed_by != owner):
        return "INSUFFICIENT"
    return gate.verdict


def receipt_for(evidence: Evidence, owner: str, *, ident: str, epoch: int, now: float) -> Receipt:
    """What control signs for a gate run that it has recomputed.  Raises ``Refused`` for what never makes a receipt."""
    gate = evidence.figures
    if evidence.mode == "imported":
        raise Refused("imported evidence never makes a receipt; run the gate here: roadworthy evals gate")
    if not isinstance(gate, EvalGate):
        raise Refused(f"a receipt is made by an eval gate, and this is '{evidence.kind}'; run: roadworthy evals gate")
    if evidence.mode != "live":
        raise Refused(
            "a gate run whose targets were replaced makes no receipt; run it against the release's own targets"
        )
    if evidence.made_at > now + CLOCK_SKEW or evidence.lapses_at <= now:
        raise Refused("the gate run is from the future or has lapsed; run it again: roadworthy evals gate")
    return Receipt(
        id=ident, team=evidence.team, workflow=evidence.workflow, behaviour=evidence.bound["behaviour"],
        verdict=gate_verdict(gate, owner), floors_met=gate.floors_met, evidence=evidence.id, run=evidence.run,
        epoch=epoch, issued=evidence.made_at,
        expires=min(evidence.lapses_at, evidence.made_at + KINDS["eval_gate"].life), set_version=gate.set_version,
        scorers=gate.scorers, policy=gate.policy,
        targets=sorted(target for target, passed in gate.targets.items() if passed),
    )  # fmt: skip


def receipt_holds(
    receipt: Receipt | None,
    *,
    workflow: str,
    behaviour: str,
    now: float,
    seen: Seen = (0, 0.0),
    revocations: Iterable[Revocation] = (),
    outdated_at: float | None = None,
    grace: float = GRACE,
) -> Standing:
    """``seen``: the newest receipt of this behaviour that was ever seen here: an older one is a replay.

    ``outdated_at``: when an example set or scorer was published that the gate did not know; from then on it is stale.
    """
    if receipt is None:
        return _refused("the gate never ran for this behaviour")
    if (receipt.workflow, receipt.behaviour) != (workflow, behaviour):
        return _refused("its receipt is for another behaviour")
    if receipt.order < seen:
        return _refused("a newer receipt of this behaviour was seen before")
    if receipt.issued > now + CLOCK_SKEW:
        return _refused("its receipt is from the future: compare the clocks")
    taken = next((r for r in revocations if _revokes(r, receipt)), None)
    if taken is not None:
        return _refused(f"{taken.person} revoked its receipt: {taken.reason}")
    if receipt.verdict == "FAIL":
        return Standing("testers", "fresh", False, "the gate failed it")
    until = _lapses_at(receipt, outdated_at)
    how_old = age(until, now, grace)
    if receipt.verdict == "INSUFFICIENT":
        if not receipt.floors_met:
            return Standing("testers", how_old, False, "the gate could not decide, and a floor is not met")
        return Standing("pilot", how_old, False, "the gate could not decide; its floors are met")
    if how_old == "fresh":
        return Standing("full", how_old, True, "the gate passed it")
    if how_old == "stale":
        return Standing(
            "full", how_old, False, f"its receipt lapsed {_days(now - until)} ago: the share stays, no rise"
        )
    return Standing("pilot", how_old, False, f"its receipt lapsed {_days(now - until)} ago, and its grace is over")


def holds_until(receipt: Receipt, now: float, *, outdated_at: float | None = None, grace: float = GRACE) -> float:
    """The next instant after ``now`` at which ``receipt_holds`` may say something else; ``inf``: never."""
    until = _lapses_at(receipt, outdated_at)
    changes = (receipt.issued - CLOCK_SKEW, until, until + min(grace, LONGEST_GRACE))
    return min((at for at in changes if at > now), default=math.inf)


def newest(receipts: Iterable[Receipt], workflow: str, behaviour: str) -> Receipt | None:
    """The one that decides."""
    mine = [each for each in receipts if (each.workflow, each.behaviour) == (workflow, behaviour)]
    return max(mine, key=lambda each: each.order, default=None)


def replaces(new: Receipt, before: Receipt | None) -> bool:
    """Is it kept in the place of the one before?  A run that could not decide takes nothing from one that did."""
    if before is None or new.order < before.order:
        return before is None
    return new.verdict != "INSUFFICIENT" or before.verdict == "INSUFFICIENT"


def _lapses_at(receipt: Receipt, outdated_at: float | None) -> float:
    until = min(receipt.expires, receipt.issued + KINDS["eval_gate"].life)
    return min(until, outdated_at) if outdated_at is not None and outdated_at > receipt.issued else until


def _revokes(revocation: Revocation, receipt: Receipt) -> bool:
    same = (revocation.workflow, revocation.behaviour) == (receipt.workflow, receipt.behaviour)
    return same and receipt.issued <= revocation.at


def _refused(why: str) -> Standing:
    return Standing("testers", "missing", False, why)


def _days(seconds: float) -> str:
    return f"{seconds / DAY:.1f} days"
