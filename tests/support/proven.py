"""Evidence, receipts and ramps as an install's own key signs them, so that an enforced workflow has live traffic.

What a gate, ten items and a week of ramping would bring, written straight into the state database: tests of what comes
after use it, tests of enforcement itself never do.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from roadworthy.adapters.signatures import Ed25519Signer
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.cost.service import PriceList
from roadworthy.evidence.kinds import DAY, INSTALL, KINDS, Acceptance, Verdict
from roadworthy.evidence.model import Accepted, Evidence, Waiver
from roadworthy.evidence.receipt.model import Receipt
from roadworthy.evidence.receipt.tokens import RECEIPT
from roadworthy.evidence.tokens import EVIDENCE, WAIVER
from roadworthy.operations.proving.readiness import prices_hash
from roadworthy.rollout.model import STAGES, Kept, Plan, Rollout, Stage
from roadworthy.rollout.tokens import ROLLOUT
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.model import FrozenRelease, Price, Workflow
from support.evidence import FIGURES


class Prover:
    """Of one install, whose control may be running: it publishes what was written within a fifth of a second."""

    def __init__(self, folder: DataFolder, state: SqliteState, now: float | None = None) -> None:
        self._state = state
        self._signer = Ed25519Signer(folder.signing_key())
        self._now = time.time() if now is None else now
        self._open: Any = None

    def everybody(self, *workflows: str, share: float = 1.0, previous: str | None = None) -> None:
        """All ten items, a receipt, and a ramp that stands at ``share``, in one transaction."""
        with self._writing():
            for workflow in workflows:
                self.items(workflow)
                self.receipt(workflow)
                self.ramp(workflow, share, previous=previous)

    def items(self, workflow: str, *, leave_out: Sequence[str] = ()) -> None:
        """Fresh evidence for every item."""
        flow, frozen = self._found(workflow)
        bound = {
            "behaviour": frozen.release.behaviour_digest, "handling": frozen.release.handling_digest,
            "workflow": workflow, "install": INSTALL,
        }  # fmt: skip
        for kind in [kind for kind in KINDS if kind not in leave_out]:
            roles = {"workflow": flow.owners.workflow, "prompt": flow.owners.prompt, "cost": flow.owners.cost}
            for role, person in roles.items() if kind == "acceptance" else [("", flow.owners.workflow)]:
                figures: Any = Acceptance(role=role, person=person) if role else FIGURES[kind]  # type: ignore[arg-type]
                if kind == "kill_drill":
                    figures = replace(figures, gateways={"local": 0.2})
                if kind == "cost_forecast":
                    figures = replace(figures, prices=self._prices(frozen))
                if kind == "on_call_schedule":
                    figures = replace(figures, covered_until=self._now + 29 * DAY)
                if kind == "eval_gate":
                    figures = replace(figures, rubric_signed_by=flow.owners.workflow)
                self._keep(
                    Evidence(
                        id=f"evd_{secrets.token_hex(8)}", team=flow.team,
                        workflow="" if KINDS[kind].about == ("install",) else workflow, figures=figures,
                        run="" if kind == "acceptance" else "run_1", by=person, made_at=self._now - 60,
                        bound={facet: bound[facet] for facet in KINDS[kind].about},
                        lapses_at=self._now - 60 + KINDS[kind].life,
                    ),
                    flow,
                )  # fmt: skip

    def receipt(self, workflow: str, verdict: Verdict = "PASS", **more: Any) -> Receipt:
        flow, frozen = self._found(workflow)
        fields: dict[str, Any] = {
            "id": f"rcp_{secrets.token_hex(8)}", "team": flow.team, "workflow": workflow,
            "behaviour": frozen.release.behaviour_digest, "verdict": verdict, "floors_met": verdict != "FAIL",
            "evidence": "evd_gate", "run": "run_1", "epoch": 1, "issued": self._now - 30,
            "expires": self._now - 30 + 35 * DAY, "set_version": "v1", "scorers": "s1",
        }  # fmt: skip
        made = Receipt(**{**fields, **more})
        with self._writing() as tx:
            tx.add_receipt(made, RECEIPT.sealed(made, self._signer))
            self._audited(tx, "receipt.issue", workflow)
        return made

    def ramp(
        self, workflow: str, share: float, *, previous: str | None = None, ceiling: float = 1.0,
        further: Sequence[Stage] = (), entered: float | None = None,
    ) -> str:  # fmt: skip
        """A ramp of the candidate that stands at ``share``: as a plan of testers, one stage, and ``further`` ones."""
        flow, frozen = self._found(workflow)
        at = {stage.share: stage for stage in STAGES}.get(share) or Stage(f"{share * 100:g} %", share)
        stages = (STAGES[0], at) if share else (STAGES[0], Stage("1 %", 0.01))
        plan = Plan(stages=(*stages, *further), guardrails=())  # tests that make calls fail are not rolled back for it
        rollout = Rollout(
            flow.team, workflow, frozen.release.digest, plan, predecessor=previous, state="ramping",
            at=1 if share else 0, entered_at=self._now if entered is None else entered, ceiling=ceiling,
            by=flow.owners.workflow,
        )  # fmt: skip
        with self._writing() as tx:
            last = tx.last_audit()
            kept = Kept(rollout, 1_000 + (last.seq if last is not None else 0), self._now)
            tx.put_rollout(flow.team, workflow, ROLLOUT.sealed(kept, self._signer))
            self._audited(tx, "rollout.test", workflow)
        return frozen.release.digest

    def waiver(self, workflow: str, ends: float, *, starts: float | None = None) -> Waiver:
        """Of enforcement; ``ends`` may lie in the past."""
        flow = self._flow(workflow)
        began = min(self._now, ends) - 60 if starts is None else starts
        made = Waiver(
            id=f"wvr_{secrets.token_hex(8)}", team=flow.team, workflow=workflow, item=None, person=flow.owners.workflow,
            reason="a test", starts=began, ends=ends,
        )  # fmt: skip
        with self._writing() as tx:
            tx.add_waiver(made, WAIVER.sealed(made, self._signer))
            self._audited(tx, "waiver.make", workflow)
        return made

    # --- inside

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """The transaction that is open, or one of its own."""
        if self._open is not None:
            yield self._open
            return
        with self._state.write() as tx:
            self._open = tx
            try:
                yield tx
            finally:
                self._open = None

    def _reading(self) -> AbstractContextManager[Any]:
        return nullcontext(self._open) if self._open is not None else self._state.read()

    def _keep(self, evidence: Evidence, flow: Workflow) -> None:
        role = KINDS[evidence.kind].accepted_by
        if role is not None:
            evidence = replace(evidence, accepted=[Accepted(getattr(flow.owners, role), role, evidence.made_at)])
        with self._writing() as tx:
            tx.add_evidence(evidence, EVIDENCE.sealed(evidence, self._signer))
            self._audited(tx, "evidence.keep", flow.name)

    def _audited(self, tx: Any, action: str, workflow: str) -> None:
        tx.append_audit(chain(tx.last_audit(), Event("test", action, f"test/{workflow}"), self._now))

    def _flow(self, workflow: str) -> Workflow:
        with self._reading() as tx:
            applied = tx.applied()
        assert applied is not None
        flow: Workflow = applied.configuration.workflows[workflow]
        return flow

    def _found(self, workflow: str) -> tuple[Workflow, FrozenRelease]:
        with self._reading() as tx:
            frozen = tx.release(tx.candidates()[workflow])
        assert frozen is not None
        return self._flow(workflow), frozen

    def _prices(self, frozen: FrozenRelease) -> str:
        with self._reading() as tx:
            applied = tx.applied()
        assert applied is not None
        listed = PriceList()
        prices: dict[str, Price] = {}
        for name in frozen.release.behaviour.targets:
            price = listed.price_of(applied.configuration.targets[name])
            assert price is not None
            prices[name] = price
        return prices_hash(prices)


def prove(data: Path, *workflows: str, share: float = 1.0) -> None:
    """``Prover.everybody`` on a data folder whose control runs elsewhere, or not at all.

    Each workflow's policy must say ``projected_peak: 10`` or less, or a pilot's share is the most.
    """
    folder = DataFolder(data)
    state = SqliteState(folder.state_db)
    try:
        Prover(folder, state).everybody(*workflows, share=share)
    finally:
        state.close()
