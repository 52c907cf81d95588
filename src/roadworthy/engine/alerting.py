"""Background duty: look for what must wake or be told to somebody, four times a minute."""

from __future__ import annotations

from roadworthy.engine.supervise import Module, blocking
from roadworthy.operations.alerting.watch import AlertWatch

ROUND = 15.0


def module(watch: AlertWatch) -> Module:
    return Module("alerts", blocking(watch.look, name="alerts", behind=True), ROUND, timeout=120.0)
