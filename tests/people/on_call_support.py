"""People, a rotation and two workflows in memory, on a clock of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.people.oncall.service import OnCall
from roadworthy.workflow.model import Configuration, Owners, Person, Settings, Workflow
from roadworthy.workflow.ports import AppliedConfiguration
from roadworthy.workflow.rotation import Rotation
from roadworthy.workflow.service import Actor

DAY = 86_400.0
ADA, BO = Actor("ada"), Actor("bo")


def at(text: str, zone: str = "Europe/Berlin") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


MONDAY = at("2026-06-01T09:00")
ROTATION = Rotation(
    "default", "zoe", zone="Europe/Berlin", members=["ada", "bo"], start="2026-06-01", hand_up=300.0
)  # fmt: skip
PEOPLE = {
    each.id: each
    for each in (
        Person("ada", "Ada Berg", "ada@example.com"), Person("bo", "Bo Lind", "bo@example.com"),
        Person("zoe", "Zoe Kern", "zoe@example.com"), Person("cy", "Cy Wolf", "cy@example.com", left=True),
    )
}  # fmt: skip


def configuration(**changed: Any) -> Configuration:
    found = Configuration(
        Settings(timezone="Europe/Berlin"), {}, PEOPLE,
        {"support": Workflow("support", "default", Owners("ada", "bo", "bo"), "enforce")},
        on_call={"default": ROTATION},
    )  # fmt: skip
    return msgspec.structs.replace(found, **changed)


class Bench:
    def __init__(self, **changed: Any) -> None:
        self.now = MONDAY
        self.state = MemoryState()
        self.ids = iter(f"ovr_{number}" for number in range(1, 1000))
        self.on_call = OnCall(self.state, clock=lambda: self.now, new_id=lambda: next(self.ids))
        self.version = 0
        self.apply(configuration(**changed))

    def apply(self, found: Configuration) -> None:
        self.version += 1
        with self.state.write() as tx:
            tx.add_configuration(AppliedConfiguration(self.version, self.now, "ada", {}, found))

    def audited(self) -> list[tuple[str, str, str]]:
        with self.state.read() as tx:
            return [(each.actor, each.action, each.outcome) for each in tx.audit()]
