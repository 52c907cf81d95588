"""Examples, rubric and gates.

POST /v1/evals/sets              {workflow, rows, columns, source?} → what was published
GET  /v1/evals/sets              ?workflow= → {publication, items}: the set in force
POST /v1/evals/sign              {workflow} → the owner's signature of the rubric
POST /v1/evals/plan              an order (below) → what the run would do and cost
POST /v1/evals/runs              {workflow, release?, purpose?, against?, repeat?, sample?, fresh?, concurrency?, usd?}
                                 → the run; look at it, or it stops
GET  /v1/evals/runs              ?workflow= → {items}, newest first
GET  /v1/evals/runs/{id}         → the run as it is now; looking renews its lease
POST /v1/evals/runs/{id}/stop    → the run
GET  /v1/evals/runs/{id}/answers → {run, items}: every example with what was answered, expected and scored
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.api.services import Services
from roadworthy.evals.importing import Columns, NotImported
from roadworthy.operations.proving.eval_runs import Order, Status

SHOWN_RUNS = 50


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    rows: str
    """JSON Lines."""
    columns: Columns
    source: str = ""


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    release: str = ""


def publish(services: Services, call: Call) -> Any:
    asked: Rows = call.body
    try:
        taken = services.evals.evals.publish(asked.workflow, asked.rows, asked.columns, call.actor, asked.source)
    except NotImported as error:
        raise Invalid(str(error), param="rows") from error
    return {
        "publication": msgspec.to_builtins(taken.publication), "created": taken.created,
        "repeated": taken.imported.repeated, "passed_over": taken.imported.passed_over,
    }  # fmt: skip


def published(services: Services, call: Call) -> Any:
    workflow = _workflow(call)
    services.workflows.named(workflow)
    found = services.evals.evals.current(workflow)
    return {"publication": msgspec.to_builtins(found.publication), "items": msgspec.to_builtins(found.examples.items)}


def sign(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.evals.evals.sign(call.body.workflow, call.actor))


def plan(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.evals.gate.ready(call.body).plan)


def start(services: Services, call: Call) -> Any:
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


def shown(status: Status) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(status)
    return made


def _workflow(call: Call) -> str:
    workflow = call.query.get("workflow")
    if not workflow:
        raise Invalid("workflow: is missing, expected the name of a workflow", param="workflow")
    return workflow


ENDPOINTS = [
    Endpoint("POST", "/v1/evals/sets", "configure", publish, Rows, publishes=True),
    Endpoint("GET", "/v1/evals/sets", "read", published),
    Endpoint("POST", "/v1/evals/sign", "approve", sign, Named),
    Endpoint("POST", "/v1/evals/plan", "read", plan, Order),
    Endpoint("POST", "/v1/evals/runs", "tools", start, Order),
    Endpoint("GET", "/v1/evals/runs", "read", listed),
    Endpoint("GET", "/v1/evals/runs/{id}", "read", look),
    Endpoint("POST", "/v1/evals/runs/{id}/stop", "stop", stop),
    Endpoint("GET", "/v1/evals/runs/{id}/answers", "read", answers),
]
