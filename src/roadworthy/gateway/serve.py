"""One inference from its admission to its record: admit, start, climb the ladder, answer.

Whatever happens, every call that has begun ends in exactly one record: an answer, an error, a bypass, or
``abandoned`` when the client leaves.
"""

from __future__ import annotations

import asyncio

from roadworthy.gateway.admission import Limits
from roadworthy.gateway.admit import admit
from roadworthy.gateway.attempt import Caller
from roadworthy.gateway.call import Call, Trace, answer_headers
from roadworthy.gateway.canned import CannedAnswer
from roadworthy.gateway.climb import UseCanned, climb
from roadworthy.gateway.counters import Counters
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.finish import EVENT_STREAM, Finisher
from roadworthy.gateway.journal import Journal
from roadworthy.gateway.messages import Request, Response, StreamResponse
from roadworthy.gateway.ports import Clock, Ids, Operation, Upstream
from roadworthy.gateway.prompting import PROMPT_UNRELEASED, PromptUnreleased
from roadworthy.gateway.streams import Relay, Streamer
from roadworthy.gateway.world import ServedKey, World
from roadworthy.workflow.inference import Failure, Outcome, new_inference_id

DISK_FULL = "The journal cannot be written, and without a record nothing is served (disk_full: bypass)."
UNRELEASED = (
    "The system prompt of this call is not the released one: freeze it with 'roadworthy freeze', "
    "or send the released prompt."
)


class Server:
    """Serves inferences."""

    def __init__(
        self,
        upstream: Upstream,
        finisher: Finisher,
        journal: Journal,
        counters: Counters,
        limits: Limits,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._caller = Caller(upstream, clock)
        self._streamer = Streamer(self._caller)
        self._finisher = finisher
        self._journal = journal
        self._counters = counters
        self._limits = limits
        self._clock = clock
        self._ids = ids

    async def serve(
        self, request: Request, headers: dict[bytes, bytes], key: ServedKey, operation: Operation, world: World
    ) -> Response | StreamResponse:
        """Answer one authenticated inference request."""
        call = self._begin(request, headers, key)
        relayed = False
        try:
            admit(call, headers, operation, world, self._limits, call.began)
            call.logged = self._journal.start(call.start_line())
            if not call.logged and not world.disk_full_serves:
                return self._bypass(call, "disk_full", DISK_FULL)
            if call.stream and call.serving is not None and call.serving.handling.stream == "passthrough":
                answer = await self._stream(call)
                relayed = True
                return answer
            good = await climb(call, self._caller.whole, self._clock, self._ids)
            return self._finisher.answered(call, good.body)
        except PromptUnreleased:
            call.notes = [PROMPT_UNRELEASED]
            return self._bypass(call, "bypassed", UNRELEASED)
        except UseCanned:
            assert call.serving is not None
            assert call.serving.canned is not None
            return self._canned(call, call.serving.canned, "canned", call.history[0].failure)
        except Refused as refused:
            return self._finisher.refused(call, refused)
        except asyncio.CancelledError:
            if not call.recorded:
                self._finisher.abandoned(call)
            raise
        finally:
            if not relayed and not call.recorded:
                self._finisher.record(call, "error", status=500, failure="gateway_lost", code="gateway_lost")

    def _begin(self, request: Request, headers: dict[bytes, bytes], key: ServedKey) -> Call:
        self._counters.in_flight += 1
        now = self._clock.now()
        bits = self._ids.bits(272)
        trace = Trace(headers.get(b"traceparent"), bits >> 80)
        ident = new_inference_id(now, bits & ((1 << 80) - 1))
        return Call(ident, now, self._clock.monotonic(), request, key, trace)

    async def _stream(self, call: Call) -> StreamResponse:
        live = await climb(call, self._streamer.open, self._clock, self._ids)
        outcome: Outcome | None = None  # not known before the stream has ended
        return StreamResponse(
            200, EVENT_STREAM + answer_headers(call, outcome), Relay(live, self._caller, self._finisher)
        )

    def _canned(
        self, call: Call, canned: CannedAnswer, outcome: Outcome, failure: Failure | None
    ) -> Response | StreamResponse:
        assert call.serving is not None
        body = canned.body(
            inference=call.id,
            created=int(call.ts),
            model=call.serving.name,
            choices=min(call.n, 128),
            structured=call.structured,
        )
        record = self._finisher.record(call, outcome, failure=failure, response=body)
        return self._finisher.shaped(call, record, body)

    def _bypass(self, call: Call, code: str, why: str) -> Response | StreamResponse:
        """The workflow's declared bypass: a canned text, or 503 so that the app takes its old path."""
        call.route = "bypass"
        serving = call.serving
        if serving is not None and serving.bypass.kind == "canned" and serving.bypass_canned is not None:
            return self._canned(call, serving.bypass_canned, "bypassed", None)
        return self._finisher.refused(call, Refused(503, code, why, outcome="bypassed"))
