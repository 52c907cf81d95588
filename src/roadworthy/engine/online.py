"""Background duties: score a share of the live answers, and look for what changed by itself."""

from __future__ import annotations

from roadworthy.engine.supervise import Module, blocking
from roadworthy.operations.proving.drifting import DriftWatch
from roadworthy.operations.proving.online import OnlineScoring

SCORE_EVERY = 20.0
SCORE_TIMEOUT = 900.0
"""Seconds: fifty answers and a slow judge, one after the other."""
DRIFT_EVERY = 1800.0
DRIFT_TIMEOUT = 300.0


def scoring(online: OnlineScoring) -> Module:
    async def run() -> None:
        await online.round()

    return Module("online evals", run, SCORE_EVERY, timeout=SCORE_TIMEOUT)


def drifting(watch: DriftWatch) -> Module:
    return Module("drift", blocking(watch.look, name="drift", behind=True), DRIFT_EVERY, timeout=DRIFT_TIMEOUT)
