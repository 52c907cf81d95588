"""The kill drills of an install: started, followed, interrupted, kept as evidence.

A run is leased: whoever started it must look at it every ``LEASE`` seconds, or it is interrupted.  One at a time.
However it ends, the reserved workflows are on again; after a control that died in the middle, at its next start.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from roadworthy.evidence.kinds import KillDrill, Verdict
from roadworthy.kill_switch.drill import rules
from roadworthy.kill_switch.drill.model import Press, Report
from roadworthy.kill_switch.rules import Refused
from roadworthy.kill_switch.service import NotKept
from roadworthy.operations.drills.kill_drill import Drill, Place, Ports, recover, stopped_already
from roadworthy.operations.leasing import LEASE, UNLEASED
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.reserved import DRILLED
from roadworthy.workflow.service import Actor, Unknown

log = logging.getLogger("roadworthy.kill_drill")

PRESSES = 3
"""Of each reserved workflow."""
MOST_PRESSES = 200
KEPT_RUNS = 20
CLEARING = 5.0
"""Seconds that a stopped run has to end its child before it is interrupted in that, too."""
ENDING = 15.0
"""Seconds that a run has to end when control does."""


State = Literal["running", "done", "interrupted", "failed"]


class KillDrillRefused(Exception):
    """No drill can be made now; the message says why and what to do."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``gateways``: only these; empty: every one that there is."""

    gateways: list[str] = []
    presses: int = PRESSES


class KillDrillRun(msgspec.Struct):
    """Instants are Unix seconds."""

    id: str
    """``kdr_`` + 16 hex digits."""
    by: str
    began: float
    gateways: list[str]
    missing: list[str]
    """Gateways that should run and do not."""
    wanted: int
    """Presses."""
    estimate: float
    """Seconds."""
    state: State = "running"
    detail: str = ""
    presses: list[Press] = []
    ended: float | None = None
    figures: KillDrill | None = None
    verdict: Verdict | None = None
    figure: str = ""
    """The verdict in words."""
    evidence: str = ""
    """Id; empty: none was kept."""


Keep = Callable[[KillDrillRun, KillDrill], str]
"""Keeps the evidence.  Returns its id; empty when it was refused."""
Judge = Callable[[KillDrill], tuple[Verdict, str]]
"""(verdict, in words)."""


class _Going:
    def __init__(self, run: KillDrillRun, actor: Actor, places: list[Place], now: float) -> None:
        self.run = run
        self.actor = actor
        self.places = places
        self.looked = now
        self.stopping = ""
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None


class KillDrills:
    """Thread-safe."""

    def __init__(
        self, ports: Ports, *, judge: Judge, keep: Keep, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ports = ports
        self._judge = judge
        self._keep = keep
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._going: _Going | None = None
        self._kept: OrderedDict[str, KillDrillRun] = OrderedDict()

    def newest(self) -> KillDrillRun | None:
        """The run under way, else the last one since control started."""
        with self._lock:
            going, last = self._going, next(reversed(self._kept.values()), None)
        if going is None:
            return last
        with going.lock:
            return msgspec.structs.replace(going.run, presses=list(going.run.presses))

    def start(self, order: Order, actor: Actor, *, leased: bool = True) -> KillDrillRun:
        """Begin a run and return it.  ``leased``: it stops when nobody looks.  Raises ``Unknown`` and
        ``KillDrillRefused``."""
        if not 1 <= order.presses <= MOST_PRESSES:
            raise KillDrillRefused(f"presses: found {order.presses}, expected 1 to {MOST_PRESSES}")
        with self._lock:
            other = self._going
            if other is not None:
                raise KillDrillRefused(
                    f"kill drill {other.run.id} is under way (by {other.run.by}); wait for it, or stop it"
                )
            recover(self._ports.kills)
            places, missing = self._places(order.gateways)
            if why := stopped_already(self._ports.kills):
                raise KillDrillRefused(why)
            if not places:
                raise KillDrillRefused("no gateway runs that could be stopped: roadworthy up")
            count = order.presses * len(DRILLED)
            run = KillDrillRun(
                id=f"kdr_{secrets.token_hex(8)}", by=actor.id, began=self._ports.clock(),
                gateways=[place.name for place in places], missing=missing, wanted=count,
                estimate=count * self._ports.times.press,
            )  # fmt: skip
            looked = self._monotonic() if leased else UNLEASED
            going = self._going = _Going(run, actor, places, looked)
        going.thread = threading.Thread(target=self._live, args=(going,), name=f"kill drill {run.id}", daemon=True)
        going.thread.start()
        return self.look(run.id)

    def look(self, ident: str) -> KillDrillRun:
        """The run as it is now; looking renews its lease.  Raises ``Unknown``."""
        with self._lock:
            going, kept = self._going, self._kept.get(ident)
        if going is not None and going.run.id == ident:
            with going.lock:
                going.looked = max(going.looked, self._monotonic())
                return msgspec.structs.replace(going.run, presses=list(going.run.presses))
        if kept is None:
            raise Unknown(f"there is no kill drill '{ident}' that control remembers; roadworthy evidence keeps them")
        return kept

    def stop(self, ident: str) -> KillDrillRun:
        """Interrupt the run.  Raises ``Unknown``."""
        going = self._going
        if going is not None and going.run.id == ident:
            going.stopping = going.stopping or "stopped by its owner"
        return self.look(ident)

    def close(self) -> None:
        """Control ends: interrupt what is under way, and wait until all is restored."""
        going = self._going
        if going is not None and going.thread is not None:
            going.stopping = going.stopping or "control was stopped"
            going.thread.join(ENDING)

    def recover(self) -> None:
        """At the start of control: restore what the one before has left stopped."""
        recover(self._ports.kills)

    # --- inside

    def _places(self, named: Sequence[str]) -> tuple[list[Place], list[str]]:
        places, missing = self._ports.gateways()
        known = [*(place.name for place in places), *missing]
        for name in named:
            if name not in known:
                raise Unknown(f"no gateway '{name[:60]}': {did_you_mean(name, known)}")
        if named:
            places = [place for place in places if place.name in named]
            missing = [name for name in missing if name in named]
        return places, missing

    def _live(self, going: _Going) -> None:
        """The run's thread: an event loop of its own, so that nothing of control waits for it."""
        run = going.run
        state: State = "failed"
        detail = "control failed; its log says where"  # a defect ends the thread and is told by its hook
        try:
            asyncio.run(self._led(going))
            state, detail = ("interrupted", going.stopping) if going.stopping else ("done", run.detail)
        except* (OSError, Refused, NotKept) as failed:
            detail = "; ".join(str(error) for error in failed.exceptions)
            log.error("kill drill failed", extra={"error": detail})
        finally:
            recover(self._ports.kills)
            run.detail, run.ended = detail, self._ports.clock()
            self._conclude(run, state)
            with self._lock:
                run.state = state
                self._kept[run.id] = run
                while len(self._kept) > KEPT_RUNS:
                    self._kept.popitem(last=False)
                self._going = None

    async def _led(self, going: _Going) -> None:
        run = going.run

        def on_press(press: Press, report: Report) -> None:
            with going.lock:
                run.presses.append(press)
                if press.without_traffic:
                    run.detail = "callers were told: " + ", ".join(f"{what} ×{n}" for what, n in report.said.items())

        drill = Drill(self._ports, run.id, going.actor, going.places, on_press)
        work = asyncio.ensure_future(drill.go(run.wanted // len(DRILLED)))
        patient_until = 0.0
        while not work.done():
            await asyncio.wait([work], timeout=0.1)
            if self._monotonic() - going.looked > LEASE and not going.stopping:
                going.stopping = f"nobody looked for {LEASE:g} s"
            if going.stopping and time.monotonic() > patient_until:  # another would interrupt the clearing up
                work.cancel()
                patient_until = time.monotonic() + CLEARING
        if not (going.stopping and work.cancelled()):
            await work

    def _conclude(self, run: KillDrillRun, state: State) -> None:
        """What it came to.  A run that broke off counts for what went wrong, and else for nothing."""
        if not run.presses:
            return
        run.figures = rules.figures(run.presses, run.missing)
        run.verdict, run.figure = self._judge(run.figures)
        if state == "done" or run.verdict == "FAIL":
            run.evidence = self._keep(run, run.figures)
