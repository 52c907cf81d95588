"""Enforcement at control, composed: agreed policy, signed proofs, and the database that they are held against."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from roadworthy.adapters.sealed_log import FileSealedLog
from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.gateway.snapshot import Snapshot, Stopped
from roadworthy.kill_switch.model import EVERY, effective
from roadworthy.operations.proving.readiness import Board
from roadworthy.operations.publication.agreements import SealedAgreements
from roadworthy.operations.publication.approvals import Approvals
from roadworthy.operations.publication.enforcement import Watch, notice_of, reach_of, watch_of
from roadworthy.operations.publication.gathering import Sources
from roadworthy.operations.publication.proofs import Proven, SealedProofs
from roadworthy.operations.publication.restored import Restored
from roadworthy.operations.publication.snapshot import Allowed
from roadworthy.operations.status import Standing
from roadworthy.people.directory import left
from roadworthy.readiness.model import Published
from roadworthy.readiness.rules import pilot_share
from roadworthy.rollout.model import Rollout
from roadworthy.wiring.fleet.gateways import Fleet
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.folders.lineage import Lineage
from roadworthy.workflow.model import Configuration, FrozenRelease, Workflow
from roadworthy.workflow.service import Reach, Unknown


class Enforcing:
    """Opens state.  Built first of all by ``Control``, with the lock held."""

    def __init__(
        self,
        folder: DataFolder,
        fleet: Fleet,
        signer: Ed25519Signer,
        *,
        clock: Callable[[], float],
        rollout: Callable[[str], Rollout | None],
    ) -> None:
        """Raises what opening the database raises, and ``OSError``.  ``rollout``: the ramp of a workflow."""
        verifier, kept = Ed25519Verifier(), FileSealedLog(folder.sealed_log)
        self.agreements = SealedAgreements(kept, signer, verifier, clock=clock)
        self.state = SqliteState(folder.state_db, self.agreements.in_force)
        self.lineage = Lineage(folder, lambda: [each.data for each in fleet.gateways() if not each.local])
        self.held = self.lineage.broken(self.state)
        """Why nothing may be published; empty: nothing speaks against it."""
        self.lineage.tell(self.held)
        with self.state.read() as tx:
            self.epoch = tx.epoch()
        if not self.held:
            with self.state.write() as tx:
                self.epoch = tx.next_epoch()
        self.approvals = Approvals(self.state, self.agreements, clock=clock, left=self._left)
        self.proofs = SealedProofs(self.state, kept, verifier, [signer.public_key], clock=clock)
        self.proofs.merge()
        self._clock = clock
        self._rollout = rollout

    def _left(self) -> Collection[str]:
        with self.state.read() as tx:
            return left(tx)

    def watch(self, workflow: Workflow) -> Watch:
        """Is it enforced, observed, or a pilot that has lapsed?"""
        waivers = [waiver for waiver, _ in self.proofs.read([workflow.name]).waivers]
        return watch_of(workflow, waivers, self._clock())

    def notice(self, workflow: Workflow) -> str:
        """What must show beside a workflow that is not enforced; empty: it is."""
        waivers, now = [waiver for waiver, _ in self.proofs.read([workflow.name]).waivers], self._clock()
        return notice_of(workflow, watch_of(workflow, waivers, now), waivers, now)

    def standings(self, configuration: Configuration, snapshot: Snapshot | None) -> dict[str, Standing]:
        """Workflow → how it is served, as gateways were told."""
        now = self._clock()
        waivers = [waiver for waiver, _ in self.proofs.read(configuration.workflows).waivers]
        found = {}
        for name, flow in configuration.workflows.items():
            told = None if snapshot is None else snapshot.workflows.get(name)
            stops = {} if snapshot is None else snapshot.kill
            watch, ramp = watch_of(flow, waivers, now), None if told is None else told.ramp
            found[name] = Standing(
                watch,
                effective(stops[each].state for each in (name, EVERY) if each in stops),
                1.0 if watch != "enforced" else 0.0 if ramp is None else ramp.share,
                "" if ramp is None or watch != "enforced" else ramp.stage,
                notice_of(flow, watch, waivers, now),
            )
        return found

    def reach(self, workflow: Workflow) -> Reach:
        return reach_of(self.watch(workflow), self._rollout(workflow.name))

    def ramped(self, workflow: str) -> list[str]:
        """Digests that the ramp of a workflow serves, its own first."""
        rollout = self._rollout(workflow)
        digests = [] if rollout is None else [rollout.digest, rollout.predecessor]
        return [digest for digest in digests if digest is not None]

    def sources(
        self,
        board: Board,
        *,
        kill: Callable[[], Mapping[str, Stopped]],
        published: Callable[[str], Published | None] = lambda workflow: None,
        wanted: Callable[[], Collection[str]] = tuple,
        drafts: Callable[[], Collection[FrozenRelease]] = tuple,
    ) -> Sources:
        """What snapshots are made of besides state."""

        def allows(workflow: str, digest: str, now: float) -> Allowed:
            try:
                view = board.view(workflow, digest)
            except Unknown:
                return Allowed()
            return Allowed(view.at(now).ceiling, view.falls(now), pilot_share(view.subject))

        def proven(workflows: Collection[str]) -> Proven:
            return self.proofs.read(workflows)

        return Sources(proven, self._rollout, allows, published, kill, wanted, drafts)

    def restored(self, publish: Callable[[int], None]) -> Restored:
        """``publish``: under this epoch from now on."""

        def accepted(epoch: int) -> None:
            self.held, self.epoch = "", epoch
            self.lineage.tell("")
            publish(epoch)

        return Restored(
            self.state, held=lambda: self.held, highest=self.lineage.highest, accepted=accepted, clock=self._clock
        )
