"""What is left to spend.

GET /v1/budgets ?workflow= → {items}: limit, spent, reserved and left of teams, workflows, keys, testers and the users
that spent most, in the periods that run (``operations/budgets.py``)
"""

from __future__ import annotations

from typing import Any

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.services import Services


def budgets(services: Services, call: Call) -> Any:
    workflow = call.query.get("workflow")
    if workflow is not None:
        services.workflows.named(workflow)
    return {"items": services.budgets.lines(workflow)}


ENDPOINTS = [Endpoint("GET", "/v1/budgets", "read", budgets)]
