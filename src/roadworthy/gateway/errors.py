"""What a caller reads when it gets no answer: one JSON shape, stable codes, the OpenAI error types.

A ``Refused`` is raised before an inference has begun (authentication, body, resolution, prompt rules) and by the
answer itself when the ladder has nothing left.  Every non-2xx says ``x-should-retry: false``: the ladder has
already tried, and a client that tried again would multiply the load.
"""

from __future__ import annotations

import msgspec

from roadworthy.fallback.words import FAILED, NO_STEP_LEFT
from roadworthy.gateway.messages import Headers
from roadworthy.workflow.inference import Failure, Outcome

_TYPES: dict[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


LONGEST_WAIT = 86_400.0
"""Seconds: the most that a caller is told to wait because its provider says so."""


def error_type(status: int) -> str:
    """OpenAI's error type for a status."""
    return _TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")


class Refused(Exception):
    """The caller gets an error instead of an answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        outcome: Outcome = "error",
        failure: Failure | None = None,
        retry_after: float | None = None,
        headers: Headers | None = None,
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.outcome: Outcome = outcome
        self.failure: Failure | None = failure
        self.retry_after = retry_after
        """Seconds, sent as ``retry-after`` (rounded up)."""
        self.headers = headers or []


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str


class _Body(msgspec.Struct, omit_defaults=True):
    error: _Error
    roadworthy: msgspec.Raw | None = None


def error_body(refused: Refused, roadworthy: bytes | None = None) -> bytes:
    """``{"error": {message, type, param, code}, "roadworthy": {…}}``."""
    error = _Error(refused.message, error_type(refused.status), refused.param, refused.code)
    return msgspec.json.encode(_Body(error, None if roadworthy is None else msgspec.Raw(roadworthy)))


def error_headers(refused: Refused) -> Headers:
    headers: Headers = [(b"content-type", b"application/json"), (b"x-should-retry", b"false")]
    if refused.retry_after is not None:
        headers.append((b"retry-after", str(max(1, -int(-refused.retry_after // 1))).encode()))
    headers += refused.headers
    return headers


def limited(failure: Failure, detail: str, retry_after: float | None) -> Refused:
    """The 429 of a call that our own limits or budgets keep from being answered.  ``failure`` is its code."""
    return Refused(
        429,
        failure,
        f"{detail[:1].upper()}{detail[1:].rstrip('.')}.",
        outcome="limited",
        failure=failure,
        retry_after=retry_after,
    )


def failed(
    failure: Failure, detail: str, *, status: int | None, message: str, param: str | None, retry_after: float | None
) -> Refused:
    """The error of an inference whose ladder has nothing left.

    ``bad_request`` and ``context_length`` carry the provider's own 4xx status and message, for the caller must
    mend its request; everything else is 503 with our words.
    """
    if failure == "bad_request" or failure == "context_length":
        code = "bad_request" if failure == "bad_request" else "context_length_exceeded"
        shown = status if status is not None and 400 <= status < 500 else 400
        return Refused(shown, code, message or detail, param=param, failure=failure)
    if retry_after is not None:
        retry_after = min(retry_after, LONGEST_WAIT)
    why = "" if failure == "unsafe" else f" ({detail})"  # which rule an answer broke is for its owners to read
    return Refused(
        503,
        failure,
        f"{FAILED[failure]}, {NO_STEP_LEFT}{why}.",
        failure=failure,
        retry_after=retry_after,
    )
