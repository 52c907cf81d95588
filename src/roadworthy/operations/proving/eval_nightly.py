"""The served release, asked a sample of its examples every night.

What answers under a release's name may change without anybody telling.  Tonight's answers are held against those by
which the release was judged; when something is certainly wrong, the gate runs again in full at once, fresh, and its
verdict acts as any gate's does: a FAIL leaves the release to testers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import msgspec

from roadworthy.evals.gate import Asked
from roadworthy.evals.model import Run
from roadworthy.evals.nightly import alarms
from roadworthy.evals.rules import sampled
from roadworthy.evals.scoring import lacking, scores_of
from roadworthy.evals.service import Refused
from roadworthy.operations.proving.eval_runs import EvalRuns, Order, Status
from roadworthy.people.incident.model import Notice
from roadworthy.workflow.service import Actor, Unknown

log = logging.getLogger("roadworthy.evals")

LOOK = 1.0
"""Seconds between two looks at a run."""
NIGHT = 20 * 3600.0
"""Seconds after which the next nightly run may begin."""
ENGINE = Actor("engine")


class Night(msgspec.Struct, frozen=True, kw_only=True):
    """What a nightly run came to."""

    run: str
    alarms: list[str]
    gate: str = ""
    """Id of the gate's run that the alarm began."""
    verdict: str = ""
    """Of that gate; empty: there was no alarm, or it came to nothing."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """What is run by itself."""

    workflow: str
    release: int | None
    """Number of the served one; ``None``: none is served that its gate did not fail."""
    nightly: int
    """Examples; 0: no nightly run."""
    usd: float | None
    """About the most that a night costs; ``None``: nobody knows."""
    last: float | None = None
    """When the newest nightly run began."""
    last_run: str = ""


class Nightly:
    """Blocking."""

    def __init__(
        self,
        runs: EvalRuns,
        tell: Callable[[list[Notice]], object],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``tell``: takes what a person must look at."""
        self._runs = runs
        self._gate = runs.gate
        self._tell = tell
        self._clock = clock
        self._sleep = sleep

    def schedule(self, workflow: str) -> Schedule:
        """Raises ``Unknown``."""
        order = self._order(workflow)
        examples = self._gate.plans.flow(workflow).evals.nightly
        newest = self._newest(workflow)
        last = None if newest is None else newest.began
        if order is None:
            return Schedule(workflow=workflow, release=None, nightly=examples, usd=0.0, last=last)
        plan = self._gate.ready(order).plan
        return Schedule(
            workflow=workflow, release=plan.number, nightly=examples, usd=plan.usd, last=last,
            last_run="" if newest is None else newest.id,
        )  # fmt: skip

    def usd(self, workflow: str) -> float:
        """Estimate of tonight."""
        try:
            order = self._due(workflow)
            return 0.0 if order is None else self._gate.ready(order).plan.usd or 0.0
        except (Refused, Unknown):
            return 0.0  # running it says why it cannot be

    def run(self, workflow: str) -> Night | None:
        """Tonight's run, to its end; ``None``: nothing is due.  Raises ``Refused`` and ``Unknown``."""
        order = self._due(workflow)
        return None if order is None else self.finish(self._runs.start(order, ENGINE))

    def begin(self, workflow: str, actor: Actor) -> Status:
        """The same at once, for somebody who looks at it.  Raises ``Refused`` and ``Unknown``."""
        order = self._order(workflow)
        if order is None:
            raise Refused(
                f"{workflow} serves no release whose gate let it pass, or asks for no nightly examples "
                f"(evals.nightly in workflow.yaml); judge one first: roadworthy evals gate {workflow}"
            )
        status = self._runs.start(order, actor)
        threading.Thread(target=self._finished, args=(status,), name=f"nightly {status.run.id}", daemon=True).start()
        return status

    def finish(self, status: Status) -> Night:
        """Wait for its end, and act on what it shows.  Raises ``Refused``: it did not come to an end."""
        run = self._ended(status).run
        found = self.alarms(run)
        if not found:
            return Night(run=run.id, alarms=[])
        log.warning("nightly eval alarm", extra={"workflow": run.workflow, "reason": "; ".join(found)[:300]})
        gate = self._ended(self._runs.start(Order(run.workflow, run.release, fresh=True), ENGINE), whole=False)
        verdict = "" if gate.concluded is None else gate.concluded.verdict
        self._tell([self._notice(run, found, verdict)])
        return Night(run=run.id, alarms=found, gate=gate.run.id, verdict=verdict)

    def alarms(self, run: Run) -> list[str]:
        """Raises ``Refused``."""
        basis = self._gate.evals.basis(run)
        items = sampled(basis.examples.items, run.sample, run.seed or run.id)
        mine = self._gate.scored(run)
        earlier = [
            each for each in self._gate.history.askings(run, any_model=True)
            if each.answer is not None and (each.answer.reused or each.answer.run) != run.id
        ]  # fmt: skip
        asked = Asked.of(items, lacking(basis.scorers, items))
        return alarms(scores_of(mine), scores_of(earlier), asked, self._gate.terms(run, basis.scorers))

    # --- inside

    def _due(self, workflow: str) -> Order | None:
        newest = self._newest(workflow)
        if newest is not None and newest.began > self._clock() - NIGHT:
            return None
        return self._order(workflow)

    def _order(self, workflow: str) -> Order | None:
        """``None``: it serves no release that was judged, or wants no nightly run."""
        examples = self._gate.plans.flow(workflow).evals.nightly
        release = self._gate.served(workflow)
        if not examples or release is None or self._gate.evals.published(workflow) is None:
            return None
        return Order(workflow, release, purpose="nightly", sample=examples, fresh=True)

    def _newest(self, workflow: str) -> Run | None:
        return next((each for each in self._gate.evals.runs(workflow) if each.purpose == "nightly"), None)

    def _ended(self, status: Status, *, whole: bool = True) -> Status:
        while status.state == "running":
            self._sleep(LOOK)
            status = self._runs.look(status.run.id)
        if whole and not self._gate.complete(status.run):
            raise Refused(status.detail or f"run {status.run.id} is not complete")
        return status

    def _finished(self, status: Status) -> None:
        try:
            self.finish(status)
        except (Refused, Unknown) as error:
            log.error("nightly eval failed", extra={"workflow": status.run.workflow, "error": str(error)[:300]})

    def _notice(self, run: Run, found: list[str], verdict: str) -> Notice:
        said = {
            "FAIL": "The gate ran again in full and FAILED: only testers get the release now.",
            "PASS": "The gate ran again in full and passed, averaged with what was known; look at the examples.",
        }.get(verdict, "The gate ran again in full and could not decide.")
        return Notice(
            kind="alert", alert="nightly", key=f"nightly/{run.workflow}/{run.behaviour}/{run.set_version}",
            team=run.team, workflow=run.workflow,
            title=f"{run.workflow}: release {run.number} answers worse than when it was judged",
            summary=f"{'; '.join(found)}. {said} roadworthy evals show {run.id} --wrong", role="workflow",
            at=self._clock(),
        )  # fmt: skip
