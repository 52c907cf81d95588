"""Streams: read while they come, held until first content, ended explicitly.

A stream is *committed* with its first content: until then its failures still climb the ladder.  After it, a broken
stream is continued where its release says so (``continuation``), and otherwise ends the answer with an error event.
What finishes an answer leaves only when the provider's body has ended cleanly and the record is in the journal.
"""

from __future__ import annotations

import asyncio

import msgspec

from roadworthy.fallback.model import Tried
from roadworthy.formats.model import Broken, spliced
from roadworthy.gateway.attempt import Caller
from roadworthy.gateway.call import Call, roadworthy_object
from roadworthy.gateway.errors import Refused, error_type, failed
from roadworthy.gateway.finish import Finisher, served_outcome
from roadworthy.gateway.limits.slots import FAILED_HERE, LEFT, STOPPED
from roadworthy.gateway.ports import Unusable
from roadworthy.gateway.stopping.board import Halted
from roadworthy.gateway.stopping.words import ai_off, take_note
from roadworthy.gateway.streaming.continuation import (
    LEAST_SECONDS,
    asked_to_go_on,
    candidates,
    is_native,
    said_before,
)
from roadworthy.gateway.streaming.live import CONTINUED, UNTELLABLE, ContinuedStream, LiveStream
from roadworthy.gateway.streaming.seam import Seam
from roadworthy.gateway.streaming.sse import usage_chunk
from roadworthy.gateway.streaming.window import FROM_START, Window
from roadworthy.gateway.verdict import broken
from roadworthy.gateway.world import ServedTarget
from roadworthy.http1.errors import Http1Error
from roadworthy.workflow.inference import Attempt, Tokens


class Streamer:
    """Opens streams."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    async def open(self, call: Call, target: ServedTarget, attempt: Attempt) -> LiveStream:
        """A stream with its first content at hand.  Raises ``Unusable``; ``CancelledError`` when the client left."""
        reply = await self.caller.head(call, target, attempt)
        live = LiveStream(call, target, attempt, reply, _window(call), self.caller.now)
        await self._begin(live)
        return live

    async def resume(self, before: LiveStream, unusable: Unusable) -> ContinuedStream | None:
        """A stream that goes on where ``before`` broke off, its first new text at hand; ``None``: nobody goes on.

        Raises ``CancelledError`` when the client left.
        """
        call = before.call
        serving = call.serving
        assert serving is not None
        said = said_before(before, unusable)
        if said is None:
            return None
        now = self.caller.now
        for target in candidates(
            serving, before.target, unusable.failure, serving.callable_for(call.fields, now(), call.only)
        ):
            if call.deadline - now() < LEAST_SECONDS or not target.slots.retries.grants(now()):
                continue
            target.slots.retries.spend(now())
            following: ContinuedStream | None = None
            try:
                attempt = self.caller.begin(call, target, "continuation")
                call.turns = asked_to_go_on(said, target)
                seam = Seam(said, asked=not is_native(target))
                reply = await self.caller.head(call, target, attempt)
                following = ContinuedStream(before, target, attempt, reply, seam, said, now)
                await self._begin(following)
                return following
            except Halted as halted:
                call.kill = halted.force.state
                return None
            except Unusable as error:
                if following is not None and not following.empty:
                    following.broke = error
                    return following
                call.history.append(Tried(target.name, error.failure, retry_after=error.retry_after))
        return None

    async def _begin(self, live: LiveStream) -> None:
        """Read up to the first content; a stream that brings none is let go."""
        call, attempt = live.call, live.attempt
        good = False
        timer = asyncio.get_running_loop().call_later(_first_token_left(call, attempt), live.expire)
        try:
            await self._until_content(live, timer)
            good = True
        except Http1Error as error:
            unusable = broken(error)
            raise _spoilt(live, unusable) from error
        except Unusable as unusable:
            raise _spoilt(live, unusable) from None
        except asyncio.CancelledError:
            attempt.detail = LEFT
            live.settle()
            raise
        finally:
            timer.cancel()
            if not good:
                self.let_go(live)

    def discard(self, live: LiveStream) -> None:
        """Let go of a stream that was overtaken by another one of its call."""
        live.settle()
        self.let_go(live)

    def let_go(self, live: LiveStream) -> None:
        """The attempt is over and settled: close its connection, give back what it held.  Idempotent."""
        if not live.released:
            live.released = True
            live.over()
            self.caller.release(live.call, live.target, live.attempt)

    async def _until_content(self, live: LiveStream, timer: asyncio.TimerHandle) -> None:
        content_type = next((value for name, value in live.reply.headers if name == b"content-type"), b"")
        if not content_type.lower().startswith(live.target.wire.stream_type):
            shown = content_type[:60].decode("latin-1")
            raise Unusable("invalid", f"a stream was asked for, the answer is {shown or 'untyped'}")
        call, attempt = live.call, live.attempt
        async for data in live.iterator:
            live.take(data)
            if live.reasons:
                timer.cancel()  # who thinks aloud is not silent: from here on the idle clock counts
            if live.empty:
                continue
            timer.cancel()
            if live.refused and not call.left_as_is:
                raise Unusable("refused", "the model refused to answer")
            if attempt.first_token is None:
                attempt.first_token = self.caller.since(call)
            if live.begun:
                return
        if live.late:
            raise Unusable("slow", "no first token in time")
        unusable = live.end()
        if unusable is not None and not (call.left_as_is and live.ends):
            raise unusable


def _window(call: Call) -> Window | None:
    """What a windowed stream is held back by; ``None``: it is passed through (as all is that is served as it came)."""
    serving = call.serving
    assert serving is not None
    handling = serving.handling
    if handling.stream != "windowed" or call.left_as_is:
        return None
    checks = serving.checking.span_checks(call) if serving.checking is not None else []
    whole = frozenset(check.name for check in checks if handling.checks[check.name].kind in FROM_START)
    return Window(handling.window, checks, whole)


def _first_token_left(call: Call, attempt: Attempt) -> float:
    assert call.serving is not None
    spent = (attempt.first_byte or attempt.started) - attempt.started
    return max(0.001, call.serving.handling.clocks.first_token - spent)


def _spoilt(live: LiveStream, unusable: Unusable) -> Unusable:
    live.settle()
    live.attempt.failure, live.attempt.detail = unusable.failure, unusable.detail
    return unusable


def _why(refused: Refused) -> Broken:
    return Broken(refused.code, refused.message, error_type(refused.status), refused.param, refused.status)


class Relay:
    """The body of a committed stream, on its way to the client.

    An iterator with an ``aclose`` of its own, not a generator: closing a generator that was never begun would run
    nothing, and an inference whose client left at once would go unrecorded.
    """

    def __init__(self, live: LiveStream, streamer: Streamer, finisher: Finisher) -> None:
        self._live = live
        self._streamer = streamer
        self._finisher = finisher
        self._first = True
        self._over = False
        self._seams: list[dict[str, object]] = []
        """Where the text was continued, for the caller."""
        self._tokens = Tokens()
        """Of the streams that broke and were continued."""
        self._halted = False
        """The kill switch cuts it."""
        self.finished: asyncio.Future[bytes | None] | None = None
        """Ends with the whole answer (``None``: there is none); set by who wants to know."""

    @property
    def call(self) -> Call:
        return self._live.call

    def halt(self) -> None:
        """The kill switch ends it: its connection is closed now, and what its reader gets next is an error event."""
        if not self._over:
            self._halted = True
            self._live.reply.abort()

    def __aiter__(self) -> Relay:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        if self._first and not self._halted:
            self._first = False
            ready = self._live.passed_on()
            if ready:
                return ready
        ours = True  # what raises, but for the client's leaving, is a defect of ours
        try:
            while True:
                live, clean = self._live, False
                if self._halted:
                    ours = False
                    return self._cut_off()
                try:
                    if live.broke is not None:
                        raise live.broke
                    while not live.ended:
                        try:
                            data = await anext(live.iterator)
                        except StopAsyncIteration:
                            break
                        if self._halted:
                            break
                        live.take(data)
                        if live.ready:
                            ours = False
                            return live.passed_on()
                    if self._halted:
                        continue
                    unusable, clean = live.end(), True
                except Http1Error as error:
                    unusable = broken(error)
                except Unusable as error:
                    unusable = error
                if unusable is not None and not self._halted and await self._resumed(unusable):
                    if self._live.ready and not self._halted:
                        ours = False
                        return self._live.passed_on()
                elif not self._halted:  # it may have been stopped while somebody was asked to go on
                    end = await self._end(unusable, clean=clean)
                    ours = False
                    return end
        except asyncio.CancelledError:
            ours = False
            self._abandon()
            raise
        finally:
            if ours:
                self._lost()

    async def aclose(self) -> None:
        """The client left (or has read everything).  Idempotent."""
        if not self._over:
            self._abandon()

    async def _resumed(self, unusable: Unusable) -> bool:
        """Is the broken stream being continued?  It is over then, and another one stands in its place."""
        live, call = self._live, self._live.call
        assert call.serving is not None
        if len(self._seams) >= call.serving.handling.continuation:
            return False
        self._stop(unusable)
        call.history.append(Tried(live.target.name, unusable.failure))
        following = await self._streamer.resume(live, unusable)
        if following is None:
            return False
        if not self._seams:
            call.notes = [*call.notes, CONTINUED]
        self._seams.append({"at": following.seam_at, "target": following.target.name})
        self._tokens += live.attempt.tokens or Tokens()
        self._live = following
        call.ended_by = following.attempt
        return True

    def _abandon(self) -> None:
        """Also while the end is being made (an answer under check): it is not sent then."""
        live = self._live
        if live.call.recorded:
            return
        self._over = True
        self._cut(LEFT)
        self._finisher.abandoned(live.call, live.left())
        self._tell(None, None)

    def _lost(self) -> None:
        """A defect of ours broke the answer: no call goes unrecorded, and nothing stays taken."""
        call = self._live.call
        self._over = True
        try:
            self._cut(FAILED_HERE)
        finally:
            if not call.recorded:
                self._finisher.record(call, "error", status=200, failure="gateway_lost", code="gateway_lost")
                self._tell(None, None)

    def _cut(self, why: str) -> None:
        """The attempt is over though its stream is not."""
        live = self._live
        if not live.released:
            live.attempt.detail = why
            try:
                live.settle()
            finally:
                self._streamer.let_go(live)

    def _stop(self, unusable: Unusable | None) -> None:
        """The attempt is over.  What it came to is known by now: its slot is given back with it."""
        live = self._live
        if live.released:
            return
        if unusable is not None:
            live.attempt.failure, live.attempt.detail = unusable.failure, unusable.detail
        live.settle()
        self._streamer.let_go(live)

    async def _end(self, unusable: Unusable | None, *, clean: bool) -> bytes:
        """The last bytes of the answer; the record is in the journal when they leave."""
        live, call = self._live, self._live.call
        self._over = True
        self._stop(unusable)
        if unusable is not None and not (clean and call.left_as_is):
            return self._broken(unusable)
        chat = call.surface.format == "chat"
        checking = call.serving.checking if call.serving is not None else None
        try:
            answer = live.whole() if chat or (checking is not None and checking.looks_at(call)) else None
            told = answer if chat else live.told()
        except (Unusable, *UNTELLABLE) as error:
            detail = error.detail if isinstance(error, Unusable) else str(error)
            return self._broken(Unusable("invalid", f"the answer cannot be put together: {detail}"))
        if answer is not None and checking is not None:
            await checking.record(call, live.target, live.answer(answer), self._streamer.caller)
        outcome, failure = served_outcome(call)
        record = self._finisher.record(call, outcome, failure=failure, response=told)
        extension = self._extension(roadworthy_object(record, call.serving))
        if self._seams and call.usage_asked:
            live.held.append(usage_chunk(live.held[-1], self._tokens + (live.attempt.tokens or Tokens())))
        self._tell(told, extension)
        return live.passed_on() + live.teller.end(live.held, extension)

    def _broken(self, unusable: Unusable) -> bytes:
        refused = failed(
            unusable.failure, unusable.detail, status=None, message=unusable.message, param=None, retry_after=None
        )
        call = self._live.call
        record = self._finisher.record(
            call, "error", status=200, failure=unusable.failure, code=refused.code, response=self._live.left()
        )
        self._tell(None, None)
        extension = self._extension(roadworthy_object(record, call.serving))
        return self._live.passed_on() + self._live.teller.broken(_why(refused), extension)

    def _cut_off(self) -> bytes:
        """The kill switch cut it: said aloud, and no error of the AI's."""
        live, call = self._live, self._live.call
        self._over = True
        self._cut(STOPPED)
        found = self._streamer.caller.board.halting(call)
        refused = ai_off(call, found)
        take_note(call, found, route="off")
        record = self._finisher.record(call, "bypassed", status=200, code=refused.code, response=live.left())
        self._tell(None, None)
        return live.teller.broken(_why(refused), self._extension(roadworthy_object(record, call.serving)))

    def _extension(self, told: bytes) -> bytes | None:
        """What the caller is told, with every seam; ``None``: its key opted out."""
        if not self._live.call.key.key.body_object:
            return None
        return told if not self._seams else b'%b,"seams":%b}' % (told[:-1], msgspec.json.encode(self._seams))

    def _tell(self, answer: bytes | None, extension: bytes | None) -> None:
        if self.finished is not None and not self.finished.done():
            if answer is not None and extension is not None:
                answer = spliced(answer, extension)
            self.finished.set_result(answer)
