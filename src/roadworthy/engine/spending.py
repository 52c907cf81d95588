"""Background duty: cost alerts get their cause and are told; hours that cost far more than usual make one."""

from __future__ import annotations

from roadworthy.engine.supervise import Module, blocking
from roadworthy.operations.costing.alerts import Alerts

EXPLAIN, LOOK = 2.0, 60.0
"""Seconds between two rounds."""


def modules(alerts: Alerts) -> list[Module]:
    return [
        Module("cost alerts", blocking(alerts.round, name="cost alerts", behind=True), EXPLAIN, timeout=60.0),
        Module("cost spikes", blocking(alerts.look, name="cost spikes", behind=True), LOOK, timeout=120.0),
    ]
