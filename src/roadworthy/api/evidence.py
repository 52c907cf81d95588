"""Evidence and readiness.

GET  /v1/readiness         ?workflow=&release=&demo_days= → the checklist, label, ceiling and way to production
GET  /v1/readiness/all     → {items: [{workflow, label, ceiling, …}]}
GET  /v1/evidence          ?workflow= → {items, waivers, receipts, revocations, forged}
GET  /v1/evidence/owed     ?workflow= → {items: [what waits for whose acceptance]}
POST /v1/evidence/accept   {workflow, roles?, evidence?} → {items}; as the named person
POST /v1/evidence/attest   {workflow, instead_of, words} → the evidence; as the owner
POST /v1/evidence/import   ?workflow= and the evidence itself → the evidence, marked as imported; as the owner
POST /v1/evidence/revoke   {workflow, release?, reason} → the revocation; as the owner
POST /v1/waivers           {workflow, item, until, reason} → the waiver; ``item: null`` is enforcement; as the owner
POST /v1/waivers/end       {workflow, id} → the waiver; as the owner
POST /v1/canary            {workflow?} → {verdict, figure, evidence, inference, outcome, cost_usd}
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.evidence.kinds import Role
from roadworthy.operations.proving import ready
from roadworthy.operations.services import Services
from roadworthy.readiness.judging import canary_judged


class Accept(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str
    roles: list[Role] = []
    evidence: str = ""


class Attest(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str
    instead_of: str
    words: str


class Revoke(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str
    reason: str
    release: str = ""


class Waive(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str
    item: int | None
    until: float
    reason: str


class EndWaiver(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str
    id: str


class CanaryOrder(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str | None = None


def readiness(services: Services, call: Call) -> Any:
    workflow = _workflow(services, call)
    view = services.board.view(workflow, _digest(services, workflow, call.query.get("release") or ""))
    report = ready.report(view, services.clock(), demo_days=_demo_days(call))
    owed = services.vouching.owed(workflow, None if view.frozen is None else view.frozen.release.digest)
    return {**msgspec.to_builtins(report), "owed": msgspec.to_builtins(owed)}


def all_readiness(services: Services, call: Call) -> Any:
    now = services.clock()
    rows = [ready.report(services.board.view(name), now) for name in services.board.workflows()]
    return {"items": [msgspec.to_builtins(ready.line(row)) for row in rows]}


def evidence(services: Services, call: Call) -> Any:
    workflow = _workflow(services, call)
    services.workflows.named(workflow)
    known = services.ledger.known(workflow)
    return {
        "workflow": workflow,
        "items": [{**msgspec.to_builtins(each), "kind": each.kind} for each in known.evidence],
        "waivers": msgspec.to_builtins(known.waivers),
        "receipts": msgspec.to_builtins(known.receipts),
        "revocations": msgspec.to_builtins(known.revocations),
        "forged": known.forged,
    }


def owed(services: Services, call: Call) -> Any:
    return {"items": msgspec.to_builtins(services.vouching.owed(_workflow(services, call)))}


def accept(services: Services, call: Call) -> Any:
    body: Accept = call.body
    done = services.vouching.accept(body.workflow, call.actor, body.roles, body.evidence)
    return {"items": [{**msgspec.to_builtins(each), "kind": each.kind} for each in done]}


def attest(services: Services, call: Call) -> Any:
    body: Attest = call.body
    return msgspec.to_builtins(services.vouching.attest(body.workflow, call.actor, body.instead_of, body.words))


def take_in(services: Services, call: Call) -> Any:
    kept = services.vouching.take_in(_workflow(services, call), call.actor, call.body)
    return {**msgspec.to_builtins(kept), "kind": kept.kind}


def revoke(services: Services, call: Call) -> Any:
    body: Revoke = call.body
    digest = _digest(services, body.workflow, body.release)
    return msgspec.to_builtins(services.vouching.revoke(body.workflow, call.actor, digest, body.reason))


def waive(services: Services, call: Call) -> Any:
    body: Waive = call.body
    if not math.isfinite(body.until):
        raise Invalid("until: found no finite number, expected Unix seconds", param="until")
    made = services.vouching.waive(body.workflow, call.actor, body.item, body.until, body.reason)
    return msgspec.to_builtins(made)


def end_waiver(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(services.vouching.end_waiver(call.body.workflow, call.actor, call.body.id))


def canary(services: Services, call: Call) -> Any:
    kept, flown = services.canary(call.body.workflow, call.actor.id)
    judged = canary_judged(flown.figures)
    told = {"verdict": judged.verdict, "figure": judged.figure}
    return {**msgspec.to_builtins(flown), **told, "evidence": msgspec.to_builtins(kept)}


def _workflow(services: Services, call: Call) -> str:
    name = call.query.get("workflow")
    if not name:
        raise Invalid("workflow: is missing, expected the name of a workflow", param="workflow")
    return name


def _digest(services: Services, workflow: str, named: str) -> str | None:
    return services.workflows.find(workflow, named)[0].digest if named else None


def _demo_days(call: Call) -> float | None:
    text = call.query.get("demo_days") or ""
    if not text:
        return None
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 < days <= ready.LONGEST_DEMO:
        raise Invalid(
            f"demo_days: found {text[:20]!r}, expected a number of days above 0, at most {ready.LONGEST_DEMO:g}",
            param="demo_days",
        )
    return days


ENDPOINTS = [
    Endpoint("GET", "/v1/readiness", "read", readiness),
    Endpoint("GET", "/v1/readiness/all", "read", all_readiness),
    Endpoint("GET", "/v1/evidence", "read", evidence),
    Endpoint("GET", "/v1/evidence/owed", "read", owed),
    Endpoint("POST", "/v1/evidence/accept", "approve", accept, Accept, publishes=True),
    Endpoint("POST", "/v1/evidence/attest", "approve", attest, Attest, publishes=True),
    Endpoint("POST", "/v1/evidence/import", "approve", take_in, raw=True, publishes=True),
    Endpoint("POST", "/v1/evidence/revoke", "approve", revoke, Revoke, publishes=True),
    Endpoint("POST", "/v1/waivers", "approve", waive, Waive, publishes=True),
    Endpoint("POST", "/v1/waivers/end", "approve", end_waiver, EndWaiver, publishes=True),
    Endpoint("POST", "/v1/canary", "tools", canary, CanaryOrder, publishes=True),
]
