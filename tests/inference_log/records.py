"""Inferences for tests: everything has a default, ids follow the clock."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from roadworthy.inference_log.model import Batch
from roadworthy.workflow.inference import Attempt, Inference, InferenceStart, Tokens, new_inference_id

NOON = 1_793_620_800.0
"""2026-11-02 12:00 UTC, a Monday."""

_serial = itertools.count(1)


def inference(ts: float = NOON, **fields: Any) -> Inference:
    body = fields.pop("body", None)
    if body is not None:
        fields["request"] = msgspec.Raw(msgspec.json.encode({"messages": [{"role": "user", "content": body}]}))
    defaults: dict[str, Any] = {
        "id": new_inference_id(ts, next(_serial)),
        "ts": ts,
        "team": "default",
        "workflow": "triage",
        "outcome": "answered",
        "digest": "rel_" + "a" * 64,
        "unit": "u-1",
        "unit_source": "header",
        "key": "key_1",
        "target": "main",
        "model_asked": "m",
        "model_answered": "m-1",
        "latency": 0.5,
        "tokens": Tokens(input=10, output=5),
        "cost_usd": 0.001,
        "attempts": [Attempt(target="main", ended=0.5, status=200)],
    }
    return Inference(**{**defaults, **fields})


def start_of(end: Inference) -> InferenceStart:
    return InferenceStart(id=end.id, ts=end.ts, team=end.team, workflow=end.workflow, unit=end.unit, key=end.key)


def batch(*ends: Inference) -> Batch:
    return Batch(ends=list(ends))
