"""Judges held against people, and live answers that are scored as they come.

POST /v1/evals/calibrations/plan       {workflow, scorer, usd?, anew?} → what calibrating would ask and cost
POST /v1/evals/calibrations            the same → the calibration; look at it, or it stops
GET  /v1/evals/calibrations            ?workflow= → {items: each judge that is declared with what vouches for it,
                                       calibrations: newest first}
GET  /v1/evals/calibrations/{id}       → as it is now; looking renews its lease
POST /v1/evals/calibrations/{id}/stop  → the calibration
GET  /v1/evals/online                  ?workflow= → {items: what is scored of each workflow, drift: what changed}
POST /v1/evals/add                     {inference, expected?, text?, critical?} → the example; it waits in the pool
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.evals.calibration import Calibration
from roadworthy.evals.service import Refused
from roadworthy.operations.proving.calibrating import Order, declared_judges
from roadworthy.operations.services import Services
from roadworthy.workflow.model import Workflow


class Added(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    inference: str
    expected: dict[str, Any] = {}
    """Field of the JSON answer → what would have been right."""
    text: str | None = None
    """The whole answer that would have been right."""
    critical: bool = False


def plan(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.judging.calibrating.plan(call.body))


def start(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.judging.calibrating.start(call.body, call.actor))


def look(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.judging.calibrating.look(call.path["id"]))


def stop(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.judging.calibrating.stop(call.path["id"]))


def listed(services: Services, call: Call) -> Any:
    found = [each for flow in _flows(services, call) for each in _judges(services, flow)]
    kept = services.judging.judges.known(call.query.get("workflow") or "")
    return {"items": found, "calibrations": [_told(each) for each in kept]}


def online(services: Services, call: Call) -> Any:
    items: list[dict[str, Any]] = []
    for flow in _flows(services, call):
        try:
            items.append({**msgspec.to_builtins(services.judging.online.watching(flow)), "problem": ""})
        except Refused as error:
            items.append({"workflow": flow.name, "share": flow.evals.online.share, "problem": str(error)})
    shown = {each["workflow"] for each in items}
    drift = [each for each in services.judging.drift.found if each.workflow in shown]
    return {"items": items, "drift": msgspec.to_builtins(drift)}


def add(services: Services, call: Call) -> Any:
    asked: Added = call.body
    example, inference = services.judging.add(
        asked.inference, call.actor, dict(asked.expected), asked.text, asked.critical
    )
    return {"example": msgspec.to_builtins(example), "workflow": inference.workflow, "inference": inference.id}


def _flows(services: Services, call: Call) -> Sequence[Workflow]:
    named = call.query.get("workflow")
    if named:
        return [services.workflows.named(named)]
    applied = services.workflows.configuration()
    return [] if applied is None else [flow for _, flow in sorted(applied.configuration.workflows.items())]


def _judges(services: Services, flow: Workflow) -> list[dict[str, Any]]:
    """Each judge as it would be asked now, with the calibration that vouches for it or why none does."""
    judging = services.judging
    found = declared_judges(judging.calibrating, judging.judges, flow, services.clock())
    return [
        {**msgspec.to_builtins(each), "calibration": None if each.calibration is None else _told(each.calibration)}
        for each in found
    ]


def _told(calibration: Calibration) -> dict[str, Any]:
    """Without its answers, which are many."""
    made: dict[str, Any] = msgspec.to_builtins(calibration)
    made["answers"] = len(made.pop("items"))
    return made


ENDPOINTS = [
    Endpoint("POST", "/v1/evals/calibrations/plan", "read", plan, Order),
    Endpoint("POST", "/v1/evals/calibrations", "tools", start, Order),
    Endpoint("GET", "/v1/evals/calibrations", "read", listed),
    Endpoint("GET", "/v1/evals/calibrations/{id}", "read", look),
    Endpoint("POST", "/v1/evals/calibrations/{id}/stop", "stop", stop),
    Endpoint("GET", "/v1/evals/online", "read", online),
    Endpoint("POST", "/v1/evals/add", "configure", add, Added),
]
