"""What Bedrock says when it refuses, in our words.  The kind of an error is in a header, its message in the body.

Source: Amazon Bedrock API reference, "Converse" and "ConverseStream", "Errors"; "Common errors".
"""

from __future__ import annotations

import re

from roadworthy.adapters.providers import refusals
from roadworthy.gateway.ports import Headers, Unusable
from roadworthy.workflow.inference import Failure

_KINDS: dict[str, Failure] = {
    "throttlingexception": "overlimit",
    "toomanyrequestsexception": "overlimit",
    "servicequotaexceededexception": "overlimit",
    "modelnotreadyexception": "unavailable",
    "modelerrorexception": "unavailable",
    "modelstreamerrorexception": "unavailable",
    "modeltimeoutexception": "unavailable",
    "internalserverexception": "unavailable",
    "internalfailure": "unavailable",
    "serviceunavailableexception": "unavailable",
    "accessdeniedexception": "misconfigured",
    "expiredtokenexception": "misconfigured",
    "incompletesignature": "misconfigured",
    "incompletesignatureexception": "misconfigured",
    "invalidsignatureexception": "misconfigured",
    "missingauthenticationtokenexception": "misconfigured",
    "resourcenotfoundexception": "misconfigured",
    "unrecognizedclientexception": "misconfigured",
}
_WRONG_MODEL = re.compile(
    r"model identifier is invalid|on-demand throughput isn.t supported|not authorized to (?:invoke|perform)"
    r"|access to this model|operation not allowed|end of its life|doesn.t support (?:the model|converse)",
    re.IGNORECASE,
)
_MESSAGE = re.compile(rb'^\s*\{\s*"Message"')
"""IAM writes it large."""


def refusal(status: int, headers: Headers, body: bytes, *, now: float, request_id: str | None) -> Unusable:
    """A non-2xx answer.  ``now``: Unix seconds."""
    html = refusals.looks_like_html(body)
    said = refusals.Said() if html else refusals.read(_MESSAGE.sub(b'{"message"', body, count=1))
    kind = (refusals.header(headers, b"x-amzn-errortype") or "").partition(":")[0].rpartition("#")[2]
    what = refusals.Said(message=said.message, type=kind[:80], code=said.code)
    return refusals.unusable(
        _failure(kind, status, what), status, what, html=html, retry_after=refusals.retry_after(headers, now),
        request_id=request_id,
    )  # fmt: skip


def refused_inside(headers: dict[bytes, bytes], message: str) -> Unusable | None:
    """An exception that came as an event of a stream; ``None``: this event is none."""
    how = headers.get(b":message-type", b"event")
    if how == b"event":
        return None
    if how == b"exception":
        kind = headers.get(b":exception-type", b"")
    else:  # ``error``: one that the model of the service does not know
        kind, message = headers.get(b":error-code", b""), headers.get(b":error-message", b"").decode("utf-8", "replace")
    name = kind.decode("utf-8", "replace")[:80]
    what = refusals.Said(message=message, type=name)
    # the message of a validation may quote the prompt: with 400, only the caller is shown it
    status = 400 if name.lower() == "validationexception" else None
    return refusals.unusable(_failure(name, status or 500, what), status, what)


def _failure(kind: str, status: int, what: refusals.Said) -> Failure:
    known = _KINDS.get(kind.lower())
    if known is not None:
        return known
    if status == 400 and _WRONG_MODEL.search(what.message):
        return "misconfigured"
    return refusals.failure_of(status, what)
