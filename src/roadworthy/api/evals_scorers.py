"""Scorers, tried out.

POST /v1/evals/try   {workflow, scorer, case} → the mark that the applied scorer gives; nothing is kept
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.evals.scorers.base import Case
from roadworthy.operations.services import Services


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    scorer: str
    case: Case


def try_out(services: Services, call: Call) -> Any:
    asked: Trial = call.body
    flow = services.workflows.named(asked.workflow)
    return msgspec.to_builtins(services.evals.trials.mark(flow, asked.scorer, asked.case, call.actor))


ENDPOINTS = [Endpoint("POST", "/v1/evals/try", "tools", try_out, Trial)]
