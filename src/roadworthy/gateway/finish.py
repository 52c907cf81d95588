"""The end of an inference: its record is journalled and counted before the caller reads the last byte."""

from __future__ import annotations

from roadworthy.formats.model import spliced
from roadworthy.gateway.admission.prompting import schema_of_caller
from roadworthy.gateway.answers.cache import AnswerCache, Cached
from roadworthy.gateway.answers.canned import CannedAnswer
from roadworthy.gateway.answers.escalations import Escalations
from roadworthy.gateway.call import Call, answer_headers, roadworthy_object
from roadworthy.gateway.counters import Counters
from roadworthy.gateway.errors import Refused, error_headers
from roadworthy.gateway.journal import Journal
from roadworthy.gateway.limits.purses import Purses
from roadworthy.gateway.messages import Headers, Response, StreamResponse
from roadworthy.gateway.ports import Answer, Clock
from roadworthy.workflow.inference import Failure, Inference, Outcome

JSON: Headers = [(b"content-type", b"application/json")]
MOST_CANNED_CHOICES = 128
JSON_REPAIRED = "json_repaired"
"""Note on an answer that was mended; its outcome is ``recovered``."""
EVENT_STREAM: Headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]


class Finisher:
    """Writes records and shapes answers."""

    def __init__(
        self, journal: Journal, counters: Counters, purses: Purses, cache: AnswerCache, clock: Clock, worker: str
    ) -> None:
        self._journal = journal
        self._counters = counters
        self._purses = purses
        self._cache = cache
        self._clock = clock
        self._worker = worker
        self.cutting = False
        """Calls that end without an answer are cut by us, not left by their clients."""

    def record(
        self,
        call: Call,
        outcome: Outcome,
        *,
        status: int = 200,
        failure: Failure | None = None,
        code: str = "",
        response: bytes | None = None,
    ) -> Inference:
        """Journal and count the inference.  Called exactly once for each."""
        if call.tab is not None:
            self._purses.close(call)
        record = call.record(
            outcome,
            self._clock.monotonic(),
            status=status,
            failure=failure,
            code=code,
            response=response,
            worker=self._worker,
        )
        call.recorded = True
        self._journal.end(record)
        self._counters.in_flight -= 1
        self._counters.count(record)
        serving = call.serving
        if serving is not None:
            if serving.handling.cache is not None and response is not None:
                self._cache.put(call, outcome, response, self._clock.monotonic())
            for attempt in call.attempts:
                quota = serving.targets[attempt.target].slots.quota
                if quota is not None and attempt.tokens is not None:
                    quota.spend(attempt.tokens.total)
        return record

    def answered(self, call: Call, answer: Answer) -> Response | StreamResponse:
        """A model's whole answer."""
        if answer.mended:
            call.notes = [*call.notes, JSON_REPAIRED]
        outcome, failure = served_outcome(call)
        body = call.surface.own_answer(call, answer.body, answer.format)
        return self.shaped(call, self.record(call, outcome, failure=failure, response=body), body)

    def shaped(self, call: Call, record: Inference, body: bytes) -> Response | StreamResponse:
        """200 with our headers and, unless the key opted out, our object; told as a stream if one was asked for.

        ``body``: as the caller reads it.
        """
        extension = roadworthy_object(record, call.serving, call.escalation) if call.key.key.body_object else None
        headers = answer_headers(call, record.outcome)
        if call.stream:
            recited = call.surface.recited(call.own, body, extension, usage=call.usage_asked)
            return StreamResponse(200, EVENT_STREAM + headers, recited)
        return Response(200, JSON + headers, body if extension is None else spliced(body, extension))

    def cached(self, call: Call, cached: Cached, failure: Failure | None) -> Response | StreamResponse:
        """The answer of an earlier call; it says how old it is."""
        call.cached_age, call.cached_from = cached.age, cached.inference
        return self.shaped(call, self.record(call, "cached", failure=failure, response=cached.body), cached.body)

    async def escalated(
        self, call: Call, failure: Failure | None, escalations: Escalations
    ) -> Response | StreamResponse:
        """The holding answer of a call that is in a human's hands, or that human's answer if the caller waits for it.

        The record is written before the wait and holds what the caller reads if nobody answers.
        """
        assert call.serving is not None
        assert call.serving.holding is not None
        body = self._told(call, call.serving.holding)
        record = self.record(call, "escalated", failure=failure, response=body)
        human = await escalations.answer(call)
        return self.shaped(call, record, body if human is None else call.surface.own_answer(call, human))

    def canned(
        self, call: Call, canned: CannedAnswer, outcome: Outcome, failure: Failure | None
    ) -> Response | StreamResponse:
        """An answer that no model wrote: canned or blocked text, a canned bypass."""
        body = self._told(call, canned)
        return self.shaped(call, self.record(call, outcome, failure=failure, response=body), body)

    def _told(self, call: Call, canned: CannedAnswer) -> bytes:
        """``canned`` in the shape that the caller expects."""
        serving = call.serving
        assert serving is not None
        body = canned.body(
            inference=call.id,
            created=int(call.ts),
            model=serving.name,
            choices=min(call.n, MOST_CANNED_CHOICES),
            structured=call.structured,
            asked=schema_of_caller(serving, call.asked()) if call.structured else None,
        )
        return call.surface.own_answer(call, body)

    def refused(self, call: Call, refused: Refused) -> Response:
        """An error for an authenticated caller, as an inference of its own."""
        record = self.record(
            call, refused.outcome, status=refused.status, failure=refused.failure, code=refused.code,
            response=call.surface.error(refused, None, call.id),
        )  # fmt: skip
        extension = roadworthy_object(record, call.serving) if call.key.key.body_object else None
        headers = error_headers(refused) + answer_headers(call, record.outcome)
        return Response(refused.status, headers, call.surface.error(refused, extension, call.id))

    def abandoned(self, call: Call, response: bytes | None = None) -> Inference:
        """The client left, or we cut the call as we stopped."""
        if self.cutting:
            if call.attempts:
                call.attempts[-1].detail = "the gateway stopped during the call"
            status = 200 if call.relayed else 0
            return self.record(
                call, "error", status=status, failure="gateway_lost", code="gateway_lost", response=response
            )
        return self.record(call, "abandoned", status=499, code="", response=response)


def served_outcome(call: Call) -> tuple[Outcome, Failure | None]:
    """(outcome, first failure) of a call that a model answered."""
    if call.history:
        return "recovered", call.first_failure
    good = call.good or call.attempts[-1]
    if good.step != "first":  # a hedge or a continuation
        return "recovered", call.attempts[0].failure
    if JSON_REPAIRED in call.notes:
        return "recovered", "invalid"
    return "answered", good.failure
