"""The kill switch.

GET  /v1/kill          ?workflow=&wait= → {items}: of all (``*``) first, then of every workflow
GET  /v1/kill/log      ?workflow=&limit= → {items}: the kill log, newest first
POST /v1/kill          {workflow, to?, reason?, wait?} → its stand; anybody who may act, also an OS user
POST /v1/kill/undo     {workflow, wait?} → its stand; only whoever pressed, for ten minutes
POST /v1/kill/explain  {workflow, reason, wait?} → its stand; the reason may come after
POST /v1/kill/restore  {workflow, to?, reason, wait?} → its stand; by the rules of ``kill_switch/rules.py``

``workflow`` is a name or ``*``; ``wait``: most seconds until every gateway has confirmed.  What is refused is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Conflict, Denied, Invalid, Unavailable
from roadworthy.kill_switch.model import State
from roadworthy.kill_switch.rules import NotAllowed, Refused
from roadworthy.kill_switch.service import NotKept
from roadworthy.operations.services import Services
from roadworthy.operations.stops.kill_desk import Stand

WAIT = 2.0
Wait = Annotated[float, msgspec.Meta(ge=0, le=30)]


class Press(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str
    to: State = "off"
    reason: str = ""
    wait: Wait = WAIT


class Restore(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str
    to: State = "on"
    reason: str = ""
    wait: Wait = WAIT


class Undo(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str
    wait: Wait = WAIT


class Explain(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str
    reason: str
    wait: Wait = WAIT


def stands(services: Services, call: Call) -> Any:
    workflow = call.query.get("workflow")
    if workflow is None:
        return {"items": services.kill.desk.stands()}
    try:
        wait = msgspec.convert(call.query.get("wait", "0"), Wait, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"wait: {error}", param="wait") from error
    return {"items": [services.kill.desk.stand(workflow, wait=wait)]}


def log(services: Services, call: Call) -> Any:
    limit = call.query.get("limit", "100")
    if not limit.isdigit() or int(limit) < 1:
        raise Invalid(f"limit: found {limit[:20]!r}, expected a number from 1", param="limit")
    workflow = call.query.get("workflow")
    found = [line for line in services.kill.kills.records() if workflow in (None, line.workflow)]
    return {"items": found[: -int(limit) - 1 : -1]}


def press(services: Services, call: Call) -> Any:
    body: Press = call.body
    return _acting(lambda: services.kill.desk.press(body.workflow, body.to, body.reason, call.actor, body.wait))


def restore(services: Services, call: Call) -> Any:
    body: Restore = call.body
    return _acting(lambda: services.kill.desk.restore(body.workflow, body.to, body.reason, call.actor, body.wait))


def undo(services: Services, call: Call) -> Any:
    body: Undo = call.body
    return _acting(lambda: services.kill.desk.undo(body.workflow, call.actor, body.wait))


def explain(services: Services, call: Call) -> Any:
    body: Explain = call.body
    return _acting(lambda: services.kill.desk.explain(body.workflow, body.reason, call.actor, body.wait))


def _acting(act: Callable[[], Stand]) -> Stand:
    try:
        return act()
    except NotAllowed as error:
        raise Denied(str(error)) from error
    except Refused as error:
        raise Conflict(str(error)) from error
    except NotKept as error:
        raise Unavailable(str(error)) from error


ENDPOINTS = [
    Endpoint("GET", "/v1/kill", "read", stands),
    Endpoint("GET", "/v1/kill/log", "read", log),
    Endpoint("POST", "/v1/kill", "stop", press, Press),
    Endpoint("POST", "/v1/kill/undo", "stop", undo, Undo),
    Endpoint("POST", "/v1/kill/explain", "stop", explain, Explain),
    Endpoint("POST", "/v1/kill/restore", "approve", restore, Restore),
]
