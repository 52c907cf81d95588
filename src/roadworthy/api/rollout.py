"""The ramp of a release.

GET  /v1/rollouts                        → {items}: where the ramp of every workflow stands
GET  /v1/rollouts/{workflow}             → where it stands: stage, share, gates in order, guardrails, what comes next
GET  /v1/rollouts/{workflow}/history     ?at=&limit= → {workflow, at, in_force, items}: who allowed what, newest first
POST /v1/rollouts/prospect               Order → its calendar at today's volume; changes nothing
POST /v1/rollouts                        {workflow, release?, stage?, accept_unknown?, shadow?, reason?} → stand
POST /v1/rollouts/{workflow}/approve     {stage?, reason?} → stand
POST /v1/rollouts/{workflow}/resume      {reason?} → stand
POST /v1/rollouts/{workflow}/unlock      {reason?} → stand
POST /v1/rollouts/{workflow}/hold        {reason?} → stand; anybody who may act, also an OS user; so are the next two
POST /v1/rollouts/{workflow}/rollback    {to?: share | release, reason?} → stand
POST /v1/rollouts/{workflow}/lock        {reason?} → stand

To start, approve, resume and unlock is for the workflow's owner.  What is refused is audited as denied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Conflict, Denied, Invalid
from roadworthy.inference_log.model import parse_filter
from roadworthy.operations.services import Services
from roadworthy.rollout.model import BackTo, Rollout
from roadworthy.rollout.records import allowing
from roadworthy.rollout.rules import Refused
from roadworthy.rollout.service import NotAllowed, Order, Rollouts
from roadworthy.workflow.service import Actor

LONGEST_REASON = 500


class Approval(msgspec.Struct, forbid_unknown_fields=True):
    stage: str | None = None
    reason: str = ""


class Said(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = ""


class Back(msgspec.Struct, forbid_unknown_fields=True):
    to: BackTo = "release"
    reason: str = ""


def stands(services: Services, call: Call) -> Any:
    return {"items": services.ramps.stands()}


def stand(services: Services, call: Call) -> Any:
    name = call.path["workflow"]
    applied = services.workflows.configuration()
    flow = None if applied is None else applied.configuration.workflows.get(name)
    notice = "" if flow is None else services.notice(flow)
    return {**msgspec.to_builtins(services.ramps.stand(name)), "notice": notice}


def history(services: Services, call: Call) -> Any:
    workflow = call.path["workflow"]
    at = parse_filter({"until": call.query.get("at", "")}, services.zone()).until
    limit = call.query.get("limit", "100")
    if not limit.isdecimal() or not 0 < int(limit) <= 1000:
        raise Invalid(f"limit: found {limit[:20]!r}, expected a number from 1 to 1000", param="limit")
    found = services.rollouts.history(workflow, at)
    return {"workflow": workflow, "at": at, "in_force": allowing(found), "items": found[: int(limit)]}


def prospect(services: Services, call: Call) -> Any:
    return _vetted(lambda: services.rollouts.prospect(call.body, call.actor))


def start(services: Services, call: Call) -> Any:
    return _acted(services, call.body.workflow, lambda: services.rollouts.start(call.body, call.actor))


def approve(services: Services, call: Call) -> Any:
    body: Approval = call.body
    name = call.path["workflow"]
    return _acted(services, name, lambda: services.rollouts.approve(name, call.actor, body.stage, _reason(body.reason)))


def rollback(services: Services, call: Call) -> Any:
    body: Back = call.body
    name = call.path["workflow"]
    return _acted(services, name, lambda: services.rollouts.roll_back(name, call.actor, body.to, _reason(body.reason)))


def _simple(act: Callable[[Rollouts, str, Actor, str], Rollout]) -> Callable[[Services, Call], Any]:
    def handler(services: Services, call: Call) -> Any:
        name, reason = call.path["workflow"], _reason(call.body.reason)
        return _acted(services, name, lambda: act(services.rollouts, name, call.actor, reason))

    return handler


def _acted(services: Services, workflow: str, act: Callable[[], Rollout]) -> Any:
    _vetted(act)
    return services.ramps.stand(workflow)


def _vetted(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except NotAllowed as error:
        raise Denied(str(error)) from error
    except Refused as error:
        raise Conflict(str(error)) from error


def _reason(text: str) -> str:
    if len(text) > LONGEST_REASON:
        raise Invalid(f"reason: has {len(text)} characters, expected at most {LONGEST_REASON}", param="reason")
    return text


ENDPOINTS = [
    Endpoint("GET", "/v1/rollouts", "read", stands),
    Endpoint("POST", "/v1/rollouts", "approve", start, Order),
    Endpoint("POST", "/v1/rollouts/prospect", "read", prospect, Order),
    Endpoint("GET", "/v1/rollouts/{workflow}", "read", stand),
    Endpoint("GET", "/v1/rollouts/{workflow}/history", "read", history),
    Endpoint("POST", "/v1/rollouts/{workflow}/approve", "approve", approve, Approval),
    Endpoint("POST", "/v1/rollouts/{workflow}/resume", "approve", _simple(Rollouts.resume), Said),
    Endpoint("POST", "/v1/rollouts/{workflow}/unlock", "approve", _simple(Rollouts.unlock), Said),
    Endpoint("POST", "/v1/rollouts/{workflow}/hold", "stop", _simple(Rollouts.hold), Said),
    Endpoint("POST", "/v1/rollouts/{workflow}/rollback", "stop", rollback, Back),
    Endpoint("POST", "/v1/rollouts/{workflow}/lock", "stop", _simple(Rollouts.lock), Said),
]
