"""A run of drills → evidence: the verdict on each failure, and the catalogue of what customers see.  Pure.

A failure counts as tested when *every* drill of it that means something for the release was in the run, so a run of a
few faults proves nothing but what it breaks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from roadworthy.evidence.kinds import FailureCatalogue, FallbackDrills
from roadworthy.fallback.drills.model import Drill, DrillRun, Result, Verdict
from roadworthy.fallback.drills.rules import fitted
from roadworthy.operations.drills.drill import Subject, plan
from roadworthy.operations.drills.failures import catalogue
from roadworthy.workflow.inference import SERVED_BY_MODEL

UNHARMED = "none"
"""Stands for drills of faults that no attempt fails by."""
_IDENT = re.compile(r"\b(?:inf|prm|esc|drl|req|chatcmpl)[_-][0-9a-zA-Z]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def figures(run: DrillRun, subject: Subject, known: Mapping[str, Drill]) -> FallbackDrills | None:
    """``known``: every drill that there is.  ``None``: the run came to nothing."""
    drilled = [result for result in run.results if result.verdict != "SKIPPED"]
    if not drilled:
        return None
    wanted, skipped = plan(list(known.values()), subject)
    asked = {(step.drill.name, step.stream): _failure(step.drill, subject) for step in wanted}
    seen = {(result.fault, result.stream): result for result in drilled}
    missing = {failure for key, failure in asked.items() if key not in seen}
    verdicts: dict[str, Verdict] = {_failure(known[each.fault], subject): "SKIPPED" for each in skipped}
    for result in drilled:
        if result.fault in known:
            failure = _failure(known[result.fault], subject)
            verdicts[failure] = _worse(verdicts.get(failure, "SKIPPED"), result)
    kept = {name: verdict for name, verdict in verdicts.items() if verdict == "FAIL" or name not in missing}
    return FallbackDrills(
        failures=dict(sorted(kept.items())),
        untested=sorted(missing - {name for name, verdict in kept.items() if verdict == "FAIL"}),
        drills=len(drilled),
    )


def whole(figures: FallbackDrills) -> bool:
    """Was everything drilled, and nothing wrong?"""
    return not figures.untested and "FAIL" not in figures.failures.values()


def visible(run: DrillRun, evidence: str) -> FailureCatalogue:
    """The catalogue that the run made.  ``evidence``: id of the drills'."""
    items = catalogue([run])
    lines = [
        "\t".join((
            item.fault, "stream" if item.stream else "whole", item.outcome, item.told,
            "" if item.outcome in SERVED_BY_MODEL else stable(item.reads),
        ))
        for item in items
    ]  # fmt: skip
    content = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()
    faults = dict.fromkeys(item.fault for item in items)
    return FailureCatalogue(content=content, failures=list(faults), drills=evidence)


def stable(text: str) -> str:
    """What a customer reads, without what differs from call to call: ids and numbers."""
    return _NUMBER.sub("#", _IDENT.sub("…", text))


def _failure(drill: Drill, subject: Subject) -> str:
    return fitted(drill, subject.release).failure or UNHARMED


def _worse(before: Verdict, result: Result) -> Verdict:
    return "FAIL" if "FAIL" in (before, result.verdict) else "PASS"
