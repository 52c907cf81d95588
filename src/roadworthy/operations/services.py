"""What the surfaces (admin API, console) work with: the services that wiring composed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from roadworthy.cost.sheet import Sheet
from roadworthy.evals.hand import HandScores
from roadworthy.evals.judges import Judges
from roadworthy.evals.model import Example
from roadworthy.evals.pool import Pool
from roadworthy.evals.scorers.base import Scorer
from roadworthy.evals.service import Evals
from roadworthy.evidence.model import Evidence
from roadworthy.evidence.service import Ledger
from roadworthy.inference_log.service import Log, Shipper
from roadworthy.kill_switch.service import Kills
from roadworthy.operations.adoption.adopt import Adoption
from roadworthy.operations.auditing import TrailCheck
from roadworthy.operations.budgets import BudgetBoard
from roadworthy.operations.costing.alert_test import AlertTests
from roadworthy.operations.costing.comparing import Comparer
from roadworthy.operations.costing.finance import Books
from roadworthy.operations.costing.forecasts import Forecasts
from roadworthy.operations.costing.reading import Costs
from roadworthy.operations.costing.reconciling import Reconciler
from roadworthy.operations.drills.canary import Flown
from roadworthy.operations.drills.drill_runs import DrillRuns
from roadworthy.operations.drills.kill_drill_runs import KillDrills
from roadworthy.operations.escalating.foreseeing import Foreseeing, StampWatch
from roadworthy.operations.escalating.inbox import Inbox
from roadworthy.operations.explain import Explainer
from roadworthy.operations.forget import Forgetter
from roadworthy.operations.gateways import Gateways
from roadworthy.operations.keys import Keys
from roadworthy.operations.later import Later
from roadworthy.operations.loading.runs import LoadRuns
from roadworthy.operations.overview import Overview
from roadworthy.operations.paging.acting import LinkDesk
from roadworthy.operations.paging.hooks import PagerDutyHook
from roadworthy.operations.paging.testing import PageTests
from roadworthy.operations.proving.calibrating import Calibrating
from roadworthy.operations.proving.capture import Capture, Redactor
from roadworthy.operations.proving.drifting import DriftWatch
from roadworthy.operations.proving.eval_nightly import Nightly
from roadworthy.operations.proving.eval_runs import EvalRuns
from roadworthy.operations.proving.evals import Gate
from roadworthy.operations.proving.on_call import OnCallCheck
from roadworthy.operations.proving.online import OnlineScoring
from roadworthy.operations.proving.readiness import Board
from roadworthy.operations.proving.trials import Trials
from roadworthy.operations.proving.vouching import Vouching
from roadworthy.operations.publication.approvals import Approvals
from roadworthy.operations.publication.enforcement import Watch
from roadworthy.operations.publication.restored import Restored
from roadworthy.operations.ramps.rollout_status import RampBoard
from roadworthy.operations.reviewing.drafting import Drafting
from roadworthy.operations.rights import Rights
from roadworthy.operations.stops.impact import Impacts
from roadworthy.operations.stops.kill_desk import KillDesk
from roadworthy.operations.targets import TargetTrials
from roadworthy.operations.wording.desk import WordDesk
from roadworthy.people.accounts.identity import IdentityProvider
from roadworthy.people.accounts.service import Accounts
from roadworthy.people.escalation.service import Queue
from roadworthy.people.incident.service import Incidents
from roadworthy.people.oncall.service import OnCall
from roadworthy.people.outbox.service import Outbox
from roadworthy.people.paging.service import Paging
from roadworthy.people.review.service import Reviews
from roadworthy.people.service import SignIn
from roadworthy.rollout.service import Rollouts
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.ports import State
from roadworthy.workflow.service import Actor, Workflows


class KillSwitch(Protocol):
    @property
    def desk(self) -> KillDesk: ...

    @property
    def kills(self) -> Kills: ...


class Evaluating(Protocol):
    @property
    def evals(self) -> Evals: ...

    @property
    def gate(self) -> Gate: ...

    @property
    def runs(self) -> EvalRuns: ...

    @property
    def nightly(self) -> Nightly: ...

    @property
    def pool(self) -> Pool: ...

    @property
    def hand(self) -> HandScores: ...

    @property
    def capture(self) -> Capture: ...

    @property
    def redactor(self) -> Callable[[Workflow], Redactor | None]: ...

    @property
    def trials(self) -> Trials: ...


class Judging(Protocol):
    @property
    def judges(self) -> Judges: ...

    @property
    def calibrating(self) -> Calibrating: ...

    @property
    def online(self) -> OnlineScoring: ...

    @property
    def drift(self) -> DriftWatch: ...

    def declared(self, flow: Workflow) -> list[Scorer]:
        """The scorers of a workflow.  Raises ``Refused``."""
        ...

    def add(
        self, inference: str, actor: Actor, expected: dict[str, object], text: str | None, critical: bool
    ) -> tuple[Example, Inference]: ...


class Answering(Protocol):
    @property
    def inbox(self) -> Inbox: ...

    @property
    def foreseeing(self) -> Foreseeing: ...

    @property
    def stamps(self) -> StampWatch: ...


class Overseeing(Protocol):
    @property
    def overview(self) -> Overview: ...

    @property
    def impacts(self) -> Impacts: ...

    @property
    def words(self) -> WordDesk: ...


class Reviewing(Protocol):
    @property
    def reviews(self) -> Reviews: ...

    @property
    def drafting(self) -> Drafting: ...


class Finance(Protocol):
    @property
    def tests(self) -> AlertTests: ...

    @property
    def books(self) -> Books: ...

    @property
    def comparer(self) -> Comparer: ...

    @property
    def reconciler(self) -> Reconciler: ...

    @property
    def mail(self) -> Callable[[Sheet, Actor], list[str]]:
        """Send a sheet → addresses.  Raises ``NotMailed``."""
        ...


class OnDuty(Protocol):
    @property
    def on_call(self) -> OnCall: ...

    @property
    def check(self) -> OnCallCheck: ...


class Reaching(Protocol):
    @property
    def paging(self) -> Paging: ...

    @property
    def links(self) -> LinkDesk: ...

    @property
    def hook(self) -> PagerDutyHook: ...

    @property
    def tests(self) -> PageTests: ...


class Costing(Protocol):
    @property
    def costs(self) -> Costs: ...

    @property
    def forecasts(self) -> Forecasts: ...


@dataclass(frozen=True)
class Services:
    """Every callable may block; handlers run in threads."""

    state: State
    workflows: Workflows
    approvals: Approvals
    restored: Restored
    watch: Callable[[Workflow], Watch]
    """Is a workflow enforced, observed, or a pilot that has lapsed?"""
    notice: Callable[[Workflow], str]
    """What must show wherever a workflow that is not enforced is shown; empty: it is."""
    keys: Keys
    sign_in: SignIn
    reaching: Reaching
    accounts: Accounts
    identity: IdentityProvider
    targets: TargetTrials
    rights: Rights
    escalations: Queue
    answering: Answering
    reviewing: Reviewing
    incidents: Incidents
    on_duty: OnDuty
    outbox: Outbox
    log: Log
    shipper: Shipper
    forgetter: Forgetter
    adoption: Adoption
    budgets: BudgetBoard
    finance: Finance
    costing: Costing
    explainer: Explainer
    drills: DrillRuns
    evals: Evaluating
    judging: Judging
    gateways: Gateways
    ledger: Ledger
    board: Board
    vouching: Vouching
    canary: Callable[[str | None, str], tuple[Evidence, Flown]]
    """(workflow, by) → what was kept of it.  Raises ``Unknown``, ``CanaryRefused`` and ``evidence.rules.Refused``."""
    kill: KillSwitch
    kill_drills: KillDrills
    loads: LoadRuns
    rollouts: Rollouts
    ramps: RampBoard
    overseeing: Overseeing
    trail: TrailCheck
    later: Later
    status: Callable[[], dict[str, Any]]
    counters: Callable[[], dict[str, dict[str, float]]]
    backup: Callable[[str], dict[str, Any]]
    """Path → what was written.  Raises ``OSError`` and ``BackupRefused``."""
    base_url: Callable[[], str]
    """What an OpenAI client takes as its base URL here."""
    console_url: Callable[[], str]
    """What links to the console begin with; empty: nobody serves it."""
    writes: Callable[[], int]
    """Rises with every change in the state store."""
    publish: Callable[[], None]
    """Bring the snapshot up to date after a change."""
    zone: Callable[[], ZoneInfo]
    clock: Callable[[], float]
    uids: frozenset[int]
    """OS users that count as the owner of this install."""
