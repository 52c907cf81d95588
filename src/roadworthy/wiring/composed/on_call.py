"""Everything of control that is about being on call, and about being watched from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from roadworthy.adapters.heartbeat import HttpBeat
from roadworthy.adapters.oncall.pagerduty import PagerDuty
from roadworthy.adapters.outbound import Outbound
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine import heartbeat, oncall
from roadworthy.engine.heartbeat import HeartbeatDuty
from roadworthy.engine.renew import Producer, RenewalFailed
from roadworthy.engine.supervise import Module, ModuleHealth
from roadworthy.evidence.rules import Refused
from roadworthy.operations.proving.on_call import OnCallCheck
from roadworthy.people.oncall.schedules import Schedules
from roadworthy.wiring.composed.evidence import Proving
from roadworthy.wiring.composed.people import People
from roadworthy.wiring.secrets import find_secret
from roadworthy.workflow.model import Settings
from roadworthy.workflow.service import Unknown


class OnDuty:
    """Built once by ``Control``."""

    def __init__(
        self,
        state: SqliteState,
        people: People,
        proving: Proving,
        *,
        settings: Callable[[], Settings],
        health: Callable[[], Sequence[ModuleHealth]],
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
    ) -> None:
        """``health``: of the engine's modules; empty while none runs."""
        self.on_call = people.on_call
        self.check = OnCallCheck(
            people.on_call, people.incidents, proving.ledger,
            bindings=proving.board.bindings, zone=zone, clock=clock,
        )  # fmt: skip
        self.schedules = Schedules(
            state, lambda: PagerDuty(Outbound(proxy=settings().proxy)), secret=find_secret, clock=clock
        )
        self.heartbeat = HeartbeatDuty(
            lambda: settings().heartbeat, health, lambda: HttpBeat(Outbound(proxy=settings().proxy)),
            people.incidents, secret=find_secret, clock=clock,
        )  # fmt: skip

    def looked_anew(self) -> Producer:
        """How a machine shows again that there is no gap."""

        def run(workflow: str) -> None:
            try:
                self.check.keep(self.check.look(workflow), "engine")
            except (Unknown, Refused) as error:
                raise RenewalFailed(str(error)) from error

        return Producer("on-call check", run)

    def modules(self) -> list[Module]:
        return [*oncall.modules(self.schedules, self.check), heartbeat.module(self.heartbeat)]
