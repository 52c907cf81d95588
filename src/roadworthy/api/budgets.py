"""What is left to spend.

GET /v1/budgets ?workflow= → {items}: limit, spent, reserved and left of teams, workflows, keys, testers and the users
that spent most, in the periods that run (``operations/budgets.py``)
POST /v1/budgets/test-alert {workflow} → a test alert on the way that a budget's alert takes, and what was kept of it
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.operations.costing.alert_test import NothingToTest
from roadworthy.operations.services import Services


def budgets(services: Services, call: Call) -> Any:
    workflow = call.query.get("workflow")
    if workflow is not None:
        services.workflows.named(workflow)
    return {"items": services.budgets.lines(workflow)}


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str


def send_test(services: Services, call: Call) -> Any:
    asked: Named = call.body
    try:
        return msgspec.to_builtins(services.finance.tests.run(asked.workflow, call.actor))
    except NothingToTest as error:
        raise Invalid(str(error), param="workflow") from error


ENDPOINTS = [
    Endpoint("GET", "/v1/budgets", "read", budgets),
    Endpoint("POST", "/v1/budgets/test-alert", "tools", send_test, Named),
]
