"""Runs drills on the gateway that serves: a permit, misbehaving servers, a call as any client makes it, a verdict.

Live traffic feels nothing of it: a drill's calls have a lane of their own (``gateway/admission/permits.py``), and
whatever stands for a target is on this machine.  Every drilled call has its own permit, good for that call and for the
few before it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from roadworthy.evidence.permit.model import LONGEST_LIFE, Permit
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.evidence.ports import Signer
from roadworthy.fallback.drills import reading, rules
from roadworthy.fallback.drills.asking import Example, good_answer, guards, nonce_of, question
from roadworthy.fallback.drills.copy import Copy, Missed
from roadworthy.fallback.drills.host import Stand
from roadworthy.fallback.drills.listener import targets_of
from roadworthy.fallback.drills.model import Drill, Result, Role, Scene, Seen, Told, Wire
from roadworthy.fallback.drills.ports import FaultProcesses, Faults
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Policy, Release

AT_ONCE = 16
"""Drilled calls that are under way together: most of them only wait."""
COPIES = 2
"""Disposable copies of the install that stand together."""
LONGEST_SCENE = 300.0
"""Seconds after which what happens to a copy is given up."""
COPY_SECONDS = 10.0
"""How long one takes about, to make and to break."""
PATIENCE = 5.0
"""Seconds that the client waits beyond the deadline before it calls a call hung."""
SETTLING = 60.0
"""Seconds that the faults outlive the longest run."""
DOLLARS = 1e6
"""Of a drill's permit: nobody is paid for its calls, and what budgets do is drilled by budgets of the drill's own."""
MAX_BODY = 64 * 1024 * 1024
SHIPPING = 0.1
"""Seconds between two looks for a record."""
RECORD_PATIENCE = 5.0


class Heard(msgspec.Struct, frozen=True):
    """What people heard of one inference."""

    told: Told = "none"
    role: Role = "workflow"
    notified: bool | None = None


class Subject(msgspec.Struct, frozen=True):
    """What is drilled."""

    release: Release
    policy: Policy
    priced: bool
    """Its first target has a known price."""
    continues: bool
    """Its first target can go on with a text that broke off."""
    by: str
    draft: bool = False
    """Nobody froze it: it is tried before that."""
    wire: Wire = Wire("openai", "chat", own=True)


class Ports(msgspec.Struct, frozen=True):
    """What wiring gives."""

    signer: Signer
    faults: FaultProcesses
    base_url: Callable[[], str]
    """Of the gateway, for clients on this machine."""
    record: Callable[[str], Inference | None]
    """Ship the journal, then look in the log.  Blocks."""
    heard: Callable[[Inference], Heard]
    """Blocks."""
    copy: Callable[[Release, Drill], AbstractAsyncContextManager[Copy]]
    """(release, drill) → a disposable copy of the install for one correlated drill.  Raises ``OSError``."""
    example: Example
    clock: Callable[[], float]


class Step(msgspec.Struct, frozen=True):
    """One drilled call to make."""

    number: int
    drill: Drill
    stream: bool


def plan(wanted: Sequence[Drill], subject: Subject) -> tuple[list[Step], list[Result]]:
    """(calls to make, results of what means nothing for this release)."""
    steps: list[Step] = []
    skipped: list[Result] = []
    for drill in wanted:
        for stream in (False, True):
            why = rules.not_applicable(
                drill, subject.release, subject.policy, stream=stream, priced=subject.priced, wire=subject.wire.format
            )
            if drill.scene is not None and stream:
                continue  # a scene asks as it likes
            if why:
                skipped.append(_result(drill, stream, why=why))
            else:
                steps.append(Step(len(steps), drill, stream))
    return steps, skipped


def estimate(steps: Sequence[Step], release: Release) -> float:
    """Seconds that the steps take, side by side."""
    copies = sum(step.drill.scene is not None for step in steps) * COPY_SECONDS / COPIES
    each = [rules.seconds(step.drill, release, stream=step.stream) for step in steps]
    return max([0.0, copies, *each, sum(each) / AT_ONCE])


class Runner:
    """Runs the steps of one run."""

    def __init__(self, ports: Ports, subject: Subject, on_result: Callable[[Result], None]) -> None:
        self._ports = ports
        self._subject = subject
        self._on_result = on_result
        self._base = ports.base_url()
        self._origin = Origin.from_url(self._base)
        self._looking = asyncio.Lock()

    async def run(self, steps: Sequence[Step]) -> None:
        """Make every call and tell each result as it is known.  Cancelling stops at once and clears the faults.

        Raises ``OSError`` when the misbehaving servers cannot be started.
        """
        longest = estimate(steps, self._subject.release) * 2 + SETTLING
        client = Client(guard=AddressGuard(allowed=[self._origin]))
        busy, copies = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(COPIES)
        try:
            async with self._ports.faults.open(longest) as faults, asyncio.TaskGroup() as group:
                for step in steps:
                    if step.drill.scene is not None:
                        group.create_task(self._in_a_copy(copies, step, step.drill.scene))
                    else:
                        group.create_task(self._paced(busy, client, faults, step))
        finally:
            await client.close()

    async def _paced(self, busy: asyncio.Semaphore, client: Client, faults: Faults, step: Step) -> None:
        async with busy:
            seen = await self._drilled(client, faults, step)
        self._told(step, seen)

    async def _in_a_copy(self, copies: asyncio.Semaphore, step: Step, scene: Scene) -> None:
        async with copies, self._ports.copy(self._subject.release, step.drill) as copy:
            try:
                async with asyncio.timeout(LONGEST_SCENE):
                    self._told(step, await scene(copy))
            except (Missed, TimeoutError) as missed:
                result = _result(step.drill, step.stream)
                result.verdict = "FAIL"
                result.misses = [str(missed) or f"the scene: expected an end in {LONGEST_SCENE:g} s, found none"]
                self._on_result(result)

    def _told(self, step: Step, seen: Seen) -> None:
        subject = self._subject
        must = rules.expected(step.drill, subject.release, stream=step.stream, continues=subject.continues)
        misses = rules.score(step.drill, must, seen)
        result = _result(step.drill, step.stream)
        result.verdict = "FAIL" if misses else "PASS"
        result.misses = [str(miss) for miss in misses]
        result.expected, result.seen = must, seen
        self._on_result(result)

    async def _drilled(self, client: Client, faults: Faults, step: Step) -> Seen:
        drill, release = step.drill, self._subject.release
        behaviour = release.behaviour
        nonce, asked = nonce_of(secrets.randbits(48)), guards(release)
        stands = {
            name: Stand(good_answer(release, name, self._ports.example), faulty and name not in asked)
            for name, faulty in targets_of(drill, behaviour.target, list(behaviour.targets)).items()
        }
        urls = await faults.begin(step.number, drill.name, nonce, stands)
        try:
            token = sealed(self._permit(drill, urls), self._ports.signer)
            body = question(release, stream=step.stream, user=f"drill-{nonce}")
            for _ in range(drill.before):
                await called(client, self._base, token, release, body, stream=step.stream)
            seen = await called(client, self._base, token, release, body, stream=step.stream)
        finally:
            sent = await faults.end(step.number)
        seen.sent = sent
        seen.asked = body.get("messages", [])
        return await self._recorded(seen)

    def _permit(self, drill: Drill, urls: dict[str, str]) -> Permit:
        release, now = self._subject.release, self._ports.clock()
        life = min(LONGEST_LIFE, (release.handling.deadline + PATIENCE) * (drill.before + 1) + SETTLING)
        return Permit(
            id=f"prm_{secrets.token_hex(8)}",
            workflow=release.workflow,
            digest=release.digest,
            traffic="drill",
            calls=drill.before + 1,
            usd=DOLLARS,
            issued=now,
            expires=now + life,
            by=self._subject.by,
            fault=drill.name,
            substitutes=urls,
            unpriced=drill.conditions.unpriced,
            price=drill.conditions.price,
            budgets=drill.conditions.budgets,
        )

    async def _recorded(self, seen: Seen) -> Seen:
        """The same with what the log and people say; the record may take a moment to be shipped."""
        until = time.monotonic() + RECORD_PATIENCE
        record: Inference | None = None
        while seen.inference:
            async with self._looking:  # shipping is one at a time anyway
                record = await asyncio.to_thread(self._ports.record, seen.inference)
            if record is not None or time.monotonic() > until:
                break
            await asyncio.sleep(SHIPPING)
        seen = reading.with_record(seen, record)
        if record is not None:
            heard = await asyncio.to_thread(self._ports.heard, record)
            seen.told, seen.role, seen.notified = heard.told, heard.role, heard.notified
        return seen


async def called(
    client: Client,
    base_url: str,
    token: str,
    release: Release,
    body: dict[str, Any],
    *,
    stream: bool,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Seen:
    """One call of the gateway as any client makes it."""
    origin = Origin.from_url(base_url)
    limit = release.handling.deadline + PATIENCE
    clocks = Clocks(PATIENCE, limit, limit, limit)
    operation = "embeddings" if release.behaviour.kind == "embeddings" else "chat/completions"
    path = "/" + base_url.split("://", 1)[1].partition("/")[2].rstrip("/") + "/" + operation
    all_headers = [(b"authorization", b"Bearer " + token.encode()), (b"content-type", b"application/json"), *headers]
    made = head(b"POST", path.encode(), origin, all_headers)
    raw = msgspec.json.encode(body)
    began = time.monotonic()
    try:
        if stream:
            reply = await client.open(origin, made, raw, clocks)
            answer, status, found = await reply.read(MAX_BODY), reply.status, reply.headers
        else:
            whole = await client.fetch(origin, made, raw, clocks, max_body=MAX_BODY)
            answer, status, found = whole.body, whole.status, whole.headers
    except Http1Error as error:
        return _nothing(stream, time.monotonic() - began, f"{type(error).__name__}: {error}")
    took = time.monotonic() - began
    told = {name.decode("latin-1"): value.decode("latin-1") for name, value in found}
    read = reading.streamed if stream else reading.whole
    return read(status, told, answer, took)


def _nothing(stream: bool, seconds: float, why: str) -> Seen:
    return Seen(
        stream=stream, status=0, text=why, finished=False, seconds=seconds, outcome=None, failure=None
    )  # fmt: skip


def _result(drill: Drill, stream: bool, *, why: str = "") -> Result:
    return Result(
        fault=drill.name, row=drill.row, says=drill.says, guard=str(drill.guard), stream=stream, verdict="SKIPPED",
        why=why,
    )  # fmt: skip
