"""The alert watch of control: what it looks at, put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from zoneinfo import ZoneInfo

from roadworthy.engine import alerting
from roadworthy.engine.supervise import Module
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.inference_log.analysis import Finding
from roadworthy.inference_log.ports import LogStore
from roadworthy.inference_log.service import Shipper
from roadworthy.kill_switch.triggers import Window
from roadworthy.operations.alerting.counting import Served
from roadworthy.operations.alerting.facts import Facts
from roadworthy.operations.alerting.watch import AlertWatch, Heard, Ports
from roadworthy.operations.budgets import BudgetLine
from roadworthy.people.incident.service import Incidents
from roadworthy.people.ports import PeopleState
from roadworthy.wiring.composed.kill import Killing
from roadworthy.wiring.fleet.gateways import Fleet
from roadworthy.wiring.fleet.workers import hear
from roadworthy.workflow.model import Configuration


class Alerting:
    """Counts what is shipped, and looks at it four times a minute."""

    def __init__(self, *, clock: Callable[[], float], snapshot: Callable[[], Snapshot | None]) -> None:
        self._clock = clock
        self._snapshot = snapshot
        self.served = Served(clock, self._slow_from)
        self._watch: AlertWatch | None = None

    def begin(
        self,
        state: PeopleState,
        store: LogStore,
        fleet: Fleet,
        kill: Killing,
        shipper: Shipper,
        incidents: Incidents,
        *,
        budgets: Callable[[], Sequence[BudgetLine]],
        unusual: Callable[[], Sequence[Finding]],
        configuration: Callable[[], Configuration | None],
        zone: Callable[[], ZoneInfo],
    ) -> None:
        """Built after what counts: shipping needs that first."""

        def unsafe(workflow: str, since: float) -> Window:
            return kill.recent.observed(workflow, since, None).unsafe

        def people() -> Collection[str]:
            found = configuration()
            return () if found is None else found.people

        def lag() -> float:
            return shipper.lag().pending_seconds

        def heard() -> list[Heard]:
            return [_heard(known.name, fleet) for known in fleet.gateways() if known.ended_at is None]

        facts = Facts(
            store, state, self.served, snapshot=self._snapshot, zone=zone, lag=lag, clock=self._clock
        )  # fmt: skip
        ports = Ports(
            store=store, incidents=incidents, snapshot=self._snapshot, kills=kill.kills,
            stands=kill.desk.stopped_stands, unsafe=unsafe, budgets=budgets, heard=heard, unusual=unusual,
            people=people, lag=lag,
        )  # fmt: skip
        self._watch = AlertWatch(ports, self.served, facts, clock=self._clock)

    def look(self) -> None:
        """One round now."""
        assert self._watch is not None
        self._watch.look()

    def modules(self) -> list[Module]:
        return [] if self._watch is None else [alerting.module(self._watch)]

    def _slow_from(self, workflow: str) -> float | None:
        snapshot = self._snapshot()
        flow = None if snapshot is None else snapshot.workflows.get(workflow)
        return None if flow is None else flow.policy.objective.latency_p95


def _heard(name: str, fleet: Fleet) -> Heard:
    known = fleet.get(name)
    said = hear(() if known is None else known.sockets().values())
    return Heard(name, said.targets, said.journal["waiting"], said.journal["dropped"], said.workers > 0)
