"""Background duty: stop a workflow that overspends, answers unsafely or burns its error objective."""

from __future__ import annotations

from roadworthy.engine.supervise import Module, blocking
from roadworthy.operations.stops.kill_triggers import TriggerWatch

EVERY = 2.0


def module(watch: TriggerWatch) -> Module:
    return Module("kill triggers", blocking(watch.look, name="kill triggers"), EVERY, timeout=60.0)
