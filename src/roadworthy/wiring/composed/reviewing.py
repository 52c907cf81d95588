"""Reviews, composed: what they are drafted from, who keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine import reviews as duty
from roadworthy.engine.supervise import Module
from roadworthy.evals.model import Run
from roadworthy.evals.service import Refused
from roadworthy.inference_log.service import Log
from roadworthy.kill_switch.model import Record
from roadworthy.operations.escalating.foreseeing import Foreseeing, StampWatch
from roadworthy.operations.proving.evals import Concluded
from roadworthy.operations.proving.readiness import Board
from roadworthy.operations.proving.ready import Report, report
from roadworthy.operations.reviewing.drafting import Drafting
from roadworthy.operations.reviewing.sources import Applied, Sources
from roadworthy.people.escalation.capacity import Capacity
from roadworthy.people.escalation.model import Worked
from roadworthy.people.incident.model import Incident
from roadworthy.people.review.service import Reviews
from roadworthy.rollout.service import Rollouts
from roadworthy.wiring.composed.answering import Answering
from roadworthy.wiring.composed.evals import Evaluating
from roadworthy.wiring.composed.finance import Finance
from roadworthy.wiring.composed.forecasting import Forecasting
from roadworthy.workflow.model import Configuration, Price, Target, Workflow

VERSIONS = 200
"""Of the configuration, that are looked through for when a workflow was first there."""
COMPARED = 50
"""That changes are looked for in."""
MOST = 20_000
RUNS = 200


class Reviewing:
    """Built once by ``Control``."""

    def __init__(
        self,
        state: SqliteState,
        log: Log,
        answering: Answering,
        evaluating: Evaluating,
        rollouts: Rollouts,
        board: Board,
        forecasting: Forecasting,
        finance: Finance,
        *,
        stops: Callable[[], Sequence[Record]],
        price_of: Callable[[Target], Price | None],
        configuration: Callable[[], Configuration | None],
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._configuration = configuration
        self._price_of = price_of
        self._evaluating = evaluating
        self._forecasting = forecasting
        self._rollouts = rollouts
        self._board = board
        self._foreseeing: Foreseeing = answering.foreseeing
        self._stamps: StampWatch = answering.stamps
        self._clock = clock
        self._first: tuple[int, dict[str, float]] = (0, {})
        self.reviews = Reviews(state, clock=clock)
        sources = Sources(
            log=log, flow=self._flow, applied=self._applied, incidents=self._incidents, worked=self._worked,
            stamping=self._stamps.found, capacity=self._capacity, moves=rollouts.history, stops=stops,
            expected=self._expected, listed=self._listed, ready=self._ready,
            runs=lambda workflow: evaluating.evals.runs(workflow, RUNS), concluded=self._concluded,
            waiting_examples=lambda workflow: len(evaluating.pool.look(workflow).items),
            agreement=evaluating.hand.agreement, calibrations=evaluating.judges.known,
            sheet=lambda workflow, month: finance.books.sheet("workflow", workflow, month), zone=zone, clock=clock,
        )  # fmt: skip
        self.drafting = Drafting(sources, self.reviews, self._begun)

    def modules(self) -> list[Module]:
        return [duty.module(self.drafting)]

    # --- what reviews are drafted from

    def _flow(self, workflow: str) -> Workflow | None:
        found = self._configuration()
        return None if found is None else found.workflows.get(workflow)

    def _begun(self) -> dict[str, float]:
        """Workflow that is configured → when it was first."""
        with self._state.read() as tx:
            applied = tx.applied()
            if applied is None:
                return {}
            version, known = self._first
            if applied.version != version:
                first: dict[str, float] = dict(known)
                for each in tx.configurations(VERSIONS):
                    for name in each.configuration.workflows:
                        first[name] = min(each.applied_at, first.get(name, each.applied_at))
                self._first = applied.version, first
        return {name: at for name, at in self._first[1].items() if name in applied.configuration.workflows}

    def _applied(self) -> list[Applied]:
        with self._state.read() as tx:
            return [
                Applied(each.applied_at, each.applied_by, each.configuration) for each in tx.configurations(COMPARED)
            ]

    def _incidents(self, workflow: str) -> Sequence[Incident]:
        with self._state.read() as tx:
            return tx.incidents(workflow=workflow, drills=False, limit=500)

    def _worked(self, workflow: str, since: float) -> Sequence[Worked]:
        with self._state.read() as tx:
            return tx.worked_escalations(workflow, since, MOST)

    def _capacity(self, workflow: str) -> Capacity | None:
        rollout = self._rollouts.current(workflow)
        following = None if rollout is None else rollout.next
        if rollout is None or following is None:
            return None
        return self._foreseeing.capacity(workflow, rollout.digest, following.share)

    def _expected(self, workflow: str) -> float | None:
        found = self._forecasting.expected(workflow)
        return None if found is None else found.point

    def _listed(self, target: str) -> Price | None:
        configuration = self._configuration()
        found = None if configuration is None else configuration.targets.get(target)
        return None if found is None else self._price_of(found)

    def _ready(self, workflow: str) -> Report:
        return report(self._board.view(workflow), self._clock())

    def _concluded(self, run: Run) -> Concluded | None:
        try:
            return self._evaluating.gate.concluded(run)
        except Refused:
            return None  # its release, its examples or its scorers are not kept any more
