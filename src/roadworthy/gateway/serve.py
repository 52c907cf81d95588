"""One inference from its admission to its record: admit, start, pass the gate, climb the ladder, answer.

Whatever happens, every call that has begun ends in exactly one record: an answer, an error, a bypass, or
``abandoned`` when the client leaves.
"""

from __future__ import annotations

import asyncio

from roadworthy.gateway.admission.admit import Bypassed, admit
from roadworthy.gateway.admission.prompting import PROMPT_UNRELEASED, PromptUnreleased
from roadworthy.gateway.answers.bypass import BypassTaker
from roadworthy.gateway.answers.cache import AnswerCache
from roadworthy.gateway.answers.escalations import Escalations
from roadworthy.gateway.attempt import Caller
from roadworthy.gateway.call import Call, Trace, answer_headers
from roadworthy.gateway.checks.asked import Python
from roadworthy.gateway.climb import Blocked, Climber, End, Escalated, UseCached, UseCanned
from roadworthy.gateway.counters import Counters
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.finish import EVENT_STREAM, Finisher
from roadworthy.gateway.hedging import Hedger
from roadworthy.gateway.journal import Journal
from roadworthy.gateway.limits.purses import Purses
from roadworthy.gateway.messages import Request, Response, StreamResponse
from roadworthy.gateway.ports import Clock, Ids, Upstream
from roadworthy.gateway.stopping.board import Board, Force, Halted
from roadworthy.gateway.stopping.drafts import ASSIST, Drafter
from roadworthy.gateway.stopping.words import CODE, ai_off, take_note, why
from roadworthy.gateway.streaming.streams import Relay, Streamer
from roadworthy.gateway.surfaces.model import Surface
from roadworthy.gateway.world import ServedKey, World
from roadworthy.workflow.inference import TrafficClass, new_inference_id

DISK_FULL = "The journal cannot be written, and without a record nothing is served (disk_full: bypass)."
UNRELEASED = (
    "The system prompt of this call is not the released one: freeze it with 'roadworthy freeze', "
    "or send the released prompt."
)

MEASURED: frozenset[TrafficClass] = frozenset({"eval", "load", "shadow"})
"""Classes whose calls never take a bypass of the app's: no text of it is scored, and no load reaches the old path."""


class Server:
    """Serves inferences."""

    def __init__(
        self,
        upstream: Upstream,
        finisher: Finisher,
        journal: Journal,
        counters: Counters,
        purses: Purses,
        clock: Clock,
        ids: Ids,
        cache: AnswerCache,
        escalations: Escalations,
        board: Board,
        python: Python | None = None,
    ) -> None:
        """``python`` runs users' check functions."""
        self._caller = Caller(upstream, clock, purses, board, python)
        self._board = board
        self._streamer = Streamer(self._caller)
        self._climber = Climber(self._caller, cache, escalations, clock, ids)
        self._bypass = BypassTaker(upstream, finisher, self._climber, escalations)
        self._drafter = Drafter(self._caller, self._climber, finisher, escalations, self._bypass)
        self._cache = cache
        self._escalations = escalations
        self._finisher = finisher
        self._journal = journal
        self._counters = counters
        self._purses = purses
        self._clock = clock
        self._ids = ids

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def hedger(self) -> Hedger:
        return self._climber.hedger

    async def serve(
        self, request: Request, headers: dict[bytes, bytes], key: ServedKey, surface: Surface, world: World
    ) -> Response | StreamResponse:
        """Answer one authenticated inference request."""
        call = self._begin(request, headers, key, surface)
        try:
            return await self._answer(call, headers, world)
        except asyncio.CancelledError:
            if not call.recorded:
                self._finisher.abandoned(call)
            raise
        finally:
            if not call.recorded and not call.relayed:
                self._finisher.record(call, "error", status=500, failure="gateway_lost", code="gateway_lost")

    async def _answer(self, call: Call, headers: dict[bytes, bytes], world: World) -> Response | StreamResponse:
        try:
            admit(call, headers, world, self._board)
            call.logged = self._journal.start(call.start_line())
            if not call.logged and not world.disk_full_serves:
                return await self._bypass.take(call, "disk_full", DISK_FULL)
            turned_away = self._purses.admit(call)
            if call.drafted:
                return await self._drafter.draft(call, turned_away)
            if turned_away is not None:
                await self._climber.turned_away(call, turned_away)
            assert call.serving is not None
            cache = call.serving.handling.cache
            if cache is not None and cache.use == "always":
                cached = self._cache.peek(call, self._clock.monotonic())
                if cached is not None:
                    return self._finisher.cached(call, cached, None)
            if call.stream and call.serving.handling.stream != "buffered":
                return await self._stream(call)
            good = await self._climber.climb(call, self._caller.whole)
            if self._board.any:
                self._board.vet_answer(call)
            return self._finisher.answered(call, good)
        except Bypassed as bypassed:
            side = bypassed.side
            return await self._bypass.take(call, side.code, side.why, side.route)
        except PromptUnreleased:
            call.notes = [*call.notes, PROMPT_UNRELEASED]
            return await self._bypass.take(call, "bypassed", UNRELEASED)
        except Halted as halted:
            return await self._halted(call, halted.force)
        except End as end:
            if self._board.any and isinstance(end, UseCached):  # what a model wrote before is its word too
                found = self._board.halting(call)
                if found is not None and found.state == "off":
                    return await self._halted(call, found)
            return await self._ended(call, end)
        except Refused as refused:
            return self._finisher.refused(call, refused)

    async def _ended(self, call: Call, end: End) -> Response | StreamResponse:
        """The answer of a ladder that ended without a model's."""
        serving = call.serving
        assert serving is not None
        if isinstance(end, UseCached):
            return self._finisher.cached(call, end.cached, end.failure)
        if isinstance(end, Escalated):
            return await self._finisher.escalated(call, end.failure, self._escalations)
        if isinstance(end, UseCanned) and serving.canned is not None:
            return self._finisher.canned(call, serving.canned, "canned", end.failure)
        assert isinstance(end, Blocked)
        return self._finisher.canned(call, serving.blocked, "blocked", end.failure)

    async def _halted(self, call: Call, force: Force) -> Response | StreamResponse:
        """The kill switch keeps the call from (another) model.  What evals and load tests measure is no bypass."""
        if force.state == "assist" and await self._climber.handed_over(call, call.first_failure, ASSIST):
            call.kill = "assist"
            return await self._finisher.escalated(call, call.first_failure, self._escalations)
        take_note(call, force, route="off")
        if call.traffic in MEASURED:
            return self._finisher.refused(call, ai_off(call, force))
        return await self._bypass.take(call, CODE, why(call, force), "off")

    def _begin(self, request: Request, headers: dict[bytes, bytes], key: ServedKey, surface: Surface) -> Call:
        self._counters.in_flight += 1
        now = self._clock.now()
        bits = self._ids.bits(272)
        trace = Trace(headers.get(b"traceparent"), bits >> 80)
        ident = new_inference_id(now, bits & ((1 << 80) - 1))
        return Call(ident, now, self._clock.monotonic(), request, key, trace, surface)

    async def _stream(self, call: Call) -> StreamResponse:
        live = await self._climber.climb(call, self._streamer.open, self._streamer.discard)
        if self._board.any:
            try:
                self._board.vet_answer(call)
            except Halted:
                self._streamer.discard(live)
                raise
        call.relayed = True
        relay = Relay(live, self._streamer, self._finisher)
        self._board.follow(relay)
        return StreamResponse(200, EVENT_STREAM + answer_headers(call, None), relay)
