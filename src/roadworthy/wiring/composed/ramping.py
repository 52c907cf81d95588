"""Ramps at control, composed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from zoneinfo import ZoneInfo

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine import rollout as duty
from roadworthy.engine import shadow
from roadworthy.engine.rollout import RampWatch
from roadworthy.engine.supervise import Module
from roadworthy.inference_log.ports import LogStore
from roadworthy.operations.proving.readiness import Board
from roadworthy.operations.ramps.guardrails import LogFeed
from roadworthy.operations.ramps.ramping import BoardGrounds, RampTelling, forged, may
from roadworthy.operations.ramps.rollout_status import RampBoard
from roadworthy.operations.ramps.shadow import Ports, Shadowing
from roadworthy.people.incident.service import Incidents
from roadworthy.rollout.ports import Manned
from roadworthy.rollout.service import Found, Rollouts
from roadworthy.workflow.model import DEFAULT_TEAM, FrozenRelease, Workflow
from roadworthy.workflow.service import Workflows

log = logging.getLogger("roadworthy.rollout")


class Ramping:
    """Built once by ``Control``."""

    def __init__(
        self,
        state: SqliteState,
        signer: Ed25519Signer,
        store: LogStore,
        board: Board,
        incidents: Incidents,
        workflows: Workflows,
        *,
        manned: Manned,
        publish: Callable[[], None],
        base_url: Callable[[], str],
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
    ) -> None:
        self._incidents = incidents
        self._clock = clock
        evidenced = BoardGrounds(board)
        self.rollouts = Rollouts(
            state,
            signer,
            Ed25519Verifier(),
            clock=clock,
            evidenced=evidenced,
            feed=LogFeed(store),
            may=may,
            tell=RampTelling(incidents),
            publish=publish,
            manned=manned,
        )
        self.board = RampBoard(self.rollouts, evidenced, workflows, clock=clock)
        self.watch = RampWatch(self.rollouts, self._forged)
        self._state = state
        self._workflows = workflows
        self.shadowing = Shadowing(
            Ports(
                store=store, ramps=self.rollouts.all, workflows=self._flows, release=self._release, signer=signer,
                base_url=base_url, zone=zone, clock=clock,
            )
        )  # fmt: skip

    def killed(self, workflow: str, by: str, reason: str) -> None:
        """The hook of the kill switch: at least once for each stop."""
        self.rollouts.killed(workflow, by, reason)

    def modules(self) -> list[Module]:
        return [duty.module(self.watch), shadow.module(self.shadowing)]

    def _flows(self) -> dict[str, Workflow]:
        applied = self._workflows.configuration()
        return {} if applied is None else applied.configuration.workflows

    def _release(self, digest: str) -> FrozenRelease | None:
        with self._state.read() as tx:
            return tx.release(digest)

    def _forged(self, workflow: str, found: Found) -> None:
        log.error("a ramp counts for nothing", extra={"workflow": workflow, "error": found.forged})
        self._incidents.take([forged(workflow, DEFAULT_TEAM, found.forged, self._clock())])
