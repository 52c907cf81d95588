"""Background duties of on-call: schedules kept elsewhere are read, and gaps are looked for."""

from __future__ import annotations

from roadworthy.engine.supervise import Module, blocking
from roadworthy.operations.proving.on_call import OnCallCheck
from roadworthy.people.oncall.schedules import Schedules

LOOK, CHECK = 30.0, 300.0
"""Seconds between two rounds; what is not due costs one read of the state."""


def modules(schedules: Schedules, check: OnCallCheck) -> list[Module]:
    return [
        Module("on-call schedules", schedules.round, LOOK, timeout=180.0),
        Module("on-call check", blocking(check.round, name="on-call check", behind=True), CHECK, timeout=120.0),
    ]
