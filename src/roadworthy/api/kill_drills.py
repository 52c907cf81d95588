"""The kill drill.

POST /v1/kill/drills            {gateways?, presses?} → the run; look at it, or it is interrupted
GET  /v1/kill/drills/{id}       → the run as it is now; looking renews its lease
POST /v1/kill/drills/{id}/stop  → the run
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.operations.drills.kill_drill_runs import KillDrillRun, Order
from roadworthy.operations.services import Services


def start(services: Services, call: Call) -> Any:
    return shown(services.kill_drills.start(call.body, call.actor))


def look(services: Services, call: Call) -> Any:
    return shown(services.kill_drills.look(call.path["id"]))


def stop(services: Services, call: Call) -> Any:
    return shown(services.kill_drills.stop(call.path["id"]))


def shown(run: KillDrillRun) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(run)
    return made


ENDPOINTS = [
    Endpoint("POST", "/v1/kill/drills", "tools", start, Order),
    Endpoint("GET", "/v1/kill/drills/{id}", "tools", look),
    Endpoint("POST", "/v1/kill/drills/{id}/stop", "stop", stop),
]
