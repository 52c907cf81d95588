"""What loosens a workflow, and the owner's word for it.

GET  /v1/pending           → {items: [{id, workflow, approver, waits: [{field, now, wanted}]}]}
POST /v1/approve           {workflow, seen, fields?, reason?} → {workflow, approved: [{field, now, wanted}]}; persons
                           only; ``seen``: id of what was shown, and nothing else is approved
POST /v1/backup/accept     {reason} → {epoch}; persons only: an owner goes on from a database that was put back
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Conflict, Denied
from roadworthy.operations.publication.approvals import ApprovalRefused, NotTheOwner, Pending
from roadworthy.operations.publication.restored import AcceptRefused, NoOwner
from roadworthy.operations.services import Services
from roadworthy.workflow.strictness import Waits


class Approve(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str
    seen: str
    fields: list[str] = []
    """``policy.kill`` names all in it; none: all that waits."""
    reason: str = ""


class Accept(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = ""


def pending(services: Services, call: Call) -> Any:
    return {"items": pending_in_words(services.approvals.pending())}


def pending_in_words(found: list[Pending]) -> list[dict[str, Any]]:
    return [{"id": each.id, **msgspec.to_builtins(each)} for each in found]


def _waits(one: Waits) -> dict[str, Any]:
    return {"field": one.field, "now": msgspec.to_builtins(one.now), "wanted": msgspec.to_builtins(one.wanted)}


def approve(services: Services, call: Call) -> Any:
    body: Approve = call.body
    try:
        done = services.approvals.approve(body.workflow, call.actor, body.seen, body.fields, body.reason)
    except NotTheOwner as error:
        raise Denied(str(error)) from error
    except ApprovalRefused as error:
        raise Conflict(str(error)) from error
    return {"workflow": body.workflow, "approved": [_waits(one) for one in done]}


def accept(services: Services, call: Call) -> Any:
    try:
        return {"epoch": services.restored.accept(call.actor, call.body.reason)}
    except NoOwner as error:
        raise Denied(str(error)) from error
    except AcceptRefused as error:
        raise Conflict(str(error)) from error


ENDPOINTS = [
    Endpoint("GET", "/v1/pending", "read", pending),
    Endpoint("POST", "/v1/approve", "approve", approve, Approve, publishes=True),
    Endpoint("POST", "/v1/backup/accept", "approve", accept, Accept),
]
