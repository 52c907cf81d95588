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
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from roadworthy.evals.model import Answer, Run
from roadworthy.evals.service import Refused
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.fallback.drills import reading
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error, NotConnected
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.operations.proving.evals import Concluded, Gate, Ready, unanswered
from roadworthy.workflow.service import Actor

log = logging.getLogger("roadworthy.evals")

LEASE = 30.0
"""Seconds without a look after which a run stops."""
AT_ONCE = 4
MOST_AT_ONCE = 64
CHUNK = 100
"""Calls of one permit."""
PERMIT_LIFE = 2 * 3600.0
PATIENCE = 5.0
"""Seconds beyond the release's deadline after which a call is given up."""
REACHING = 5.0
"""Seconds that a gateway may take to have heard of the release."""
MAX_BODY = 16 * 1024 * 1024
LONGEST_TEXT = 256 * 1024
UNBOUNDED = 1000.0
"""US dollars of the permits of a run whose caller set no limit and for which nobody knows a price."""
LEAST_DOLLARS = 0.01

StateWord = Literal["running", "done", "interrupted", "failed"]


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    release: str = ""
    """Number or digest; empty: the newest frozen one."""
    concurrency: int = AT_ONCE
    usd: float | None = None
    """Most that the run may cost, with what it cost before it was gone on with; ``None``: twice the estimate."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is now."""

    run: Run
    state: StateWord
    answered: int
    spent: float
    """US dollars, as far as they are known."""
    detail: str = ""
    concluded: Concluded | None = None


class _Stopped(Exception):
    """The gateway does not take the run's calls; the message says why."""


class _Going:
    """A run under way, shared between its thread and those that look at it."""

    def __init__(self, run: Run, ready: Ready, order: Order, now: float) -> None:
        self.run = run
        self.ready = ready
        self.concurrency = order.concurrency
        self.usd = order.usd if order.usd is not None else ready.plan.spent + _dollars(ready.plan.usd)
        self.answered = ready.plan.examples - ready.plan.calls
        self.spent = ready.plan.spent
        """Counted here while it runs: a look must not read ten thousand answers."""
        self.looked = now
        self.stopping = ""
        self.detail = ""
        self.state: StateWord = "running"


class EvalRuns:
    """Thread-safe."""

    def __init__(self, gate: Gate, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.gate = gate
        self._monotonic = monotonic
        self._running: dict[str, _Going] = {}
        self._ended: dict[str, _Going] = {}
        self._lock = threading.Lock()

    def under_way(self) -> frozenset[str]:
        """Digests that gateways must hold for the runs under way."""
        with self._lock:
            return frozenset(going.run.release for going in self._running.values())

    def start(self, order: Order, actor: Actor) -> Status:
        """Begin a run, or go on with the one that was left open.  Raises ``Unknown`` and ``Refused``."""
        if not 1 <= order.concurrency <= MOST_AT_ONCE:
            raise Refused(f"concurrency {order.concurrency}: expected 1 to {MOST_AT_ONCE} calls at once")
        if order.usd is not None and order.usd <= 0:
            raise Refused(f"at most {order.usd} dollars: expected more than 0")
        with self._lock:
            other = next((each for each in self._running.values() if each.run.workflow == order.workflow), None)
            if other is not None:
                raise Refused(
                    f"run {other.run.id} of '{order.workflow}' is under way (by {other.run.by}); wait for it, or end "
                    f"its command: a run that nobody looks at stops after {LEASE:g} s"
                )
            ready = self.gate.ready(order.workflow, order.release)
            if order.usd is not None and order.usd <= ready.plan.spent:
                raise Refused(
                    f"run {ready.plan.resumes} is gone on with and has cost {ready.plan.spent:.4f} dollars already; "
                    f"at most {order.usd} leaves nothing: give more"
                )
            going = _Going(self.gate.begin(ready, actor), ready, order, self._monotonic())
            self._running[going.run.id] = going
            self._ended.pop(going.run.id, None)
        threading.Thread(target=self._live, args=(going,), name=f"eval {going.run.id}", daemon=True).start()
        return self.look(going.run.id)

    def look(self, ident: str) -> Status:
        """The run as it is now; looking renews its lease.  Raises ``Unknown`` and ``Refused``."""
        with self._lock:
            going = self._running.get(ident) or self._ended.get(ident)
        if going is not None:
            going.looked = self._monotonic()
            if going.state == "running":
                return Status(run=going.run, state="running", answered=going.answered, spent=going.spent)
        run = self.gate.evals.run(ident) if going is None else going.run
        answers = self.gate.evals.answers(ident).values()
        concluded = self.gate.concluded(run)
        state: StateWord = "done" if concluded is not None else "interrupted" if going is None else going.state
        return Status(
            run=run, state=state, answered=sum(not unanswered(each) for each in answers),
            spent=sum(each.usd or 0.0 for each in answers), detail="" if going is None else going.detail,
            concluded=concluded,
        )  # fmt: skip

    def stop(self, ident: str) -> Status:
        """Interrupt the run; what is under way is lost, the rest is kept.  Raises ``Unknown``."""
        with self._lock:
            going = self._running.get(ident)
        if going is not None:
            going.stopping = going.stopping or "stopped by its owner"
        return self.look(ident)

    # --- the run's thread

    def _live(self, going: _Going) -> None:
        """An event loop of its own, so that nothing of control waits for it."""
        state: StateWord = "failed"
        going.detail = "control failed; its log says where"
        try:
            self.gate.ports.publish()  # so that gateways hold the release
            asyncio.run(self._led(going))
            state, going.detail = ("interrupted", going.stopping) if going.stopping else ("done", "")
            if self.gate.complete(going.run):
                self.gate.conclude(going.run)
                state, going.detail = "done", ""
        except* (_Stopped, Refused, OSError) as failed:
            state, going.detail = "failed", "; ".join(_flat(failed))
            log.error("eval run failed", extra={"error": going.detail})
        finally:
            with self._lock:
                going.state = state
                self._running.pop(going.run.id, None)
                self._ended[going.run.id] = going
                while len(self._ended) > 100:
                    self._ended.pop(next(iter(self._ended)))

    async def _led(self, going: _Going) -> None:
        runner = asyncio.ensure_future(self._asked(going))
        while not runner.done():
            await asyncio.wait([runner], timeout=0.2)
            if self._monotonic() - going.looked > LEASE and not going.stopping:
                going.stopping = f"nobody looked for {LEASE:g} s"
            if going.stopping:
                runner.cancel()
        if not runner.cancelled():
            await runner

    async def _asked(self, going: _Going) -> None:
        base = self.gate.ports.base_url()
        origin = Origin.from_url(base)
        client = Client(guard=AddressGuard(allowed=[origin]))
        pending = list(going.ready.questions.items())
        try:
            for start in range(0, len(pending), CHUNK):
                part = pending[start : start + CHUNK]
                permit = self.gate.permit(
                    going.run, calls=len(part), usd=max(going.usd - going.spent, 0.0), seconds=PERMIT_LIFE
                )
                caller = _Caller(client, base, sealed(permit, self.gate.ports.signer), going)
                await self._part(caller, going, part)
        finally:
            await client.close()

    async def _part(self, caller: _Caller, going: _Going, part: list[tuple[str, bytes]]) -> None:
        waiting = iter(part)

        async def worker() -> None:
            for example, body in waiting:
                answer = await caller.ask(example, body, self.gate.ports.clock)
                await asyncio.to_thread(self.gate.evals.keep, answer)
                going.answered += not unanswered(answer)
                going.spent += answer.usd or 0.0

        async with asyncio.TaskGroup() as group:
            for _ in range(min(going.concurrency, len(part))):
                group.create_task(worker())


class _Caller:
    """Asks the gateway as any client does."""

    def __init__(self, client: Client, base: str, token: str, going: _Going) -> None:
        self._client = client
        self._origin = Origin.from_url(base)
        self._run = going.run
        limit = going.ready.frozen.release.handling.deadline + PATIENCE
        self._clocks = Clocks(PATIENCE, limit, limit, limit)
        path = "/" + base.split("://", 1)[1].partition("/")[2].rstrip("/") + "/chat/completions"
        headers = [(b"authorization", b"Bearer " + token.encode()), (b"content-type", b"application/json")]
        self._head = head(b"POST", path.encode(), self._origin, headers)
        self._until = time.monotonic() + REACHING

    async def ask(self, example: str, body: bytes, clock: Callable[[], float]) -> Answer:
        """Raises ``_Stopped`` when the gateway does not take the permit, or another release answered."""
        while True:
            began = time.monotonic()
            try:
                reply = await self._client.fetch(self._origin, self._head, body, self._clocks, max_body=MAX_BODY)
            except NotConnected as error:
                raise _Stopped(f"the gateway at {self._origin} does not answer ({type(error).__name__})") from error
            except Http1Error as error:
                why = f"{type(error).__name__}: {error}"
                return Answer(run=self._run.id, example=example, at=clock(), detail=why[:500])
            told = {name.decode("latin-1"): value.decode("latin-1") for name, value in reply.headers}
            seen = reading.whole(reply.status, told, reply.body, time.monotonic() - began)
            if not seen.code.startswith("permit_"):
                break
            if seen.code != "permit_not_allowed" or time.monotonic() > self._until:
                raise _Stopped(f"the gateway refused the run's permit: {seen.text}")
            await asyncio.sleep(0.1)  # it has not read the snapshot that holds the release yet
        answered_by = told.get("x-roadworthy-release")
        if answered_by is not None and answered_by != self._run.release:
            raise _Stopped(f"release {answered_by[:12]} answered in place of {self._run.release[:12]}")
        return Answer(
            run=self._run.id, example=example, at=clock(), inference=seen.inference, outcome=seen.outcome,
            failure=seen.failure, text=seen.text[:LONGEST_TEXT], seconds=seen.seconds, usd=_usd(reply.body),
            detail="" if reply.status < 400 else f"status {reply.status}",
        )  # fmt: skip


def _dollars(estimate: float | None) -> float:
    """Most that a run may cost whose caller set no limit."""
    return UNBOUNDED if estimate is None else max(2 * estimate, LEAST_DOLLARS)


def _flat(group: BaseExceptionGroup[BaseException]) -> list[str]:
    """What went wrong, each once."""
    found: dict[str, None] = {}
    for each in group.exceptions:
        found.update(dict.fromkeys(_flat(each) if isinstance(each, BaseExceptionGroup) else [str(each)]))
    return list(found)


def _usd(body: bytes) -> float | None:
    try:
        found: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    told: Mapping[str, Any] = found.get("roadworthy") or {} if isinstance(found, dict) else {}
    usd = told.get("cost_usd")
    return float(usd) if isinstance(usd, int | float) else None
