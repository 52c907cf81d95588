"""API keys.  A token is in an answer once and never again; hashes are in none.

GET  /v1/keys               → {items}
POST /v1/keys               {name, workflows?, kind?, person?, team?, callbacks?, …} → {key, token, base_url,
                              callback_secret?}
POST /v1/keys/{id}/rotate   {grace?: seconds} → {key, token, base_url}
POST /v1/keys/{id}/revoke   → {key}
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.operations.keys import KeySpec, NewToken
from roadworthy.operations.services import Services
from roadworthy.workflow.model import ApiKey


class Rotate(msgspec.Struct, forbid_unknown_fields=True):
    grace: float = 0.0


def listed(services: Services, call: Call) -> Any:
    return {"items": [shown(key) for key in services.keys.all()]}


def create(services: Services, call: Call) -> Any:
    return new_token(services, services.keys.create(call.body, call.actor))


def rotate(services: Services, call: Call) -> Any:
    return new_token(services, services.keys.rotate(call.path["id"], call.actor, grace=call.body.grace))


def revoke(services: Services, call: Call) -> Any:
    return {"key": shown(services.keys.revoke(call.path["id"], call.actor))}


def new_token(services: Services, made: NewToken) -> dict[str, Any]:
    answer = {"key": shown(made.key), "token": made.token, "base_url": services.base_url()}
    if made.callback_secret is not None:
        answer["callback_secret"] = made.callback_secret
    return answer


def shown(key: ApiKey) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(key).items() if name != "hash"}


ENDPOINTS = [
    Endpoint("GET", "/v1/keys", "read", listed),
    Endpoint("POST", "/v1/keys", "keys", create, KeySpec, publishes=True),
    Endpoint("POST", "/v1/keys/{id}/rotate", "keys", rotate, Rotate, publishes=True),
    Endpoint("POST", "/v1/keys/{id}/revoke", "keys", revoke, publishes=True),
]
