"""A workflow, its log and its people, all in memory, on a clock of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.adapters.memory.state import MemoryState
from roadworthy.inference_log.model import Batch
from roadworthy.inference_log.service import Log, Shipper
from roadworthy.operations.costing.alerts import Alerts
from roadworthy.operations.notices import notices
from roadworthy.people.incident.service import Incidents
from roadworthy.workflow.inference import Attempt, Inference, Tokens
from roadworthy.workflow.model import (
    Budget,
    Budgets,
    Configuration,
    Owners,
    Person,
    Policy,
    Price,
    Settings,
    Target,
    Webhook,
    Workflow,
)
from roadworthy.workflow.ports import AppliedConfiguration

ZONE = ZoneInfo("UTC")
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()
DAY, HOUR = 86_400.0, 3_600.0
PRICE = Price(input=1e-5, output=1e-5)


class Install:
    """A workflow, its log and its people, all in memory, on a clock of its own."""

    def __init__(self, budgets: Budgets = Budgets(workflow=Budget(day=10.0)), **settings: Any) -> None:  # noqa: B008
        self.now = NOON
        self.state, self.store = MemoryState(), MemoryLog()
        flow = Workflow("support", "default", Owners("ada", "ada", "bo"), "enforce", policy=Policy(budgets=budgets))
        told = {"notify": Webhook("https://told.example/", "env:N")} | settings
        self.configuration = Configuration(
            Settings(**told), {"main": Target("main", "simulated", "m")}, {"bo": Person("bo", "Bo", "bo@x.example")},
            {"support": flow},
        )  # fmt: skip
        with self.state.write() as tx:
            tx.add_configuration(AppliedConfiguration(1, NOON, "ada", {}, self.configuration))
        self.incidents = Incidents(self.state, clock=lambda: self.now)
        self.log = Log(self.store, Shipper(lambda: (), self.store), zone=ZONE, now=lambda: self.now)
        self.alerts = Alerts(
            self.log, self.incidents, lambda: self.configuration, lambda target: PRICE,
            zone=lambda: ZONE, clock=lambda: self.now,
        )  # fmt: skip
        self.made = 0

    def called(self, at: float, *, usd: float = 0.01, calls: int = 1, **more: Any) -> list[Inference]:
        found = []
        for _ in range(calls):
            self.made += 1
            tokens = Tokens(input=round(usd / PRICE.input))
            record = Inference(
                id=f"inf_{self.made:032x}", ts=at, team="default", workflow="support", outcome="answered",
                target="main", tokens=tokens, cost_usd=usd, attempts=[Attempt("main", cost_usd=usd)],
            )  # fmt: skip
            found.append(msgspec.structs.replace(record, **more))
        self.store.ship(Batch(ends=found))
        return found

    def passed(self, note: str, at: float | None = None, **more: Any) -> Inference:
        """A call that took a budget past a share."""
        (record,) = self.called(self.now - 1.0 if at is None else at, notes=[note], **more)
        self.incidents.take(list(notices(record, ZONE)))
        return record

    def told(self) -> list[dict[str, Any]]:
        with self.state.read() as tx:
            return [msgspec.json.decode(row.body) for row in tx.deliveries(limit=100)]
