"""Eval gates: planned, run through the gateway that serves under a permit, resumed, concluded.

A run is fixed before its first call: release, examples, scorers, floors, rubric.  Every answer is kept as it comes, so
whatever ends a run loses at most what is under way, and the same command goes on with it.  What it came to is computed
from what was kept, and control signs it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from roadworthy.evals.gate import Asked, Beside, Terms, judge, worse_within
from roadworthy.evals.model import Answer, Judgement, Publication, Run, Scored
from roadworthy.evals.rules import sampled
from roadworthy.evals.scorers.base import Scorer
from roadworthy.evals.scoring import lacking, scores_elsewhere, scores_of
from roadworthy.evals.service import Evals, Refused
from roadworthy.evals.wording import signed
from roadworthy.evidence.kinds import EvalGate, Verdict
from roadworthy.evidence.model import Evidence
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.receipt.model import Receipt
from roadworthy.evidence.receipt.rules import gate_verdict, newest
from roadworthy.evidence.rules import Refused as EvidenceRefused
from roadworthy.evidence.rules import binding, bindings, life
from roadworthy.evidence.service import Ledger
from roadworthy.operations.proving.eval_history import HandScored, History
from roadworthy.operations.proving.eval_plans import (
    RESUMED_WITHIN,
    Order,
    Plan,
    Plans,
    Ports,
    Ready,
    eased_by,
    unanswered,
)
from roadworthy.readiness.model import Published
from roadworthy.workflow.model import FrozenRelease
from roadworthy.workflow.ports import State
from roadworthy.workflow.service import Actor, Unknown, Workflows

__all__ = [
    "RESUMED_WITHIN", "Concluded", "Gate", "Order", "Plan", "Ports", "Ready",
    "in_force", "unanswered",
]  # fmt: skip

Uncarried = Callable[[str, Sequence[Scorer], float], Mapping[str, str]]
"""(workflow, scorers, now) → score → why it may not carry a floor: its judge was not held against people."""


class Concluded(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to."""

    verdict: Verdict
    """With what it stands on: examples, rubric."""
    judgement: Judgement
    why: list[str]
    evidence: str = ""
    """Empty: only a gate makes evidence."""
    receipt: Receipt | None = None


class Gate:
    """Plans and concludes; what runs in between is ``eval_runs``.  Blocking."""

    def __init__(
        self, state: State, workflows: Workflows, evals: Evals, ledger: Ledger, ports: Ports,
        *, hand: HandScored = lambda run, found: {},
        uncarried: Uncarried = lambda workflow, scorers, now: {},
    ) -> None:  # fmt: skip
        self._workflows = workflows
        self.evals = evals
        self._ledger = ledger
        self.ports = ports
        self._uncarried = uncarried
        self.history = History(state, evals, ledger, hand)
        self.plans = Plans(state, workflows, evals, self.history, ports)

    # --- before

    def ready(self, order: Order) -> Ready:
        """Raises ``Unknown`` and ``Refused``."""
        return self.plans.ready(order)

    def begin(self, ready: Ready, actor: Actor) -> Run:
        """The run to go on with, or a new one, fixed now."""
        return self.plans.begin(ready, actor)

    def permit(self, run: Run, *, calls: int, usd: float, seconds: float, target: str = "") -> Permit:
        """``target``: the one that is asked, instead of the release's ladder."""
        now = self.ports.clock()
        return Permit(
            id=f"prm_{secrets.token_hex(8)}", workflow=run.workflow, digest=run.release, traffic="eval", calls=calls,
            usd=usd, issued=now, expires=now + seconds, by=run.by, target=target,
        )  # fmt: skip

    # --- after

    def scored(self, run: Run) -> list[Scored]:
        """Raises ``Refused``."""
        return self.history.scored(run)

    def judged(self, run: Run) -> Judgement:
        """From the kept answers, with those of earlier runs of the same.  Raises ``Refused``."""
        basis = self.evals.basis(run)
        items = sampled(basis.examples.items, run.sample, run.seed or run.id)
        wanted = {each.id for each in items}
        found = [each for each in self.history.askings(run) if each.example.id in wanted]
        before = self.history.incumbent(run)
        beside = None if before is None else Beside(before.number, self.history.scores_on(run, before))
        return judge(
            scores_of(found), Asked.of(items, lacking(basis.scorers, items)), self.terms(run, basis.scorers),
            beside=beside, elsewhere=scores_elsewhere(found, run.targets), repeats=_repeats(found),
        )  # fmt: skip

    def terms(self, run: Run, scorers: Sequence[Scorer]) -> Terms:
        """What was declared before the run."""
        return Terms(
            floors=run.floors, margin=run.margin, primary=run.primary, slices=run.slices,
            graded={each.name for each in scorers if each.kind != "assertion"},
            uncarried=self._uncarried(run.workflow, scorers, self.ports.clock()),
        )  # fmt: skip

    def served(self, workflow: str) -> str | None:
        """Digest of the release that gateways serve, if its gate has run and did not fail it."""
        snapshot = self.ports.snapshot()
        found = None if snapshot is None else snapshot.workflows.get(workflow)
        release = None if snapshot is None or found is None else snapshot.releases.get(found.release or "")
        if release is None:
            return None
        receipt = newest(self._ledger.known(workflow).receipts, workflow, release.behaviour_digest)
        return None if receipt is None or receipt.verdict == "FAIL" else release.digest

    def complete(self, run: Run) -> bool:
        return self.history.complete(run)

    def concluded(self, run: Run) -> Concluded | None:
        """What a gate was kept as, and what another run comes to once it is complete; ``None``: nothing yet."""
        if run.purpose != "gate":
            if not self.complete(run):
                return None
            judgement = self.judged(run)
            return Concluded(verdict=judgement.verdict, judgement=judgement, why=_why(judgement))
        known = self._ledger.known(run.workflow)
        evidence = next((each for each in known.evidence if each.run == run.id), None)
        if evidence is None or not isinstance(evidence.figures, EvalGate):
            return None
        receipt = next((each for each in known.receipts if each.evidence == evidence.id), None)
        return self._told(run, self.judged(run), evidence.figures, evidence.id, receipt)

    def history_of(self, workflow: str, limit: int, *, counted: bool = True) -> list[dict[str, Any]]:
        """Runs, newest first, with what each came to; one that was left open came to nothing yet.

        ``counted``: say how many examples are answered, for which every answer is read.
        """
        known = {each.run: each for each in self._ledger.known(workflow).evidence}
        found = []
        for run in self.evals.runs(workflow, limit):
            evidence = known.get(run.id)
            figures = None if evidence is None else evidence.figures
            kept = self.evals.answers(run.id).values() if counted else ()
            found.append({
                "id": run.id, "number": run.number, "release": run.release, "began": run.began, "by": run.by,
                "purpose": run.purpose, "set_version": run.set_version, "examples": run.examples,
                "repeat": run.repeat, "floors": run.floors,
                "answered": len({each.example for each in kept if not unanswered(each) and not each.asked_target})
                if counted
                else None,
                "verdict": figures.verdict if isinstance(figures, EvalGate) else None,
                "scores": figures.scores if isinstance(figures, EvalGate) else {},
                "evidence": "" if evidence is None else evidence.id,
                "rubric_signed_by": figures.rubric_signed_by if isinstance(figures, EvalGate) else "",
            })  # fmt: skip
        return found

    def conclude(self, run: Run) -> Concluded | None:
        """Compute the verdict from the kept run; keep a gate's as evidence, sign a receipt, publish.

        ``None``: a run of another purpose that is not complete.  Raises ``Refused`` when a gate's run is not complete,
        or not what it says.
        """
        known = self.concluded(run)
        if known is not None or run.purpose != "gate":
            return known
        gone = self.history.revoked_since(run)
        if gone is not None:
            raise Refused(
                f"{gone.person} revoked this behaviour while run {run.id} was under way ({gone.reason}): it counts for "
                "nothing; a run that begins now would count"
            )
        frozen, judgement = self.history.release(run), self.judged(run)
        missing = self.history.open(run)
        if missing:
            where, what = next(iter(missing.items()))
            raise Refused(
                f"run {run.id} is not complete: {len(missing)} of its askings miss something, the first is {where} "
                f"({what})"
            )
        figures = EvalGate(
            verdict=judgement.verdict, floors_met=judgement.floors_met, examples=judgement.examples,
            set_version=run.set_version, scorers=run.scorers, rubric=run.rubric, rubric_signed_by=run.signed_by,
            policy=run.policy, floors=run.floors, scores=judgement.scores, critical=judgement.critical,
            targets=judgement.targets,
        )  # fmt: skip
        return self._kept(run, frozen, judgement, figures)

    def caught_up(self) -> list[str]:
        """Sign the receipts of gates that were kept when control was killed before it signed them → their runs.

        Or a FAIL would leave the receipt before it in force.
        """
        done = []
        applied = self._workflows.configuration()
        for workflow in () if applied is None else applied.configuration.workflows:
            known = self._ledger.known(workflow)
            signed = {each.evidence for each in known.receipts}
            mine = [each for each in known.evidence if isinstance(each.figures, EvalGate) and each.mode == "live"]
            for behaviour in {each.bound.get("behaviour", "") for each in mine}:
                newest_ = max((each for each in mine if each.bound.get("behaviour") == behaviour), key=_made_at)
                if newest_.id in signed or newest_.lapses_at <= self.ports.clock():
                    continue
                with suppress(EvidenceRefused, Unknown):
                    self.evals.run(newest_.run)
                    owner = self._workflows.named(workflow).owners.workflow
                    if self._ledger.issue(newest_.id, owner, self.ports.epoch()) is not None:
                        done.append(newest_.run)
        return done

    def _kept(self, run: Run, frozen: FrozenRelease, judgement: Judgement, figures: EvalGate) -> Concluded:
        at = max(each.at for each in self.evals.answers(run.id).values())
        about = bindings(run.behaviour, run.handling, run.workflow)
        evidence = Evidence(
            id=f"evd_{secrets.token_hex(8)}", team=run.team, workflow=run.workflow, figures=figures, run=run.id,
            bound=binding("eval_gate", about), by=run.by, made_at=at, lapses_at=at + life("eval_gate"),
        )  # fmt: skip
        exists = bindings(frozen.release.behaviour_digest, frozen.release.handling_digest, run.workflow)
        try:
            self._ledger.keep(evidence, [exists], on_behalf_of=run.on_behalf_of)
            owner = self._workflows.named(run.workflow).owners.workflow
            receipt = self._ledger.issue(evidence.id, owner, self.ports.epoch())
        except EvidenceRefused as error:
            raise Refused(str(error)) from error
        self.ports.publish()
        return self._told(run, judgement, figures, evidence.id, receipt)

    def _told(
        self, run: Run, judgement: Judgement, figures: EvalGate, evidence: str, receipt: Receipt | None
    ) -> Concluded:
        owner = self._workflows.named(run.workflow).owners.workflow
        published = self.evals.published(run.workflow)
        verdict, why = gate_verdict(figures, owner), _why(judgement)
        if published is not None and published.version == run.set_version:
            why += eased_by(published)
        if figures.verdict == "PASS" and figures.rubric_signed_by != owner:
            why.append(
                f"{owner} had not signed the rubric before it began: roadworthy evals sign {run.workflow}, then again"
            )
        return Concluded(verdict=verdict, judgement=judgement, why=why, evidence=evidence, receipt=receipt)


def in_force(published: Publication | None) -> Published | None:
    """As readiness wants it."""
    if published is None:
        return None
    return Published(
        published.version, published.scorers, published.at, list(published.forgotten_from), published.critical
    )


def _made_at(evidence: Evidence) -> float:
    return evidence.made_at


def _why(judgement: Judgement) -> list[str]:
    """What decided, and what somebody should know beside it."""
    why = list(judgement.why)
    why += [
        f"{pair.name} is worse, within the margin: at best {signed(pair.upper)}"
        for pair in judgement.pairs
        if pair.decides and worse_within(pair)
    ]
    return why + [
        f"target {target} did not pass the critical examples, so no ladder ever uses it"
        for target, passed in judgement.targets.items()
        if not passed
    ]


def _repeats(found: Sequence[Scored]) -> int:
    """Askings of the example that was asked most often."""
    counted: dict[str, int] = {}
    for each in found:
        answer: Answer | None = each.answer
        if answer is not None and not answer.asked_target and each.standing != "unanswered":
            counted[each.example.id] = counted.get(each.example.id, 0) + 1
    return max(counted.values(), default=1)
