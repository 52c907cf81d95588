"""Drills.

GET  /v1/drills/faults        → {items: [{fault, row, says, guard}]}
POST /v1/drills               {workflow, faults?, rows?} → the run; look at it, or it is interrupted
GET  /v1/drills/{id}          → the run as it is now; looking renews its lease
POST /v1/drills/{id}/stop     → the run
GET  /v1/drills               ?workflow= → {items}, without results, newest first
GET  /v1/failures             ?workflow= → the customer-visible failures, as the last drills proved them
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.fallback.drills.model import DrillRun
from roadworthy.fallback.drills.registry import drills
from roadworthy.operations.drills.drill_runs import Order
from roadworthy.operations.drills.failures import catalogue
from roadworthy.operations.services import Services


def faults(services: Services, call: Call) -> Any:
    items = [
        {"fault": drill.name, "row": drill.row, "says": drill.says, "guard": str(drill.guard)}
        for drill in drills().values()
    ]
    return {"items": items}


def start(services: Services, call: Call) -> Any:
    return shown(services.drills.start(call.body, call.actor))


def look(services: Services, call: Call) -> Any:
    return shown(services.drills.look(call.path["id"]))


def stop(services: Services, call: Call) -> Any:
    return shown(services.drills.stop(call.path["id"]))


def listed(services: Services, call: Call) -> Any:
    runs = services.drills.runs(_workflow(call))
    return {"items": [{**shown(run), "results": None, "verdicts": verdicts(run)} for run in runs]}


def failures(services: Services, call: Call) -> Any:
    workflow = _workflow(call)
    items = catalogue(services.drills.runs(workflow))
    if not items:
        services.workflows.named(workflow)  # what was drilled before it was removed may still be read
    return {"workflow": workflow, "items": msgspec.to_builtins(items)}


def verdicts(run: DrillRun) -> dict[str, int]:
    found = [result.verdict for result in run.results]
    return {verdict: found.count(verdict) for verdict in ("PASS", "FAIL", "SKIPPED")}


def shown(run: DrillRun) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(run)
    return made


def _workflow(call: Call) -> str:
    workflow = call.query.get("workflow")
    if not workflow:
        raise Invalid("workflow: is missing, expected the name of a workflow", param="workflow")
    return workflow


ENDPOINTS = [
    Endpoint("GET", "/v1/drills/faults", "read", faults),
    Endpoint("POST", "/v1/drills", "tools", start, Order),
    Endpoint("GET", "/v1/drills", "read", listed),
    Endpoint("GET", "/v1/drills/{id}", "tools", look),
    Endpoint("POST", "/v1/drills/{id}/stop", "stop", stop),
    Endpoint("GET", "/v1/failures", "read", failures),
]
