"""Eval gates: planned, run through the gateway that serves under a permit, resumed, concluded.

A run is fixed before its first call: release, examples, scorers, floors, rubric.  Every answer is kept as it comes, so
whatever ends a run loses at most what is under way, and the same command goes on with it.  What it came to is computed
from what was kept, and control signs it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from roadworthy.evals.asking import CannotAsk, question
from roadworthy.evals.model import Answer, Judgement, Publication, Run, Scored
from roadworthy.evals.rules import (
    Scores,
    averaged,
    judge,
    policy_hash,
    rubric_digest,
    standing,
    what_it_sees,
)
from roadworthy.evals.scorers.registry import scorers_of
from roadworthy.evals.service import Evals, Refused, scores_of
from roadworthy.evidence.kinds import DAY, KINDS, EvalGate, Verdict
from roadworthy.evidence.model import Evidence
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.ports import Signer
from roadworthy.evidence.receipt.model import Receipt, Revocation
from roadworthy.evidence.receipt.rules import LEAST_EXAMPLES, gate_verdict
from roadworthy.evidence.rules import Refused as EvidenceRefused
from roadworthy.evidence.rules import binding, bindings, life
from roadworthy.evidence.service import Ledger
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.readiness.model import Published
from roadworthy.workflow.digest import behaviour_digest
from roadworthy.workflow.model import FrozenRelease, Policy, Workflow
from roadworthy.workflow.ports import State
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import DRAFT, Actor, Unknown, Workflows

RESUMED_WITHIN = DAY
"""Seconds after which a run that was left open is not gone on with: the model may be another by now."""
CHARACTERS_A_TOKEN = 3.0
"""For the estimate: on the safe side for European languages."""
LONGEST_ANSWER = 1000
"""Tokens that an answer is thought to have at most where the release sets no limit."""


class Ports(msgspec.Struct, frozen=True):
    """What wiring gives."""

    signer: Signer
    base_url: Callable[[], str]
    """Of the gateway, for clients on this machine."""
    snapshot: Callable[[], Snapshot | None]
    """What gateways were told last."""
    publish: Callable[[], None]
    epoch: Callable[[], int]
    clock: Callable[[], float]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate would do, said before its first call."""

    workflow: str
    number: int
    release: str
    """Digest."""
    examples: int
    calls: int
    """Examples that are not answered yet."""
    resumes: str
    """Id of the run that is gone on with; empty: a new one."""
    spent: float = 0.0
    """US dollars that this run has cost until now."""
    set_version: str
    floors: dict[str, float]
    margin: float
    against: int | None
    rubric_signed_by: str
    usd: float | None
    """About the most that it costs; ``None``: nobody knows the price."""
    sees: str
    warnings: list[str] = []


class Concluded(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to."""

    verdict: Verdict
    """With what it stands on: examples, rubric."""
    judgement: Judgement
    why: list[str]
    evidence: str = ""
    receipt: Receipt | None = None


class Ready(msgspec.Struct, frozen=True):
    """Everything that a run needs."""

    frozen: FrozenRelease
    flow: Workflow
    policy: Policy
    publication: Publication
    plan: Plan
    questions: dict[str, bytes]
    """Example → body of its request: those without an answer."""


class Gate:
    """Plans and concludes; what runs in between is ``eval_runs``.  Blocking."""

    def __init__(self, state: State, workflows: Workflows, evals: Evals, ledger: Ledger, ports: Ports) -> None:
        self._state = state
        self._workflows = workflows
        self.evals = evals
        self._ledger = ledger
        self.ports = ports

    # --- before

    def ready(self, workflow: str, which: str = "") -> Ready:
        """``which``: a number or digest; empty: the newest frozen release.  Raises ``Unknown`` and ``Refused``."""
        flow, policy, frozen = self._workflows.named(workflow), self._policy(workflow), self._frozen(workflow, which)
        published = self.evals.current(workflow)
        names = [scorer.name for scorer in scorers_of(published.examples)]
        _vet_floors(workflow, policy.gate.floors, names)
        rubric = rubric_digest(flow.rubric) if flow.rubric else ""
        signed = self.evals.signed_by(workflow, rubric, self.ports.clock(), flow.owners.workflow) if rubric else ""
        template = self._run(flow, policy, frozen, published.publication, rubric, signed)
        resumed = self._left_open(template)
        kept = {} if resumed is None else self.evals.answers(resumed.id)
        pending = [each for each in published.examples.items if unanswered(kept.get(each.id))]
        try:
            asked = {each.id: msgspec.json.encode(question(frozen.release, each)) for each in pending}
        except CannotAsk as error:
            raise Refused(str(error)) from error
        before, n = self._incumbent(template), len(published.examples.items)
        plan = Plan(
            workflow=workflow, number=frozen.number, release=frozen.release.digest,
            examples=n, calls=len(asked), resumes=resumed.id if resumed else "",
            spent=sum(each.usd or 0.0 for each in kept.values()),
            set_version=template.set_version, floors=template.floors, margin=template.margin,
            against=None if before is None else before.number, rubric_signed_by=signed,
            usd=self._estimate(frozen, asked.values()),
            sees=what_it_sees(n, template.floors, template.margin, compared=before is not None),
            warnings=_warnings(flow, n, signed),
        )  # fmt: skip
        return Ready(frozen, flow, policy, published.publication, plan, asked)

    def begin(self, ready: Ready, actor: Actor) -> Run:
        """The run to go on with, or a new one, fixed now."""
        if ready.plan.resumes:
            return self.evals.run(ready.plan.resumes)
        flow = ready.flow
        rubric = rubric_digest(flow.rubric) if flow.rubric else ""
        made = self._run(flow, ready.policy, ready.frozen, ready.publication, rubric, ready.plan.rubric_signed_by)
        run = msgspec.structs.replace(made, by=actor.id, on_behalf_of=actor.on_behalf_of)
        return self.evals.begin(run)

    def permit(self, run: Run, *, calls: int, usd: float, seconds: float) -> Permit:
        now = self.ports.clock()
        return Permit(
            id=f"prm_{secrets.token_hex(8)}", workflow=run.workflow, digest=run.release, traffic="eval", calls=calls,
            usd=usd, issued=now, expires=now + seconds, by=run.by,
        )  # fmt: skip

    # --- after

    def scored(self, run: Run) -> list[Scored]:
        """Raises ``Refused``."""
        return self.evals.scored(run, self._release(run).release)

    def judged(self, run: Run) -> Judgement:
        """From the kept answers, with those of earlier runs of the same.  Raises ``Refused``."""
        mine = scores_of(self.scored(run))
        repeats = [mine, *self._repeats(run)]
        before = self._incumbent(run)
        earlier = None if before is None else self._scores_on(run, before)
        return judge(
            averaged(repeats), run.examples, run.floors, margin=run.margin, before=earlier,
            against=None if before is None else before.number, repeats=len(repeats),
        )  # fmt: skip

    def complete(self, run: Run) -> bool:
        kept = self.evals.answers(run.id)
        return len(kept) >= run.examples and not any(unanswered(each) for each in kept.values())

    def concluded(self, run: Run) -> Concluded | None:
        """What was kept of it as evidence; ``None``: nothing yet."""
        known = self._ledger.known(run.workflow)
        evidence = next((each for each in known.evidence if each.run == run.id), None)
        if evidence is None or not isinstance(evidence.figures, EvalGate):
            return None
        receipt = next((each for each in known.receipts if each.evidence == evidence.id), None)
        return self._told(run, self.judged(run), evidence.figures, evidence.id, receipt)

    def history(self, workflow: str, limit: int) -> list[dict[str, Any]]:
        """Runs, newest first, with what each came to; one that was left open came to nothing yet."""
        known = {each.run: each for each in self._ledger.known(workflow).evidence}
        found = []
        for run in self.evals.runs(workflow, limit):
            evidence = known.get(run.id)
            figures = None if evidence is None else evidence.figures
            kept = self.evals.answers(run.id).values()
            found.append({
                "id": run.id, "number": run.number, "release": run.release, "began": run.began, "by": run.by,
                "set_version": run.set_version, "examples": run.examples, "floors": run.floors,
                "answered": sum(not unanswered(each) for each in kept),
                "verdict": figures.verdict if isinstance(figures, EvalGate) else None,
                "scores": figures.scores if isinstance(figures, EvalGate) else {},
                "evidence": "" if evidence is None else evidence.id,
            })  # fmt: skip
        return found

    def conclude(self, run: Run) -> Concluded:
        """Compute the verdict from the kept run; keep it as evidence, sign a receipt, publish.

        Raises ``Refused`` when the run is not complete, or not what it says.
        """
        known = self.concluded(run)
        if known is not None:
            return known
        gone = self._revoked_since(run)
        if gone is not None:
            raise Refused(
                f"{gone.person} revoked this behaviour while run {run.id} was under way ({gone.reason}): it counts for "
                "nothing; a run that begins now would count"
            )
        judgement, answers = self.judged(run), self.evals.answers(run.id)
        if not self.complete(run):
            raise Refused(
                f"run {run.id} has answers to {run.examples - judgement.unanswered} of {run.examples} examples"
            )
        at = max(each.at for each in answers.values())
        figures = EvalGate(
            verdict=judgement.verdict, floors_met=judgement.floors_met, examples=judgement.examples,
            set_version=run.set_version, scorers=run.scorers, rubric=run.rubric, rubric_signed_by=run.signed_by,
            policy=run.policy, floors=run.floors, scores=judgement.scores,
        )  # fmt: skip
        about = bindings(run.behaviour, run.handling, run.workflow)
        evidence = Evidence(
            id=f"evd_{secrets.token_hex(8)}", team=run.team, workflow=run.workflow, figures=figures, run=run.id,
            bound=binding("eval_gate", about), by=run.by, made_at=at, lapses_at=at + life("eval_gate"),
        )  # fmt: skip
        frozen = self._release(run)
        exists = bindings(frozen.release.behaviour_digest, frozen.release.handling_digest, run.workflow)
        try:
            self._ledger.keep(evidence, [exists], on_behalf_of=run.on_behalf_of)
            owner = self._workflows.named(run.workflow).owners.workflow
            receipt = self._ledger.issue(evidence.id, owner, self.ports.epoch())
        except EvidenceRefused as error:
            raise Refused(str(error)) from error
        self.ports.publish()
        return self._told(run, judgement, figures, evidence.id, receipt)

    # --- inside

    def _told(
        self, run: Run, judgement: Judgement, figures: EvalGate, evidence: str, receipt: Receipt | None
    ) -> Concluded:
        owner = self._workflows.named(run.workflow).owners.workflow
        verdict, why = gate_verdict(figures, owner), list(judgement.why)
        if figures.verdict == "PASS" and figures.rubric_signed_by != owner:
            why.append(
                f"{owner} had not signed the rubric before it began: roadworthy evals sign {run.workflow}, then again"
            )
        return Concluded(verdict=verdict, judgement=judgement, why=why, evidence=evidence, receipt=receipt)

    def _policy(self, workflow: str) -> Policy:
        """As it is in force: what was loosened waits for its owner."""
        snapshot = self.ports.snapshot()
        served = None if snapshot is None else snapshot.workflows.get(workflow)
        if served is None:
            raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, snapshot.workflows if snapshot else ())}")
        return served.policy

    def _frozen(self, workflow: str, which: str) -> FrozenRelease:
        if which == DRAFT:
            raise Refused(f"a draft can change under the run; freeze it first: roadworthy freeze {workflow}")
        with self._state.read() as tx:
            releases = tx.releases(workflow)
        if not releases:
            raise Refused(f"{workflow} has no release to judge; freeze one: roadworthy freeze {workflow}")
        if not which:
            return releases[0]
        digest = self._workflows.find(workflow, which)[0].digest
        return next(each for each in releases if each.release.digest == digest)

    def _release(self, run: Run) -> FrozenRelease:
        """The release that the run is about, as it was frozen.  Raises ``Refused`` for one that was changed since."""
        with self._state.read() as tx:
            frozen = tx.release(run.release)
        if frozen is None or behaviour_digest(frozen.release.behaviour) != run.behaviour:
            raise Refused(f"release {run.release[:12]} is not as it was frozen, so its run counts for nothing")
        return frozen

    def _run(
        self, flow: Workflow, policy: Policy, frozen: FrozenRelease, published: Publication, rubric: str, signed: str
    ) -> Run:
        release = frozen.release
        return Run(
            id=f"evr_{secrets.token_hex(8)}", team=flow.team, workflow=flow.name, release=release.digest,
            number=frozen.number, behaviour=release.behaviour_digest, handling=release.handling_digest,
            set_version=published.version, scorers=published.scorers, floors=dict(policy.gate.floors),
            margin=policy.gate.margin, policy=policy_hash(policy), rubric=rubric, signed_by=signed,
            examples=published.count, began=self.ports.clock(), by="",
        )  # fmt: skip

    def _left_open(self, template: Run) -> Run | None:
        """The newest run of the very same that was not concluded."""
        for run in self.evals.runs(template.workflow):
            if run.began < template.began - RESUMED_WITHIN or not _same(run, template):
                continue
            known = {each.run for each in self._ledger.known(template.workflow).evidence}
            return run if run.id not in known and self._revoked_since(run) is None else None
        return None

    def _revoked_since(self, run: Run) -> Revocation | None:
        """Whoever took a behaviour's receipts back meant the runs under way as well."""
        found = self._ledger.known(run.workflow).revocations
        return next((each for each in found if each.behaviour == run.behaviour and each.at >= run.began), None)

    def _repeats(self, run: Run) -> list[Scores]:
        """Scores of earlier runs of this behaviour on this set: averaged, never chosen among, not even by whoever stops
        a run that looks bad."""
        oldest = run.began - KINDS["eval_gate"].life
        found = []
        for other in self.evals.runs(run.workflow):
            same = (other.behaviour, other.set_version, other.scorers) == (run.behaviour, run.set_version, run.scorers)
            if same and other.id != run.id and oldest < other.began <= run.began:
                found.append(scores_of(self.scored(other)))
        return [each for each in found if each]

    def _incumbent(self, run: Run) -> FrozenRelease | None:
        """The newest release before this one, of another behaviour, whose gate passed."""
        known = self._ledger.known(run.workflow)
        gone = {(each.behaviour, each.at) for each in known.revocations}
        passed = {
            each.behaviour
            for each in known.receipts
            if each.verdict == "PASS" and not any(b == each.behaviour and each.issued <= at for b, at in gone)
        }
        with self._state.read() as tx:
            releases = tx.releases(run.workflow)
        return next(
            (
                each
                for each in releases
                if each.number < run.number
                and each.release.behaviour_digest != run.behaviour
                and each.release.behaviour_digest in passed
            ),
            None,
        )

    def _scores_on(self, run: Run, before: FrozenRelease) -> Scores | None:
        """What the release before scored on the set and by the scorers of ``run``; ``None``: it never ran on it."""
        behaviour = before.release.behaviour_digest
        runs = [
            other
            for other in self.evals.runs(run.workflow, 1000)
            if (other.behaviour, other.set_version, other.scorers) == (behaviour, run.set_version, run.scorers)
            and self.complete(other)
        ]
        return averaged(scores_of(self.scored(other)) for other in runs) if runs else None

    def _estimate(self, frozen: FrozenRelease, bodies: Iterable[bytes]) -> float | None:
        snapshot = self.ports.snapshot()
        behaviour = frozen.release.behaviour
        price = None if snapshot is None else snapshot.prices.get(behaviour.target)
        if price is None:
            return None
        system = len(behaviour.prompt.system) if behaviour.prompt else 0
        most = behaviour.parameters.get("max_tokens") or behaviour.parameters.get("max_completion_tokens")
        output = most if isinstance(most, int) else LONGEST_ANSWER
        total = 0.0
        for body in bodies:
            asked = (system + len(body)) / CHARACTERS_A_TOKEN
            total += asked * price.input + output * price.output + price.per_request
        return total


def in_force(published: Publication | None) -> Published | None:
    """As readiness wants it."""
    return None if published is None else Published(published.version, published.scorers, published.at)


def unanswered(answer: Answer | None) -> bool:
    """Is the example still to be asked?"""
    return answer is None or standing(answer.outcome, answer.failure) == "unanswered"


def _same(run: Run, template: Run) -> bool:
    fixed = ("release", "set_version", "scorers", "floors", "margin", "rubric", "signed_by")
    return all(getattr(run, name) == getattr(template, name) for name in fixed)


def _vet_floors(workflow: str, floors: Mapping[str, float], names: Sequence[str]) -> None:
    if not floors:
        example = ", ".join(f"{name}: {0.95 if name == 'valid_json' else 0.8}" for name in names[:2])
        raise Refused(
            f"nobody has said what is good enough for {workflow}; declare it before the first run, in "
            f"workflows/{workflow}/workflow.yaml, and apply:\n"
            f"  policy:\n    gate: {{floors: {{{example}}}}}"
        )
    for name in floors:
        if name not in names:
            raise Refused(
                f"policy.gate.floors names '{name}', and the examples are scored on {', '.join(names)}; "
                f"{did_you_mean(name, names)}"
            )


def _warnings(flow: Workflow, n: int, signed: str) -> list[str]:
    said = []
    if n < LEAST_EXAMPLES:
        said.append(f"{n} examples: under {LEAST_EXAMPLES} no gate passes")
    owner = flow.owners.workflow
    if signed != owner:
        said.append(f"{owner} has not signed the rubric, so this run cannot PASS: roadworthy evals sign {flow.name}")
    return said
