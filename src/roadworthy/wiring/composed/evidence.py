"""Evidence at control, composed: the ledger that signs, the board that computes readiness, and what makes evidence."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from http.client import HTTPConnection, HTTPException
from typing import cast
from zoneinfo import ZoneInfo

from roadworthy.adapters.sealed_log import FileSealedLog
from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine.renew import Producer, RenewalFailed, Renewals
from roadworthy.engine.telemetry import SpanQueue
from roadworthy.evidence import rules
from roadworthy.evidence.kinds import INSTALL, Facet, Figures, KillDrill, LoadTest, Verdict, kind_of
from roadworthy.evidence.model import Evidence, Mode
from roadworthy.evidence.rules import Refused
from roadworthy.evidence.service import Ledger
from roadworthy.fallback.drills.model import DrillRun
from roadworthy.fallback.drills.registry import drills
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.service import Log, Shipper
from roadworthy.operations.drills import canary, drill_evidence
from roadworthy.operations.drills.canary import CanaryPorts, CanaryRefused, Flown
from roadworthy.operations.drills.drill import Subject
from roadworthy.operations.drills.drill_runs import DrillRefused, DrillRuns, Order
from roadworthy.operations.drills.kill_drill_runs import KillDrillRun
from roadworthy.operations.loading.model import LoadRun
from roadworthy.operations.loading.ports import Kept
from roadworthy.operations.proving.readiness import WEEK, Board, PriceOf
from roadworthy.operations.proving.vouching import Vouching
from roadworthy.people.directory import left
from roadworthy.people.incident.service import Incidents
from roadworthy.readiness.judging import judge, kill_drill_judged
from roadworthy.readiness.model import Published, Readiness
from roadworthy.rollout.model import Rollout
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.folders.run_facts import run_facts
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import DEFAULT_TEAM, Release
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

log = logging.getLogger("roadworthy.evidence")

LOOK = 1.0
"""Seconds between two looks at a run."""
PAGE_PATIENCE = 2.0
"""Seconds that the metrics page has to answer."""


class Proving:
    """Everything of control that is about evidence.  Built once by ``Control``.

    ``rollout``, ``gateways`` and ``published`` are asked at each reading; see ``operations.proving.readiness.Board``.
    """

    def __init__(
        self,
        state: SqliteState,
        folder: DataFolder,
        signer: Ed25519Signer,
        *,
        epoch: Callable[[], int],
        log: Log,
        shipper: Shipper,
        spans: SpanQueue,
        price_of: PriceOf,
        base_url: Callable[[], str],
        snapshot: Callable[[], Snapshot | None],
        clock: Callable[[], float],
        rollout: Callable[[str], Rollout | None] = lambda workflow: None,
        gateways: Callable[[], Mapping[str, float] | None] = lambda: None,
        published: Callable[[str], Published | None] = lambda workflow: None,
    ) -> None:
        kept = FileSealedLog(folder.sealed_log)
        self.ledger = Ledger(state, signer, Ed25519Verifier(), clock=clock, kept=kept)
        self.board = Board(
            state, self.ledger, log,
            price_of=price_of, clock=clock, rollout=rollout, gateways=gateways, published=published, left=self._left,
        )  # fmt: skip
        self.vouching = Vouching(self.ledger, self.board, epoch=epoch, clock=clock)
        self._state = state
        self._folder = folder
        self._log = log
        self._shipper = shipper
        self._snapshot = snapshot
        self._gateways = gateways
        self._clock = clock
        self._canary = CanaryPorts(
            signer=signer, base_url=base_url, record=self._record, metrics=self._metrics_page,
            watch=spans.watch, exported=spans.exported, clock=clock,
        )  # fmt: skip

    def _left(self) -> dict[str, float]:
        with self._state.read() as tx:
            return left(tx)

    # --- renewing

    def renewed_by(self, runs: DrillRuns, incidents: Incidents, zone: Callable[[], tzinfo]) -> Renewals:
        """What renews evidence, with the producers that there are; others may ``register`` theirs."""
        made = Renewals(
            self._readings, lambda: self._hours(zone()), incidents.take,
            team_of=lambda workflow: self.board.view(workflow).flow.team, told=self._told, zone=zone,
            clock=self._clock,
        )  # fmt: skip
        drilled = Producer("drills", lambda workflow: self._drill_anew(runs, workflow))
        made.register("fallback_drills", drilled)
        made.register("failure_catalogue", drilled)
        made.register("canary", Producer("canary", self._fly_anew, lambda workflow: canary.DOLLARS))
        return made

    def _readings(self) -> list[Readiness]:
        return [self.board.readiness(workflow) for workflow in self.board.workflows()]

    def _hours(self, zone: tzinfo) -> dict[int, float]:
        """Hour of the day → live calls of a week."""
        where = Filter(traffic="live", since=self._clock() - WEEK)
        out: dict[int, float] = {}
        for row in self._log.stats("hour", where, cast(ZoneInfo, zone)).rows:
            hour = datetime.fromisoformat(str(row.group["hour"])).hour
            out[hour] = out.get(hour, 0.0) + row.count
        return out

    def _told(self, key: str) -> bool:
        with self._state.read() as tx:
            return tx.newest_incident(key) is not None

    def _drill_anew(self, runs: DrillRuns, workflow: str) -> None:
        frozen = self.board.view(workflow).frozen
        order = Order(workflow, release="" if frozen is None else frozen.release.digest)
        try:
            run = runs.start(order, Actor("engine"))
            while run.state == "running":
                time.sleep(LOOK)
                run = runs.look(run.id)
        except (DrillRefused, Unknown) as error:
            raise RenewalFailed(str(error)) from error
        if run.state != "done":
            raise RenewalFailed(f"run {run.id} was {run.state}: {run.detail}")

    def _fly_anew(self, workflow: str) -> None:
        try:
            self.fly_canary(workflow or None, "engine")
        except (CanaryRefused, Unknown, Refused) as error:
            raise RenewalFailed(str(error)) from error

    # --- drills

    def drilled(self, run: DrillRun, subject: Subject) -> None:
        """Keep what a run of drills has shown; one that broke off counts for what it broke."""
        known = drills()
        figures = drill_evidence.figures(run, subject, known)
        if figures is None:
            return
        now = run.ended or self._clock()
        bound: dict[Facet, str] = {"behaviour": run.behaviour, "handling": run.handling}
        try:
            kept = self._keep(figures, run.team, run.workflow, run.id, bound, run.by, now, "mocked")
            if drill_evidence.whole(figures):
                made = drill_evidence.visible(run, kept.id)
                self._keep(made, run.team, run.workflow, run.id, bound, run.by, now, "mocked")
        except Refused as refused:  # the run itself is kept
            log.error("evidence was refused", extra={"error": str(refused)})

    # --- the kill drill

    def kill_judged(self, figures: KillDrill) -> tuple[Verdict, str]:
        """What a drill is worth now, and in words."""
        judged = kill_drill_judged(figures, self._gateways() or {})
        return judged.verdict, judged.figure

    def kill_drilled(self, run: KillDrillRun, figures: KillDrill) -> str:
        """Keep what a kill drill has shown.  Returns its id; empty: it was refused."""
        detail = f"{figures.presses} stops under traffic"
        bound: dict[Facet, str] = {"install": INSTALL}
        try:
            kept = self._keep(figures, DEFAULT_TEAM, "", run.id, bound, run.by, self._clock(), "live", detail=detail)
        except Refused as refused:
            log.error("evidence was refused", extra={"error": str(refused)})
            return ""
        return kept.id

    # --- load tests

    def load_tested(self, run: LoadRun, figures: LoadTest, mode: Mode) -> Kept:
        """Keep what a load test has shown, and say what readiness makes of it."""
        now, detail = self._clock(), f"{run.order.kind}: {run.plan.rate:.3g} calls/s, {run.plan.proves}"
        try:
            kept = self._keep(
                figures, run.team, run.workflow, run.id, {"behaviour": run.behaviour}, run.by, now, mode,
                detail=detail[:300],
            )  # fmt: skip
        except Refused as refused:  # the run itself is kept
            log.error("evidence was refused", extra={"error": str(refused)})
            return Kept(judged=f"refused as evidence: {refused}")
        judged = judge(kept, self.board.view(run.workflow, run.digest).subject, [kept])
        allows = judged.cap if judged.verdict == "PASS" else None
        return Kept(kept.id, f"{judged.verdict}: {judged.figure}", allows)

    # --- the canary

    def fly_canary(self, workflow: str | None, by: str) -> tuple[Evidence, Flown]:
        """Send one and keep what came of it.  Raises ``Unknown``, ``CanaryRefused`` and ``Refused``."""
        release = self._canary_release(workflow)
        flown = canary.fly(self._canary, release, by)
        detail = f"{flown.inference} of {release.workflow}"
        bound: dict[Facet, str] = {"install": INSTALL}
        kept = self._keep(
            flown.figures, DEFAULT_TEAM, "", flown.inference, bound, by, self._clock(), "live", detail=detail
        )
        return kept, flown

    def _canary_release(self, workflow: str | None) -> Release:
        """Of the workflow named, else of the first that has one at the gateways."""
        snapshot = self._snapshot()
        served = {} if snapshot is None else snapshot.workflows
        if workflow is not None and workflow not in served:
            raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, served)}")
        for name in [workflow] if workflow is not None else sorted(served):
            digest = served[name].release
            if snapshot is not None and digest is not None:
                return snapshot.releases[digest]
        what = f"'{workflow}' has no release" if workflow is not None else "no workflow has a release"
        raise CanaryRefused(f"{what} that a canary could call; freeze one: roadworthy freeze {workflow or 'WORKFLOW'}")

    def _record(self, inference: str) -> Inference | None:
        self._shipper.ship()
        entry = self._log.get(inference)
        return None if entry is None else entry.inference

    def _metrics_page(self) -> str:
        address = run_facts(self._folder).metrics
        if address is None:
            return ""
        host, _, port = address.rpartition(":")
        asking = HTTPConnection(host.strip("[]"), int(port), timeout=PAGE_PATIENCE)
        try:
            asking.request("GET", "/metrics")
            answer = asking.getresponse()
            return answer.read().decode() if answer.status == 200 else ""
        except (OSError, HTTPException):
            return ""
        finally:
            asking.close()

    def _keep(
        self, figures: Figures, team: str, workflow: str, run: str, bound: dict[Facet, str], by: str, now: float,
        mode: Mode, *, detail: str = "",
    ) -> Evidence:  # fmt: skip
        evidence = Evidence(
            id=f"evd_{secrets.token_hex(8)}", team=team, workflow=workflow, figures=figures, run=run, bound=bound,
            mode=mode, by=by, made_at=now, lapses_at=now + rules.life(kind_of(figures)), detail=detail,
        )  # fmt: skip
        return self.ledger.keep(evidence, self.board.bindings(workflow))
