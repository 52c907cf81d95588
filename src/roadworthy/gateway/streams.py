"""Streams: read while they come, held until first content, ended explicitly.

A stream is *committed* with its first content: until then its failures still climb the ladder, after it they end the
answer with an error event.  The chunk that finishes the last choice and everything after it are held back until the
provider's body has ended cleanly and the record is in the journal, so no client sees a ``finish_reason`` of an answer
that broke.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from roadworthy.gateway import pricing
from roadworthy.gateway.assemble import assemble
from roadworthy.gateway.attempt import MAX_ANSWER, Caller
from roadworthy.gateway.body import LONGEST_VALUE
from roadworthy.gateway.call import Call, roadworthy_object, spliced
from roadworthy.gateway.checks import SchemaCheck
from roadworthy.gateway.errors import error_body, failed
from roadworthy.gateway.finish import Finisher, served_outcome
from roadworthy.gateway.ports import Chunk, EventReader, StreamReply, Unusable
from roadworthy.gateway.sse import event, last_events
from roadworthy.gateway.verdict import broken, judge_end
from roadworthy.gateway.world import ServedTarget
from roadworthy.http1.errors import Http1Error
from roadworthy.workflow.inference import Attempt, Tokens

MOST_KEPT_BYTES = 4 * 1024 * 1024
"""A longer stream is passed on whole but left out of its record."""


class LiveStream:
    """An upstream's stream under way: what to pass on, and what has been learnt from it."""

    __slots__ = (
        "attempt",
        "call",
        "data",
        "empty",
        "ends",
        "held",
        "iterator",
        "kept_bytes",
        "late",
        "reader",
        "ready",
        "refused",
        "reply",
        "target",
        "texts",
        "tokens",
    )  # fmt: skip

    def __init__(
        self, call: Call, target: ServedTarget, attempt: Attempt, reply: StreamReply, reader: EventReader
    ) -> None:
        self.call = call
        self.target = target
        self.attempt = attempt
        self.reply = reply
        self.iterator: AsyncIterator[bytes] = aiter(reply.chunks)
        self.reader = reader
        self.ready: list[bytes] = []
        """Events that may leave."""
        self.held: list[bytes] = []
        """Data of the events that leave only with the end."""
        self.data: list[bytes] = []
        """Data of every event, for the record."""
        self.kept_bytes = 0
        self.ends: dict[int, str] = {}
        self.texts = 0
        self.empty = True
        self.refused = False
        self.tokens: Tokens | None = None
        self.late = False
        """The first-token clock ran out."""

    def expire(self) -> None:
        self.late = True
        self.reply.abort()

    def take(self, data: bytes) -> None:
        """Read bytes of the upstream.  Raises ``Unusable``."""
        for chunk in self.reader.feed(data):
            self._take(chunk)
        failed_inside = self.reader.failed
        if failed_inside is not None:
            raise failed_inside

    def _take(self, chunk: Chunk) -> None:
        data = chunk.data
        self.kept_bytes += len(data)
        if self.kept_bytes <= MOST_KEPT_BYTES:
            self.data.append(data)
        if chunk.text:
            self.texts += 1
            self.empty = False
        if chunk.refused:
            self.refused = True
        if chunk.tokens is not None:
            self.tokens = chunk.tokens
        if chunk.model is not None:
            self.attempt.model_answered = chunk.model[:LONGEST_VALUE]
        for index, reason in chunk.finishes:
            self.ends[index] = reason
        if chunk.usage_only and not self.call.usage_asked:
            return
        if self.held or len(self.ends) >= self.call.n:
            if self.kept_bytes > MAX_ANSWER:
                raise Unusable("invalid", f"the provider went on for {MAX_ANSWER} bytes after its last choice ended")
            self.held.append(data)
        else:
            self.ready.append(event(data))

    def passed_on(self) -> bytes:
        """Events that may leave now, as bytes; they are forgotten here."""
        made = b"".join(self.ready)
        self.ready.clear()
        return made

    def verdict(self) -> Unusable | None:
        """Of the whole stream, after a clean end of its body."""
        return judge_end(self.ends.values(), self.call.n, empty=self.empty, refused=self.refused)

    def settle(self) -> None:
        """Charge what the provider reported, or an estimate of what it sent."""
        attempt = self.attempt
        if self.ends:
            reasons = self.ends.values()
            attempt.finish = "length" if "length" in reasons else next(iter(reasons))
        if attempt.provider_request_id is None:
            attempt.provider_request_id = self.reader.request_id
        if self.tokens is not None:
            pricing.charge(attempt, self.tokens, self.target.price_of(attempt))
        else:
            pricing.charge_estimate(attempt, len(self.call.request.body), self.texts, self.target.price_of(attempt))

    def answer(self) -> bytes | None:
        """The whole answer so far, or ``None`` when it was too long to keep."""
        return assemble(self.data) if self.kept_bytes <= MOST_KEPT_BYTES else None


class Streamer:
    """Opens streams."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def open(self, call: Call, target: ServedTarget, attempt: Attempt) -> LiveStream:
        """A stream with its first content at hand.  Raises ``Unusable``; ``CancelledError`` when the client left."""
        reply = await self._caller.head(call, target, attempt)
        live = LiveStream(call, target, attempt, reply, target.wire.events())
        good = False
        timer = asyncio.get_running_loop().call_later(_first_token_left(call, attempt), live.expire)
        try:
            await self._until_content(live)
            good = True
            return live
        except Http1Error as error:
            unusable = broken(error)
            raise _spoilt(live, unusable) from error
        except Unusable as unusable:
            raise _spoilt(live, unusable) from None
        except asyncio.CancelledError:
            attempt.detail = "the client left"
            live.settle()
            raise
        finally:
            timer.cancel()
            if not good:
                reply.abort()
                self._caller.release(call, target, attempt)

    def discard(self, live: LiveStream) -> None:
        """Let go of a stream that was overtaken by another one of its call."""
        live.settle()
        live.reply.abort()
        self._caller.release(live.call, live.target, live.attempt)

    async def _until_content(self, live: LiveStream) -> None:
        content_type = next((value for name, value in live.reply.headers if name == b"content-type"), b"")
        if not content_type.lower().startswith(b"text/event-stream"):
            shown = content_type[:60].decode("latin-1")
            raise Unusable("invalid", f"a stream was asked for, the answer is {shown or 'untyped'}")
        call = live.call
        async for data in live.iterator:
            live.take(data)
            if not live.empty:
                if live.refused and not call.left_as_is:
                    raise Unusable("refused", "the model refused to answer")
                live.attempt.first_token = self._caller.since(call)
                return
        if live.late:
            raise Unusable("slow", "no first token in time")
        unusable = live.verdict()
        if unusable is not None and not (call.left_as_is and live.ends):
            raise unusable


def _first_token_left(call: Call, attempt: Attempt) -> float:
    assert call.serving is not None
    spent = (attempt.first_byte or attempt.started) - attempt.started
    return max(0.001, call.serving.handling.clocks.first_token - spent)


def _spoilt(live: LiveStream, unusable: Unusable) -> Unusable:
    live.settle()
    live.attempt.failure, live.attempt.detail = unusable.failure, unusable.detail
    return unusable


class Relay:
    """The body of a committed stream, on its way to the client.

    An iterator with an ``aclose`` of its own, not a generator: closing a generator that was never begun would run
    nothing, and an inference whose client left at once would go unrecorded.
    """

    def __init__(self, live: LiveStream, caller: Caller, finisher: Finisher) -> None:
        self._live = live
        self._caller = caller
        self._finisher = finisher
        self._first = True
        self._over = False
        self.finished: asyncio.Future[bytes | None] | None = None
        """Ends with the whole answer (``None``: there is none); set by who wants to know."""

    def __aiter__(self) -> Relay:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        live = self._live
        if self._first:
            self._first = False
            ready = live.passed_on()
            if ready:
                return ready
        try:
            while True:
                try:
                    data = await anext(live.iterator)
                except StopAsyncIteration:
                    break
                live.take(data)
                if live.ready:
                    return live.passed_on()
            return await self._end(live.verdict(), clean=True)
        except Http1Error as error:
            return await self._end(broken(error))
        except Unusable as unusable:
            return await self._end(unusable)
        except asyncio.CancelledError:
            self._abandon()
            raise

    async def aclose(self) -> None:
        """The client left (or has read everything).  Idempotent."""
        if not self._over:
            self._abandon()
        elif not self._live.call.recorded:  # a defect broke the end: no call goes unrecorded
            self._finisher.record(self._live.call, "error", status=200, failure="gateway_lost", code="gateway_lost")
            self._tell(None, None)

    def _abandon(self) -> None:
        """Also while the end is being made (an answer under check): it is not sent then."""
        live = self._live
        if live.call.recorded:
            return
        live.attempt.detail = "the client left"
        if not self._over:
            self._stop()
            live.settle()
        self._finisher.abandoned(live.call, live.answer())
        self._tell(None, None)

    def _stop(self) -> None:
        """What the attempt came to is known by now: its slot is given back with it."""
        self._over = True
        self._live.reply.abort()
        self._caller.release(self._live.call, self._live.target, self._live.attempt)

    async def _end(self, unusable: Unusable | None, *, clean: bool = False) -> bytes:
        """The last bytes of the answer; the record is in the journal when they leave."""
        live, call = self._live, self._live.call
        if unusable is not None:
            live.attempt.failure, live.attempt.detail = unusable.failure, unusable.detail
        live.settle()
        self._stop()
        answer = live.answer()
        if unusable is not None and not (clean and call.left_as_is):
            return self._broken(unusable, answer)
        if answer is not None and call.serving is not None and call.serving.schema is not None:
            await _record_check(call, call.serving.schema, answer)
        outcome, failure = served_outcome(call)
        record = self._finisher.record(call, outcome, failure=failure, response=answer)
        extension = roadworthy_object(record, call.serving) if call.key.key.body_object else None
        self._tell(answer, extension)
        return live.passed_on() + last_events(live.held, extension)

    def _broken(self, unusable: Unusable, answer: bytes | None) -> bytes:
        refused = failed(
            unusable.failure, unusable.detail, status=None, message=unusable.message, param=None, retry_after=None
        )
        call = self._live.call
        record = self._finisher.record(
            call, "error", status=200, failure=unusable.failure, code=refused.code, response=answer
        )
        self._tell(None, None)
        extension = roadworthy_object(record, call.serving) if call.key.key.body_object else None
        return self._live.passed_on() + event(error_body(refused, extension))

    def _tell(self, answer: bytes | None, extension: bytes | None) -> None:
        if self.finished is not None and not self.finished.done():
            if answer is not None and extension is not None:
                answer = spliced(answer, extension)
            self.finished.set_result(answer)


async def _record_check(call: Call, schema: SchemaCheck, answer: bytes) -> None:
    call.checks.append(await schema(answer))
