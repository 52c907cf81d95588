"""A gateway core with an upstream that plays back a script: no sockets, no sleeping, a real journal."""

from __future__ import annotations

import asyncio
import functools
import hmac
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec

from roadworthy.adapters.providers.registry import wire_for
from roadworthy.gateway.admission.proofs import Memory
from roadworthy.gateway.admission.sessions import Sessions
from roadworthy.gateway.core import Gateway
from roadworthy.gateway.journal import Journal
from roadworthy.gateway.messages import Request, Response, StreamResponse
from roadworthy.gateway.snapshot import SNAPSHOT_FORMAT, Endpoint, ServedWorkflow, Snapshot
from roadworthy.gateway.world import World
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.messages import Clocks, Headers, Reply
from roadworthy.inference_log import segments
from roadworthy.workflow.inference import Inference, InferenceStart
from roadworthy.workflow.model import (
    ApiKey,
    Behaviour,
    Enforcement,
    Handling,
    InputSpec,
    Policy,
    Price,
    Prompt,
    Release,
    Target,
    TargetIdentity,
)
from roadworthy.workflow.shares import salt_of
from support.earning import earned, proven

HMAC_KEY = b"k" * 32
NOW = 1_700_000_000.0
"""The fake clock's beginning."""
SALT = salt_of(HMAC_KEY)
TOKEN = "rw-" + "a" * 40
TESTER = "rwt-" + "b" * 40
PRICE = Price(input=0.001, output=0.002)
JSON_TYPE: Headers = [(b"content-type", b"application/json"), (b"x-request-id", b"req-up-1")]
SSE_TYPE: Headers = [(b"content-type", b"text/event-stream")]


def completion(text: str | None = "Hello", finish: str | None = "stop", **more: Any) -> bytes:
    message = {"role": "assistant", "content": text, "refusal": None, **more.pop("message", {})}
    made = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "exact-model-2025",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    return msgspec.json.encode({**made, **more})


def chunk(content: str | None = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    delta = {} if content is None else {"content": content}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    made = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "exact-model-2025"}
    return b"data: " + msgspec.json.encode({**made, "choices": [choice], **more}) + b"\n\n"


USAGE = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"exact-model-2025","choices":[],'
    b'"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}\n\n'
)
DONE = b"data: [DONE]\n\n"
HELLO = [chunk(""), chunk("Hel"), chunk("lo"), chunk(finish="stop"), USAGE, DONE]


class Pause:
    """In a script of stream pieces: wait here until told."""

    def __init__(self) -> None:
        self.go = asyncio.Event()


class FakeStream:
    """``http1.StreamReply`` over a script of pieces and errors."""

    def __init__(self, status: int, headers: Headers, pieces: Sequence[Any]) -> None:
        self.status = status
        self.headers = headers
        self.connected = 0.001
        self.first_byte = 0.002
        self.aborted = self.ended = False
        self.complete = False
        self._pieces = iter(pieces)
        self._abort = asyncio.Event()

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> FakeStream:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            if isinstance(piece, Http1Error):
                raise piece
            if isinstance(piece, Pause):
                waits = [asyncio.ensure_future(piece.go.wait()), asyncio.ensure_future(self._abort.wait())]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
                if self.aborted:
                    raise StopAsyncIteration
                continue
            return piece
        self.complete = True
        raise StopAsyncIteration

    async def read(self, max_body: int) -> bytes:
        return b"".join([piece async for piece in self])

    def abort(self) -> None:
        if not self.complete:
            self.aborted = True
            self._abort.set()


class Sent(msgspec.Struct):
    origin: Any
    head: bytes
    body: Any
    clocks: Clocks
    raw: bytes


class FakeUpstream:
    """Plays back replies in order, the last one for ever; keeps what it was sent."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.sent: list[Sent] = []
        self.streams: list[FakeStream] = []
        self.gate: asyncio.Event | None = None
        self.on_call: Callable[[], None] | None = None

    def will(self, *replies: Any) -> None:
        self.script = list(replies)

    async def _next(self, origin: Any, head: bytes, body: bytes, clocks: Clocks) -> Any:
        self.sent.append(Sent(origin, head, msgspec.json.decode(body), clocks, body))
        if self.on_call is not None:
            self.on_call()
        if self.gate is not None:
            await self.gate.wait()
        reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(reply, BaseException):
            raise reply
        return reply

    async def fetch(
        self, origin: Any, head: bytes, body: bytes, clocks: Clocks, *, max_body: int, ready: Any = None
    ) -> Reply:
        reply = await self._next(origin, head, body, clocks)
        status, headers, content = reply if isinstance(reply, tuple) else (200, JSON_TYPE, reply)
        return Reply(status, headers, content, None, 0.002, True)

    async def open(self, origin: Any, head: bytes, body: bytes, clocks: Clocks, *, ready: Any = None) -> FakeStream:
        reply = await self._next(origin, head, body, clocks)
        if isinstance(reply, list):
            reply = (200, SSE_TYPE, reply)
        status, headers, content = reply if isinstance(reply, tuple) else (200, JSON_TYPE, reply)
        stream = FakeStream(status, headers, content if isinstance(content, list) else [content])
        self.streams.append(stream)
        return stream


class FakeClock:
    """Time that passes only when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.time = NOW
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time - 1_699_999_000.0

    def an_hour(self) -> None:
        self.time += 3600.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


class FakeIds:
    def __init__(self) -> None:
        self._count = itertools.count(1)

    def bits(self, count: int) -> int:
        step = next(self._count)
        return ((step << 80) | (step << 144) | step) & ((1 << count) - 1) if count > 64 else (1 << count) - 1


def target(name: str, **more: Any) -> Target:
    more.setdefault("key", "env:UP")
    return Target(name=name, provider="openai", model=f"{name}-model", endpoint=f"http://{name}.test/v1", **more)


def release(
    workflow: str = "support", *, behaviour: dict[str, Any] | None = None, handling: Handling | None = None
) -> Release:
    fields: dict[str, Any] = {
        "kind": "chat",
        "prompt": None,
        "target": "main",
        "targets": {"main": TargetIdentity("openai", "main-model", "main.test")},
        **(behaviour or {}),
    }
    digest = "rel_" + f"{abs(hash(workflow)):064x}"[:64]
    return Release(workflow, digest, "b" * 64, "h" * 64, Behaviour(**fields), handling or Handling())


def managed(system: str, /, **inputs: InputSpec) -> Prompt:
    return Prompt("managed", system, inputs)


def key(token: str = TOKEN, **more: Any) -> tuple[str, ApiKey]:
    digest = hmac.digest(HMAC_KEY, token.encode(), "sha256").hex()
    fields: dict[str, Any] = {
        "id": "key_" + digest[:12], "hash": digest, "name": "test", "team": "default", "workflows": ["*"],
    }  # fmt: skip
    return digest, ApiKey(**{**fields, **more})


_made: list[Bench] = []
"""Benches of the test under way, whose journals are closed with it: each holds a file and a thread."""


class Bench:
    """A gateway of one worker with one workflow ``support`` and targets ``main`` and ``backup``."""

    def __init__(
        self,
        folder: Path,
        *,
        served: Release | None = None,
        enforcement: Enforcement | None = None,
        policy: Policy | None = None,
        keys: Sequence[tuple[str, ApiKey]] = (),
        workflows: dict[str, ServedWorkflow] | None = None,
        releases: Sequence[Release] = (),
        passthrough: str | None = None,
        snapshot: dict[str, Any] | None = None,
        worker: int = 0,
        workers: int = 1,
        peers: Any = None,
        upstream: FakeUpstream | None = None,
        permits: Any = None,
        **more: Any,
    ) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.upstream = upstream or FakeUpstream()
        self.upstream.will(completion())
        self.journal = Journal(folder, f"w{worker}", now=self.clock.now, reserve_bytes=0, **more)
        self.sessions = Sessions(records=1024)
        _made.append(self)
        self.gateway = Gateway(
            upstream=self.upstream, journal=self.journal, clock=self.clock, ids=FakeIds(), hmac_key=HMAC_KEY,
            worker=worker, workers=workers, peers=peers, permits=permits,
        )  # fmt: skip
        if served is None and passthrough is None:
            served = release()
        if enforcement is None:  # what has no release is passed on only while somebody signs for it
            enforcement = "enforce" if served is not None else "observe"
        workflow = ServedWorkflow(
            name="support", team="default", enforcement=enforcement, policy=policy or Policy(testers=["ann"]),
            release=served.digest if served else None, passthrough=passthrough,
        )  # fmt: skip
        self.load(
            workflows={"support": workflow, **(workflows or {})},
            releases={made.digest: made for made in ([served] if served else []) + list(releases)},
            keys=dict([key(), key(TESTER, kind="tester", person="ann"), *keys]),
            **(snapshot or {}),
        )

    def load(self, *, earning: bool = True, memory: Memory | None = None, **fields: Any) -> None:
        """``earning``: everything is served to everybody (``earned``)."""
        names = ("main", "backup")
        made: dict[str, Any] = {
            "format": SNAPSHOT_FORMAT, "epoch": 1, "seq": 1, "made_at": 1.0,
            "targets": {name: target(name) for name in names},
            "endpoints": {name: Endpoint(f"http://{name}.test/v1") for name in names},
            "prices": dict.fromkeys(names, PRICE),
            **fields,
        }  # fmt: skip
        self.serve(earned(Snapshot(**made), self.clock.now()) if earning else Snapshot(**made), memory)

    def serve(self, snapshot: Snapshot, memory: Memory | None = None) -> None:
        self.gateway.world = World(
            snapshot, wires=wire_for, secret=lambda name: "sk-up", slots=self.gateway.slots,
            proofs=proven(snapshot, memory), salt=SALT, sessions=self.sessions,
        )  # fmt: skip

    async def post(
        self, body: Any = None, path: str = "/v1/chat/completions", token: str = TOKEN, **more: Any
    ) -> Response | StreamResponse:
        headers = [(b"authorization", b"Bearer " + token.encode()), (b"content-type", b"application/json")]
        headers += more.pop("headers", [])
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body if body is not None else chat())
        return await self.gateway.handle(Request("POST", path, "", headers, raw, "127.0.0.1", **more))

    async def get(self, path: str, method: str = "GET", token: str = TOKEN, **more: Any) -> Response | StreamResponse:
        headers = [(b"authorization", b"Bearer " + token.encode())]
        return await self.gateway.handle(Request(method, path, "", headers, b"", "127.0.0.1", **more))

    def lines(self) -> list[Any]:
        found: list[Any] = []
        for name in segments.segments(self.folder):
            found += [line.value for line in segments.scan(name.path(self.folder)).lines]
        return found

    def records(self) -> list[Inference]:
        return [line for line in self.lines() if isinstance(line, Inference)]

    def starts(self) -> list[InferenceStart]:
        return [line for line in self.lines() if isinstance(line, InferenceStart)]

    def record(self) -> Inference:
        [record] = self.records()
        return record

    def taken(self) -> int:
        return sum(slots.taken for slots in self.gateway.slots.values()) + self.gateway.counters.in_flight


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a loop of its own, and close what it made."""

    @functools.wraps(test)
    def run(*args: Any, **given: Any) -> None:
        try:
            asyncio.run(test(*args, **given))
        finally:
            close_benches()

    return run


def close_benches() -> None:
    while _made:
        _made.pop().journal.close()


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "support", "messages": [{"role": "user", "content": "Hi"}], **more}


def said(answer: Response | StreamResponse) -> dict[str, Any]:
    assert isinstance(answer, Response)
    found: dict[str, Any] = msgspec.json.decode(answer.body)
    return found


async def events(answer: Response | StreamResponse) -> list[Any]:
    """Data of every event of a stream, decoded; ``"[DONE]"`` as it is."""
    assert isinstance(answer, StreamResponse), answer
    whole = b"".join([piece async for piece in answer.chunks])
    found: list[Any] = []
    for part in whole.split(b"\n\n"):
        if part:
            assert part.startswith(b"data: "), part
            data = part[6:]
            found.append("[DONE]" if data == b"[DONE]" else msgspec.json.decode(data))
    return found


def text_of(found: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or ""
        for event in found
        if isinstance(event, dict)
        for choice in event.get("choices", ())
    )


def header(answer: Any, name: bytes) -> bytes | None:
    return next((value for found, value in answer.headers if found == name), None)
