"""Escalations, incidents, and the messages about them.

GET  /v1/escalations              ?workflow=&all=1&limit= → {items}: open ones by urgency, or all, newest first; no text
GET  /v1/escalations/{id}         → the escalation with transcript, draft and answer, and as `view` what whoever
                                    answers it needs; that it was read is audited
POST /v1/escalations/{id}/claim   → the escalation; 409 when somebody else holds it
POST /v1/escalations/{id}/commit  {text} → the escalation with the draft that was hidden until then
POST /v1/escalations/{id}/answer  {text, action?: sent | edited | discarded, add_example?} → the escalation, and
                                    `example`, `not_added`, `scored`, `not_scored`
POST /v1/escalations/{id}/return  {reason?} → the escalation
POST /v1/escalations/{id}/cancel  {reason?} → the escalation
GET  /v1/escalations/{id}/told    → what a gateway may know of it
POST /v1/escalations/{id}/reply   a helpdesk's signed answer, as a gateway passed it on → {id, status}
GET  /v1/capacity/{workflow}      → {release, seen, stages: what people carry at each, agents: how they answer}
GET  /v1/deliveries               ?state=&about=INFERENCE&limit= → {items, counts}, newest first
POST /v1/deliveries/{id}/retry    → the message, which is told anew
GET  /v1/incidents                ?workflow=&open=1&inference=ID&drills=0&limit= → {items}, seen last first
GET  /v1/incidents/{id}           → the incident or alert, with ``paging``: who was paged and what came of it
POST /v1/incidents/{id}/acknowledge → the incident: whoever asks is on it, and nobody else is paged
POST /v1/incidents/{id}/resolve   {reason?} → the incident
POST /v1/inferences/{id}/report   {reason} → the incident that the workflow's owner gets
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid, Unauthenticated
from roadworthy.operations.escalating.shapes import told
from roadworthy.operations.services import Services
from roadworthy.people.escalation.model import Action, Escalation
from roadworthy.people.outbox.model import Delivery, DeliveryState
from roadworthy.people.webhooks import SignatureRefused
from roadworthy.rollout.model import STAGES
from roadworthy.workflow.service import Unknown

LARGEST_PAGE = 1000
TEXTS = ("messages", "draft", "answer", "holding")
STATES = ("waiting", "delivered", "dead", "withdrawn")


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    text: str = ""
    action: Action | None = None
    add_example: bool = False


class Written(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = ""


def listed(services: Services, call: Call) -> Any:
    workflow, limit = call.query.get("workflow") or None, _limit(call)
    if workflow is not None:
        services.workflows.named(workflow)
    queue = services.escalations
    found = queue.all(workflow, limit) if _flag(call, "all") else queue.waiting(workflow, limit)
    return {"items": [without_texts(row) for row in found]}


def read(services: Services, call: Call) -> Any:
    view = services.answering.inbox.view(call.path["id"], call.actor, call.standing)
    more = {name: value for name, value in _whole(view).items() if name != "escalation"}
    return {**_whole(view.escalation), "view": more}


def claim(services: Services, call: Call) -> Any:
    return _whole(services.escalations.claim(call.path["id"], call.actor))


def answer(services: Services, call: Call) -> Any:
    body = call.body
    done = services.answering.inbox.answer(
        call.path["id"], call.actor, body.text, body.action, add_example=body.add_example
    )
    more = {name: value for name, value in _whole(done).items() if name != "escalation"}
    return {**_whole(done.escalation), **more}


def commit(services: Services, call: Call) -> Any:
    return _whole(services.escalations.commit(call.path["id"], call.actor, call.body.text))


def capacity(services: Services, call: Call) -> Any:
    workflow = call.path["workflow"]
    services.workflows.named(workflow)
    stand = services.ramps.stand(workflow)
    stages = stand.stages or list(STAGES)
    found = services.answering.foreseeing
    return {
        "workflow": workflow,
        "release": stand.release,
        "stage": stand.stage,
        "seen": found.seen(workflow, stand.release),
        "stages": [
            {"name": stage.name, **_whole(told)}
            for stage in stages
            if stage.share > 0 and (told := found.capacity(workflow, stand.release, stage.share)) is not None
        ],
        "agents": [{**_whole(each), "text": each.text} for each in services.answering.stamps.found(workflow)],
    }


def give_back(services: Services, call: Call) -> Any:
    return _whole(services.escalations.give_back(call.path["id"], call.actor, call.body.reason))


def cancel(services: Services, call: Call) -> Any:
    return _whole(services.escalations.cancel(call.path["id"], call.actor, call.body.reason))


def told_of(services: Services, call: Call) -> Any:
    return told(services.escalations.find(call.path["id"]))


def reply(services: Services, call: Call) -> Any:
    try:
        done = services.escalations.reply(call.path["id"], call.headers, call.body)
    except SignatureRefused as error:
        refused = Unauthenticated(str(error))
        refused.code = "invalid_signature"
        raise refused from error
    return {"id": done.id, "status": done.state}


def deliveries(services: Services, call: Call) -> Any:
    state = call.query.get("state") or None
    if state is not None and state not in STATES:
        raise Invalid(f"state: found {state[:20]!r}, expected one of {', '.join(STATES)}", param="state")
    found = services.outbox.list(
        state=cast("DeliveryState | None", state), about=call.query.get("about") or None, limit=_limit(call)
    )
    return {"items": [without_body(row) for row in found], "counts": services.outbox.counts()}


def retry(services: Services, call: Call) -> Any:
    return without_body(services.outbox.retry(call.path["id"], call.actor))


def incidents(services: Services, call: Call) -> Any:
    workflow, inference = call.query.get("workflow") or None, call.query.get("inference") or None
    if workflow is not None:
        services.workflows.named(workflow)
    if inference is not None and not inference.startswith("inf_"):
        raise Invalid(f"inference: found {inference[:80]!r}, expected an id: inf_…", param="inference")
    found = services.incidents.list(
        open_only=_flag(call, "open"), workflow=workflow, inference=inference,
        drills=_flag(call, "drills", default="1"), limit=_limit(call),
    )  # fmt: skip
    return {"items": [_whole(row) for row in found]}


def incident(services: Services, call: Call) -> Any:
    found = services.incidents.find(call.path["id"])
    return {**_whole(found), "paging": services.reaching.paging.told(found.id)}


def acknowledge(services: Services, call: Call) -> Any:
    return _whole(services.incidents.acknowledge(call.path["id"], call.actor, "cli"))


def report(services: Services, call: Call) -> Any:
    entry = services.log.get(call.path["id"])
    if entry is None:
        raise Unknown(f"no inference {call.path['id'][:80]!r} in the log")
    record = entry.inference
    reason = call.body.reason
    return _whole(services.incidents.report(record.id, record.workflow, record.team, call.actor, reason))


def resolve(services: Services, call: Call) -> Any:
    return _whole(services.incidents.resolve(call.path["id"], call.actor, call.body.reason))


def _whole(row: msgspec.Struct) -> dict[str, Any]:
    """Every field, also those that are as usual: callers of the API can count on them."""
    return msgspec.structs.asdict(row)


def without_texts(escalation: Escalation) -> dict[str, Any]:
    """What a list shows: nothing that a customer or a model said."""
    return {name: value for name, value in _whole(escalation).items() if name not in TEXTS}


def without_body(delivery: Delivery) -> dict[str, Any]:
    return {name: value for name, value in _whole(delivery).items() if name != "body"}


def _flag(call: Call, name: str, default: str = "") -> bool:
    return call.query.get(name, default).lower() in ("1", "true", "yes")


def _limit(call: Call) -> int:
    text = call.query.get("limit", "200")
    if not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE:
        raise Invalid(f"limit: found {text[:20]!r}, expected 1 to {LARGEST_PAGE}", param="limit")
    return int(text)


ENDPOINTS = [
    Endpoint("GET", "/v1/escalations", "read", listed),
    Endpoint("GET", "/v1/escalations/{id}", "read_text", read),
    Endpoint("POST", "/v1/escalations/{id}/claim", "answer", claim),
    Endpoint("POST", "/v1/escalations/{id}/commit", "answer", commit, Written),
    Endpoint("GET", "/v1/capacity/{workflow}", "read", capacity),
    Endpoint("POST", "/v1/escalations/{id}/answer", "answer", answer, Answer),
    Endpoint("POST", "/v1/escalations/{id}/return", "answer", give_back, Reason),
    Endpoint("POST", "/v1/escalations/{id}/cancel", "answer", cancel, Reason),
    Endpoint("GET", "/v1/escalations/{id}/told", "gateway", told_of),
    Endpoint("POST", "/v1/escalations/{id}/reply", "gateway", reply, raw=True),
    Endpoint("GET", "/v1/deliveries", "read", deliveries),
    Endpoint("POST", "/v1/deliveries/{id}/retry", "tools", retry),
    Endpoint("GET", "/v1/incidents", "read", incidents),
    Endpoint("GET", "/v1/incidents/{id}", "read", incident),
    Endpoint("POST", "/v1/incidents/{id}/acknowledge", "answer", acknowledge),
    Endpoint("POST", "/v1/incidents/{id}/resolve", "answer", resolve, Reason),
    Endpoint("POST", "/v1/inferences/{id}/report", "answer", report, Reason),
]
