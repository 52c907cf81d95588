"""Calls whose answer is a draft for a human: the kill switch at ``assist``, and the rollout's ``drafts`` stage.

The model is asked as for any call, whole answers only.  Whatever comes of it, the call is escalated with what was
written, and the caller reads the holding answer, as a stream if it asked for one.  Where people have no room for it
nothing is asked: under ``assist`` that is ``off``, in a ramp the bypass.
"""

from __future__ import annotations

from typing import Final

from roadworthy.gateway.answers.bypass import BypassTaker
from roadworthy.gateway.answers.escalations import Escalations
from roadworthy.gateway.answers.repair import text_of
from roadworthy.gateway.attempt import Caller, as_chat
from roadworthy.gateway.call import Call
from roadworthy.gateway.climb import Climber, End, Escalated, UseCached
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.finish import Finisher
from roadworthy.gateway.messages import Response, StreamResponse
from roadworthy.gateway.ports import Unusable
from roadworthy.gateway.stopping.board import Force
from roadworthy.gateway.stopping.words import CODE, why
from roadworthy.workflow.inference import Failure

ASSIST: Final = "the kill switch is at assist: a person answers every call"
DRAFTS: Final = "the ramp is at drafts: a person sends every answer"
NO_ROOM: Final = "Every call of '{}' is answered by people now, and they have no room for more. Take the old path."


class Drafter:
    """Has drafts written and hands them over."""

    def __init__(
        self, caller: Caller, climber: Climber, finisher: Finisher, escalations: Escalations, bypass: BypassTaker
    ) -> None:
        self._caller = caller
        self._climber = climber
        self._finisher = finisher
        self._escalations = escalations
        self._bypass = bypass

    async def draft(self, call: Call, turned_away: Unusable | None) -> Response | StreamResponse:
        """Raises ``Halted``, and ``Refused`` or ``End`` for a call that a limit or budget turned away."""
        if turned_away is not None:
            await self._climber.turned_away(call, turned_away)
        if not self._escalations.has_room(call):
            return await self._no_room(call)
        call.fields.pop("stream", None)  # nobody streams to a person
        call.fields.pop("stream_options", None)
        failure: Failure | None = None
        try:
            good = await self._climber.climb(call, self._caller.whole)
            call.draft = text_of(as_chat(call, good).body)
        except Escalated as end:
            return await self._finisher.escalated(call, end.failure, self._escalations)
        except End as end:
            failure = end.failure
            if isinstance(end, UseCached):
                call.draft = text_of(call.surface.chat_answer(end.cached.body, call.surface.format))
        except Refused as refused:
            failure = refused.failure
        self._caller.board.vet_answer(call)
        if not await self._climber.handed_over(call, failure, ASSIST if call.kill else DRAFTS):
            return await self._no_room(call)
        return await self._finisher.escalated(call, failure, self._escalations)

    async def _no_room(self, call: Call) -> Response | StreamResponse:
        assert call.serving is not None
        if not call.kill:
            return await self._bypass.take(call, "bypassed", NO_ROOM.format(call.serving.name))
        force = self._caller.board.halting(call) or Force("assist", ("control",), call.ts, cut=False)
        call.kill = "off"
        return await self._bypass.take(call, CODE, why(call, force), "off")
