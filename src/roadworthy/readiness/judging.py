"""What one piece of evidence is worth by its figures: one function a kind.  Pure.

FAIL is kept for measured harm: an objective missed, a fault that reached the customer, a stop that came too late.  What
was not found, not answered or not measured for long enough is INSUFFICIENT.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from roadworthy.evidence.kinds import (
    DAY,
    KINDS,
    Acceptance,
    Attestation,
    Canary,
    CostAlertTest,
    EvalGate,
    FailureCatalogue,
    FallbackDrills,
    Forecast,
    KillDrill,
    LoadTest,
    OnCallPage,
    OnCallSchedule,
    Verdict,
)
from roadworthy.evidence.model import Evidence
from roadworthy.evidence.receipt.rules import LEAST_EXAMPLES, gate_verdict
from roadworthy.evidence.rules import WORD_CAP, acceptance
from roadworthy.readiness.model import Judged, Subject

LOAD_SECONDS: Final = 3600.0
REHEARSED_CAP: Final = 0.25
PEAKS: Final = 2.0
RATIO: Final = 3.0
"""Most that p99 may be of p50 (``latency/verdict.py``)."""
ABOVE: Final = 1.05
"""A test at more than this many times twice the peak asks for more than is needed: its failure takes nothing."""
ROUNDING: Final = 1.0 - 1e-6
KILL_SECONDS: Final = 60.0
"""Slowest that a stop may be; the goal is under one."""
COVERED: Final = 14 * DAY
"""Seconds ahead in which on-call may have no gap."""
DRILLED: Final = frozenset({"fallback_drills", "failure_catalogue"})
"""Kinds in which something stands in for the targets by their nature."""
MOCKED_FOR_GOOD: Final = DRILLED | {"load_test"}
"""These, and one that says so itself."""

Judge = Callable[[Any, Evidence, Subject, Sequence[Evidence]], Judged]


def judge(evidence: Evidence, subject: Subject, history: Sequence[Evidence]) -> Judged:
    """``history``: all evidence of this kind about the same facets, this one included."""
    figures = evidence.figures
    by_word = KINDS[evidence.kind].by_word
    if isinstance(figures, Attestation):
        if not by_word:
            return Judged("INSUFFICIENT", f"{evidence.by}'s word, which never counts here")
        return Judged("PASS", f"{evidence.by}: “{figures.words}”", WORD_CAP)
    judged = JUDGES[evidence.kind](figures, evidence, subject, history)
    if judged.verdict != "PASS":
        return judged
    if evidence.mode == "imported":
        if not by_word:
            return Judged("INSUFFICIENT", f"imported, which never counts here; {judged.figure}")
        return Judged("PASS", f"imported by {evidence.by}; {judged.figure}", min(judged.cap, WORD_CAP), judged.until)
    if evidence.mode == "mocked" and evidence.kind not in MOCKED_FOR_GOOD:
        return Judged("INSUFFICIENT", f"mocked; {judged.figure}")
    return judged


def _load_test(figures: LoadTest, evidence: Evidence, subject: Subject, _: Sequence[Evidence]) -> Judged:
    peak = subject.policy.projected_peak
    seen = f"p95 {figures.p95:.2f} s, errors {100 * figures.error_share:.2f} % at {figures.rate:.3g} calls/s"
    if evidence.mode == "mocked" and not figures.live_probe:
        return Judged("INSUFFICIENT", f"rehearsed without a live probe that agrees; {seen}")
    failed = _load_failed(figures)
    if failed and figures.judged == "INSUFFICIENT":  # of too few calls, or by a generator that was late itself
        return Judged("INSUFFICIENT", f"{figures.why or 'too little was measured'}; {seen}")
    if failed and peak is not None and figures.rate > ABOVE * PEAKS * peak:
        return Judged("INSUFFICIENT", f"{failed}: {seen}, above twice the peak of {peak:g} calls/s")
    if failed:
        return Judged("FAIL", f"{failed}: {seen}")
    if peak is None:
        return Judged("INSUFFICIENT", "policy.projected_peak is not set, so nobody knows what twice of it is")
    if figures.seconds < LOAD_SECONDS:
        return Judged("INSUFFICIENT", f"{figures.seconds:,.0f} s of {LOAD_SECONDS:,.0f} s; {seen}")
    if tail := _load_tail(figures):
        verdict: Verdict = "INSUFFICIENT" if figures.judged == "INSUFFICIENT" else "FAIL"
        return Judged(verdict, f"{tail}; {seen}")
    cap = 1.0 if evidence.mode == "live" else REHEARSED_CAP
    objective = subject.policy.objective
    if figures.rate < PEAKS * peak * ROUNDING and evidence.made_at >= subject.since.policy:
        return Judged("INSUFFICIENT", f"{seen}; twice the peak is {PEAKS * peak:g} calls/s")
    if figures.rate < PEAKS * peak * ROUNDING:
        return Judged("PASS", f"{seen}; twice the peak is now {PEAKS * peak:g} calls/s", cap, subject.since.policy)
    if _missed(figures, objective.latency_p95, objective.error_share):
        return Judged("PASS", f"{seen}, which the objective of now does not allow", cap, subject.since.policy)
    return Judged("PASS", f"{seen} for {figures.seconds / 60:.0f} min", cap)


def _load_failed(figures: LoadTest) -> str:
    """Harm that more time would not have mended; empty: none was seen."""
    if _missed(figures, figures.objective_p95, figures.objective_errors):
        return "objective missed"
    return "over-saturated" if figures.saturated else ""


def _load_tail(figures: LoadTest) -> str:
    """Why its tail does not pass, once it is long enough; empty: it does.  By latency's verdict where there is one,
    else by the three figures as another tool measured them."""
    if figures.judged is not None:
        return "" if figures.judged == "PASS" else figures.why or "it did not pass"
    if figures.p99 <= RATIO * figures.p50:
        return ""
    ratio = f"p99/p50 is {figures.p99 / figures.p50:.1f}, above {RATIO:g}" if figures.p50 else "p50 is 0"
    for name, found in (("first token", figures.first_token_ratio), ("matched length", figures.matched_ratio)):
        if found is None or found > RATIO:
            return f"{ratio}, and at {name} it is {'not known' if found is None else f'{found:.1f}'}"
    if figures.objective_p99 is None or figures.p99 > figures.objective_p99:
        return f"{ratio}, and p99 meets no limit that its owner states"
    return ""


def _missed(figures: LoadTest, p95: float | None, errors: float | None) -> bool:
    return (p95 is not None and figures.p95 > p95) or (errors is not None and figures.error_share > errors)


def _forecast(figures: Forecast, evidence: Evidence, subject: Subject, history: Sequence[Evidence]) -> Judged:
    months = f"${figures.month_peak:,.0f} a month at the peak, ${figures.month_five:,.0f} at 5×"
    seen = f"${_digits(figures.unit)} each, {months}"
    if figures.assumed:
        seen = f"{seen} (assumption, not forecast: {figures.days} days of traffic)"
    owner = subject.owners.cost
    if acceptance(evidence, history, owner) is None:
        return Judged("INSUFFICIENT", f"{seen}; {owner} has not accepted it")
    if subject.prices is not None and subject.prices != figures.prices:
        changed = "prices have changed" if subject.prices else "a price is not known any more"
        return Judged("PASS", f"{seen}; {changed}", until=subject.since.prices)
    peak = subject.policy.projected_peak
    if figures.peak and peak is not None and peak * ROUNDING > figures.peak:
        said = f"made for a peak of {figures.peak:.3g} calls/s, and policy now projects {peak:g}"
        return Judged("PASS", f"{seen}; {said}", until=subject.since.policy)
    if subject.month_spent is not None and subject.month_spent > figures.most.month_peak:
        return Judged("PASS", f"{seen}; ${subject.month_spent:,.0f} were spent in 30 days", until=evidence.made_at)
    return Judged("PASS", f"{seen}; accepted by {owner}", until=_outgrown(evidence, subject.owners.cost, history))


def _digits(usd: float) -> str:
    """A call may cost a hundred thousandth of a dollar: at least two digits of it, never an exponent."""
    return f"{usd:.4f}" if usd >= 0.01 or not usd else f"{usd:.{1 - math.floor(math.log10(usd))}f}"


def _outgrown(evidence: Evidence, person: str, history: Sequence[Evidence]) -> float | None:
    """When newer evidence came that its acceptance does not cover."""
    later = [each for each in history if each.made_at > evidence.made_at and not each.word_only]
    return min((each.made_at for each in later if acceptance(each, history, person) is None), default=None)


def _canary(figures: Canary, _: Evidence, __: Subject, ___: Sequence[Evidence]) -> Judged:
    return canary_judged(figures)


def canary_judged(figures: Canary) -> Judged:
    """What a canary is worth: it stands or falls by where it was found."""
    places = {"log": figures.log, "metrics": figures.metrics, "trace": figures.trace, "OTLP export": figures.otlp}
    lost = [place for place, found in places.items() if found is False]
    if lost:
        return Judged("INSUFFICIENT", f"the canary was not found in {', '.join(lost)}")
    return Judged("PASS", f"found in {', '.join(p for p, found in places.items() if found)} in {figures.seconds:.1f} s")


def _drills(figures: FallbackDrills, _: Evidence, __: Subject, ___: Sequence[Evidence]) -> Judged:
    failed = [name for name, verdict in figures.failures.items() if verdict == "FAIL"]
    passed = [name for name, verdict in figures.failures.items() if verdict == "PASS"]
    if failed:
        return Judged("FAIL", f"reached the customer: {', '.join(failed)}")
    if figures.untested or not passed:
        return Judged("INSUFFICIENT", f"no drill for: {', '.join(figures.untested) or 'any failure'}")
    return Judged("PASS", f"{figures.drills} drills, {len(passed)} failures")


def _acceptance(figures: Acceptance, evidence: Evidence, subject: Subject, _: Sequence[Evidence]) -> Judged:
    named = getattr(subject.owners, figures.role, None)
    if named is None:
        return Judged("INSUFFICIENT", f"{figures.person} accepted '{figures.role}', a role that nobody asks for")
    if figures.role == "workflow" and named == subject.frozen_by:
        return Judged("INSUFFICIENT", f"{named} both owns the workflow and froze the release: four eyes are asked for")
    if named in subject.gone:
        figure = f"{figures.role}: {named} has left; name somebody else in owners"
        return Judged("PASS", figure, until=subject.gone[named])
    if named != figures.person:
        changed = subject.since.owners
        return Judged("PASS", f"{figures.role}: {named} has not accepted it yet, after {figures.person}", until=changed)
    return Judged("PASS", f"{figures.role}: {figures.person}")


def _eval_gate(figures: EvalGate, _: Evidence, subject: Subject, __: Sequence[Evidence]) -> Judged:
    """For its FAIL and its words: what it allows is the receipt's to say."""
    verdict: Verdict = gate_verdict(figures, subject.owners.workflow)
    why = ""
    if verdict != figures.verdict and figures.examples < LEAST_EXAMPLES:
        why = f"; {LEAST_EXAMPLES} are the least"
    elif verdict != figures.verdict:
        why = f"; {subject.owners.workflow} has not signed the rubric"
    scores = ", ".join(f"{name} {100 * value:.1f} %" for name, value in figures.scores.items())
    return Judged(verdict, f"{figures.examples} examples{', ' if scores else ''}{scores}{why}")


def _kill_drill(figures: KillDrill, _: Evidence, subject: Subject, __: Sequence[Evidence]) -> Judged:
    return kill_drill_judged(figures, subject.gateways or {})


def kill_drill_judged(figures: KillDrill, gateways: Mapping[str, float]) -> Judged:
    """``gateways``: each that there is → when it joined."""
    if figures.late_attempts:
        return Judged("FAIL", f"attempts after the acknowledgement: {figures.late_attempts}")
    if figures.broken:
        return Judged("FAIL", f"streams under way that ended otherwise than was declared: {figures.broken}")
    if figures.max >= KILL_SECONDS:
        return Judged("FAIL", f"{figures.max:.1f} s to off; {KILL_SECONDS:.0f} s are the most")
    lost = sorted(name for name, seconds in figures.gateways.items() if seconds is None)
    if lost or not figures.gateways:
        return Judged("INSUFFICIENT", f"never confirmed: {', '.join(lost) or 'any gateway'}")
    if figures.without_traffic:
        return Judged("INSUFFICIENT", f"no call came through: {', '.join(figures.without_traffic)}")
    count = len(figures.gateways)
    took = f"{figures.max:.1f} s" if figures.max >= 1 else f"{math.ceil(figures.max * 1000)} ms"
    seen = f"off in {took} at most on {count} gateway{'s' if count > 1 else ''}"
    joined = [at for name, at in gateways.items() if name not in figures.gateways]
    if joined:
        return Judged("PASS", f"{seen}; {len(joined)} joined since", until=min(joined))
    return Judged("PASS", seen)


def _schedule(figures: OnCallSchedule, evidence: Evidence, _: Subject, history: Sequence[Evidence]) -> Judged:
    if not figures.people:
        return Judged("INSUFFICIENT", f"nobody is on call{f': {figures.why}' if figures.why else ''}")
    if _gap(evidence):
        day = datetime.fromtimestamp(figures.covered_until, UTC).date().isoformat()
        return Judged("INSUFFICIENT", f"nobody is on call from {day} on{f': {figures.why}' if figures.why else ''}")
    until = [each.made_at for each in history if each.made_at > evidence.made_at and _gap(each)]
    return Judged("PASS", f"{', '.join(figures.people)} on call", until=min([figures.covered_until - COVERED, *until]))


def _gap(evidence: Evidence) -> bool:
    """Was nobody on call within two weeks, when it was made?"""
    figures = evidence.figures
    return isinstance(figures, OnCallSchedule) and (
        not figures.people or figures.covered_until < evidence.made_at + COVERED
    )


def _page(figures: OnCallPage, _: Evidence, __: Subject, ___: Sequence[Evidence]) -> Judged:
    if not figures.acknowledged_by:
        return Judged("INSUFFICIENT", f"nobody acknowledged the test page to {figures.to}")
    took = "" if figures.seconds is None else f" in {figures.seconds:.0f} s"
    return Judged("PASS", f"test page acknowledged by {figures.acknowledged_by}{took}")


def _alert(figures: CostAlertTest, _: Evidence, __: Subject, ___: Sequence[Evidence]) -> Judged:
    if not figures.thresholds:
        return Judged("INSUFFICIENT", "no threshold is set")
    if not figures.delivered:
        return Judged("INSUFFICIENT", f"the test alert did not reach {figures.to}")
    return Judged("PASS", f"{len(figures.thresholds)} thresholds, test alert delivered to {figures.to}")


def _catalogue(figures: FailureCatalogue, evidence: Evidence, subject: Subject, history: Sequence[Evidence]) -> Judged:
    owner, count = subject.owners.workflow, len(figures.failures)
    if acceptance(evidence, history, owner) is None:
        return Judged("INSUFFICIENT", f"{count} failures; {owner} has not accepted it")
    return Judged("PASS", f"{count} failures, accepted by {owner}", until=_outgrown(evidence, owner, history))


JUDGES: Final[dict[str, Judge]] = {
    "load_test": _load_test,
    "cost_forecast": _forecast,
    "canary": _canary,
    "fallback_drills": _drills,
    "acceptance": _acceptance,
    "eval_gate": _eval_gate,
    "kill_drill": _kill_drill,
    "on_call_schedule": _schedule,
    "on_call_page": _page,
    "cost_alert_test": _alert,
    "failure_catalogue": _catalogue,
}
