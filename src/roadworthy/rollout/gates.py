"""What a stage must have shown before the next one, in the order in which it is asked.  Pure.

Approval is the last: nobody is asked, and nobody may approve, before all of the others are met.
"""

from __future__ import annotations

from typing import Final

from roadworthy.evidence.kinds import Verdict
from roadworthy.rollout.model import Analysis, Gate, Rollout, Room

NOBODY_ASKED: Final = Room()
"""Nothing is handed to people."""

ORDER = ("dwell", "analysis", "traffic", "guardrails", "sample ratio", "ceiling", "people", "approval")


def gates(
    rollout: Rollout,
    analysis: Analysis | None,
    ceiling: float,
    now: float,
    *,
    approved: bool,
    room: Room = NOBODY_ASKED,
) -> list[Gate]:
    """The conditions of leaving the stage upwards (of being done, at the last one), in ``ORDER``.

    ``room``: of the next stage.
    """
    return [
        _dwell(rollout, analysis, now),
        _analysed(rollout, analysis, now),
        _traffic(rollout, analysis, now),
        _guardrails(rollout, analysis),
        _sample_ratio(rollout, analysis),
        _ceiling(rollout, ceiling),
        _people(rollout, room),
        _approval(rollout, approved),
    ]


def of_this_stage(rollout: Rollout, analysis: Analysis | None) -> Analysis | None:
    """The analysis, if it is of this visit of this stage."""
    if analysis is None or analysis.stage != rollout.stage.name or analysis.since < rollout.entered_at:
        return None
    return analysis


def _dwell(rollout: Rollout, analysis: Analysis | None, now: float) -> Gate:
    stage = rollout.stage
    left = rollout.entered_at + stage.dwell - now
    if left > 0:
        return Gate("dwell", "INSUFFICIENT", f"{stage.name} lasts {_span(stage.dwell)}: {_span(left)} are left")
    mine = of_this_stage(rollout, analysis)
    calls = 0 if mine is None else mine.calls
    if calls < stage.calls:
        return Gate("dwell", "INSUFFICIENT", f"{calls:,} calls of the {stage.calls:,} that {stage.name} takes at least")
    return Gate("dwell", "PASS", f"{calls:,} calls in {_span(now - rollout.entered_at)}")


def _analysed(rollout: Rollout, analysis: Analysis | None, now: float) -> Gate:
    mine = of_this_stage(rollout, analysis)
    if mine is None:
        what = "there is none" if analysis is None else f"the newest is of {analysis.stage}, or of an earlier visit"
        return Gate("analysis", "INSUFFICIENT", f"no analysis of {rollout.stage.name}: {what}; one is made by itself")
    age = now - mine.until
    if age > rollout.plan.analysis_age:
        detail = (
            f"the analysis is {_span(age)} old: at most {_span(rollout.plan.analysis_age)} count; wait for a new one"
        )
        return Gate("analysis", "INSUFFICIENT", detail)
    if age < 0:
        return Gate("analysis", "INSUFFICIENT", "the analysis is from the future: compare the clocks")
    return Gate("analysis", "PASS", f"{_span(age)} old")


def _traffic(rollout: Rollout, analysis: Analysis | None, now: float) -> Gate:
    mine = of_this_stage(rollout, analysis)
    last = None if mine is None else mine.last_call
    if last is None:
        return Gate("traffic", "INSUFFICIENT", f"no call of the release at {rollout.stage.name} yet")
    if now - last > rollout.plan.quiet:
        return Gate("traffic", "INSUFFICIENT", f"no call for {_span(now - last)}: nothing is learned without traffic")
    return Gate("traffic", "PASS", f"last call {_span(max(now - last, 0))} ago")


def _guardrails(rollout: Rollout, analysis: Analysis | None) -> Gate:
    mine = of_this_stage(rollout, analysis)
    if mine is None:
        return Gate("guardrails", "INSUFFICIENT", "not analysed yet")
    if mine.failed:
        failed = [f"{finding.guardrail}: {finding.text}" for finding in mine.findings if finding.verdict == "FAIL"]
        return Gate("guardrails", "FAIL", "; ".join(failed))
    found = {finding.guardrail: finding for finding in mine.findings}
    missing = [name for name in _compulsory(rollout) if name not in found]
    if missing:
        return Gate("guardrails", "INSUFFICIENT", f"not analysed: {', '.join(missing)}")
    open_ones = [
        f"{finding.guardrail}: {finding.text}"
        for finding in mine.findings
        if finding.verdict == "INSUFFICIENT" and finding.guardrail in _to_prove(rollout)
    ]
    if open_ones:
        return Gate("guardrails", "INSUFFICIENT", "; ".join(open_ones))
    return Gate("guardrails", "PASS", f"{len(found)} watched, {len(_to_prove(rollout) & found.keys())} proven")


def _to_prove(rollout: Rollout) -> set[str]:
    if not rollout.stage.proves:
        return set()
    return {guardrail.name for guardrail in rollout.plan.guardrails if guardrail.proves}


def _compulsory(rollout: Rollout) -> list[str]:
    """Guardrails that every analysis must hold; comparisons where there is a release to compare with."""
    compared = rollout.predecessor is not None and 0 < rollout.stage.share < 1
    return [one.name for one in rollout.plan.guardrails if one.against == "fixed" or compared]


def _sample_ratio(rollout: Rollout, analysis: Analysis | None) -> Gate:
    if not 0 < rollout.stage.share < 1:
        return Gate("sample ratio", "PASS", "one side only")
    mine = of_this_stage(rollout, analysis)
    if mine is None or mine.sample_ratio is None:
        return Gate("sample ratio", "INSUFFICIENT", "users of both sides are not counted yet")
    verdict: Verdict = mine.sample_ratio.verdict
    if verdict == "INSUFFICIENT" and not rollout.stage.proves:
        verdict = "PASS"
    return Gate("sample ratio", verdict, mine.sample_ratio.text)


def _ceiling(rollout: Rollout, ceiling: float) -> Gate:
    target = rollout.next or rollout.stage
    if target.share > ceiling:
        return Gate(
            "ceiling",
            "FAIL",
            f"{target.name} is above the ceiling of {percent(ceiling)} that the evidence allows: "
            f"`roadworthy ready {rollout.workflow}` shows what raises it",
        )
    return Gate("ceiling", "PASS", f"{percent(ceiling)} allowed")


def _people(rollout: Rollout, room: Room) -> Gate:
    """What nobody can answer in time is not let in; the last stage lets nothing more in."""
    if rollout.next is None or rollout.next.share <= rollout.stage.share:
        return Gate("people", "PASS", "no more calls come")
    if room.verdict == "PASS":
        return Gate("people", "PASS", room.text or "nothing is handed to people")
    mend = "more people (policy.escalation.agents says how many), or fewer calls handed to them"
    return Gate("people", room.verdict, f"{room.text}; what helps: {mend}")


def _approval(rollout: Rollout, approved: bool) -> Gate:
    target = rollout.next
    if target is None or not target.approval:
        return Gate("approval", "PASS", "not needed")
    if approved:
        return Gate("approval", "PASS", "given")
    return Gate(
        "approval", "INSUFFICIENT", f"`roadworthy rollout approve {rollout.workflow}` lets it into {target.name}"
    )


def percent(share: float) -> str:
    return f"{share * 100:.4g} %"


def _span(seconds: float) -> str:
    """ "2.5 days", "3 h", "40 min"."""
    for unit, size in (("days", 86_400.0), ("h", 3600.0)):
        if seconds >= 2 * size or (unit == "h" and seconds >= size):
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds / 60:.0f} min"
