"""Examples, rubric and gates.

POST /v1/evals/sign              {workflow} → the owner's signature of the rubric
POST /v1/evals/plan              an order (below) → what the run would do and cost
POST /v1/evals/runs              {workflow, release?, purpose?, against?, repeat?, sample?, fresh?, concurrency?, usd?}
                                 → the run; look at it, or it stops
GET  /v1/evals/runs              ?workflow= → {items}, newest first
GET  /v1/evals/runs/{id}         → the run as it is now; looking renews its lease
POST /v1/evals/runs/{id}/stop    → the run
GET  /v1/evals/compare           ?a=&b=&workflow= → b beside a: paired differences, and what changed.  Runs, or releases
                                 of ``workflow`` by number or digest: their newest runs
GET  /v1/evals/schedule          ?workflow= → what is run by itself, and what it costs
POST /v1/evals/schedule          {workflow} → the nightly run, begun at once
GET  /v1/evals/runs/{id}/answers → {run, items}: every example with what was answered, expected and scored
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.operations.proving.eval_comparing import compared, run_of
from roadworthy.operations.proving.eval_runs import Order, Status
from roadworthy.operations.services import Services

SHOWN_RUNS = 50


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    release: str = ""


def sign(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.evals.evals.sign(call.body.workflow, call.actor))


def plan(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.evals.gate.ready(call.body).plan)


def start(services: Services, call: Call) -> Any:
    if call.body.purpose == "nightly":  # a night that somebody ordered small would stand for the one that is due
        raise Invalid("purpose: a night's run is begun by POST /v1/evals/schedule", param="purpose")
    return shown(services.evals.runs.start(call.body, call.actor))


def listed(services: Services, call: Call) -> Any:
    workflow = _workflow(call)
    services.workflows.named(workflow)
    return {"items": services.evals.gate.history_of(workflow, SHOWN_RUNS)}


def look(services: Services, call: Call) -> Any:
    return shown(services.evals.runs.look(call.path["id"]))


def stop(services: Services, call: Call) -> Any:
    return shown(services.evals.runs.stop(call.path["id"]))


def answers(services: Services, call: Call) -> Any:
    run = services.evals.evals.run(call.path["id"])
    return {"run": msgspec.to_builtins(run), "items": msgspec.to_builtins(services.evals.gate.scored(run))}


def scheduled(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.evals.nightly.schedule(_workflow(call)))


def tonight(services: Services, call: Call) -> Any:
    return shown(services.evals.nightly.begin(call.body.workflow, call.actor))


def compare(services: Services, call: Call) -> Any:
    gate, workflow = services.evals.gate, call.query.get("workflow") or ""
    named = []
    for side in ("a", "b"):
        which = call.query.get(side)
        if not which:
            raise Invalid(f"{side}: is missing, expected a run or the number of a release", param=side)
        named.append(run_of(gate, workflow, which))
    return msgspec.to_builtins(compared(gate, *named))


def shown(status: Status) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(status)
    return made


def _workflow(call: Call) -> str:
    workflow = call.query.get("workflow")
    if not workflow:
        raise Invalid("workflow: is missing, expected the name of a workflow", param="workflow")
    return workflow


ENDPOINTS = [
    Endpoint("POST", "/v1/evals/sign", "approve", sign, Named),
    Endpoint("POST", "/v1/evals/plan", "read", plan, Order),
    Endpoint("POST", "/v1/evals/runs", "tools", start, Order),
    Endpoint("GET", "/v1/evals/runs", "read", listed),
    Endpoint("GET", "/v1/evals/runs/{id}", "read", look),
    Endpoint("GET", "/v1/evals/compare", "read_text", compare),
    Endpoint("GET", "/v1/evals/schedule", "read", scheduled),
    Endpoint("POST", "/v1/evals/schedule", "tools", tonight, Named),
    Endpoint("POST", "/v1/evals/runs/{id}/stop", "stop", stop),
    Endpoint("GET", "/v1/evals/runs/{id}/answers", "read_text", answers),
]
