"""Evals, composed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine.renew import Producer, RenewalFailed
from roadworthy.evals.hand import HandScores
from roadworthy.evals.judges import Judges
from roadworthy.evals.model import Run, Scored
from roadworthy.evals.pool import Pool
from roadworthy.evals.rules import rubric_digest
from roadworthy.evals.scorers.base import Scorer
from roadworthy.evals.sealed import Sealed
from roadworthy.evals.service import Evals, Refused
from roadworthy.evidence.service import Ledger
from roadworthy.gateway.answers.redact import Redactor, redactor
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.inference_log.ports import LogStore
from roadworthy.operations.proving.capture import Capture
from roadworthy.operations.proving.capture import Ports as CapturePorts
from roadworthy.operations.proving.eval_nightly import Nightly
from roadworthy.operations.proving.eval_runs import EvalRuns, Order
from roadworthy.operations.proving.evals import Gate, Ports, in_force
from roadworthy.operations.proving.forgetting import ExampleEraser, unit_of
from roadworthy.operations.proving.scoring import Scoring, ScoringPorts
from roadworthy.operations.proving.trials import Trials
from roadworthy.people.incident.model import Notice
from roadworthy.readiness.model import Published
from roadworthy.wiring.secrets import find_secret
from roadworthy.wiring.worker.user_checks import launch_checks
from roadworthy.workflow.model import FrozenRelease, Workflow
from roadworthy.workflow.service import Actor, Unknown, Workflows

LOOK = 1.0
"""Seconds between two looks at a run that renews a gate."""


class Evaluating:
    """Everything of control that is about evals."""

    def __init__(
        self,
        state: SqliteState,
        workflows: Workflows,
        ledger: Ledger,
        signer: Ed25519Signer,
        *,
        epoch: Callable[[], int],
        base_url: Callable[[], str],
        snapshot: Callable[[], Snapshot | None],
        publish: Callable[[], None],
        log: LogStore,
        draft: Callable[[str], str | None],
        clock: Callable[[], float],
    ) -> None:
        """``draft``: what a model drafted for an inference that people answered."""
        self.evals = Evals(state, signer, Ed25519Verifier(), clock=clock)
        sealed = Sealed(signer, Ed25519Verifier())
        self.pool = Pool(state, self.evals, sealed, clock=clock, unit=unit_of(log))
        self.hand = HandScores(state, self.evals, self.pool, sealed, clock=clock)
        self.redactor = partial(_redactor, snapshot)
        self.capture = Capture(
            workflows, self.pool,
            CapturePorts(log=log, redactor=self.redactor, unit=unit_of(log), draft=draft, clock=clock),
        )  # fmt: skip
        self.eraser = ExampleEraser(state, sealed, log, scrub=state.scrub, changed=publish, clock=clock)
        ports = Ports(signer=signer, base_url=base_url, snapshot=snapshot, publish=publish, epoch=epoch, clock=clock)
        self.judges = Judges(state, signer, Ed25519Verifier(), clock=clock)
        self._workflows = workflows
        self.gate = Gate(state, workflows, self.evals, ledger, ports, hand=self._by_hand, uncarried=self._uncarried)
        self.asking = ScoringPorts(
            signer=signer, base_url=base_url, newest=lambda workflow: _newest(state, workflow), launch=launch_checks,
            secret=find_secret, clock=clock,
        )  # fmt: skip
        self.trials = Trials(self.asking)
        self.runs = EvalRuns(self.gate, lambda by, usd: Scoring(self.asking, by=by, usd=usd))
        self.evals.publish_anew()
        self.gate.caught_up()

    def _by_hand(self, run: Run, found: Sequence[Scored]) -> dict[str, float]:
        answers = {each.slot: each.answer for each in found if each.answer is not None}
        return self.hand.by_slot(run.workflow, answers, run.rubric)

    def _uncarried(self, workflow: str, scorers: Sequence[Scorer], now: float) -> dict[str, str]:
        rubric = rubric_digest(self._workflows.named(workflow).rubric or "")
        return self.judges.uncarried(workflow, rubric, scorers, now)

    def renewed_by(self, release: Callable[[str], str], sleep: Callable[[float], None] = time.sleep) -> Producer:
        """How a machine runs the gate again.  ``release``: digest of the one that a workflow is judged by."""

        def run(workflow: str) -> None:
            try:
                status = self.runs.start(Order(workflow, release(workflow), fresh=True), Actor("engine"))
                while status.state == "running":
                    sleep(LOOK)
                    status = self.runs.look(status.run.id)
            except (Refused, Unknown) as error:
                raise RenewalFailed(str(error)) from error
            if status.concluded is None:
                raise RenewalFailed(status.detail or f"run {status.run.id} is not complete")

        def usd(workflow: str) -> float:
            try:
                return self.gate.ready(Order(workflow, release(workflow), fresh=True)).plan.usd or 0.0
            except (Refused, Unknown):
                return 0.0  # running it says why it cannot be

        return Producer("evals", run, usd)

    def nightly_by(self, tell: Callable[[list[Notice]], object], clock: Callable[[], float]) -> Producer:
        """How a machine looks every night at what is served."""
        self.nightly = Nightly(self.runs, tell, clock=clock)

        def run(workflow: str) -> None:
            try:
                self.nightly.run(workflow)
            except (Refused, Unknown) as error:
                raise RenewalFailed(str(error)) from error

        return Producer("nightly evals", run, self.nightly.usd)

    def published(self, workflow: str) -> Published | None:
        """The set and scorers in force, as readiness wants them."""
        return in_force(self.evals.published(workflow))


def _newest(state: SqliteState, workflow: str) -> FrozenRelease | None:
    with state.read() as tx:
        return next(iter(tx.releases(workflow)), None)


def _redactor(snapshot: Callable[[], Snapshot | None], flow: Workflow) -> Redactor | None:
    """By the policy in force, with the rules that the install has added."""
    told = snapshot()
    served = None if told is None else told.workflows.get(flow.name)
    policy = flow.policy if served is None else served.policy
    return redactor(policy.redact, [] if told is None else told.redaction)
