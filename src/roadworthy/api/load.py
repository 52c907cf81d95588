"""Load tests.

POST /v1/loads/plan       an order → what the test would do, cost and run into
POST /v1/loads            an order → the test; look at it, or it stops
POST /v1/loads/export     an order → a Locust file with the same calls, and a permit to make them with
GET  /v1/loads            ?workflow= → {items}, newest first, without plots
GET  /v1/loads/{id}       → the test as it is now; looking renews its lease
POST /v1/loads/{id}/stop  → the test
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.operations.loading.model import LoadRun, Order
from roadworthy.operations.services import Services

SHOWN_RUNS = 50


def plan(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.loads.plan(call.body))


def start(services: Services, call: Call) -> Any:
    return shown(services.loads.start(call.body, call.actor))


def look(services: Services, call: Call) -> Any:
    return shown(services.loads.look(call.path["id"]))


def stop(services: Services, call: Call) -> Any:
    return shown(services.loads.stop(call.path["id"]))


def export(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.loads.export(call.body, call.actor))


def listed(services: Services, call: Call) -> Any:
    workflow = call.query.get("workflow")
    if not workflow:
        raise Invalid("workflow: is missing, expected the name of a workflow", param="workflow")
    services.workflows.named(workflow)
    runs = services.loads.runs(workflow, SHOWN_RUNS)
    return {"items": [_short(run) for run in runs]}


def shown(run: LoadRun) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(run)
    return made


def _short(run: LoadRun) -> dict[str, Any]:
    came = None if run.came is None else msgspec.structs.replace(run.came, slots=[], spread=[], first_spread=[])
    return shown(msgspec.structs.replace(run, came=came))


ENDPOINTS = [
    Endpoint("POST", "/v1/loads/plan", "read", plan, Order),
    Endpoint("POST", "/v1/loads", "tools", start, Order),
    Endpoint("POST", "/v1/loads/export", "tools", export, Order),
    Endpoint("GET", "/v1/loads", "read", listed),
    Endpoint("GET", "/v1/loads/{id}", "read", look),
    Endpoint("POST", "/v1/loads/{id}/stop", "stop", stop),
]
