"""Evals, composed."""

from __future__ import annotations

from collections.abc import Callable

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.evals.service import Evals
from roadworthy.evidence.service import Ledger
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.operations.eval_runs import EvalRuns
from roadworthy.operations.evals import Gate, Ports, in_force
from roadworthy.readiness.model import Published
from roadworthy.workflow.service import Workflows


class Evaluating:
    """Everything of control that is about evals."""

    def __init__(
        self,
        state: SqliteState,
        workflows: Workflows,
        ledger: Ledger,
        signer: Ed25519Signer,
        *,
        epoch: int,
        base_url: Callable[[], str],
        snapshot: Callable[[], Snapshot | None],
        publish: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.evals = Evals(state, signer, Ed25519Verifier(), clock=clock)
        ports = Ports(signer=signer, base_url=base_url, snapshot=snapshot, publish=publish, epoch=epoch, clock=clock)
        self.gate = Gate(state, workflows, self.evals, ledger, ports)
        self.runs = EvalRuns(self.gate)
        self.evals.publish_anew()

    def published(self, workflow: str) -> Published | None:
        """The set and scorers in force, as readiness wants them."""
        return in_force(self.evals.published(workflow))
