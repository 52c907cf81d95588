"""Serving a request that carries an ``Idempotency-Key``: by its owner, once, and again from memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from roadworthy.gateway.admission.body import parse_fields, read_extension, read_flag, read_model
from roadworthy.gateway.admission.idempotency import Entry, Standing, Stored, Table, fingerprint, owner_of
from roadworthy.gateway.admission.peers import PeerGone, Peers
from roadworthy.gateway.admission.resolve import session_of, unit_of
from roadworthy.gateway.counters import Counters
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.finish import EVENT_STREAM
from roadworthy.gateway.messages import Headers, Request, Response, StreamResponse
from roadworthy.gateway.ports import Clock
from roadworthy.gateway.streaming.sse import Recited, stream_options
from roadworthy.gateway.streaming.streams import Relay
from roadworthy.gateway.surfaces.foreign import ForeignRecited
from roadworthy.gateway.surfaces.table import SURFACES
from roadworthy.http1.errors import Http1Error

Answered = Response | StreamResponse
LONGEST_WAIT = 60.0
"""Seconds that a repeated call waits for the first one before it reads 409."""


class Repeats:
    """The idempotency of one worker."""

    def __init__(
        self,
        counters: Counters,
        clock: Clock,
        worker: int,
        workers: int,
        peers: Peers | None,
        table: Table | None = None,
    ) -> None:
        self._counters = counters
        self._clock = clock
        self._worker = worker
        self._workers = workers
        self._peers = peers
        self._table = table or Table()

    @property
    def in_progress(self) -> int:
        """Keys whose first call has not ended."""
        return self._table.in_progress

    def purge(self, unit: str) -> int:
        """Forget the answers made for a unit → how many."""
        return self._table.purge(unit)

    def count(self, unit: str) -> int:
        return self._table.count(unit)

    async def serve(
        self,
        request: Request,
        scope: tuple[str, bytes],
        first: Callable[[], Awaitable[Answered]],
        standing: Callable[[str, str | None], Standing],
    ) -> Answered:
        """The stored answer, or that of ``first``.  An owner that is gone is stood in for: the call is then new.

        ``standing``: of a call for this model by this unit, now.  An answer from before a stop, or of a release that
        this caller does not get any more, is not told again.
        """
        owner = owner_of(scope, self._workers)
        if owner != self._worker and self._peers is not None and not request.internal:
            try:
                return await self._peers.forward(request, owner)
            except PeerGone:
                pass
            except Http1Error as error:
                raise Refused(
                    503,
                    "gateway_lost",
                    f"The worker that served this key was lost ({type(error).__name__}).",
                    failure="gateway_lost",
                ) from error
        model, unit = _about(request)
        mark = fingerprint(request.path, request.body, unit)
        until = self._clock.monotonic() + LONGEST_WAIT  # for all first calls that fail before one answers
        while True:
            entry, ours = self._table.claim(scope, mark, self._clock.monotonic(), unit)
            if ours:
                entry.standing = standing(model, unit)
                return await self._first(scope, entry, first)
            stored = await self._wait(entry, until - self._clock.monotonic())
            if stored is None:
                continue
            if entry.standing == standing(model, unit):
                self._counters.replayed += 1
                return _told_again(request, stored)
            self._table.drop(scope, entry)

    async def _first(
        self, scope: tuple[str, bytes], entry: Entry, first: Callable[[], Awaitable[Answered]]
    ) -> Answered:
        kept: Stored | None = None
        relay: Relay | None = None
        try:
            answer = await first()
            if isinstance(answer, StreamResponse) and isinstance(answer.chunks, Relay):
                relay = answer.chunks
                self._finish_later(scope, entry, relay, answer.headers)
            else:
                kept = _stored(answer)
            return answer
        finally:
            if relay is None:
                self._table.finish(scope, entry, kept)

    def _finish_later(self, scope: tuple[str, bytes], entry: Entry, relay: Relay, headers: Headers) -> None:
        whole: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        relay.finished = whole

        def done(future: asyncio.Future[bytes | None]) -> None:
            body = None if future.cancelled() else future.result()
            self._table.finish(scope, entry, None if body is None else Stored(headers, body))

        whole.add_done_callback(done)

    async def _wait(self, entry: Entry, patience: float) -> Stored | None:
        if entry.answer.done():
            return entry.answer.result()
        try:
            async with asyncio.timeout(patience):
                return await asyncio.shield(entry.answer)
        except TimeoutError:
            raise Refused(
                409,
                "idempotency_in_progress",
                "The first call with this 'Idempotency-Key' is still under way. Try again later.",
                retry_after=5.0,
            ) from None


def _about(request: Request) -> tuple[str, str | None]:
    """(model, on whose behalf the call is made); nothing for a body that admission will refuse."""
    headers = dict(request.headers)
    try:
        fields = SURFACES[request.path].take(parse_fields(request.body)).fields
        return read_model(fields), unit_of(headers, fields, session_of(headers, read_extension(fields)))[0]
    except Refused:
        return "", None


def _stored(answer: Answered) -> Stored | None:
    """What to keep of an answer: nothing of an error."""
    if answer.status != 200:
        return None
    if isinstance(answer, Response):
        return Stored(answer.headers, answer.body)
    return Stored(answer.headers, answer.chunks.body) if isinstance(answer.chunks, Recited | ForeignRecited) else None


def _told_again(request: Request, stored: Stored) -> Answered:
    headers = [pair for pair in stored.headers if pair[0] not in (b"content-type", b"cache-control")]
    headers.append((b"x-roadworthy-replayed", b"true"))
    fields = parse_fields(request.body)
    if not read_flag(fields, "stream"):
        return Response(200, [(b"content-type", b"application/json"), *headers], stored.body)
    surface = SURFACES[request.path]
    usage = surface.format == "chat" and stream_options(fields)[1]
    told = surface.recited(fields, *_parts(stored.body), usage=usage)
    return StreamResponse(200, EVENT_STREAM + headers, told)


def _parts(body: bytes) -> tuple[bytes, bytes | None]:
    """A stored answer and our object in it (``None`` where the key opted out)."""
    found = parse_fields(body)
    told = found.pop("roadworthy", None)
    return (body, None) if told is None else (msgspec.json.encode(found), bytes(told))
