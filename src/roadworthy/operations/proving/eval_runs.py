"""The eval runs of an install: started, followed, interrupted, gone on with.

Calls go through the gateway that serves, as any client's, under an eval permit; live traffic feels nothing of their
limits, budgets and cache.  A run is leased: whoever started it must look at it every ``LEASE`` seconds, or it stops;
what was answered is kept.  One run of a workflow at a time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import msgspec

from roadworthy.evals.model import Answer, Run
from roadworthy.evals.rules import standing
from roadworthy.evals.scorers.base import Asking, Mark
from roadworthy.evals.scoring import case_of, slots
from roadworthy.evals.service import Refused
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.http1.client import Client
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.origin import Origin
from roadworthy.operations.leasing import LEASE, UNLEASED, led, reasons
from roadworthy.operations.proving.eval_asking import Caller, Stopped
from roadworthy.operations.proving.eval_plans import AT_ONCE, MOST_AT_ONCE, Order, Question, cost
from roadworthy.operations.proving.evals import Concluded, Gate, Ready, unanswered
from roadworthy.operations.proving.scoring import Scoring
from roadworthy.workflow.service import Actor

__all__ = ["AT_ONCE", "LEASE", "MOST_AT_ONCE", "EvalRuns", "Order", "Status"]

log = logging.getLogger("roadworthy.evals")

CHUNK = 100
"""Calls of one permit."""
PERMIT_LIFE = 2 * 3600.0
UNBOUNDED = 1000.0
"""US dollars of the permits of a run whose caller set no limit and for which nobody knows a price."""
LEAST_DOLLARS = 0.01

StateWord = Literal["running", "done", "interrupted", "failed"]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is now."""

    run: Run
    state: StateWord
    answered: int
    """Askings, of ``asked``."""
    spent: float
    """US dollars, as far as they are known."""
    detail: str = ""
    concluded: Concluded | None = None
    asked: int = 0
    """Askings in all: examples, repeats, critical ones of other targets."""
    marked: int = 0
    """Of a run under way: marks that scorers who ask somebody gave in this sitting, of ``marks``."""
    marks: int = 0


class _Going:
    """A run under way, shared between its thread and those that look at it."""

    def __init__(self, run: Run, ready: Ready, order: Order, now: float) -> None:
        self.run = run
        self.ready = ready
        self.concurrency = order.concurrency
        self.usd = order.usd if order.usd is not None else ready.plan.spent + _dollars(ready.plan.usd)
        self.asked = run.examples * run.repeat + len(run.targets) * ready.plan.critical
        self.answered = self.asked - ready.plan.calls
        self.marked = self.marks = 0
        self.spent = ready.plan.spent
        """Counted here while it runs: a look must not read ten thousand answers."""
        self.looked = now
        self.stopping = ""
        self.detail = ""
        self.state: StateWord = "running"


class EvalRuns:
    """Thread-safe."""

    def __init__(
        self, gate: Gate, scoring: Callable[[str, float], Scoring], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``scoring``: (by, most US dollars) → who asks for scorers that cannot tell by themselves."""
        self.gate = gate
        self._scoring = scoring
        self._monotonic = monotonic
        self._running: dict[str, _Going] = {}
        self._ended: dict[str, _Going] = {}
        self._lock = threading.Lock()

    def under_way(self) -> frozenset[str]:
        """Digests that gateways must hold for the runs under way."""
        with self._lock:
            return frozenset(going.run.release for going in self._running.values())

    def going(self, workflow: str) -> str:
        """Id of the run of a workflow that is under way; empty: none is."""
        with self._lock:
            return next((each.run.id for each in self._running.values() if each.run.workflow == workflow), "")

    def start(self, order: Order, actor: Actor, *, leased: bool = True) -> Status:
        """Begin a run, or go on with the one that was left open.  ``leased``: it stops when nobody looks.

        Raises ``Unknown`` and ``Refused``.
        """
        with self._lock:
            other = next((each for each in self._running.values() if each.run.workflow == order.workflow), None)
            if other is not None:
                raise Refused(
                    f"run {other.run.id} of '{order.workflow}' is under way (by {other.run.by}); wait for it, or stop "
                    "it where it was begun"
                )
            ready = self.gate.ready(order)
            if order.usd is not None and order.usd <= ready.plan.spent:
                raise Refused(
                    f"run {ready.plan.resumes} is gone on with and has cost {ready.plan.spent:.4f} dollars already; "
                    f"at most {order.usd} leaves nothing: give more"
                )
            looked = self._monotonic() if leased else UNLEASED
            going = _Going(self.gate.begin(ready, actor), ready, order, looked)
            self._running[going.run.id] = going
            self._ended.pop(going.run.id, None)
        threading.Thread(target=self._live, args=(going,), name=f"eval {going.run.id}", daemon=True).start()
        return self.look(going.run.id)

    def look(self, ident: str) -> Status:
        """The run as it is now; looking renews its lease.  Raises ``Unknown`` and ``Refused``."""
        with self._lock:
            going = self._running.get(ident) or self._ended.get(ident)
        if going is not None:
            going.looked = max(going.looked, self._monotonic())
            if going.state == "running":
                return Status(
                    run=going.run, state="running", answered=going.answered, spent=going.spent, asked=going.asked,
                    marked=going.marked, marks=going.marks,
                )  # fmt: skip
        run = self.gate.evals.run(ident)  # as it is kept: users may have been forgotten since
        answers = self.gate.evals.answers(ident).values()
        concluded = self.gate.concluded(run)
        state: StateWord = "done" if concluded is not None else "interrupted" if going is None else going.state
        here = going is not None and going.run.set_version == run.set_version
        asked = going.asked if going is not None and here else self._asked_by(run)
        return Status(
            run=run, state=state, answered=sum(not unanswered(each) for each in answers),
            spent=sum(map(cost, answers)), detail="" if going is None else going.detail,
            concluded=concluded, asked=asked,
        )  # fmt: skip

    def stop(self, ident: str) -> Status:
        """Interrupt the run; what is under way is lost, the rest is kept.  Raises ``Unknown``."""
        with self._lock:
            going = self._running.get(ident)
        if going is not None:
            going.stopping = going.stopping or "stopped by its owner"
        return self.look(ident)

    def _asked_by(self, run: Run) -> int:
        return len(slots(run, self.gate.evals.basis(run).examples.items))

    # --- the run's thread

    def _live(self, going: _Going) -> None:
        """An event loop of its own, so that nothing of control waits for it."""
        state: StateWord = "failed"
        going.detail = "control failed; its log says where"
        try:
            self.gate.ports.publish()  # so that gateways hold the release
            asyncio.run(led(going, self._asked(going), self._monotonic))
            state, going.detail = ("interrupted", going.stopping) if going.stopping else ("done", "")
            missing = self.gate.history.open(going.run)
            if not missing:
                self.gate.conclude(going.run)
                state, going.detail = "done", ""
            elif state == "done":
                where, what = next(iter(missing.items()))
                going.detail = f"{len(missing)} askings miss something, the first is {where} ({what})"
        except* (Stopped, Refused, OSError) as failed:
            state, going.detail = "failed", "; ".join(reasons(failed))
            log.error("eval run failed", extra={"error": going.detail})
        finally:
            with self._lock:
                going.state = state
                self._running.pop(going.run.id, None)
                self._ended[going.run.id] = going
                while len(self._ended) > 100:
                    self._ended.pop(next(iter(self._ended)))

    async def _asked(self, going: _Going) -> None:
        base = self.gate.ports.base_url()
        origin = Origin.from_url(base)
        client = Client(guard=AddressGuard(allowed=[origin]))
        deadline = going.ready.frozen.release.handling.deadline
        try:
            for target, part in _chunks(going.ready.questions):
                permit = self.gate.permit(
                    going.run, calls=len(part), usd=max(going.usd - going.spent, 0.0), seconds=PERMIT_LIFE,
                    target=target,
                )  # fmt: skip
                token = sealed(permit, self.gate.ports.signer)
                await self._part(Caller(client, base, token, going.run, deadline), going, part)
        finally:
            await client.close()
        await self._marked(going)

    async def _part(self, caller: Caller, going: _Going, part: list[Question]) -> None:
        waiting = iter(part)

        async def worker() -> None:
            for question in waiting:
                answer = await caller.ask(question, self.gate.ports.clock)
                await asyncio.to_thread(self.gate.evals.keep, answer)
                going.answered += not unanswered(answer)
                going.spent += answer.usd or 0.0

        async with asyncio.TaskGroup() as group:
            for _ in range(min(going.concurrency, len(part))):
                group.create_task(worker())

    async def _marked(self, going: _Going) -> None:
        """Ask whom the scorers need about the answers that have no mark yet; each mark is kept as it comes."""
        asking = [each for each in going.ready.scorers if isinstance(each, Asking)]
        if not asking:
            return
        kept, others = await asyncio.to_thread(self._to_mark, going)
        release = going.ready.frozen.release
        examples = {each.id: each for each in self.gate.evals.basis(going.run).examples.items}
        jobs = [
            (
                (where, scorer.name),
                scorer,
                case_of(examples[answer.example], answer, release, others.get(answer.example)),
            )
            for where, answer in kept.items()
            for scorer in asking
            if (mark := answer.marks.get(scorer.name)) is None or mark.again
        ]
        if not jobs:
            return

        going.marks = len(jobs)
        keeping = asyncio.Lock()  # or an older state of an answer could be written last

        async def keep(about: tuple[str, str], mark: Mark) -> None:
            where, name = about
            kept[where] = msgspec.structs.replace(kept[where], marks={**kept[where].marks, name: mark})
            going.spent += mark.usd or 0.0
            going.marked += 1
            async with keeping:
                await asyncio.to_thread(self.gate.evals.keep, kept[where])

        async with self._scoring(going.run.by, max(going.usd - going.spent, 0.0)) as scoring:
            await scoring.marks(jobs, keep, going.concurrency)

    def _to_mark(self, going: _Going) -> tuple[dict[str, Answer], Mapping[str, str]]:
        kept = {
            where: each
            for where, each in self.gate.evals.answers(going.run.id).items()
            if standing(each.outcome, each.failure) == "good"
        }
        return kept, self.gate.history.other_answers(going.run)


def _chunks(questions: list[Question]) -> Iterator[tuple[str, list[Question]]]:
    """(target, as many as one permit is for), the release's own ladder first."""
    by_target: dict[str, list[Question]] = {}
    for each in questions:
        by_target.setdefault(each.target, []).append(each)
    for target, found in sorted(by_target.items()):
        for start in range(0, len(found), CHUNK):
            yield target, found[start : start + CHUNK]


def _dollars(estimate: float | None) -> float:
    """Most that a run may cost whose caller set no limit."""
    return UNBOUNDED if estimate is None else max(2 * estimate, LEAST_DOLLARS)
