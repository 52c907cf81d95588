"""The load tests of an install: started, followed, interrupted, kept.

A test is leased: whoever started it must look at it every ``LEASE`` seconds, or it stops.  One at a time in an install:
two would measure each other.  A test that control did not outlive is told as failed at its next start; none is gone on
with, for an hour in two halves is no hour.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from roadworthy.operations.leasing import LEASE, UNLEASED, reasons
from roadworthy.operations.loading.concluding import concluded, evidence
from roadworthy.operations.loading.exporting import Exported, exported
from roadworthy.operations.loading.leading import Leader, Stopped
from roadworthy.operations.loading.model import (
    LimitStep,
    LoadRefused,
    LoadRun,
    Order,
    Preflight,
    Progress,
    StateWord,
)
from roadworthy.operations.loading.planning import Planner, Ready
from roadworthy.operations.loading.ports import LoadState, Ports
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.ports import State
from roadworthy.workflow.service import Actor, Unknown

log = logging.getLogger("roadworthy.load")

ENDING = 10.0
"""Seconds that a stopped test waits for its calls under way before it cuts them off."""
CLOSING = 20.0
"""Seconds that control waits for a test to end when it ends itself."""
MOST_REFUSED = 0.01
"""Share of its calls that the provider's limits may be foretold to refuse, unless whoever starts it says so."""
KEPT_RUNS = 50
"""Of each workflow."""


class _Going:
    """A test under way, shared between its thread and those that look at it."""

    def __init__(self, run: LoadRun, ready: Ready, actor: Actor, now: float) -> None:
        self.run = run
        self.ready = ready
        self.actor = actor
        self.looked = now
        self.stopping = ""
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None


class LoadRuns:
    """Thread-safe."""

    def __init__(
        self, state: State, kept: LoadState, planner: Planner, ports: Ports, *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._state = state
        self._kept = kept
        self._planner = planner
        self._ports = ports
        self._monotonic = monotonic
        self._going: _Going | None = None
        self._lock = threading.Lock()

    def recover(self) -> None:
        """At the start of control: what the one before was leading has ended with it, and its files are left."""
        for left in self._ports.scratch.glob("lod_*"):
            left.unlink(missing_ok=True)
        with self._kept.write() as tx:
            for run in tx.load_runs("", KEPT_RUNS):
                if run.state == "running":
                    run.state, run.detail, run.ended = "failed", "control ended under it", self._ports.clock()
                    tx.put_load_run(run)

    def under_way(self) -> frozenset[str]:
        """Digests that gateways must hold for the test under way."""
        going = self._going
        return frozenset() if going is None else frozenset({going.run.digest})

    def plan(self, order: Order) -> Preflight:
        """What it would do and cost.  Raises ``Unknown`` and ``LoadRefused``."""
        return self._planner.ready(order).plan

    def going(self) -> LoadRun | None:
        """The test under way, as it is now; its lease is not renewed."""
        going = self._going
        if going is None:
            return None
        with going.lock:
            return msgspec.structs.replace(going.run, steps=list(going.run.steps))

    def start(self, order: Order, actor: Actor, *, leased: bool = True) -> LoadRun:
        """Begin a test and return it.  ``leased``: it stops when nobody looks.  Raises ``Unknown`` and
        ``LoadRefused``."""
        ready = self._planner.ready(order)
        refused = ready.plan.predicted_429
        if order.kind == "live" and refused > MOST_REFUSED and not order.past_limits:
            raise LoadRefused(
                f"about {100 * refused:.0f} % of the calls would be refused by the provider of {ready.plan.target}, "
                "and live calls with them, for its limits are shared: test a lower rate, ask it for more, --rehearse, "
                "or say --past-limits"
            )
        with self._lock:
            other = self._going
            if other is not None:
                raise LoadRefused(
                    f"test {other.run.id} of {other.run.workflow} is under way (by {other.run.by}), and two would "
                    "measure each other; wait for it, or stop it where it was begun"
                )
            run = LoadRun(
                id=f"lod_{secrets.token_hex(8)}", team=ready.flow.team, workflow=order.workflow,
                digest=ready.frozen.release.digest, behaviour=ready.frozen.release.behaviour_digest,
                began=self._ports.clock(), by=actor.id, plan=ready.plan, before=self._before(order),
                order=msgspec.structs.replace(order, rows=[], trace=[]),
            )  # fmt: skip
            self._keep(run)
            going = self._going = _Going(run, ready, actor, self._monotonic() if leased else UNLEASED)
        self._audit(actor, run)
        going.thread = threading.Thread(target=self._live, args=(going,), name=f"load {run.id}", daemon=True)
        going.thread.start()
        return self.look(run.id)

    def export(self, order: Order, actor: Actor) -> Exported:
        """The same workload for Locust, with a permit of its own.  Raises ``Unknown`` and ``LoadRefused``."""
        if order.kind != "live":
            raise LoadRefused("what Locust plays is a plan of calls: leave --rehearse and --find-limit out")
        ready = self._planner.ready(order)
        made = exported(ready, self._ports, actor)
        event = Event(
            actor=actor.id, on_behalf_of=actor.on_behalf_of, action="load.export", target=f"workflow/{order.workflow}",
            team=ready.flow.team, after={"calls": made.calls, "usd": made.usd, "permit": made.permit},
        )  # fmt: skip
        with self._state.write() as tx:
            tx.append_audit(chain(tx.last_audit(), event, self._ports.clock()))
        return made

    def look(self, ident: str) -> LoadRun:
        """The test as it is now; looking renews its lease.  Raises ``Unknown``."""
        going = self._going
        if going is not None and going.run.id == ident:
            with going.lock:
                going.looked = max(going.looked, self._monotonic())
                return msgspec.structs.replace(going.run, steps=list(going.run.steps))
        return self.shown(ident)

    def shown(self, ident: str) -> LoadRun:
        """One that is kept.  Raises ``Unknown``."""
        with self._kept.read() as tx:
            found = tx.load_run(ident)
        if found is None:
            raise Unknown(f"there is no load test '{ident[:60]}'; roadworthy load --list WORKFLOW shows them")
        return found

    def stop(self, ident: str) -> LoadRun:
        """Interrupt the test.  Raises ``Unknown``."""
        going = self._going
        if going is not None and going.run.id == ident:
            going.stopping = going.stopping or "stopped by its owner"
        return self.look(ident)

    def runs(self, workflow: str, limit: int = KEPT_RUNS) -> Sequence[LoadRun]:
        """Newest first."""
        with self._kept.read() as tx:
            return tx.load_runs(workflow, limit)

    def close(self) -> None:
        """Control ends: stop what is under way, and wait until its processes are gone."""
        going = self._going
        if going is not None and going.thread is not None:
            going.stopping = going.stopping or "control was stopped"
            going.thread.join(CLOSING)

    # --- the test's thread

    def _live(self, going: _Going) -> None:
        """An event loop of its own, so that nothing of control waits for it."""
        leader = self._leader(going)
        state: StateWord = "failed"
        detail = "control failed; its log says where"  # a defect ends the thread and is told by its hook
        try:
            self._ports.publish()  # so that gateways hold the release
            asyncio.run(self._led(going, leader))
            stopped = leader.seen.stopped
            state, detail = ("stopped", stopped) if stopped else ("done", "")
            if going.stopping:
                state, detail = "interrupted", going.stopping
        except* (OSError, Stopped, LoadRefused) as failed:
            detail = "; ".join(reasons(failed))
            log.error("load test failed", extra={"error": detail})
        finally:
            self._conclude(going, leader, state, detail)

    def _conclude(self, going: _Going, leader: Leader, state: StateWord, detail: str) -> None:
        run = going.run
        try:
            if state != "failed":
                came = concluded(going.ready, leader.seen)
                if came is not None:
                    kept = self._ports.keep(run, going.ready, evidence(going.ready, leader.seen, came))
                    run.evidence = kept.id
                    run.came = msgspec.structs.replace(came, judged=kept.judged, allows=kept.allows)
        finally:
            with going.lock:
                run.state, run.detail, run.ended = state, detail, self._ports.clock()
            self._keep(run)
            with self._lock:
                self._going = None

    def _leader(self, going: _Going) -> Leader:
        def on_progress(progress: Progress) -> None:
            with going.lock:
                going.run.progress = progress

        def on_permit(permit: str) -> None:
            with going.lock:
                going.run.permits.append(permit)

        def on_step(step: LimitStep) -> None:
            with going.lock:
                going.run.steps.append(step)

        return Leader(self._ports, going.ready, going.actor, going.run.id, on_progress, on_permit, on_step)

    async def _led(self, going: _Going, leader: Leader) -> None:
        work = asyncio.ensure_future(leader.lead())
        cut_at = 0.0
        while not work.done():
            await asyncio.wait([work], timeout=0.1)
            if self._monotonic() - going.looked > LEASE and not going.stopping:
                going.stopping = f"nobody looked for {LEASE:g} s"
            if going.stopping and not cut_at:
                leader.stop(going.stopping)
                cut_at = time.monotonic() + ENDING
            if cut_at and time.monotonic() > cut_at and not work.done():
                work.cancel()
                cut_at = time.monotonic() + ENDING
        if not (going.stopping and work.cancelled()):
            await work

    # --- inside

    def _before(self, order: Order) -> str:
        """The last test of its kind that came to something."""
        found = (run.id for run in self.runs(order.workflow) if run.came is not None and run.order.kind == order.kind)
        return next(found, "")

    def _keep(self, run: LoadRun) -> None:
        with self._kept.write() as tx:
            tx.put_load_run(run)
            tx.keep_load_runs(run.workflow, KEPT_RUNS)

    def _audit(self, actor: Actor, run: LoadRun) -> None:
        event = Event(
            actor=actor.id, on_behalf_of=actor.on_behalf_of, action="load.start", target=f"workflow/{run.workflow}",
            team=run.team,
            after={"run": run.id, "release": run.digest, "kind": run.order.kind, "calls": run.plan.live_calls,
                   "usd": run.plan.max_usd},
        )  # fmt: skip
        with self._state.write() as tx:
            tx.append_audit(chain(tx.last_audit(), event, self._ports.clock()))
