"""What calls came to, and what they will come to.

GET  /v1/cost/unit       ?workflow=&days=&minute_usd= → what a call, an outcome and a customer cost, and of what
POST /v1/cost/forecasts  {workflow, release?, calls_a_day?, growth_a_month?, peak?, keep?} → the forecast, how earlier
                         ones did, and what became of it as evidence
GET  /v1/cost/forecasts  ?workflow= → {track, items}: past forecasts, held against what came, newest first
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.operations.costing.forecasts import Ask
from roadworthy.operations.services import Services

DAY = 86_400.0
SHOWN = 60


def unit(services: Services, call: Call) -> Any:
    workflow = _workflow(services, call)
    now = services.clock()
    days = _number(call, "days", 30.0, 400.0)
    minute = call.query.get("minute_usd")
    priced = None if minute is None else _number(call, "minute_usd", 0.0, 1e4)
    return msgspec.to_builtins(services.costing.costs.unit(workflow, now - days * DAY, now, minute_usd=priced))


def make(services: Services, call: Call) -> Any:
    asked: Ask = call.body
    services.workflows.named(asked.workflow)
    if asked.release:
        found = services.workflows.find(asked.workflow, asked.release)[0]
        asked = msgspec.structs.replace(asked, release=found.digest)
    return msgspec.to_builtins(services.costing.forecasts.make(asked, call.actor))


def past(services: Services, call: Call) -> Any:
    workflow = _workflow(services, call)
    found = services.costing.forecasts.past(workflow, SHOWN)
    items = [{**msgspec.to_builtins(each), "told": msgspec.to_builtins(each.told), "held": each.held} for each in found]
    return {"track": msgspec.to_builtins(services.costing.forecasts.track(workflow)), "items": items}


def _workflow(services: Services, call: Call) -> str:
    workflow = call.query.get("workflow")
    if not workflow:
        raise Invalid("workflow: is missing, expected the name of a workflow", param="workflow")
    services.workflows.named(workflow)
    return workflow


def _number(call: Call, name: str, default: float, most: float) -> float:
    text = call.query.get(name)
    if text is None:
        return default
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not 0.0 <= found <= most:
        raise Invalid(f"{name}: {text[:40]!r} is no number from 0 to {most:g}", param=name)
    return found


ENDPOINTS = [
    Endpoint("GET", "/v1/cost/unit", "read", unit),
    Endpoint("POST", "/v1/cost/forecasts", "tools", make, Ask, publishes=True),
    Endpoint("GET", "/v1/cost/forecasts", "read", past),
]
