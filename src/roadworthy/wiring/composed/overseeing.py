"""What the console's first pages stand on: how every workflow stands, what a stop would do, the words that customers
read."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine.supervise import Module, blocking
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.inference_log.service import Log
from roadworthy.operations.drills.drill_runs import DrillRuns
from roadworthy.operations.overview import Live, Overview
from roadworthy.operations.proving.readiness import Board
from roadworthy.operations.proving.vouching import Vouching
from roadworthy.operations.status import Standing
from roadworthy.operations.stops.impact import Impacts
from roadworthy.operations.stops.kill_desk import KillDesk
from roadworthy.operations.wording.desk import WordDesk
from roadworthy.rollout.service import Rollouts
from roadworthy.wiring.composed.enforcing import Enforcing
from roadworthy.workflow.model import Configuration
from roadworthy.workflow.service import Workflows

GATHERED_EVERY = 15.0
"""Seconds between two times that the dear figures of the first page are gathered."""


class Overseeing:
    """Built once by ``Control``."""

    def __init__(
        self,
        state: SqliteState,
        log: Log,
        *,
        enforcing: Enforcing,
        workflows: Workflows,
        board: Board,
        vouching: Vouching,
        runs: DrillRuns,
        rollouts: Rollouts,
        desk: KillDesk,
        configuration: Callable[[], Configuration | None],
        snapshot: Callable[[], Snapshot | None],
        publish: Callable[[], None],
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
        failed: Callable[[str], int | None] = lambda name: None,
    ) -> None:
        self._enforcing = enforcing
        self._desk = desk
        self._configuration = configuration
        self._snapshot = snapshot
        self.words = WordDesk(state, workflows, runs, rollouts, vouching, publish=publish, clock=clock)
        self.impacts = Impacts(state, log, would_read=desk.would_read, zone=zone, clock=clock)
        self.overview = Overview(
            state, log, board, configuration=configuration, live=self._live, zone=zone, clock=clock, failed=failed
        )

    def modules(self) -> list[Module]:
        return [Module("overview", blocking(self.overview.refresh, name="overview"), GATHERED_EVERY)]

    def _live(self) -> dict[str, Live]:
        found = self._configuration()
        if found is None:
            return {}
        standings = self._enforcing.standings(found, self._snapshot())
        stands = {stand.workflow: stand for stand in self._desk.stands()}
        every = stands.pop("*")
        made = {}
        for name in found.workflows:
            standing, own = standings.get(name, Standing()), stands.get(name, every)
            stand = own if own.state == own.in_force else every
            missing = [] if stand.reached is None else [each.gateway for each in stand.reached.missing]
            made[name] = Live(
                own.in_force, stand.since, stand.by, stand.reason, missing, standing.share, standing.stage,
                standing.watch, standing.notice,
            )  # fmt: skip
        return made
