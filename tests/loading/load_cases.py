"""What the claims about load tests start from."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.latency.model import Sample
from roadworthy.operations.loading.model import Order, PerCall, Preflight
from roadworthy.operations.loading.preflight import Grounds
from roadworthy.workflow.digest import release
from roadworthy.workflow.inference import Attempt, Inference, Tokens
from roadworthy.workflow.model import (
    Behaviour,
    FrozenRelease,
    Handling,
    Objective,
    Policy,
    Price,
    Target,
    TargetIdentity,
    TargetLimits,
)

RELEASE = release("support", Behaviour("chat", None, "main", {"main": TargetIdentity("openai", "m", "h")}), Handling())
FROZEN = FrozenRelease(RELEASE, "default", 3, 0.0, "dev", "")


def call(number: int, *, seconds: float = 1.0, tokens: int = 50, **more: Any) -> Inference:
    """A recorded call whose first token came after a fifth of its time."""
    attempt = Attempt(
        "main", started=0.0, first_token=0.2 * seconds, ended=seconds, status=200,
        tokens=Tokens(input=100, output=tokens), cost_usd=0.001,
    )  # fmt: skip
    known = {
        "outcome": "answered", "attempts": [attempt], "tokens": Tokens(input=100, output=tokens), "cost_usd": 0.001,
        "latency": seconds, "first_token": 0.2 * seconds, "stream": True, "target": "main", **more,
    }  # fmt: skip
    return Inference(id=f"inf_{number:032x}", ts=1000.0 + number, team="default", workflow="support", **known)


def grounds(**more: Any) -> Grounds:
    known: dict[str, Any] = {
        "frozen": FROZEN, "policy": Policy(projected_peak=10.0, objective=Objective(latency_p95=2.0)),
        "target": Target("main", "openai", "m", limits=TargetLimits(requests_per_minute=900, tokens_per_minute=90_000)),
        "price": Price(1e-6, 2e-6), "workers": 2, "recorded": {"live": [call(n) for n in range(100)]}, "minutes": {},
        "usage": {"main": (60.0, 6000.0, 2.0)}, "characters": 300.0, "bodies": 50, "bodies_from": "the log",
    }  # fmt: skip
    return Grounds(**{**known, **more})


def plan(**more: Any) -> Preflight:
    known: dict[str, Any] = {
        "workflow": "support", "number": 3, "release": RELEASE.digest, "target": "main", "provider": "openai, m",
        "kind": "live", "peak": None, "factor": 2.0, "rate": 20.0, "seconds": 60.0, "shape": "poisson", "calls": 1200,
        "per_call": PerCall(100, 50, 0.001, 0.001, 0.001, 1.0, "recorded"), "input_tokens": 1, "output_tokens": 1,
        "usd": 1.2, "usd_lower": 1.1, "usd_upper": 1.3, "max_usd": 2.6, "live_calls": 1200, "headroom": [],
        "predicted_429": 0.0, "bodies": 50, "bodies_from": "the log", "workers": 2, "proves": "nothing",
    }  # fmt: skip
    return Preflight(**{**known, **more})


def sample(at: float, seconds: float = 0.5, **more: Any) -> Sample:
    known: dict[str, Any] = {
        "at": at, "sent": 0.0, "first_token": 0.2 * seconds, "ended": seconds, "status": 200, "outcome": "answered",
        "output_tokens": 50, "usd": 0.001,
    }  # fmt: skip
    return Sample(**{**known, **more})


def order(**more: Any) -> Order:
    return msgspec.structs.replace(Order("support"), **more)
