"""A workflow to judge, and everything that ten fresh items need."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from roadworthy.evidence.kinds import KINDS, Acceptance
from roadworthy.evidence.model import Accepted, Evidence
from roadworthy.readiness.model import Subject
from roadworthy.workflow.model import Owners, Policy
from support.evidence import BEHAVIOUR, FIGURES, HANDLING, WORKFLOW, evidence, receipt


def subject(**more: Any) -> Subject:
    fields: dict[str, Any] = {
        "team": "default", "workflow": WORKFLOW, "owners": Owners("ada", "pia", "bo"),
        "policy": Policy(projected_peak=10.0), "enforcement": "enforce", "behaviour": BEHAVIOUR, "handling": HANDLING,
        "frozen_by": "dev", "receipts": [receipt()], "share": 0.5,
    }  # fmt: skip
    return Subject(**{**fields, **more})


def shown(**more: Any) -> dict[str, Evidence]:
    """Everything that ten fresh items need; fields of ``more`` on all of it."""
    out = {}
    for kind in FIGURES:
        if kind == "acceptance":
            for role, person in (("workflow", "ada"), ("prompt", "pia"), ("cost", "bo")):
                figures = Acceptance(role=role, person=person)  # type: ignore[arg-type]
                out[role] = evidence(figures, id=f"evd_{role}", by=person, **more)
            continue
        out[kind] = evidence(kind, **more)
    for kind, person in (("cost_forecast", "bo"), ("failure_catalogue", "ada")):
        role = KINDS[kind].accepted_by
        assert role is not None
        out[kind] = replace(out[kind], accepted=[Accepted(person, role, out[kind].made_at)])
    return out
