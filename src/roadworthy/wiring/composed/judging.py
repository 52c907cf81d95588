"""Judges, scoring of live answers and watching for drift, composed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine import online as duty
from roadworthy.engine.supervise import Module
from roadworthy.evals.judges import Judges
from roadworthy.evals.model import Example
from roadworthy.evals.scorers.base import Case, Scorer
from roadworthy.evals.scorers.registry import NotReady, World, made
from roadworthy.evals.scorers.valid_json import ValidJson
from roadworthy.evals.service import Refused
from roadworthy.evidence.kinds import EvalGate
from roadworthy.evidence.service import Ledger
from roadworthy.inference_log.drift import Gated
from roadworthy.inference_log.ports import LogStore
from roadworthy.operations.proving.calibrating import AnyJudge, Calibrating
from roadworthy.operations.proving.calibrating import Ports as CalibratingPorts
from roadworthy.operations.proving.capture import Capture
from roadworthy.operations.proving.drifting import DriftPorts, DriftWatch
from roadworthy.operations.proving.judge_costs import usd_of
from roadworthy.operations.proving.online import OnlinePorts, OnlineScoring, online_scorers
from roadworthy.operations.proving.scoring import Scoring
from roadworthy.operations.proving.subjects import Subjects
from roadworthy.people.incident.service import Incidents
from roadworthy.wiring.composed.evals import Evaluating
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import FrozenRelease, Price, Workflow
from roadworthy.workflow.service import Actor, Unknown, Workflows


class Judging:
    """Built once by ``Control``."""

    def __init__(
        self,
        state: SqliteState,
        workflows: Workflows,
        evaluating: Evaluating,
        ledger: Ledger,
        store: LogStore,
        incidents: Incidents,
        *,
        prices: Callable[[], dict[str, Price]],
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._workflows = workflows
        self._asking = evaluating.asking
        self._capture: Capture = evaluating.capture
        self._ledger = ledger
        self._store = store
        self._prices = prices
        subjects = Subjects(evaluating.evals, evaluating.pool, evaluating.hand)
        self.judges: Judges = evaluating.judges
        self.calibrating = Calibrating(
            self.judges,
            CalibratingPorts(
                flows=self._flows, scorers=self.declared, subjects=subjects.of, asker=self._asker, usd=self._usd,
                clock=clock,
            ),
        )  # fmt: skip
        self.online = OnlineScoring(
            OnlinePorts(
                store=store, state=state, workflows=self._flows, scorers=self.declared, release=self._release,
                asker=self._asker, zone=zone, clock=clock,
            )
        )  # fmt: skip
        self.drift = DriftWatch(
            DriftPorts(
                store=store, people=state, incidents=incidents, workflows=self._flows, names=self._names,
                gated=self._gated, zone=zone, clock=clock,
            )
        )  # fmt: skip

    def modules(self) -> list[Module]:
        return [duty.scoring(self.online), duty.drifting(self.drift)]

    def declared(self, flow: Workflow) -> list[Scorer]:
        """The scorers of a workflow, as they would be made now; without any, whether JSON is what it should be.

        Raises ``Refused``.
        """
        if not flow.evals.scorers:
            newest = self._asking.newest(flow.name)
            return [] if newest is None or newest.release.behaviour.schema is None else [ValidJson()]
        world = World(self._frozen, flow.rubric or "")
        try:
            return [made(name, spec, world) for name, spec in sorted(flow.evals.scorers.items())]
        except NotReady as error:
            raise Refused(str(error)) from error

    def flow(self, workflow: str) -> Workflow:
        """Raises ``Unknown``."""
        return self._workflows.named(workflow)

    def add(
        self, inference: str, actor: Actor, expected: dict[str, object], text: str | None, critical: bool
    ) -> tuple[Example, Inference]:
        """A live call into the pool of examples.  Raises ``Unknown`` and ``Refused``."""
        entry = self._store.get(inference.strip())
        if entry is None:
            raise Unknown(f"no inference {inference[:80]!r} in the log; roadworthy log lists them")
        example, _ = self._capture.one(entry.inference, actor, expected=expected, text=text, critical=critical)
        return example, entry.inference

    # --- inside

    def _flows(self) -> dict[str, Workflow]:
        applied = self._workflows.configuration()
        return {} if applied is None else applied.configuration.workflows

    def _frozen(self, workflow: str) -> str:
        newest = self._asking.newest(workflow)
        return "" if newest is None else newest.release.behaviour_digest

    def _release(self, digest: str) -> FrozenRelease | None:
        with self._state.read() as tx:
            return tx.release(digest)

    def _asker(self, workflow: str, usd: float) -> Scoring:
        return Scoring(self._asking, by=f"engine: {workflow}", usd=usd)

    def _names(self, flow: Workflow) -> Sequence[str]:
        try:
            return [each.name for each in online_scorers(flow, self.declared(flow))[0]]
        except Refused:
            return []

    def _gated(self, workflow: str, digest: str, score: str) -> Gated | None:
        """Of the newest gate of the behaviour that this release has."""
        frozen = self._release(digest)
        if frozen is None:
            return None
        found = [
            (each.made_at, each.figures) for each in self._ledger.known(workflow).evidence
            if isinstance(each.figures, EvalGate) and each.bound.get("behaviour") == frozen.release.behaviour_digest
        ]  # fmt: skip
        newest = max(found, key=lambda each: each[0], default=None)
        if newest is None or score not in newest[1].scores:
            return None
        return Gated(newest[1].scores[score], newest[1].examples)

    def _usd(self, judge: AnyJudge, cases: Sequence[Case]) -> float | None:
        return usd_of(judge, cases, self._asking.newest(judge.workflow), self._prices())
