"""An install whose people are paged, on a clock of its own."""

from __future__ import annotations

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.workflow.model import Configuration, Owners, Person, Settings, Workflow
from roadworthy.workflow.ports import AppliedConfiguration

NOON = 1_793_620_800.0
"""Monday 2 November 2026, 12:00 UTC."""


def configuration(settings: Settings | None = None, **people: Person) -> Configuration:
    known = {
        "ada": Person("ada", "Ada", email="ada@example.com"),
        "bo": Person("bo", "Bo", email="bo@example.com"),
        "cy": Person("cy", "Cy", email="cy@example.com"),
        **people,
    }
    flow = Workflow("support", "default", Owners("ada", "ada", "bo"), "enforce")
    return Configuration(settings or Settings(), {}, known, {"support": flow})


def applied(state: MemoryState | SqliteState, configured: Configuration | None = None) -> None:
    with state.write() as tx:
        known = tx.applied()
        version = 1 if known is None else known.version + 1
        tx.add_configuration(AppliedConfiguration(version, NOON, "ada", {}, configured or configuration()))
