"""Makes the calls of a load test: OpenAI's chat completions over our HTTP/1.1 client, whole or streamed.

Everything of a request but its length of answer is encoded once, before the test.  Connections are opened ahead.  What
the gateway says of an inference (``x-roadworthy-*``, the ``roadworthy`` object) is read; without it, as from a provider
called directly, the answer itself tells how it ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, get_args
from urllib.parse import urlsplit

import msgspec

from roadworthy.http1.client import Client
from roadworthy.http1.errors import Disconnected, Http1Error, ReadTimeout
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, Headers, head
from roadworthy.http1.origin import Origin
from roadworthy.http1.pool import PoolLimits
from roadworthy.latency.model import Arrival, Body, Sample
from roadworthy.latency.reading import Answer, Events, not_understood, read
from roadworthy.workflow.inference import Failure, Outcome

IDLE_EXPIRY = 3600.0
"""Seconds: connections opened ahead stay for the burst that needs them."""

_OUTCOMES: Final = {word.encode(): word for word in get_args(Outcome)}


class Question(msgspec.Struct, frozen=True):
    """One body, ready to be sent."""

    head: bytes
    body: bytes
    unended: bytes
    """``body`` without its ``max_tokens`` and without its last brace, for calls that have a length of their own."""


def question(
    body: Body,
    url: str,
    *,
    model: str,
    headers: Mapping[str, str],
    stream: bool,
    fields: Mapping[str, object] | None = None,
) -> Question:
    """``body`` asked of ``model`` (the workflow) at ``url``; ``fields`` go into every request (``temperature`` …).

    ``headers`` carry the key or the permit.  Raises ``ValueError`` for a URL or a header that cannot be sent.
    """
    whole = asked(body, model=model, stream=stream, fields=fields)
    sent = {"content-type": "application/json", **headers}
    if body.user:
        sent["x-roadworthy-user"] = body.user
    lines = [(name.encode("ascii"), value.encode("utf-8")) for name, value in sent.items()]
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    made = head(b"POST", target.encode("ascii"), Origin.from_url(url), lines)
    short = {name: value for name, value in whole.items() if name not in ("max_tokens", "max_completion_tokens")}
    return Question(made, msgspec.json.encode(whole), msgspec.json.encode(short)[:-1])


def asked(body: Body, *, model: str, stream: bool, fields: Mapping[str, object] | None = None) -> dict[str, object]:
    """The request for ``body``, as JSON will say it."""
    made: dict[str, object] = {"model": model, "messages": body.messages, **(fields or {})}
    if body.inputs:
        made["roadworthy"] = {"inputs": body.inputs}
    if stream:
        made |= {"stream": True, "stream_options": {"include_usage": True}}
    return made


def client_for(url: str, most_under_way: int) -> Client:
    """A client that keeps a connection for every call that may be under way; ``url`` may be on this machine."""
    limits = PoolLimits(per_origin=most_under_way, waiting=most_under_way, idle_expiry=IDLE_EXPIRY)
    return Client(guard=AddressGuard(allowed=[Origin.from_url(url)]), limits=limits)


class Sending:
    """A ``generator.Send``: one call of ``questions[arrival.body]``."""

    def __init__(
        self,
        client: Client,
        url: str,
        questions: Sequence[Question],
        *,
        stream: bool,
        clocks: Clocks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._origin = Origin.from_url(url)
        self._questions = questions
        self._clocks = clocks
        self._clock = clock
        self._call = self._streamed if stream else self._whole

    async def open_ahead(self, connections: int) -> None:
        """Have so many connections lie ready.  Raises ``NotConnected`` kinds."""
        await self._client.open_ahead(self._origin, connections, self._clocks)

    async def __call__(self, arrival: Arrival, due: float) -> Sample:
        late = self._clock() - due
        chosen = self._questions[arrival.body]
        body = chosen.body
        if arrival.max_tokens is not None:
            body = b'%b,"max_tokens":%d}' % (chosen.unended, arrival.max_tokens)
        call = _Call(arrival.at, due, late, self._clock)
        try:
            return await self._call(call, chosen.head, body)
        except Http1Error as error:
            return call.broken(error)

    async def _whole(self, call: _Call, head: bytes, body: bytes) -> Sample:
        reply = await self._client.fetch(self._origin, head, body, self._clocks, ready=call.connected)
        call.ended = call.now()
        return call.over(reply.status, reply.headers, read(reply.body))

    async def _streamed(self, call: _Call, head: bytes, body: bytes) -> Sample:
        reply = await self._client.open(self._origin, head, body, self._clocks, ready=call.connected)
        call.status = reply.status
        if not (reply.header(b"content-type") or b"").startswith(b"text/event-stream"):
            whole = await reply.read(_MOST_WHOLE)
            call.ended = call.now()
            return call.over(reply.status, reply.headers, read(whole))
        events = Events()
        try:
            async for piece in reply.chunks:
                if events.feed(piece):
                    call.content(call.now(), events.contents)
        finally:
            if not reply.complete:
                reply.abort()
        call.ended = call.now()
        return call.over(reply.status, reply.headers, events.answer)


_MOST_WHOLE = 16 * 1024 * 1024


class _Call:
    """What is noted while a call is under way.  Clocks are seconds since its intended start."""

    __slots__ = ("_at", "_clock", "_due", "contents", "ended", "first", "last", "late", "sent", "status")

    def __init__(self, at: float, due: float, late: float, clock: Callable[[], float]) -> None:
        self._at = at
        self._due = due
        self._clock = clock
        self.late = self.sent = late
        self.first: float | None = None
        self.last = 0.0
        self.contents = 0
        self.ended: float | None = None
        self.status: int | None = None

    def now(self) -> float:
        return self._clock() - self._due

    def connected(self) -> None:
        """A connection had to be waited for; the request leaves now."""
        self.sent = self.now()

    def content(self, at: float, contents: int) -> None:
        if contents > self.contents:
            self.contents = contents
            self.last = at
            if self.first is None:
                self.first = at

    def over(self, status: int, headers: Headers, answer: Answer) -> Sample:
        told = answer.roadworthy
        inference, outcome = told.inference, told.outcome
        if not inference or outcome is None:
            inference, outcome = _told_by(headers, inference, outcome)
        failure = told.failure
        if outcome is None:
            outcome, failure = _inferred(status, answer)
        usage = answer.usage
        tokens = usage.completion_tokens if usage is not None else None
        counted = tokens if tokens is not None else self.contents
        between = (self.last - self.first) / (counted - 1) if self.first is not None and counted > 1 else None
        return Sample(
            at=self._at,
            late=self.late,
            sent=self.sent,
            first_token=self.ended if self.first is None else self.first,
            ended=self.ended,
            status=status,
            outcome=outcome,
            failure=failure,
            code="" if answer.error is None else answer.error.word,
            output_tokens=tokens,
            usd=told.cost_usd,
            between=between,
            inference=inference,
        )

    def broken(self, error: Http1Error) -> Sample:
        """No whole answer came."""
        return Sample(
            at=self._at,
            late=self.late,
            sent=self.sent,
            first_token=self.first,
            ended=self.now(),
            status=self.status,
            outcome="error",
            failure=_failure(error),
            code=type(error).__name__,
        )


def _told_by(headers: Headers, inference: str, outcome: Outcome | None) -> tuple[str, Outcome | None]:
    """What the headers say where the body says nothing: the key opted out of its object."""
    for name, value in headers:
        if name == b"x-roadworthy-outcome" and outcome is None:
            outcome = _OUTCOMES.get(value)
        elif name in (b"x-roadworthy-inference", b"x-request-id") and not inference:
            inference = value.decode("latin-1")
    return inference, outcome


def _inferred(status: int, answer: Answer) -> tuple[Outcome, Failure | None]:
    """How a call ended of which no gateway says anything."""
    if not_understood(answer):
        return "error", "invalid"
    if status == 429:
        return "limited", "overlimit"
    if status >= 400 or answer.error is not None:
        return "error", "unavailable" if status >= 500 or status == 200 else "bad_request"
    return ("answered", None) if answer.finished else ("error", "truncated")


def _failure(error: Http1Error) -> Failure:
    if isinstance(error, ReadTimeout):
        return "slow"
    return "truncated" if isinstance(error, Disconnected) and error.phase == "in_body" else "unavailable"
