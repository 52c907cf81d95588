"""Leads one load test through its stretches: live, rehearsed, or in search of the limit.

Whatever it does, calls go through a gateway as any client's do, under a permit of class ``load``.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from roadworthy.evidence.permit.model import LONGEST_LIFE, Permit
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks
from roadworthy.http1.origin import Origin
from roadworthy.latency import sending
from roadworthy.latency.generator import is_error
from roadworthy.latency.model import Arrivals, Sample
from roadworthy.operations.loading import asking, fitting, limit
from roadworthy.operations.loading.job import Job, Limits, Told, questions_of
from roadworthy.operations.loading.model import Fit, Kill, LimitStep, Phase, Progress
from roadworthy.operations.loading.planning import Ready, most_under_way
from roadworthy.operations.loading.ports import Generator, Ports, Rehearsed
from roadworthy.workflow.inference import SERVED_BY_MODEL, Inference
from roadworthy.workflow.model import Objective
from roadworthy.workflow.service import Actor

REACHING = 10.0
"""Seconds that a gateway may take to have heard of the release."""
PROBE_RATE = 2.0
"""Calls a second of a probe, at most: it measures the target and no queue."""
SLOWEST_PROBE = 0.2
KILL_SECONDS = 8.0
"""For which the full rate is held on after a rehearsal, while the kill switch of the copy is pressed."""
KILL_AFTER = 2.0
SHIPPING, SHIPPING_STOPPED = 15.0, 2.0
"""Seconds in which the records of a stretch must be in the log."""
SETTLING = 120.0
MARGIN = 1.05
"""Calls of a permit beyond those that are planned."""


class Stopped(Exception):
    """The gateway does not take the test's calls; the message says why."""


class Seen(msgspec.Struct, kw_only=True):
    """What a test has shown."""

    samples: list[Sample] = []
    records: list[Inference] = []
    stopped: str = ""
    """Why it ended before its plan; empty: it did not."""
    fit: Fit | None = None
    kill: Kill | None = None
    steps: list[LimitStep] = []
    limit: bool = False


class Leader:
    """One test.  ``on_progress`` and ``on_step`` are told as it goes."""

    def __init__(
        self, ports: Ports, ready: Ready, actor: Actor, ident: str, on_progress: Callable[[Progress], None],
        on_permit: Callable[[str], None], on_step: Callable[[LimitStep], None],
    ) -> None:  # fmt: skip
        self._ports = ports
        self._ready = ready
        self._actor = actor
        self._ident = ident
        self._on_progress = on_progress
        self._on_permit = on_permit
        self._on_step = on_step
        self._generator: Generator | None = None
        self._phase: Phase = "starting"
        self._spent = 0.0
        self._live = ready.order.kind != "rehearsal"
        self._files = [ports.scratch / f"{ident}.questions", ports.scratch / f"{ident}.samples"]
        self.seen = Seen(limit=ready.order.kind == "limit")

    def stop(self, why: str) -> None:
        """End in good order: calls under way are waited for."""
        self.seen.stopped = self.seen.stopped or why
        if self._generator is not None:
            self._generator.stop(why)

    async def lead(self) -> None:
        """Everything, once.  What was seen before it raised is in ``seen``.  Raises ``OSError`` and ``Stopped``."""
        order = self._ready.order
        ttl = order.seconds * (20 if order.kind == "limit" else 1) + 6 * SETTLING + 300.0
        bodies = asking.spread(self._ready.bodies, self._ident[-6:])
        await asyncio.to_thread(self._write, questions_of(bodies))
        try:
            async with self._ports.generators.open(ttl) as self._generator:
                if order.kind == "rehearsal":
                    await self._rehearsed()
                elif order.kind == "limit":
                    await self._searched()
                else:
                    await self._loaded()
        finally:
            self._generator = None
            for path in self._files:
                path.unlink(missing_ok=True)

    # --- the three kinds

    async def _loaded(self) -> None:
        ready = self._ready
        permit, token = self._permit(ready.plan.calls, ready.plan.max_usd)
        await self._knock(token)
        stretch = self._stretch("load", token, ready.arrivals, self._limits(ready.plan.calls))
        if ready.order.kill:
            await self._beside(stretch, ready.arrivals.seconds / 2, self._press_live)
        else:
            self._took(await stretch)
        self.seen.records = await self._records(self._ports.records, permit)

    async def _rehearsed(self) -> None:
        ready, order = self._ready, self._ready.order
        self._tell("starting", "fitting a simulated target to the recorded calls")
        self.seen.fit = fit = await asyncio.to_thread(self._ports.fit, ready)
        self._tell("starting", "making a copy of the install")
        simulated: list[Sample] = []
        async with self._ports.copy(ready, fit) as copy:
            base = copy.base_url
            if order.probe:
                probe = self._probe_of(order.probe)
                token = copy.token(self._unsealed(order.probe, 1e6))
                simulated, _ = await self._stretch("simulated probe", token, probe, Limits(saturation=False), base)
            if not self.seen.stopped:
                await self._rehearsed_load(copy)
        if order.probe and not self.seen.stopped:
            await self._validated(fit, simulated)

    async def _rehearsed_load(self, copy: Rehearsed) -> None:
        ready = self._ready
        made = self._unsealed(ready.plan.calls, 1e6)
        token = copy.token(made)
        load = self._stretch("load", token, ready.arrivals, self._limits(ready.plan.calls, money=False), copy.base_url)
        self._took(await load)
        if ready.order.kill and not self.seen.stopped:
            held = Arrivals(shape="poisson", rate=ready.plan.rate, seconds=KILL_SECONDS, seed=ready.order.seed)
            more = copy.token(self._unsealed(math.ceil(ready.plan.rate * KILL_SECONDS) + 100, 1e6))
            loose = Limits(errors=1.0, saturation=False)
            stretch = self._stretch("kill", more, held, loose, copy.base_url)
            await self._beside(stretch, KILL_AFTER, copy.kill, keep=False)
        self.seen.records = await self._records(copy.records, made.id)

    async def _validated(self, fit: Fit, simulated: Sequence[Sample]) -> None:
        """The live probe, and how far the fit is from it."""
        ready, order = self._ready, self._ready.order
        self._live = True
        await asyncio.to_thread(self._ports.publish)
        _, token = self._permit(order.probe, ready.plan.max_usd)
        await self._knock(token)
        limits = Limits(usd=ready.plan.max_usd, usd_each=ready.each.usd or 0.0, errors=0.5, saturation=False)
        live, last = await self._stretch("live probe", token, self._probe_of(order.probe), limits)
        if last.stopped:
            self.seen.stopped = self.seen.stopped or f"live probe: {last.stopped}"
        self.seen.fit = fitting.validated(fit, simulated, live)

    async def _searched(self) -> None:
        ready, order = self._ready, self._ready.order
        permit, token = self._permit(ready.plan.calls * 2, ready.plan.max_usd)
        await self._knock(token)
        while (rate := limit.next_rate(self.seen.steps, ready.first_rate)) is not None:
            seconds = limit.seconds_of(rate, order.seconds)
            seed = order.seed + len(self.seen.steps)
            arrivals = msgspec.structs.replace(ready.arrivals, rate=rate, seconds=seconds, seed=seed)
            planned = math.ceil(rate * seconds)
            samples, last = await self._stretch("load", token, arrivals, self._limits(planned))
            self._spent += sum(sample.usd or 0.0 for sample in samples)
            step = judged(rate, seconds, samples, last.stopped, ready.policy.objective, order.errors)
            self.seen.steps.append(step)
            self.seen.samples = samples if step.held else self.seen.samples
            self._on_step(step)
            if self.seen.stopped or self._spent >= ready.plan.max_usd:
                self.seen.stopped = self.seen.stopped or f"its ${ready.plan.max_usd:,.4g} are spent"
                break
        self.seen.records = await self._records(self._ports.records, permit)

    # --- stretches

    async def _stretch(
        self, phase: Phase, token: str, arrivals: Arrivals, limits: Limits, base_url: str = ""
    ) -> tuple[list[Sample], Told]:
        ready, generator = self._ready, self._generator
        assert generator is not None
        self._phase = phase
        rate = arrivals.rate or ready.plan.rate
        job = Job(
            url=f"{base_url or self._ports.base_url()}/chat/completions", token=token, workflow=ready.order.workflow,
            questions=str(self._files[0]), samples=str(self._files[1]), stream=ready.order.stream, arrivals=arrivals,
            trace=ready.trace if arrivals.shape == "replay" else [],
            most_under_way=most_under_way(ready.order, rate, ready.each),
            deadline=ready.frozen.release.handling.deadline, limits=limits,
        )  # fmt: skip
        return await generator.play(job, lambda told: self._progressed(phase, arrivals, told))

    def _took(self, came: tuple[list[Sample], Told]) -> None:
        self.seen.samples, last = came
        self.seen.stopped = self.seen.stopped or last.stopped

    async def _beside(
        self, stretch: Awaitable[tuple[list[Sample], Told]], after: float, press: Callable[[], Awaitable[Kill]],
        *, keep: bool = True,
    ) -> None:  # fmt: skip
        """A stretch under which the kill switch is pressed."""
        running = asyncio.ensure_future(stretch)
        pressing = asyncio.ensure_future(self._pressed(after, press))
        try:
            came = await running
            if keep:
                self._took(came)
            if not pressing.done() and self.seen.stopped:
                pressing.cancel()
            await asyncio.gather(pressing, return_exceptions=True)
            if not pressing.cancelled():
                self.seen.kill = pressing.result()
        finally:
            for task in (running, pressing):
                task.cancel()
            await asyncio.gather(running, pressing, return_exceptions=True)

    async def _pressed(self, after: float, press: Callable[[], Awaitable[Kill]]) -> Kill:
        await asyncio.sleep(after)
        return await press()

    async def _press_live(self) -> Kill:
        return await asyncio.to_thread(self._ports.press, self._actor)

    # --- its parts

    def _limits(self, planned: int, *, money: bool = True) -> Limits:
        ready, order = self._ready, self._ready.order
        objective, by_it = ready.policy.objective, order.on_objective or order.kind == "limit"
        slower = [
            (seconds, share)
            for seconds, share in ((objective.latency_p95, 0.05), (objective.latency_p99, 0.01))
            if seconds is not None and by_it
        ]
        return Limits(
            usd=max(ready.plan.max_usd - self._spent, 0.0) if money else None, usd_each=ready.each.usd or 0.0,
            errors=order.errors, slower_than=slower, error_share=objective.error_share if by_it else None,
            planned=planned,
        )  # fmt: skip

    def _probe_of(self, calls: int) -> Arrivals:
        """Gentle: no two calls under way at once, as far as is known."""
        rate = min(PROBE_RATE, max(SLOWEST_PROBE, 1.0 / max(self._ready.each.seconds, 0.05)))
        return Arrivals(shape="constant", rate=rate, seconds=calls / rate, seed=self._ready.order.seed)

    def _permit(self, calls: int, usd: float) -> tuple[str, str]:
        """(its id, sealed) for the gateway that serves."""
        made = self._unsealed(calls, usd)
        self._on_permit(made.id)
        return made.id, sealed(made, self._ports.signer)

    def _unsealed(self, calls: int, usd: float) -> Permit:
        return permit_for(self._ready, calls, usd, now=self._ports.clock(), by=self._actor.id)

    async def _knock(self, token: str) -> None:
        """One call, until the gateway has heard of the release.  Raises ``Stopped``."""
        ready, url = self._ready, f"{self._ports.base_url()}/chat/completions"
        asked = sending.question(
            ready.bodies[0], url, model=ready.order.workflow, headers={"authorization": f"Bearer {token}"}, stream=False
        )
        origin, limit_ = Origin.from_url(url), ready.frozen.release.handling.deadline + 5.0
        clocks = Clocks(5.0, limit_, limit_, limit_)
        client = Client(guard=AddressGuard(allowed=[origin]))
        until = time.monotonic() + REACHING
        try:
            while True:
                try:
                    reply = await client.fetch(origin, asked.head, asked.body, clocks, max_body=1 << 24)
                except Http1Error as error:
                    raise Stopped(f"the gateway at {origin} does not answer: {error}; roadworthy up serves") from error
                if reply.status not in (401, 403):
                    return
                code, said = _refusal(reply.body)
                if code != "permit_not_allowed" or time.monotonic() > until:
                    raise Stopped(f"the gateway refused the test's permit: {said}")
                await asyncio.sleep(0.1)
        finally:
            await client.close()

    async def _records(self, read: Callable[[str], list[Inference]], permit: str) -> list[Inference]:
        """What the log has, once it has all, or after a while what there is."""
        self._tell("closing", "reading the records of the calls")
        calls = sum(sample.sent is not None for sample in self.seen.samples)
        until = time.monotonic() + (SHIPPING_STOPPED if self.seen.stopped else SHIPPING)
        while True:
            found = await asyncio.to_thread(read, permit)
            if len(found) >= calls or time.monotonic() > until:
                return found
            await asyncio.sleep(0.5)

    def _progressed(self, phase: Phase, arrivals: Arrivals, told: Told) -> None:
        self._on_progress(
            Progress(
                phase=phase, seconds=told.seconds, of=arrivals.seconds, rate=arrivals.rate or self._ready.plan.rate,
                planned=told.planned, started=told.planned - told.dropped, ended=told.ended, errors=told.errors,
                dropped=told.dropped, under_way=told.under_way, usd=(told.usd if self._live else 0.0) + self._spent,
                p50=told.p50, p95=told.p95, first_token=told.first_token,
            )
        )  # fmt: skip

    def _tell(self, phase: Phase, said: str) -> None:
        self._on_progress(Progress(phase=phase, said=said))

    def _write(self, questions: bytes) -> None:
        path = self._files[0]
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(questions)


def permit_for(ready: Ready, calls: int, usd: float, *, now: float, by: str) -> Permit:
    """Each worker grants its part of the calls and counts dollars by itself, and calls spread unevenly: a permit
    covers them were all to come to one worker, and twice the dollars at most.  The generator is what keeps the sum."""
    workers = ready.plan.workers
    return Permit(
        id=f"prm_{secrets.token_hex(8)}", workflow=ready.order.workflow, digest=ready.frozen.release.digest,
        traffic="load", calls=(math.ceil(calls * MARGIN) + 100) * workers, usd=usd * min(1.0, 2.0 / workers),
        issued=now, expires=now + LONGEST_LIFE, by=by,
    )  # fmt: skip


def judged(
    rate: float, seconds: float, samples: Sequence[Sample], stopped: str, objective: Objective, errors: float
) -> LimitStep:
    """Did a rate hold?"""
    good = sorted(one.ended for one in samples if one.outcome in SERVED_BY_MODEL and one.ended is not None)
    wrong = sum(is_error(one) or one.sent is None for one in samples)
    share = wrong / len(samples) if samples else 1.0
    p50, p95, p99 = (_quantile(good, share_) for share_ in (0.5, 0.95, 0.99))
    why = stopped
    most = min(errors, objective.error_share) if objective.error_share is not None else errors
    for name, found, allowed in (("p95", p95, objective.latency_p95), ("p99", p99, objective.latency_p99)):
        if not why and allowed is not None and (found is None or found > allowed):
            why = f"{name} {'unknown' if found is None else f'{found:.2f} s'}, over {allowed:g} s"
    if not why and share > most:
        why = f"{100 * share:.1f} % of the calls failed or were dropped, over {100 * most:g} %"
    return LimitStep(rate, seconds, not why, why, p50, p99, share)


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _refusal(body: bytes) -> tuple[str, str]:
    """(code, message) of an error answer."""
    try:
        found: Any = msgspec.json.decode(body)
        error = found["error"]
        return str(error.get("code")), str(error.get("message"))
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return "", body[:200].decode("utf-8", "replace")
