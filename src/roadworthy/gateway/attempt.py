"""One attempt: one call of one target, timed, judged and charged.

An attempt ends in a good answer (or, for a stream, in its first content) or raises ``Unusable``; whichever it is,
its slot is given back and its ``Attempt`` tells the whole story.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar

import msgspec

from roadworthy.gateway.admission.body import LONGEST_VALUE, with_messages
from roadworthy.gateway.admission.capabilities import refuse_what_it_lacks
from roadworthy.gateway.answers.repair import MOST_ANSWER_CHARS, text_of
from roadworthy.gateway.answers.vectors import packed
from roadworthy.gateway.call import Call, Turns
from roadworthy.gateway.checks.asked import Python
from roadworthy.gateway.limits import pricing
from roadworthy.gateway.limits.purses import Purses
from roadworthy.gateway.limits.slots import LEFT, STOPPED, Full
from roadworthy.gateway.ports import (
    ANY_MODEL,
    Answer,
    Clock,
    Fields,
    Headers,
    Operation,
    Outgoing,
    Reply,
    StreamReply,
    Unusable,
    Upstream,
)
from roadworthy.gateway.stopping.board import Board, Halted
from roadworthy.gateway.verdict import broken, judge, may_be_charged
from roadworthy.gateway.world import ServedTarget
from roadworthy.http1.client import Ready
from roadworthy.http1.errors import Http1Error, nothing_sent
from roadworthy.http1.messages import Clocks
from roadworthy.http1.origin import Origin
from roadworthy.workflow.inference import Attempt

T = TypeVar("T")

MAX_ANSWER = 32 * 1024 * 1024
MAX_REFUSAL = 1024 * 1024
StepWord = Literal["first", "retry", "repair", "target", "hedge", "continuation"]
ASKED_OTHERWISE = ("repair", "continuation")
"""Steps that send ``Call.turns``."""
LATE = 0.75
"""Part of the deadline after which a target that is not done in the rest is not called slow for it."""
CLOCK_PRECISION = 0.025
"""Seconds; the HTTP client keeps its clocks no closer, so a shorter total is not worth a struct of its own."""


class Caller:
    """Makes attempts.  Stateless but for its ports."""

    def __init__(
        self, upstream: Upstream, clock: Clock, purses: Purses, board: Board, python: Python | None = None
    ) -> None:
        self._upstream = upstream
        self.board = board
        self.purses = purses
        self.python = python
        """Runs users' check functions."""
        self._clock = clock
        self.now = self._now = clock.monotonic
        """Seconds that never jump."""

    def begin(self, call: Call, target: ServedTarget, step: StepWord) -> Attempt:
        """The one place where an attempt begins, whoever wants it: ladder, hedge or continuation.

        Raises ``Halted`` where the kill switch says so: it is asked again before every attempt.
        """
        if self.board.any:
            self.board.vet(call)
        asked = call.model if target.target.model == ANY_MODEL else target.target.model
        attempt = Attempt(target.name, step, self._now() - call.began, model_asked=asked)
        call.attempts.append(attempt)
        call.bad_answer = None
        return attempt

    async def whole(self, call: Call, target: ServedTarget, attempt: Attempt) -> Answer:
        """A whole answer that is good, or that is served as it came (``call.left_as_is``).

        Raises ``Unusable``; ``CancelledError`` when the client left.
        """
        held = sent = False
        try:
            held = self._enter(call, target, attempt) or await self._queue(call, target, attempt)
            operation = spoken_to(call, target, stream=False)
            outgoing = self._encode(call, target, attempt, operation, stream=False)
            assert target.origin is not None
            if self.board.any:
                self.board.vet(call)
            sent = True
            reply = await self._upstream.fetch(
                target.origin,
                target.head(outgoing, call.trace.header),
                outgoing.body,
                self._clocks(call, whole=True),
                max_body=MAX_ANSWER,
                ready=partial(self.board.vet, call),
            )
            attempt.status = reply.status
            _time_head(attempt, reply.connected, reply.first_byte)
            if not 200 <= reply.status < 300:
                raise self._refusal(target, reply.status, reply.headers, reply.body)
            answer = self._read(call, target, attempt, reply, operation)
            attempt.first_token = attempt.first_byte
            _settle(call, attempt, answer, target)
            unusable = judge(call.operation, answer, call.n)
            errors: list[str] | None = None
            checking = call.serving.checking if call.serving is not None else None
            if unusable is None and checking is not None and (answer.format == "chat" or checking.looks_at(call)):
                read = as_chat(call, answer)
                verdict = await checking.verdict(call, target, read, self)
                unusable, errors = verdict.unusable, verdict.errors
                if verdict.body is not read.body:
                    answer = msgspec.structs.replace(read, body=verdict.body, mended=True)
            if unusable is not None:
                if not call.left_as_is:
                    _withhold(call, as_chat(call, answer).body, unusable, errors)
                    raise unusable
                _fail(attempt, unusable)
            return answer
        except Halted:
            _unsent(attempt)
            raise
        except Http1Error as error:
            raise self._broke(call, target, attempt, error) from error
        except Unusable as unusable:
            _fail(attempt, unusable)
            raise
        except asyncio.CancelledError as gone:
            _left(call, target, attempt, charged=sent and not nothing_sent(gone))
            raise
        finally:
            self.release(call, target, attempt, held=held)

    async def head(self, call: Call, target: ServedTarget, attempt: Attempt) -> StreamReply:
        """The head of a stream; on success the slot stays taken (``Caller.release``).

        Raises ``Unusable``; ``CancelledError`` when the client left.
        """
        held = sent = kept = False
        try:
            held = self._enter(call, target, attempt) or await self._queue(call, target, attempt)
            outgoing = self._encode(call, target, attempt, spoken_to(call, target, stream=True), stream=True)
            assert target.origin is not None
            if self.board.any:
                self.board.vet(call)
            sent = True
            reply = await self._upstream.open(
                target.origin,
                target.head(outgoing, call.trace.header),
                outgoing.body,
                self._clocks(call, whole=False),
                ready=partial(self.board.vet, call),
            )
            attempt.status = reply.status
            _time_head(attempt, reply.connected, reply.first_byte)
            if not 200 <= reply.status < 300:
                raise self._refusal(target, reply.status, reply.headers, await reply.read(MAX_REFUSAL))
            attempt.provider_request_id = target.wire.request_id(reply.headers)
            kept = True
            return reply
        except Halted:
            _unsent(attempt)
            raise
        except Http1Error as error:
            raise self._broke(call, target, attempt, error) from error
        except Unusable as unusable:
            _fail(attempt, unusable)
            raise
        except asyncio.CancelledError as gone:
            _left(call, target, attempt, charged=sent and not nothing_sent(gone))
            raise
        finally:
            if not kept:
                self.release(call, target, attempt, held=held)

    async def aside(
        self, call: Call, target: ServedTarget, attempt: Attempt, outgoing: Outgoing, output: int, seconds: float,
        read: Callable[[Reply], T],
    ) -> T:  # fmt: skip
        """Call a target beside the attempts, for a check: the same slots, breaker, rates and budgets hold.

        ``output``: most tokens that it answers; ``attempt`` is not one of the call's own; ``read`` settles its cost.
        Raises ``Unusable``, ``Halted``; ``CancelledError`` when the client left or the check's time is over.
        """
        if self.board.any:
            self._vet_check(call)
        held = sent = False
        try:
            held = self._enter(call, target, attempt, (outgoing.body, output)) or await self._queue(
                call, target, attempt
            )
            if target.problem is not None:
                raise Unusable(*target.problem)
            assert target.origin is not None
            if self.board.any:
                self._vet_check(call)
            sent = True
            reply = await self.post(
                target.origin,
                target.head(outgoing, call.trace.header),
                outgoing.body,
                Clocks(min(5.0, seconds), seconds, seconds, seconds),
                max_body=MAX_REFUSAL,
                ready=partial(self._vet_check, call),
            )
            attempt.status = reply.status
            if not 200 <= reply.status < 300:
                raise self._refusal(target, reply.status, reply.headers, reply.body)
            return read(reply)
        except Halted:
            _unsent(attempt)
            raise
        except Http1Error as error:
            raise self._broke(call, target, attempt, error) from error
        except Unusable as unusable:
            _fail(attempt, unusable)
            raise
        except asyncio.CancelledError as gone:
            _left(call, target, attempt, charged=sent and not nothing_sent(gone))
            raise
        finally:
            self.release(call, target, attempt, held=held)

    def _vet_check(self, call: Call) -> None:
        """A check that asks a target is an attempt too: with the AI off none begins."""
        found = self.board.halting(call)
        if found is None or found.state != "off":
            return
        if call.relayed:  # its reader has the answer already; the check is recorded as not done
            raise Unusable("unavailable", "the kill switch is at off")
        raise Halted(found)

    async def post(
        self, origin: Origin, head: bytes, body: bytes, clocks: Clocks, *, max_body: int, ready: Ready | None = None
    ) -> Reply:
        """Raises ``Http1Error``, and what ``ready`` raises."""
        return await self._upstream.fetch(origin, head, body, clocks, max_body=max_body, ready=ready)

    def since(self, call: Call) -> float:
        """Seconds since the inference was admitted."""
        return self._now() - call.began

    def release(self, call: Call, target: ServedTarget, attempt: Attempt, *, held: bool = True) -> None:
        """The attempt is over, well or badly: stop its clock and give back all that it held.  Called once for each."""
        now, slots = self._now(), target.slots
        attempt.ended = now - call.began
        if call.tab is not None and (attempt.cost_usd is not None or attempt.cost_unknown):
            self.purses.settle(call, attempt)  # a stream tells its cost later: ``Finisher.record``
        if held:
            if attempt.failure == "slow" and _began_late(call, attempt):
                slots.breaker.lost(attempt)
            else:
                slots.ended(attempt, call.began + attempt.started, now)
            slots.give_back()
        else:
            slots.breaker.lost(attempt)

    def _enter(
        self, call: Call, target: ServedTarget, attempt: Attempt, check: tuple[bytes, int] | None = None
    ) -> bool:
        """Take what an attempt needs without waiting.  ``False``: ``_queue`` for a slot.  Raises ``Unusable``."""
        if target.problem is not None:
            return False
        if call.money is not None:
            self.purses.reserve(call, target, attempt, check)
        slots = target.slots
        if slots.breaker.shut:
            _knock(target, attempt, self._now())
        if slots.quota is not None:
            wait = slots.quota.take(self._now())
            if wait > 0.0:
                raise Unusable("throttled", f"{target.name} has reached its limit per minute", retry_after=wait)
        return slots.take_now()

    async def _queue(self, call: Call, target: ServedTarget, attempt: Attempt) -> bool:
        """Wait for a slot.  ``False``: the target cannot be called at all (``_encode`` says why)."""
        if target.problem is not None:
            return False
        began = self._now()
        patience = min(call.serving.handling.clocks.connect if call.serving else 5.0, call.deadline - began)
        try:
            await target.slots.take(patience)
        except Full:
            detail = f"{target.slots.limit} calls of {target.name} are under way already"
            raise Unusable("throttled", detail, retry_after=target.slots.hint(self._now())) from None
        finally:
            attempt.queued = round(self._now() - began, 6)
        return True

    def _encode(
        self, call: Call, target: ServedTarget, attempt: Attempt, operation: Operation, *, stream: bool
    ) -> Outgoing:
        if target.problem is not None:
            raise Unusable(*target.problem)
        if target.limited:
            refuse_what_it_lacks(target.target, call.fields)
        native = call.surface.native
        if native is not None and operation != call.operation:
            own = native.own_request(call, stream=stream, repaired=attempt.step == "repair")
            return target.wire.encode(operation, own, stream=stream, forwarded=call.forwarded)
        if call.lost is not None:
            raise Unusable.bad_request(f"`{call.lost.param}`: {call.lost.why}", call.lost.param)
        fields = call.fields
        if attempt.step in ASKED_OTHERWISE and call.turns is not None:
            fields = going_on(fields, call.turns, target)
        if call.surface.format != "chat":
            fields = target.wire.adapted(fields, call.surface.format)
        return target.wire.encode(operation, fields, stream=stream)

    def _refusal(self, target: ServedTarget, status: int, headers: Headers, body: bytes) -> Unusable:
        """A non-2xx in our words; the target's wish to be left alone for a while is kept for its breaker."""
        unusable = target.wire.refusal(status, headers, body)
        if unusable.retry_after is not None:
            target.slots.breaker.asked_to_wait(unusable.retry_after, self._now())
        return unusable

    def _clocks(self, call: Call, *, whole: bool) -> Clocks:
        """The release's clocks, cut to what is left of the deadline."""
        assert call.serving is not None
        clocks = call.serving.whole_clocks if whole else call.serving.stream_clocks
        left = call.deadline - self._now()
        if left >= clocks.total - CLOCK_PRECISION:
            return clocks
        left = max(0.001, left)
        return Clocks(min(clocks.connect, left), min(clocks.first_byte, left), clocks.idle, left)

    def _read(self, call: Call, target: ServedTarget, attempt: Attempt, reply: Reply, operation: Operation) -> Answer:
        """The answer in a 2xx body.  Raises ``Unusable``; one that cannot be read may be charged all the same."""
        try:
            answer = target.wire.answer(operation, reply.headers, reply.body)
            return packed(answer, call.fields) if answer.unpacked else answer
        except Unusable as unusable:
            if unusable.failure == "invalid":
                pricing.charge_estimate(attempt, len(call.request.body), 0, target.price_of(attempt))
            raise

    def _broke(self, call: Call, target: ServedTarget, attempt: Attempt, error: Http1Error) -> Unusable:
        unusable = broken(error)
        _fail(attempt, unusable)
        if may_be_charged(error):
            pricing.charge_estimate(attempt, len(call.request.body), 0, target.price_of(attempt))
        return unusable


def spoken_to(call: Call, target: ServedTarget, *, stream: bool) -> Operation:
    """How ``target`` is asked: in the caller's own format where it speaks that, else as the core does.

    A stream that is held back by a window, or may be continued, is read as chat: both work on its texts.
    """
    own = call.surface.format
    if own == "chat" or own not in target.wire.speaks:
        return call.operation
    if stream and call.serving is not None and not call.left_as_is:
        handling = call.serving.handling
        if handling.stream == "windowed" or handling.continuation:
            return call.operation
    return own


def going_on(fields: Fields, turns: Turns, target: ServedTarget) -> Fields:
    """The request that was sent as ``fields``, with these turns behind it."""
    if turns.asked is None:
        return target.wire.prefilled(fields, turns.said)
    said, asked = {"role": "assistant", "content": turns.said}, {"role": "user", "content": turns.asked}
    return {**fields, "messages": with_messages(fields, said, asked)}


def as_chat(call: Call, answer: Answer) -> Answer:
    """``answer`` in the shape that checks, drafts and repairs read.  Raises ``Unusable``."""
    if answer.format == "chat":
        return answer
    return msgspec.structs.replace(answer, body=call.surface.chat_answer(answer.body, answer.format), format="chat")


def _began_late(call: Call, attempt: Attempt) -> bool:
    """Did others take so much of the deadline that being slow says nothing of this target?"""
    return attempt.started > LATE * (call.deadline - call.began)


def _knock(target: ServedTarget, attempt: Attempt, now: float) -> None:
    """Make this attempt the probe of a breaker that is not closed, or raise ``Unusable``."""
    breaker = target.slots.breaker
    if breaker.begin(attempt, now):
        return
    wait = breaker.wait(now)
    when = f"next probe in {wait:.1f} s" if wait > 0.0 else "a probe is under way"
    raise Unusable("unavailable", f"the breaker of {target.name} is open, {when}", retry_after=wait or None)


def _time_head(attempt: Attempt, connected: float | None, first_byte: float) -> None:
    if connected is not None:
        attempt.connected = attempt.started + connected
    attempt.first_byte = attempt.started + (connected or 0.0) + first_byte


def note_model(attempt: Attempt, model: str) -> None:
    """Which model answered: its provider may have sent the call to another one than was asked for."""
    attempt.model_answered = model[:LONGEST_VALUE]


def _settle(call: Call, attempt: Attempt, answer: Answer, target: ServedTarget) -> None:
    if answer.model:
        note_model(attempt, answer.model)
    attempt.provider_request_id = answer.request_id
    if answer.finishes:
        attempt.finish = "length" if "length" in answer.finishes else answer.finishes[0]
    if answer.tokens is not None and pricing.credible(call, attempt, answer.tokens, len(answer.body)):
        pricing.charge(attempt, answer.tokens, target.price_of(attempt))
    else:
        written = 0
        if call.operation == "chat":
            written = len(text_of(as_chat(call, answer).body) or "") // pricing.BYTES_PER_TOKEN
        pricing.charge_estimate(attempt, len(call.request.body), written, target.price_of(attempt))


def _withhold(call: Call, body: bytes, unusable: Unusable, errors: list[str] | None = None) -> None:
    """Keep what was written: for a human, and for a repair where there is one answer that is not too long."""
    call.draft = text = text_of(body)
    if text is not None and call.n == 1 and len(text) <= MOST_ANSWER_CHARS:
        call.bad_answer = text
        call.repair = errors or [unusable.detail]


def _left(call: Call, target: ServedTarget, attempt: Attempt, *, charged: bool) -> None:
    """The client left (or a hedge lost) during the attempt: a provider that has the request charges for it.

    What it reported before the client left (an answer under check) is charged already.
    """
    attempt.detail = LEFT
    if attempt.tokens is not None or attempt.cost_unknown:
        return
    if charged:
        pricing.charge_estimate(attempt, len(call.request.body), 0, target.price_of(attempt))
    else:
        pricing.charge_nothing(attempt)


def _unsent(attempt: Attempt) -> None:
    """The kill switch came between its beginning and its request, or between its answer and a check of it."""
    attempt.detail = STOPPED
    if attempt.tokens is None and not attempt.cost_unknown:
        pricing.charge_nothing(attempt)


def _fail(attempt: Attempt, unusable: Unusable) -> None:
    attempt.failure = unusable.failure
    attempt.detail = unusable.detail
    if unusable.request_id is not None:
        attempt.provider_request_id = unusable.request_id
    if attempt.tokens is None and not attempt.cost_unknown:
        pricing.charge_nothing(attempt)
