"""For whoever watches Roadworthy from outside.

GET /v1/objectives → {items: [{workflow, error_share, latency_p95, unsafe_share, targets}]}, as they are in force
"""

from __future__ import annotations

from typing import Any

from roadworthy.api.app import Call, Endpoint
from roadworthy.operations.services import Services
from roadworthy.workflow.model import Workflow


def objectives(services: Services, call: Call) -> Any:
    applied = services.workflows.configuration()
    flows = {} if applied is None else applied.configuration.workflows
    return {"items": [_of(flow) for _, flow in sorted(flows.items())]}


def _of(flow: Workflow) -> dict[str, Any]:
    targets = set() if flow.behaviour is None else set(flow.behaviour.targets)
    return {
        "workflow": flow.name, "error_share": flow.policy.objective.error_share,
        "latency_p95": flow.policy.objective.latency_p95, "unsafe_share": flow.policy.kill.unsafe_share,
        "targets": sorted(targets | ({flow.passthrough} if flow.passthrough else set())),
    }  # fmt: skip


ENDPOINTS = [Endpoint("GET", "/v1/objectives", "read", objectives)]
