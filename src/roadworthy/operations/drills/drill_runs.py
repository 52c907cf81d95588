"""The drill runs of an install: started, followed, interrupted, kept.

A run is leased: whoever started it must look at it every ``LEASE`` seconds, or it is interrupted and its faults clear
themselves.  One run of a workflow at a time.  What was measured before an interruption is kept.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from roadworthy.fallback.drills.catalogue import CATALOGUE, Row, place_of
from roadworthy.fallback.drills.model import Drill, DrillRun, Result
from roadworthy.fallback.drills.ports import DrillState
from roadworthy.fallback.drills.registry import drills
from roadworthy.operations.drills.drill import Ports, Runner, Step, Subject, estimate, plan
from roadworthy.operations.leasing import LEASE, UNLEASED
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.ports import State
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

log = logging.getLogger("roadworthy.drills")

CLEARING = 5.0
"""Seconds that a stopped run has to clear its faults before it is interrupted in that, too."""
KEPT_RUNS = 50
"""Of each workflow."""


class DrillRefused(Exception):
    """The run cannot be started; the message says why and what to do."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to drill: nothing named means everything that can be drilled on the running gateway."""

    workflow: str
    faults: list[str] = []
    rows: list[Row] = []
    release: str = ""
    """Number or digest, or the beginning of one; empty: the one that is served."""


class _Run:
    """A run under way, shared between its thread and those that look at it."""

    def __init__(self, run: DrillRun, now: float) -> None:
        self.run = run
        self.looked = now
        self.stopping = ""
        self.lock = threading.Lock()


SubjectOf = Callable[[str, str, str], Subject]
"""(workflow, by, release as it was named) → what of it is drilled.  Raises ``Unknown`` and ``DrillRefused``."""
AfterRun = Callable[[DrillRun, Subject], None]
"""What is made of a run that has ended and is kept."""


class DrillRuns:
    """Thread-safe."""

    def __init__(
        self,
        state: State,
        kept: DrillState,
        ports: Ports,
        subject_of: SubjectOf,
        *,
        after: AfterRun = lambda run, subject: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._after = after
        self._state = state
        self._kept = kept
        self._ports = ports
        self._subject_of = subject_of
        self._monotonic = monotonic
        self._running: dict[str, _Run] = {}
        self._lock = threading.Lock()

    def going(self, workflow: str) -> str:
        """Id of the run of a workflow that is under way; empty: none is."""
        with self._lock:
            return next((each.run.id for each in self._running.values() if each.run.workflow == workflow), "")

    def under_way(self) -> tuple[tuple[str, int], ...]:
        """(run, results until now) of those under way."""
        with self._lock:
            return tuple((each.run.id, len(each.run.results)) for each in self._running.values())

    def start(self, order: Order, actor: Actor, *, leased: bool = True) -> DrillRun:
        """Begin a run and return it.  ``leased``: it stops when nobody looks.  Raises ``Unknown`` and
        ``DrillRefused``."""
        wanted = chosen(order)
        subject = self._subject_of(order.workflow, actor.id, order.release)
        steps, skipped = plan(wanted, subject)
        release = subject.release
        run = DrillRun(
            id=f"drl_{secrets.token_hex(8)}",
            team=self._team(order.workflow),
            workflow=order.workflow,
            digest=release.digest,
            behaviour=release.behaviour_digest,
            handling=release.handling_digest,
            began=self._ports.clock(),
            by=actor.id,
            wanted=len(steps),
            estimate=estimate(steps, release),
            results=sorted(skipped, key=_order),
            draft=subject.draft,
            wire=subject.wire,
        )
        going = _Run(run, self._monotonic() if leased else UNLEASED)
        with self._lock:
            other = next((kept for kept in self._running.values() if kept.run.workflow == order.workflow), None)
            if other is not None:
                raise DrillRefused(
                    f"run {other.run.id} of '{order.workflow}' is under way (by {other.run.by}); wait for it, or stop "
                    "it where it was begun"
                )
            self._running[run.id] = going
        self._audit(actor, run)
        thread = threading.Thread(target=self._live, args=(going, subject, steps), name=f"drill {run.id}", daemon=True)
        thread.start()
        return run

    def look(self, ident: str) -> DrillRun:
        """The run as it is now; looking renews its lease.  Raises ``Unknown``."""
        going = self._running.get(ident)
        if going is not None:
            with going.lock:
                going.looked = max(going.looked, self._monotonic())
                return msgspec.structs.replace(going.run, results=list(going.run.results))
        with self._kept.read() as tx:
            found = tx.drill_run(ident)
        if found is None:
            raise Unknown(f"there is no drill run '{ident}'")
        return found

    def stop(self, ident: str) -> DrillRun:
        """Interrupt the run.  Raises ``Unknown``."""
        going = self._running.get(ident)
        if going is not None:
            going.stopping = going.stopping or "stopped by its owner"
        return self.look(ident)

    def runs(self, workflow: str, limit: int = KEPT_RUNS) -> Sequence[DrillRun]:
        """Newest first."""
        with self._kept.read() as tx:
            return tx.drill_runs(workflow, limit)

    def _live(self, going: _Run, subject: Subject, steps: Sequence[Step]) -> None:
        """The run's thread: an event loop of its own, so that nothing of control waits for it."""
        run = going.run
        try:
            asyncio.run(self._led(going, subject, steps))
            run.state = "interrupted" if going.stopping else "done"
            run.detail = going.stopping
        except* OSError as failed:
            run.state, run.detail = "failed", "; ".join(str(error) for error in failed.exceptions)
            log.error("drill run failed", extra={"error": run.detail})
        finally:
            if run.state == "running":  # a defect ends the thread and is told by its hook
                run.state, run.detail = "failed", "control failed; its log says where"
            run.ended = self._ports.clock()
            with self._kept.write() as tx:
                tx.put_drill_run(run)
                tx.keep_drill_runs(run.workflow, KEPT_RUNS)
            self._after(run, subject)
            with self._lock:
                self._running.pop(run.id, None)

    async def _led(self, going: _Run, subject: Subject, steps: Sequence[Step]) -> None:
        def on_result(result: Result) -> None:
            with going.lock:
                bisect.insort(going.run.results, result, key=_order)

        runner = asyncio.ensure_future(Runner(self._ports, subject, on_result).run(steps))
        patient_until = 0.0
        while not runner.done():
            await asyncio.wait([runner], timeout=0.2)
            if self._monotonic() - going.looked > LEASE and not going.stopping:
                going.stopping = f"nobody looked for {LEASE:g} s"
            if going.stopping and time.monotonic() > patient_until:  # another would interrupt the clearing up
                runner.cancel()
                patient_until = time.monotonic() + CLEARING
        if not going.stopping or not runner.cancelled():
            await runner

    def _team(self, workflow: str) -> str:
        with self._state.read() as tx:
            applied = tx.applied()
        assert applied is not None
        return applied.configuration.workflows[workflow].team

    def _audit(self, actor: Actor, run: DrillRun) -> None:
        event = Event(
            actor=actor.id,
            on_behalf_of=actor.on_behalf_of,
            action="drill.start",
            target=f"workflow/{run.workflow}",
            team=run.team,
            after={"run": run.id, "release": run.digest, "calls": run.wanted},
        )
        with self._state.write() as tx:
            tx.append_audit(chain(tx.last_audit(), event, self._ports.clock()))


def _order(result: Result) -> tuple[int, bool]:
    """As the fault catalogue has them: when they came in is of no use to a reader."""
    return place_of(result.fault), result.stream


def chosen(order: Order) -> list[Drill]:
    """The drills of an order.  Raises ``Unknown``."""
    known = drills()
    for name in order.faults:
        if name not in known:
            raise Unknown(f"there is no fault '{name}'; {did_you_mean(name, known)}")
    if order.faults:
        return [known[name] for name in dict.fromkeys(order.faults)]
    if order.rows:
        return [known[name] for row in dict.fromkeys(order.rows) for name in CATALOGUE[row] if name in known]
    return list(known.values())
