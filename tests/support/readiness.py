"""A workflow to judge, and everything that ten fresh items need."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from roadworthy.evidence.kinds import KINDS, Acceptance, Role
from roadworthy.evidence.model import Accepted, Evidence
from roadworthy.readiness.model import Subject
from roadworthy.workflow.model import Owners, Policy
from support.evidence import BEHAVIOUR, FIGURES, HANDLING, WORKFLOW, evidence, receipt

OWNERS: dict[Role, str] = {"workflow": "ada", "prompt": "pia", "cost": "bo"}


def subject(**more: Any) -> Subject:
    fields: dict[str, Any] = {
        "team": "default", "workflow": WORKFLOW, "owners": Owners("ada", "pia", "bo"),
        "policy": Policy(projected_peak=10.0), "enforcement": "enforce", "behaviour": BEHAVIOUR, "handling": HANDLING,
        "frozen_by": "dev", "receipts": [receipt()], "share": 0.5,
    }  # fmt: skip
    return Subject(**{**fields, **more})


def shown(**more: Any) -> dict[str, Evidence]:
    """Everything that ten fresh items need; fields of ``more`` on all of it."""
    out: dict[str, Evidence] = {}
    for kind in FIGURES:
        if kind == "acceptance":
            for role, person in OWNERS.items():
                out[role] = evidence(Acceptance(role=role, person=person), id=f"evd_{role}", by=person, **more)
            continue
        out[kind] = evidence(kind, **more)
    for kind, person in (("cost_forecast", "bo"), ("failure_catalogue", "ada")):
        accepts = KINDS[kind].accepted_by
        assert accepts is not None
        out[kind] = replace(out[kind], accepted=[Accepted(person, accepts, out[kind].made_at)])
    return out
