"""Everything that control is made of, put together: state, log, services, what enforces, stops, ramps and drills, the
admin API.

``control.py`` runs it; a command of the CLI that stands in for control builds the same.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.adapters.oidc import OidcProvider
from roadworthy.adapters.outbound import Outbound
from roadworthy.adapters.providers.trying import ProviderCaller
from roadworthy.adapters.signatures import Ed25519Signer
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.api import errors as api_errors
from roadworthy.api.inferences import bounds_of
from roadworthy.api.routes import admin_app
from roadworthy.cost.budgets import Calendar
from roadworthy.cost.service import PriceList
from roadworthy.engine import anomalies, lend, renew, retention, rollup, ship, telemetry, train
from roadworthy.engine.anomalies import AnomalyWatch
from roadworthy.engine.lend import Lending
from roadworthy.engine.publish import Publisher
from roadworthy.engine.supervise import Module, blocking
from roadworthy.engine.telemetry import SpanQueue
from roadworthy.engine.train import Training
from roadworthy.evals.model import Example
from roadworthy.evals.service import Refused as NoExamples
from roadworthy.evidence.kinds import KillDrill, LoadTest
from roadworthy.evidence.model import Mode
from roadworthy.evidence.permit.model import LOCAL
from roadworthy.fallback.drills.model import DrillRun
from roadworthy.inference_log.analysis import Bounds
from roadworthy.inference_log.model import Batch, Filter, Shipped
from roadworthy.inference_log.ports import LogStore
from roadworthy.inference_log.service import Log, Shipper
from roadworthy.kill_switch.rules import in_force
from roadworthy.operations.adoption.adopt import Adoption
from roadworthy.operations.alerting.counting import Served
from roadworthy.operations.auditing import TrailCheck
from roadworthy.operations.budgets import BudgetBoard
from roadworthy.operations.drills.drill import Subject
from roadworthy.operations.drills.kill_drill_runs import KillDrillRun
from roadworthy.operations.explain import Explainer
from roadworthy.operations.forget import Forgetter
from roadworthy.operations.keys import Keys
from roadworthy.operations.later import Later
from roadworthy.operations.loading.model import LoadRun
from roadworthy.operations.loading.ports import Kept
from roadworthy.operations.rights import Rights
from roadworthy.operations.services import Services
from roadworthy.operations.stops.kill_triggers import Recent
from roadworthy.operations.targets import TargetTrials
from roadworthy.people.accounts.service import Accounts
from roadworthy.people.service import SignIn
from roadworthy.rollout.model import Rollout
from roadworthy.wiring.composed import kill_drill
from roadworthy.wiring.composed.alerting import Alerting
from roadworthy.wiring.composed.answering import Answering
from roadworthy.wiring.composed.console import ConsoleFrontDoor
from roadworthy.wiring.composed.drills import Drilling
from roadworthy.wiring.composed.enforcing import Enforcing
from roadworthy.wiring.composed.evals import Evaluating
from roadworthy.wiring.composed.evidence import Proving
from roadworthy.wiring.composed.finance import Finance
from roadworthy.wiring.composed.forecasting import Forecasting
from roadworthy.wiring.composed.judging import Judging
from roadworthy.wiring.composed.kill import Killing
from roadworthy.wiring.composed.kill_drill import kill_drills
from roadworthy.wiring.composed.load import Loading
from roadworthy.wiring.composed.on_call import OnDuty
from roadworthy.wiring.composed.overseeing import Overseeing
from roadworthy.wiring.composed.people import People
from roadworthy.wiring.composed.ramping import Ramping
from roadworthy.wiring.composed.reaching import Reaching
from roadworthy.wiring.composed.reviewing import Reviewing
from roadworthy.wiring.composed.status import StatusBoard
from roadworthy.wiring.composed.tracing import Tracing
from roadworthy.wiring.fleet import ledgers
from roadworthy.wiring.fleet.gateway_desk import Desk
from roadworthy.wiring.fleet.gateways import Fleet
from roadworthy.wiring.fleet.stand_ins import StandIns
from roadworthy.wiring.fleet.workers import KeptAnswers, rotate_journals
from roadworthy.wiring.folders.backup import BackupRefused, back_up
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.folders.run_facts import run_facts
from roadworthy.wiring.processes import decoding
from roadworthy.wiring.processes.internal import Internal
from roadworthy.wiring.processes.supervising import reachable
from roadworthy.wiring.secrets import find_secret
from roadworthy.workflow.model import ApiKey, Configuration, FrozenRelease, Release, Settings, Target, Workflow
from roadworthy.workflow.service import Actor, Workflows

log = logging.getLogger("roadworthy.control")

LENDING_PATIENCE = 0.25
"""Seconds that a worker has to answer what it is ordered to lend; the others wait for it."""


class Control:
    """Everything that control is made of.  Build it with the lock held; close it."""

    def __init__(self, folder: DataFolder, *, clock: Callable[[], float] = time.time) -> None:
        """Raises ``StateUnavailable``, ``StateTooNew``, ``LogTooNew``, ``DataFolderError`` or ``apsw.Error``."""
        decoding.make_ready()
        folder.vet_databases()
        self.folder = folder
        self.fleet = Fleet(folder, clock=clock)
        self._closing = ExitStack()
        signer = Ed25519Signer(folder.signing_key())
        folder.keep_public_key(signer.public_key)
        self.enforcing = Enforcing(folder, self.fleet, signer, clock=clock, rollout=self._rollout)
        self.state, self.epoch = self.enforcing.state, self.enforcing.epoch
        self._closing.callback(self.state.close)
        self.store = SqliteLog(folder.log_db, folder.cold)
        self._closing.callback(self.store.close)
        self.prices = PriceList()
        self.workflows = Workflows(
            self.state,
            clock=clock,
            price_known=self._price_known,
            listed=self.prices.names_of,
            agreements=self.enforcing.agreements,
            reach=self.enforcing.reach,
            ramped=self.enforcing.ramped,
            applied=self._observed_at_first,
        )
        self.workflows.settle()
        tracing = Tracing(self.configuration)
        self._closing.callback(tracing.close)
        self.spans = SpanQueue(tracing.exporter)
        self.people = People(
            self.state,
            self.store,
            folder,
            sockets=self._sockets,
            settings=self.settings,
            base_url=lambda: self.board.base_url(),
            console_url=self.console_url,
            invitations=lambda body: self.accounts.fill(body),
            clock=clock,
        )
        self.kill = Killing(
            folder,
            epoch=lambda: self.epoch,
            gateways=self.fleet.gateways,
            snapshot=lambda: self.publisher.current,
            workflows=self._flows,
            state=self.state,
            incidents=self.people.incidents,
            on_shift=lambda workflow, person: self.people.on_call.on_shift(workflow, person, clock()),
            store=self.store,
            publish=self.publish,
            clock=clock,
        )
        self._closing.callback(self.kill.stop)
        self.alerting = Alerting(clock=clock, snapshot=lambda: self.publisher.current)
        self.shipper = Shipper(
            self.fleet.journals,
            cast(LogStore, OfferingLog(self.store, self.spans, self.kill.recent, self.alerting.served)),
            now=clock,
            before=self.people.arrivals,
        )
        self.log = Log(self.store, self.shipper, zone=self.zone(), now=clock)
        self.proving = Proving(
            self.state,
            folder,
            signer,
            epoch=lambda: self.epoch,
            log=self.log,
            shipper=self.shipper,
            spans=self.spans,
            price_of=self.prices.price_of,
            base_url=lambda: self.board.base_url(),
            snapshot=lambda: self.publisher.current,
            published=lambda workflow: self.evaluating.published(workflow),
            gateways=lambda: {
                gateway.name: gateway.joined_at for gateway in self.fleet.gateways() if gateway.ended_at is None
            },
            rollout=self._rollout,
            clock=clock,
        )
        self.answering = Answering(
            self.state, self.people, self.log, self.store,
            evaluating=lambda: self.evaluating, judging=lambda: self.judging, flows=self._flows, zone=self.zone,
            clock=clock,
        )  # fmt: skip
        self.ramping = Ramping(
            self.state,
            signer,
            self.store,
            self.proving.board,
            self.people.incidents,
            self.workflows,
            manned=self.answering.foreseeing.room,
            publish=self.publish,
            base_url=lambda: self.board.base_url(),
            zone=self.zone,
            clock=clock,
        )
        self.kill.mirror.on_left_on = self.ramping.killed
        self.publisher = Publisher(
            self.state,
            epoch=self.epoch,
            snapshot_path=folder.snapshot,
            settings_path=folder.settings,
            endpoints_path=folder.endpoints,
            price_of=self.prices.price_of,
            model_prices_of=self.prices.models_of,
            permit_keys=[signer.public_key],
            clock=clock,
            sources=self.enforcing.sources(
                self.proving.board,
                kill=lambda: self.kill.stopped(),
                published=lambda workflow: self.evaluating.published(workflow),
                wanted=lambda: self.evaluating.runs.under_way() | self.loading.runs.under_way(),
                drafts=lambda: self.overseeing.words.drafts(),
            ),
            held=self.enforcing.held,
            after=lambda: self.enforcing.lineage.keep(self.state, self.enforcing.epoch),
        )
        self.restored = self.enforcing.restored(self._accepted)
        key = folder.hmac_key()
        self.anomalies = AnomalyWatch(self.log, self._bounds)
        self.sign_in = SignIn(self.state, key, clock=clock)
        self.accounts = Accounts(self.state, self.sign_in, clock=clock, console_url=self.console_url)
        self.budgets = BudgetBoard(
            self.configuration,
            self._keys,
            lambda: ledgers.totals(self.fleet.tables()),
            self._spenders,
            lambda: Calendar(self.zone()),
            clock,
        )
        self.alerting.begin(
            self.state, self.store, self.fleet, self.kill, self.shipper, self.people.incidents,
            budgets=lambda: self.budgets.lines(people=False), unusual=lambda: self.anomalies.findings,
            configuration=self.configuration, zone=self.zone,
        )  # fmt: skip
        self.board = StatusBoard(
            folder,
            self.fleet,
            epoch=self.epoch,
            workflows=self.workflows,
            publisher=self.publisher,
            log=self.log,
            clock=clock,
            budgets=self.budgets,
            people=self.people.waiting,
            standings=self.enforcing.standings,
            pending=self.enforcing.approvals.pending,
            stops=self.kill.desk.stopped_stands,
            gateways=lambda: self.gateways.status(),
        )
        self.drilling = Drilling(
            self.state,
            folder,
            signer,
            snapshot=lambda: self.publisher.current,
            settings=self.settings,
            base_url=self.board.base_url,
            log=self.log,
            shipper=self.shipper,
            find=self._found,
            after=self._drilled,
            clock=clock,
        )
        self.overseeing = Overseeing(
            self.state, self.log, enforcing=self.enforcing, workflows=self.workflows, board=self.proving.board,
            vouching=self.proving.vouching, runs=self.drilling.runs, rollouts=self.ramping.rollouts,
            desk=self.kill.desk, configuration=self.configuration, snapshot=lambda: self.publisher.current,
            publish=self.publish, zone=self.zone, clock=clock, failed=self.alerting.served.failed,
        )  # fmt: skip
        self.renewals = self.proving.renewed_by(self.drilling.runs, self.people.incidents, self.zone)
        self.gateways = Desk(
            self.fleet,
            folder,
            self.state,
            self.shipper,
            public_key=signer.public_key,
            newest=self._newest,
            clock=clock,
        )
        self.evaluating = Evaluating(
            self.state,
            self.workflows,
            self.proving.ledger,
            signer,
            epoch=lambda: self.epoch,
            base_url=self.board.base_url,
            snapshot=lambda: self.publisher.current,
            publish=self.publish,
            log=self.store,
            draft=self.people.draft,
            clock=clock,
        )
        self.evaluating.eraser.settle()
        self.judging = Judging(
            self.state,
            self.workflows,
            self.evaluating,
            self.proving.ledger,
            self.store,
            self.people.incidents,
            prices=lambda: {} if self.publisher.current is None else self.publisher.current.prices,
            zone=self.zone,
            clock=clock,
        )
        self.renewals.register("eval_gate", self.evaluating.renewed_by(self._judged))
        self.renewals.every_night("nightly_evals", self.evaluating.nightly_by(self.people.incidents.take, clock))
        self.forecasting = Forecasting(
            self.state, signer, self.proving, self.log,
            configuration=self.configuration, price_of=self.prices.price_of, zone=self.zone, clock=clock,
            workers=lambda: sum(known.workers for known in self.fleet.gateways() if known.ended_at is None),
        )  # fmt: skip
        self.renewals.register("cost_forecast", self.forecasting.renewed_by())
        self.finance = Finance(
            self.state, self.people, self.proving, self.log,
            configuration=self.configuration, prices=self.prices, signer=signer, zone=self.zone, clock=clock,
            costs=self.forecasting.costs, forecast=self.forecasting.expected,
        )  # fmt: skip
        self.renewals.register("cost_alert_test", self.finance.tested_anew())
        self.on_duty = OnDuty(
            self.state, self.people, self.proving,
            settings=self.settings, health=lambda: self.board.health(), zone=self.zone, clock=clock,
        )  # fmt: skip
        self.renewals.register("on_call_schedule", self.on_duty.looked_anew())
        self.reaching = Reaching(
            self.state, self.people, self.proving, self.kill.desk,
            named=self.workflows.named, impact=lambda flow: self.overseeing.impacts.of(flow), clock=clock,
        )  # fmt: skip
        self.kill_drills = kill_drills(
            folder, signer, self.fleet, self.kill.kills, self.kill.reached,
            judge=self.proving.kill_judged, keep=self._kill_drilled, clock=clock,
        )  # fmt: skip
        self._closing.callback(self.kill_drills.close)
        self.renewals.register("kill_drill", kill_drill.renewed_by(self.kill_drills))
        self.loading = Loading(
            self.state,
            folder,
            signer,
            store=self.store,
            shipper=self.shipper,
            prices=self.prices,
            flow=self.workflows.named,
            frozen=self._frozen,
            examples=self._examples,
            snapshot=lambda: self.publisher.current,
            switch=lambda workflow: in_force(self.kill.kills.switches(), workflow),
            workers=lambda: next((known.workers for known in self.fleet.gateways() if known.name == LOCAL), 1),
            base_url=self.board.base_url,
            publish=self.publish,
            kill_drills=self.kill_drills,
            keep=self._load_tested,
            clock=clock,
        )
        self._closing.callback(self.loading.runs.close)
        self.reviewing = Reviewing(
            self.state, self.log, self.answering, self.evaluating, self.ramping.rollouts, self.proving.board,
            self.forecasting, self.finance,
            stops=self.kill.kills.records, price_of=self.prices.price_of, configuration=self.configuration,
            zone=self.zone, clock=clock,
        )  # fmt: skip
        self.clock = clock
        self._internal = Internal()
        self._stand_ins = StandIns(self.fleet)
        self.fleet.divide()
        self.services = services = self._services(key)
        self.app = admin_app(services)
        self.console = ConsoleFrontDoor(services, folder.hmac_key(), address=self.console_url)

    def _target_url(self, target: Target) -> str | None:
        snapshot = self.publisher.current
        found = None if snapshot is None else snapshot.endpoints.get(target.name)
        return None if found is None else found.url

    def console_url(self) -> str:
        """What links to the console begin with; empty: nobody serves it."""
        settings = self.settings()
        if settings.console_url is not None:
            return settings.console_url.rstrip("/")
        place = run_facts(self.folder).console
        return f"http://{reachable(place)}" if place else ""

    def configuration(self) -> Configuration | None:
        """What was applied last."""
        applied = self.workflows.configuration()
        return None if applied is None else applied.configuration

    def _flows(self) -> dict[str, Workflow]:
        found = self.configuration()
        return {} if found is None else found.workflows

    def _rollout(self, workflow: str) -> Rollout | None:
        """The ramp of a workflow."""
        return self.ramping.rollouts.current(workflow)

    def _accepted(self, epoch: int) -> None:
        """An owner has accepted the database as it is."""
        self.epoch = epoch
        self.publisher.accepted(epoch)
        self.publish()

    def _judged(self, workflow: str) -> str:
        """Digest of the release that readiness judges; empty: there is none."""
        frozen = self.proving.board.view(workflow).frozen
        return "" if frozen is None else frozen.release.digest

    def _found(self, workflow: str, named: str) -> Release:
        """As it was named: a draft of words that is tried now, or a frozen release.  Raises ``Unknown``."""
        draft = self.overseeing.words.draft_of(workflow, named)
        return draft or self.workflows.find(workflow, named)[0]

    def _frozen(self, workflow: str, named: str) -> FrozenRelease | None:
        """The release that was named, else the one that readiness judges."""
        if not named:
            return self.proving.board.view(workflow).frozen
        digest = self.workflows.find(workflow, named)[0].digest
        with self.state.read() as tx:
            return tx.release(digest)

    def settings(self) -> Settings:
        found = self.configuration()
        return Settings() if found is None else found.settings

    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.settings().timezone)

    def publish(self) -> None:
        self.publisher.publish()

    def _observed_at_first(self, actor: Actor) -> None:
        found = self.configuration()
        if found is not None:
            self.proving.vouching.observed(found, actor)

    def _drilled(self, run: DrillRun, subject: Subject) -> None:
        """A failed drill takes traffic at once; what a draft shows is no evidence, for nobody may be served it."""
        if not run.draft:
            self.proving.drilled(run, subject)
        self.publish()

    def _kill_drilled(self, run: KillDrillRun, figures: KillDrill) -> str:
        kept = self.proving.kill_drilled(run, figures)
        self.publish()
        return kept

    def _examples(self, workflow: str) -> list[Example]:
        """Of the published set; empty: none is, or it was changed where it is kept."""
        try:
            return self.evaluating.evals.current(workflow).examples.items
        except NoExamples:
            return []

    def _load_tested(self, run: LoadRun, figures: LoadTest, mode: Mode) -> Kept:
        kept = self.proving.load_tested(run, figures, mode)
        self.publish()
        return kept

    def modules(self) -> list[Module]:
        """The engine's duties."""
        return [
            telemetry.module(self.spans),
            ship.module(self.shipper),
            Module("publish", blocking(self.publisher.publish_when_moved, name="publish"), 0.2, timeout=10.0),
            rollup.module(self.store, now=self.clock),
            retention.module(self.store, lambda: self.settings().retention, now=self.clock),
            train.module(Training(self.store, self.workflows.served)),
            anomalies.module(self.anomalies),
            renew.module(self.renewals),
            lend.module(Lending(self.epoch, self._exchange, self.fleet.numbers, lambda: self.publisher.current)),
            *self.people.modules(),
            *self.finance.modules(),
            *self.on_duty.modules(),
            *self.kill.modules(),
            *self.alerting.modules(),
            *self.ramping.modules(),
            *self.judging.modules(),
            *self.answering.modules(),
            *self.reviewing.modules(),
            *self.overseeing.modules(),
        ]

    def _keys(self) -> list[ApiKey]:
        with self.state.read() as tx:
            return list(tx.keys())

    def _spenders(self, workflow: str, since: float) -> list[str]:
        """Users by what the log says they spent, the most first; ``""``: the callers that name none."""
        rows = self.log.stats("unit", Filter(workflow=workflow, traffic="live,tester", since=since)).rows
        spent: dict[str, float] = {}
        for row in rows:
            user = row.group.get("unit") or ""
            spent[user] = spent.get(user, 0.0) + (row.cost_usd or 0.0)
        return sorted(spent, key=lambda user: -spent[user])

    async def hang_up(self) -> None:
        """Close what was opened to the workers."""
        await self._internal.close()

    async def _exchange(self, worker: int, orders: bytes) -> bytes | None:
        """A worker's word, or that of who stands in for it when it is dead."""
        sock = self.fleet.sockets().get(worker)
        if sock is not None:
            answer = await self._internal.post(sock, "/internal/slices", orders, timeout=LENDING_PATIENCE)
            if answer is not None:
                return answer[1] if answer[0] == 200 else None
        return await asyncio.to_thread(self._stand_ins.exchange, worker, orders)

    def _newest(self) -> tuple[int, int]:
        current = self.publisher.current
        return (0, 0) if current is None else (current.epoch, current.seq)

    def _sockets(self) -> list[Path]:
        """Of every worker of every gateway."""
        return list(self.fleet.sockets().values())

    def _worker_numbers(self) -> list[int]:
        names = (path.stem.removeprefix("worker-") for path in self.folder.run.glob("worker-*.sock"))
        return sorted(int(name) for name in names if name.isdigit())

    def counters(self) -> dict[str, dict[str, float]]:
        """Numbers for ``/metrics``."""
        found = {
            "log": msgspec.structs.asdict(self.log.lag()),
            "anomalies": msgspec.structs.asdict(self.anomalies.counts()),
            "people": msgspec.structs.asdict(self.people.counts()),
        }
        found |= self.gateways.numbers()
        if (beats := self.on_duty.heartbeat.counts()) is not None:
            found["heartbeat"] = msgspec.structs.asdict(beats)
        spans = self.spans.counts()
        return found if spans is None else {**found, "spans": msgspec.structs.asdict(spans)}

    def backup(self, path: str) -> dict[str, Any]:
        self.shipper.ship()
        applied = self.workflows.configuration()
        try:
            return back_up(self.folder, path, {} if applied is None else applied.files)
        except BackupRefused as error:
            raise api_errors.Conflict(str(error)) from error
        except OSError as error:
            raise api_errors.Unavailable(f"{path}: cannot be written: {error.strerror}; nothing was left") from error

    def close(self) -> None:
        self._closing.close()

    def _bounds(self) -> dict[str, Bounds]:
        found = self.configuration()
        return {} if found is None else {name: bounds_of(flow.policy) for name, flow in found.workflows.items()}

    def _price_known(self, target: Target) -> bool:
        return self.prices.price_of(target) is not None

    def _later(self) -> Later:
        made = Later(self.clock)
        self._closing.callback(made.close)
        return made

    def _services(self, key: bytes) -> Services:
        return Services(
            state=self.state,
            workflows=self.workflows,
            approvals=self.enforcing.approvals,
            restored=self.restored,
            watch=self.enforcing.watch,
            notice=self.enforcing.notice,
            keys=Keys(self.state, key, clock=self.clock),
            sign_in=self.sign_in,
            accounts=self.accounts,
            targets=TargetTrials(
                self.state,
                ProviderCaller(
                    url_of=self._target_url,
                    secret=find_secret,
                    outbound=lambda: Outbound(proxy=self.settings().proxy),
                ),
                price_of=self.prices.price_of,
                clock=self.clock,
            ),
            identity=OidcProvider(
                lambda: self.settings().oidc,
                outbound=lambda: Outbound(proxy=self.settings().proxy),
                secret=find_secret,
                clock=self.clock,
            ),
            rights=Rights(self.state),
            escalations=self.people.queue,
            answering=self.answering,
            reviewing=self.reviewing,
            incidents=self.people.incidents,
            on_duty=self.on_duty,
            reaching=self.reaching,
            outbox=self.people.outbox,
            log=self.log,
            shipper=self.shipper,
            forgetter=Forgetter(
                self.store,
                self.shipper,
                self.fleet.journals,
                [self.people.eraser, KeptAnswers(self._sockets), self.evaluating.eraser],
                rotate=lambda: rotate_journals(self._sockets()),
                now=self.clock,
            ),
            budgets=self.budgets,
            finance=self.finance,
            costing=self.forecasting,
            adoption=Adoption(self.workflows, self.store, price_known=self._price_known),
            drills=self.drilling.runs,
            evals=self.evaluating,
            judging=self.judging,
            gateways=self.gateways,
            kill=self.kill,
            kill_drills=self.kill_drills,
            loads=self.loading.runs,
            rollouts=self.ramping.rollouts,
            ramps=self.ramping.board,
            overseeing=self.overseeing,
            ledger=self.proving.ledger,
            board=self.proving.board,
            vouching=self.proving.vouching,
            canary=self.proving.fly_canary,
            explainer=Explainer(self.workflows, self.log, self.prices.price_of, now=self.clock),
            status=self.board.read,
            counters=self.counters,
            backup=self.backup,
            base_url=self.board.base_url,
            console_url=self.console_url,
            trail=TrailCheck(self.state, self.clock),
            later=self._later(),
            writes=lambda: self.state.writes,
            publish=self.publish,
            zone=self.zone,
            clock=self.clock,
            uids=frozenset({os.geteuid(), 0}),
        )


class OfferingLog:
    """A ``LogStore`` that offers what it stored to a queue of spans, to the triggers and to the alert watch.
    Everything else is the store's own."""

    def __init__(self, store: LogStore, queue: SpanQueue, recent: Recent, served: Served) -> None:
        self._store = store
        self._queue = queue
        self._recent = recent
        self._served = served

    def ship(self, batch: Batch) -> Shipped:
        with self._recent.held(), self._served.held():
            shipped = self._store.ship(batch)
            self._recent.take((*batch.ends, *batch.lost))
            self._served.take((*batch.ends, *batch.lost))
        self._queue.offer([*batch.ends, *batch.lost])
        return shipped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
