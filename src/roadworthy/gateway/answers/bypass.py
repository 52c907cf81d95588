"""The bypass: what a caller gets instead of the AI.

``app`` (the default) is a 503 with a code, so that the app takes its old path itself; a canned text is a 200; ``http``
passes the request on to the old path and its answer back.  A bypass is no error: its outcome is ``bypassed``, unless
the old path itself cannot be reached.  ``human`` hands the call to a human, outcome ``escalated``.  Where the queue has
no room, and for embeddings, which neither a text nor a human can give, the app takes its old path.
"""

from __future__ import annotations

from roadworthy.gateway.answers.escalations import Escalations
from roadworthy.gateway.call import Call, answer_headers
from roadworthy.gateway.climb import Climber
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.finish import Finisher
from roadworthy.gateway.messages import Headers, Response, StreamResponse
from roadworthy.gateway.ports import Upstream
from roadworthy.gateway.verdict import broken
from roadworthy.gateway.world import OldPath
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.messages import Clocks
from roadworthy.workflow.inference import Route

MAX_BODY = 32 * 1024 * 1024
_PASSED_ON = frozenset(
    {b"content-type", b"content-language", b"cache-control", b"content-encoding", b"retry-after", b"x-should-retry"}
)


class BypassTaker:
    """Takes the bypass that a workflow declares."""

    def __init__(self, upstream: Upstream, finisher: Finisher, climber: Climber, escalations: Escalations) -> None:
        self._upstream = upstream
        self._finisher = finisher
        self._climber = climber
        self._escalations = escalations

    async def take(self, call: Call, code: str, why: str, route: Route = "bypass") -> Response | StreamResponse:
        """``code`` and ``why`` are told to an app that takes its old path itself."""
        call.route = route
        serving = call.serving
        if serving is not None and serving.bypass_canned is not None and call.operation == "chat":
            return self._finisher.canned(call, serving.bypass_canned, "bypassed", None)
        if serving is not None and serving.old_path is not None:
            return await self._ask_old_path(call, serving.old_path)
        if serving is not None and serving.bypass.kind == "human" and await self._climber.handed_over(call, None, why):
            return await self._finisher.escalated(call, None, self._escalations)
        return self._finisher.refused(call, Refused(503, code, why, outcome="bypassed"))

    async def _ask_old_path(self, call: Call, old: OldPath) -> Response:
        assert call.serving is not None
        patience = call.serving.handling.deadline
        clocks = Clocks(min(5.0, patience), patience, patience, patience)
        try:
            reply = await self._upstream.fetch(
                old.origin, old.head(call.trace.header), call.request.body, clocks, max_body=MAX_BODY
            )
        except Http1Error as error:
            failure = broken(error)
            message = f"The old path of '{call.serving.name}' did not answer ({failure.detail})."
            return self._finisher.refused(call, Refused(503, "unavailable", message, failure=failure.failure))
        record = self._finisher.record(call, "bypassed", status=reply.status, response=None)
        headers: Headers = [pair for pair in reply.headers if pair[0] in _PASSED_ON]
        if reply.status >= 300 and not any(name == b"x-should-retry" for name, _ in headers):
            headers.append((b"x-should-retry", b"false"))
        return Response(reply.status, headers + answer_headers(call, record.outcome), reply.body)
