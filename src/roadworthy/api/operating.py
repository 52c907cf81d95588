"""Running the install.

GET  /healthz     → {"status": "ok"}; open to whoever reaches the socket
GET  /v1/counters → {log, spans}: numbers of control for ``/metrics``
GET  /v1/status   → one screen, see ``operations/status.py``
GET  /v1/audit    ?after=&limit= → {items, verified, broken}; the whole chain is verified on every read
POST /v1/login    {code} → {token, person, expires}
POST /v1/logout   → {}; ends the session that asks
POST /v1/backup   {path} → {path, bytes, files}
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.operations.services import Services
from roadworthy.workflow.audit import verify
from roadworthy.workflow.ports import Transaction

PAGE = 1000


class Login(msgspec.Struct, forbid_unknown_fields=True):
    code: str


class Backup(msgspec.Struct, forbid_unknown_fields=True):
    path: str


def healthz(services: Services, call: Call) -> Any:
    return {"status": "ok"}


def status(services: Services, call: Call) -> Any:
    return services.status()


def counters(services: Services, call: Call) -> Any:
    return services.counters()


def audit(services: Services, call: Call) -> Any:
    after, limit = _number(call, "after", 0), _number(call, "limit", 100)
    if not 1 <= limit <= PAGE:
        raise Invalid(f"limit: found {limit}, expected 1 to {PAGE}", param="limit")
    with services.state.read() as tx:
        records = [record.as_dict() for record in tx.audit(after=after, limit=limit)]
        broken = verify(_all(tx))
    return {
        "items": records,
        "verified": broken is None,
        "broken": None if broken is None else {"seq": broken.seq, "why": broken.why},
    }


def login(services: Services, call: Call) -> Any:
    signed_in = services.sign_in.exchange(call.body.code, call.actor.id)
    return {"token": signed_in.token, "person": signed_in.person.id, "expires": signed_in.expires_at}


def logout(services: Services, call: Call) -> Any:
    services.sign_in.end(call.token, call.actor.id)
    return {}


def backup(services: Services, call: Call) -> Any:
    if not os.path.isabs(call.body.path):
        raise Invalid(f"path: found {call.body.path[:200]!r}, expected an absolute path", param="path")
    return services.backup(call.body.path)


def _all(tx: Transaction) -> Iterator[dict[str, Any]]:
    after = 0
    while True:
        page = tx.audit(after=after, limit=PAGE)
        for record in page:
            yield record.as_dict()
        if len(page) < PAGE:
            return
        after = page[-1].seq


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not text.isdigit():
        raise Invalid(f"{name}: found {text[:20]!r}, expected a number", param=name)
    return int(text)


ENDPOINTS = [
    Endpoint("GET", "/healthz", "anyone", healthz),
    Endpoint("GET", "/v1/status", "read", status),
    Endpoint("GET", "/v1/counters", "read", counters),
    Endpoint("GET", "/v1/audit", "read", audit),
    Endpoint("POST", "/v1/login", "anyone", login, Login),
    Endpoint("POST", "/v1/logout", "anyone", logout),
    Endpoint("POST", "/v1/backup", "tools", backup, Backup),
]
