"""``POST /v1/messages/count_tokens``: how long a request would be, without asking a model anything.

It is no inference: nothing is recorded and nothing is spent.  What may not reach a provider (the kill switch, the ramp,
an unreleased prompt) does not reach it to be counted either, and a target is asked no more at once than it may be asked
for answers: counting takes a free slot and never waits for one.  Fails open: whatever keeps a target from counting, the
caller reads an estimate that says that it is one.
"""

from __future__ import annotations

from functools import partial

import msgspec

from roadworthy.formats.messages import counting
from roadworthy.formats.model import Fields
from roadworthy.gateway.admission.admit import Bypassed, admit
from roadworthy.gateway.admission.body import too_deep
from roadworthy.gateway.admission.prompting import PromptUnreleased
from roadworthy.gateway.attempt import MAX_REFUSAL, Caller
from roadworthy.gateway.call import Call, Trace
from roadworthy.gateway.finish import JSON
from roadworthy.gateway.messages import Request, Response
from roadworthy.gateway.ports import Clock, Ids, Unusable
from roadworthy.gateway.stopping.board import Halted
from roadworthy.gateway.surfaces.table import COUNTING
from roadworthy.gateway.world import ServedKey, ServedTarget, World
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.messages import Clocks

PATIENCE = 5.0
"""Seconds that a target has to count."""


class TokenCounter:
    """Counts for one worker."""

    def __init__(self, caller: Caller, clock: Clock, ids: Ids) -> None:
        self._caller = caller
        self._clock = clock
        self._ids = ids

    async def count(self, request: Request, headers: dict[bytes, bytes], key: ServedKey, world: World) -> Response:
        """``{"input_tokens": N}``.  Raises ``Refused`` for what is no request, or none of this key's."""
        try:
            return await self._count(request, headers, key, world)
        except RecursionError:
            raise too_deep() from None

    async def _count(self, request: Request, headers: dict[bytes, bytes], key: ServedKey, world: World) -> Response:
        trace = Trace(headers.get(b"traceparent"), self._ids.bits(192))
        call = Call("", self._clock.now(), self._clock.monotonic(), request, key, trace, COUNTING)
        try:
            admit(call, headers, world, self._caller.board)
        except (Bypassed, Halted, PromptUnreleased):
            return _estimated(call.own)
        assert call.serving is not None
        own = call.own
        try:
            own = COUNTING.own_request(call, stream=False, repaired=False)
            found = None if call.serving.target is None else await self._ask(call, call.serving.target, own)
        except (Halted, Http1Error, Unusable, msgspec.DecodeError):
            found = None
        return _estimated(own) if found is None else Response(200, JSON, counting.body(found, estimated=False))

    async def _ask(self, call: Call, target: ServedTarget, own: Fields) -> int | None:
        """What the target counts; ``None``: it cannot.  Its breaker is heard and told nothing: many endpoints of this
        format do not count at all."""
        if target.problem is not None or target.origin is None or "messages" not in target.wire.speaks:
            return None
        if not target.slots.breaker.may_call(self._clock.monotonic()):
            return None
        outgoing = target.wire.counting(own, call.forwarded)
        if outgoing is None:
            return None
        if not target.slots.take_now():
            return None
        try:
            reply = await self._caller.post(
                target.origin,
                target.head(outgoing, call.trace.header),
                outgoing.body,
                Clocks(PATIENCE, PATIENCE, PATIENCE, PATIENCE),
                max_body=MAX_REFUSAL,
                ready=partial(self._caller.board.vet, call),
            )
        finally:
            target.slots.give_back()
        return counting.read(reply.body) if reply.status == 200 else None


def _estimated(fields: Fields) -> Response:
    return Response(200, JSON, counting.body(counting.estimate(fields), estimated=True))
