"""Claims about every fault that the rehearsal target can commit, through the whole serving path: core, wire, client.

All calls are made once, side by side, against one real server; each test looks at what became of one of them.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import HMAC_KEY, TOKEN, chat, key, release

from roadworthy.adapters.providers import child
from roadworthy.adapters.providers.registry import wire_for
from roadworthy.gateway.core import Gateway
from roadworthy.gateway.journal import Journal
from roadworthy.gateway.messages import Request, Response
from roadworthy.gateway.snapshot import SNAPSHOT_FORMAT, Endpoint, ServedWorkflow, Snapshot
from roadworthy.gateway.world import World
from roadworthy.http1.client import Client
from roadworthy.http1.guard import AddressGuard
from roadworthy.inference_log import segments
from roadworthy.wiring.gateway import SystemClock, SystemIds
from roadworthy.workflow.inference import FAILURES, Failure, Inference, InferenceStart
from roadworthy.workflow.model import (
    Breaker,
    Canned,
    Clocks,
    Handling,
    Ladder,
    Policy,
    Price,
    Release,
    Step,
    Target,
    TargetLimits,
)
from roadworthy.workflow.simulation import FAULTS
from support.earning import earned, proven

DEADLINE = 3.0
CLOCKS = Clocks(connect=1.5, first_token=1.5, idle=1.2, total=2.5)
SLACK = 1.0
"""Seconds over the deadline that a busy test machine may take."""

SCHEMA = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}
CANNED = Canned("We will write to you.", {"topic": "later"})
WORKFLOWS = ("plain", "laddered", "checked", "observed")
"""No ladder; one retry, then a canned answer; a schema and no ladder; ``observe``."""

EXPECTED: dict[str, tuple[Failure | None, Failure | None]] = {
    "none": (None, None),
    "status": ("unavailable", "unavailable"),
    "status code=500": ("unavailable", "unavailable"),
    "status code=502 html=true": ("unavailable", "unavailable"),
    "status code=504": ("unavailable", "unavailable"),
    "status code=529": ("unavailable", "unavailable"),
    "status code=429": ("overlimit", "overlimit"),
    "status code=429 retry_after=1": ("overlimit", "overlimit"),
    "status code=429 retry_after=date+1": ("overlimit", "overlimit"),
    "status code=429 retry_after=99999999": ("overlimit", "overlimit"),
    "status code=429 retry_after=banana": ("overlimit", "overlimit"),
    "status code=401": ("misconfigured", "misconfigured"),
    "status code=402": ("misconfigured", "misconfigured"),
    "status code=403": ("misconfigured", "misconfigured"),
    "status code=404": ("misconfigured", "misconfigured"),
    "status code=400": ("bad_request", "bad_request"),
    "status error=context_length": ("context_length", "context_length"),
    "status error=content_filter": ("refused", "refused"),
    "status error=insufficient_quota": ("misconfigured", "misconfigured"),
    "reset": ("unavailable", "unavailable"),
    "reset at=after_headers": ("truncated", "truncated"),
    "reset at=mid_body": ("truncated", "truncated"),
    "stall at=before_first_byte": ("slow", "slow"),
    "stall at=after_headers": ("slow", "slow"),
    "stall at=mid_body": ("slow", "slow"),
    "slow first_token=20s": ("slow", "slow"),
    "slow inter_token=0.4s": ("slow", "slow"),
    "slow_close seconds=20s": ("slow", None),
    "cut": ("truncated", "truncated"),
    "no_done": (None, None),
    "error_event": (None, "unavailable"),
    "malformed_chunk": (None, "invalid"),
    "duplicate_chunk": (None, None),
    "reordered_chunk": (None, None),
    "split_utf8": (None, None),
    "long_line": (None, "invalid"),
    "long_line bytes=100000": (None, None),
    "mixed_newlines": (None, None),
    "usage as=missing": (None, None),
    "usage as=zero": (None, None),
    "usage as=negative": (None, None),
    "usage as=huge": (None, None),
    "usage as=delta_chunk": (None, None),
    "body as=empty": ("invalid", None),
    "body as=invalid_json": ("invalid", None),
    "body as=truncated_json": ("invalid", None),
    "body as=html": ("invalid", None),
    "body as=no_choices": ("invalid", None),
    "body as=extra_fields": (None, None),
    "finish reason=length": ("truncated", "truncated"),
    "finish reason=content_filter": ("refused", "refused"),
    "model": (None, None),
    "tool as=unknown": ("invalid", None),
    "tool as=bad_arguments": ("invalid", None),
    "content as=null": ("invalid", "invalid"),
    "content as=refusal": ("refused", "refused"),
    "content as=prose": (None, None),
    "content as=schema_violation": (None, None),
    "content as=html": (None, None),
    "content as=nul": (None, None),
    "content as=huge bytes=20000": (None, None),
}
"""Fault → the failure of a whole answer and of a stream; ``None``: a good answer, as far as no check says otherwise."""

UNFIT = ("content as=prose", "content as=schema_violation", "content as=html", "content as=nul", "content as=huge")
"""Good answers that do not satisfy a schema."""

SERVED_AS_IT_CAME = ("body as=no_choices", "finish reason=", "content as=null", "content as=refusal", "tool as=")
"""Faults that ``observe`` records and passes on: the body ended cleanly."""

NEVER_REPEATED = {"misconfigured", "bad_request", "context_length"}


class Told(msgspec.Struct):
    """What one caller read, and what was written about it."""

    seconds: float
    status: int
    body: dict[str, Any]
    """Of a stream: its last event."""
    text: str
    finished: bool
    """A ``finish_reason`` for every choice (and ``[DONE]``) was read."""
    record: Inference


def told_whole(answer: Response) -> tuple[dict[str, Any], str, bool]:
    body: dict[str, Any] = msgspec.json.decode(answer.body)
    choices = body.get("choices") or []
    text = "".join(choice["message"].get("content") or "" for choice in choices if choice.get("message"))
    return body, text, bool(choices) and all(choice.get("finish_reason") for choice in choices)


def told_stream(data: bytes) -> tuple[dict[str, Any], str, bool]:
    parts = [part[6:] for part in data.split(b"\n\n") if part]
    found = [msgspec.json.decode(part) for part in parts if part != b"[DONE]"]
    choices = [choice for body in found for choice in body.get("choices") or ()]
    text = "".join((choice.get("delta") or {}).get("content") or "" for choice in choices)
    return found[-1], text, parts[-1] == b"[DONE]" and any(choice.get("finish_reason") for choice in choices)


class Sweep:
    """A gateway with a real client in front of the simulated target, and every call made through it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.told: dict[tuple[str, str, bool], Told] = {}
        self.leaks: dict[str, int] = {}
        self.snapshot = snapshot(url)

    async def run(self) -> None:
        gateway, journal, client = self.compose()
        cases = [(fault, name, stream) for fault in EXPECTED for name in WORKFLOWS for stream in (False, True)]
        busy = asyncio.Semaphore(8)
        calls = await asyncio.gather(*(self.paced(busy, gateway, *case) for case in cases))
        self.leaks = {
            "in flight": gateway.counters.in_flight,
            "slots": sum(slots.taken for slots in gateway.slots.values()),
            "connections in use": client.in_use,
            "calls that wait": client.waiting,
        }
        await client.close()
        self.leaks["sockets"] = client.sockets
        journal.close()
        records = self.records()
        for case, (ident, *told) in zip(cases, calls, strict=True):
            [record] = records.pop(ident)
            self.told[case] = Told(*told, record)
        self.leaks["records of nobody"] = len(records)

    def compose(self) -> tuple[Gateway, Journal, Client]:
        guard = AddressGuard()
        client = Client(guard=guard)
        journal = Journal(self.folder, "w0", now=time.time, reserve_bytes=0)
        gateway = Gateway(upstream=client, journal=journal, clock=SystemClock(), ids=SystemIds(), hmac_key=HMAC_KEY)
        gateway.world = World(
            self.snapshot, wires=wire_for, secret=lambda name: None, slots=gateway.slots, proofs=proven(self.snapshot)
        )
        guard.allow(gateway.world.private_origins)
        return gateway, journal, client

    async def paced(self, busy: asyncio.Semaphore, gateway: Gateway, fault: str, *rest: Any) -> tuple[Any, ...]:
        """Silent faults all at once, for they only wait; the others a few at a time, so that no clock runs out."""
        if EXPECTED[fault] == ("slow", "slow"):
            return await self.call(gateway, fault, *rest)
        async with busy:
            return await self.call(gateway, fault, *rest)

    async def call(self, gateway: Gateway, fault: str, name: str, stream: bool) -> tuple[Any, ...]:
        order = f"[[fault {fault}]]" if fault != "none" else f"{name} {stream}"
        body = chat(model=name, messages=[{"role": "user", "content": order}], **({"stream": True} if stream else {}))
        if fault.startswith("tool"):
            body["tools"] = [{"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}]
        headers = [(b"authorization", b"Bearer " + TOKEN.encode())]
        began = time.monotonic()
        request = Request("POST", "/v1/chat/completions", "", headers, msgspec.json.encode(body), "")
        answer = await gateway.handle(request)
        if isinstance(answer, Response):
            found = told_whole(answer)
        else:
            found = told_stream(b"".join([piece async for piece in answer.chunks]))
        ident = dict(answer.headers)[b"x-request-id"].decode()
        return ident, time.monotonic() - began, answer.status, *found

    def records(self) -> dict[str, list[Inference]]:
        lines = [
            line.value
            for name in segments.segments(self.folder)
            for line in segments.scan(name.path(self.folder), read_bytes=1 << 28).lines
        ]
        found: dict[str, list[Inference]] = {}
        for line in lines:
            if isinstance(line, Inference):
                found.setdefault(line.id, []).append(line)
        started = [line.id for line in lines if isinstance(line, InferenceStart)]
        assert sorted(started) == sorted(found), "a start without an end, or the reverse"
        return found


LIMITS = TargetLimits(concurrency=10_000, adaptive=False)
NEVER_OPENS = Breaker(calls=1_000_000)
"""The target fails in every call: left alone by a breaker, it would show one fault and no other."""


def snapshot(url: str) -> Snapshot:
    def served(name: str, ladder: Ladder, **behaviour: Any) -> Release:
        stream = "buffered" if behaviour else "passthrough"
        handling = Handling(ladder=ladder, canned=CANNED, clocks=CLOCKS, deadline=DEADLINE, stream=stream)
        rule = {"caller_overrides": ["tools"]}
        return msgspec.structs.replace(
            release(name, behaviour={**rule, **behaviour}, handling=handling), digest=f"rel_{name:0>64}"
        )

    nothing: Ladder = {word: [] for word in FAILURES}
    canned: Ladder = {word: [Step("retry", times=1, backoff=0.01), Step("canned")] for word in FAILURES}
    releases = [
        served("plain", nothing), served("laddered", canned), served("checked", nothing, schema=SCHEMA),
        served("observed", nothing),
    ]  # fmt: skip
    made = Snapshot(
        format=SNAPSHOT_FORMAT, epoch=1, seq=1, made_at=1.0,
        workflows={
            made.workflow: ServedWorkflow(
                made.workflow, "default", "observe" if made.workflow == "observed" else "enforce", Policy(),
                release=made.digest,
            )
            for made in releases
        },
        releases={made.digest: made for made in releases},
        targets={"main": Target("main", "simulated", "m", limits=LIMITS, breaker=NEVER_OPENS)},
        endpoints={"main": Endpoint(url, trusted=True)},
        prices={"main": Price(input=0.001, output=0.002)},
        keys=dict([key()]),
    )  # fmt: skip
    return earned(made, time.time())


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    folder = tmp_path_factory.mktemp("sweep")
    port_file = folder / "port"
    process = subprocess.Popen(child.command("simulated", "--port-file", str(port_file)))
    until = time.monotonic() + 30
    while (url := child.endpoint(port_file)) is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    made = Sweep(folder / "journal", url)
    asyncio.run(made.run())
    yield made
    process.terminate()
    assert process.wait(10) == 0


def cases() -> list[Any]:
    return [pytest.param(fault, stream, id=f"{fault}-{'stream' if stream else 'whole'}")
            for fault in EXPECTED for stream in (False, True)]  # fmt: skip


def test_every_fault_of_the_rehearsal_target_is_in_the_table() -> None:
    assert {fault.split()[0] for fault in EXPECTED} == {*FAULTS, "none"}


def test_nothing_leaks(sweep: Sweep) -> None:
    assert set(sweep.leaks.values()) == {0}, sweep.leaks


@pytest.mark.parametrize(("fault", "stream"), cases())
def test_whatever_fails_the_deadline_holds_and_the_caller_learns_who_answered(
    sweep: Sweep, fault: str, stream: bool
) -> None:
    for name in WORKFLOWS:
        told = sweep.told[fault, name, stream]
        record = told.record
        assert told.seconds < DEADLINE + SLACK
        assert record.latency < DEADLINE + SLACK
        assert len(record.attempts) <= (2 if name == "laddered" else 1)
        assert told.body["roadworthy"]["inference"] == record.id
        assert told.body["roadworthy"]["outcome"] == record.outcome
        assert told.body["roadworthy"].get("failure") == record.failure
        assert (record.cost_usd is None) == bool(record.cost_unknown)
        assert record.cost_usd is None or record.cost_usd >= 0
        assert all(attempt.started <= attempt.ended for attempt in record.attempts)


@pytest.mark.parametrize(("fault", "stream"), cases())
def test_a_fault_is_never_reported_as_success(sweep: Sweep, fault: str, stream: bool) -> None:
    told = sweep.told[fault, "plain", stream]
    failure = EXPECTED[fault][stream]
    assert told.record.failure == failure
    assert told.record.outcome == ("answered" if failure is None else "error")
    assert told.finished == (failure is None)
    if failure is not None:
        assert told.body["error"]["message"]
        own_fault = failure in ("bad_request", "context_length")
        committed = stream and told.text
        assert told.status == (200 if committed else 400 if own_fault else 503)


@pytest.mark.parametrize(("fault", "stream"), cases())
def test_the_ladder_mends_what_no_caller_has_read_of(sweep: Sweep, fault: str, stream: bool) -> None:
    told = sweep.told[fault, "laddered", stream]
    failure = EXPECTED[fault][stream]
    committed = bool(sweep.told[fault, "plain", stream].text)
    assert told.record.failure == failure
    if failure is None:
        assert (told.record.outcome, told.finished) == ("answered", True)
    elif committed:
        assert (told.record.outcome, told.finished, len(told.record.attempts)) == ("error", False, 1)
    else:
        text = msgspec.json.encode(CANNED.json).decode() if fault.startswith("tool") else CANNED.text
        assert (told.record.outcome, told.finished, told.text) == ("canned", True, text)
        if failure in NEVER_REPEATED or "retry_after=9" in fault or fault == "finish reason=length":
            assert len(told.record.attempts) == 1


@pytest.mark.parametrize(("fault", "stream"), cases())
def test_an_answer_that_does_not_satisfy_the_schema_is_never_served(sweep: Sweep, fault: str, stream: bool) -> None:
    told = sweep.told[fault, "checked", stream]
    failure = "invalid" if fault.startswith(UNFIT) else EXPECTED[fault][False]  # buffered: asked for whole
    assert told.record.failure == failure
    assert told.record.outcome == ("answered" if failure is None else "error")
    if failure is None and told.text:
        assert "topic" in msgspec.json.decode(told.text)


@pytest.mark.parametrize(("fault", "stream"), cases())
def test_observe_passes_on_what_came_whole_and_records_its_failure(sweep: Sweep, fault: str, stream: bool) -> None:
    told = sweep.told[fault, "observed", stream]
    failure = EXPECTED[fault][stream]
    assert told.record.failure == failure
    served = failure is None or fault.startswith(SERVED_AS_IT_CAME)
    assert told.record.outcome == ("answered" if served else "error")
