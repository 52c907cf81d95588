"""The gateways of the install.

GET  /v1/gateways        → {items}: workers, snapshot, last contact and journal lag of each (``operations/gateways.py``)
POST /v1/gateways/join   {name, folder, workers, listen, metrics} → {first, hmac_key, signing_pub}
POST /v1/gateways/pull   {name, stamp} → {stamp} and, when they changed, {snapshot, settings, shares}
POST /v1/gateways/leave  {name} → {}
POST /v1/gateways/remove {name} → {removed}; once it is stopped and its journal shipped
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Conflict, NotFound
from roadworthy.operations.gateways import Joining, JoinRefused, Pull
from roadworthy.operations.services import Services


class Named(msgspec.Struct, forbid_unknown_fields=True):
    name: str


def gateways(services: Services, call: Call) -> Any:
    return {"items": services.gateways.status()}


def join(services: Services, call: Call) -> Any:
    try:
        return services.gateways.join(call.body, call.actor.id)
    except JoinRefused as refused:
        raise Conflict(str(refused)) from refused


def pull(services: Services, call: Call) -> Any:
    pulled = services.gateways.pull(call.body)
    if pulled is None:
        raise _unknown(call)
    return pulled


def leave(services: Services, call: Call) -> Any:
    if not services.gateways.leave(call.body.name):
        raise _unknown(call)
    return {}


def remove(services: Services, call: Call) -> Any:
    try:
        removed = services.gateways.remove(call.body.name, call.actor.id, call.actor.on_behalf_of)
    except JoinRefused as refused:
        raise Conflict(str(refused)) from refused
    if removed is None:
        raise _unknown(call)
    return {"removed": call.body.name}


def _unknown(call: Call) -> NotFound:
    return NotFound(f"there is no gateway {call.body.name[:60]!r}; `roadworthy gateways` lists them")


ENDPOINTS = [
    Endpoint("GET", "/v1/gateways", "read", gateways),
    Endpoint("POST", "/v1/gateways/join", "gateway", join, Joining),
    Endpoint("POST", "/v1/gateways/pull", "gateway", pull, Pull),
    Endpoint("POST", "/v1/gateways/leave", "gateway", leave, Named),
    Endpoint("POST", "/v1/gateways/remove", "configure", remove, Named),
]
