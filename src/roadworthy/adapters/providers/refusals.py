"""What providers say when they refuse, in our words: one place for every OpenAI-like dialect.

Providers agree on the status line and on little else.  ``read`` finds message, type, code and param in the known
shapes; ``refusal`` decides the failure.  Its ``detail`` quotes a provider's message only where the message is about
the service: the messages of 400 and 422 may quote the prompt, so they go to the caller (``message``) alone.
"""

from __future__ import annotations

import email.utils
import math
import re
from typing import Any

import msgspec

from roadworthy.gateway.ports import Headers, Unusable
from roadworthy.workflow.inference import Failure

_CONTEXT = re.compile(
    r"context.{0,3}length|maximum context|context (?:size|window|limit)|maximum prompt length|exceed_context_size"
    r"|input token count .{0,40}exceeds|prompt is too long|too many (?:input )?tokens|reduce the length of"
    r"|tokens \+ `?max_new_tokens|input is too long|prompt contains \d+ tokens",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content_filter|content_policy_violation|ResponsibleAIPolicy|content management policy|PROHIBITED_CONTENT"
    r"|safety system|moderation_blocked|flagged by|content filtering policy",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient_quota|billing_hard_limit|credit balance|credits are depleted"
    r"|exceeded your current quota, please check your plan",
    re.IGNORECASE,
)
_WRONG_SETUP = re.compile(
    r"api[ _]key not valid|API_KEY_INVALID|FAILED_PRECONDITION|invalid api key|invalid model\b|not a valid model"
    r"|unknown model"
    r"|model_not_found|model [`'\"]?[^ ]+ (?:not found|does not exist|is not supported)",
    re.IGNORECASE,
)
_SPENT = re.compile(r"limit: 0\b|credits are depleted", re.IGNORECASE)
"""Google says the same of a minute's quota, which comes back, and of a plan's; these words tell the latter."""
_SECRET = re.compile(
    r"\b(?:sk|rk|pk|gsk|xai|key)[-_][-_A-Za-z0-9*.]{6,}|\bAIza\S{8,}|\bBearer\s+\S+|[-_A-Za-z0-9]{32,}", re.IGNORECASE
)
_HTML = re.compile(rb"^\s*<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading a hostile JSON body may raise (the last for 100,000 opening brackets)."""


def untranslatable(whom: str, error: Exception) -> Unusable:
    """A request that cannot be read as far as a translation must: nesting, or a number that no double can hold."""
    why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return Unusable.bad_request(f"the request cannot be translated for {whom}: {why}")


class Said(msgspec.Struct, frozen=True):
    """What a provider said in an error body; empty strings where it said nothing."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str | None = None
    retry_after: float | None = None
    """Seconds, where the body says so (Google's ``RetryInfo``)."""
    more: str = ""
    """Inner codes that help to tell the failure."""


def looks_like_html(body: bytes) -> bool:
    return _HTML.match(body[:200]) is not None


def header(headers: Headers, name: bytes) -> str | None:
    for key, value in headers:
        if key == name:
            return value.decode("latin-1").strip()
    return None


def scrub(text: str) -> str:
    """Without what looks like a key or an account id."""
    return _SECRET.sub("[hidden]", text)


def read(body: bytes) -> Said:
    """Find the error in the known dialects; an unreadable body is an empty ``Said``."""
    try:
        found = msgspec.json.decode(body)
    except UNREADABLE:
        return Said()
    if isinstance(found, list) and found:  # Gemini's compatible endpoint wraps its error in a list
        found = found[0]
    if not isinstance(found, dict):
        return Said()
    return said(found)


def said(found: dict[str, Any]) -> Said:
    """``{"error": {...}}``, ``{"error": "text"}`` (Ollama), ``{"message": ...}`` (Mistral) or ``{"detail": ...}``."""
    error = found.get("error", found)
    if isinstance(error, str):
        return Said(message=error)
    if not isinstance(error, dict):
        return Said()
    message = error.get("message", error.get("detail", ""))
    details = error.get("details")
    inner = error.get("innererror")
    return Said(
        message=message if isinstance(message, str) else _compact(message),
        type=_word(error.get("type") or error.get("status")),
        code=_word(error.get("code")),
        param=error["param"] if isinstance(error.get("param"), str) else _google_field(details),
        retry_after=_google_delay(details),
        more=_compact([details, inner]) if details or inner else "",
    )


def refusal(status: int, headers: Headers, body: bytes, *, now: float, request_id: str | None) -> Unusable:
    """A non-2xx answer in our words.  ``now``: Unix seconds, for a ``Retry-After`` date with no ``Date`` beside it."""
    html = looks_like_html(body)
    what = Said() if html else read(body)
    failure = failure_of(status, what)
    wait = retry_after(headers, now)
    return unusable(
        failure, status, what, html=html, retry_after=what.retry_after if wait is None else wait, request_id=request_id
    )


def failure_of(status: int, what: Said) -> Failure:
    """The failure that this status and these words mean."""
    text = f"{what.code} {what.type} {what.message} {what.more}"
    if status == 429 and what.type == "RESOURCE_EXHAUSTED":
        return "misconfigured" if _SPENT.search(text) else "overlimit"
    if status == 429 or status == 400:
        if _QUOTA.search(text):
            return "misconfigured"
        if status == 429:
            return "overlimit"
    if status in (400, 413, 422, 500):
        if _CONTEXT.search(text):
            return "context_length"
        if status != 500 and _FILTERED.search(text):
            return "refused"
    if status == 400 and _WRONG_SETUP.search(text):
        return "misconfigured"
    if status in (400, 413, 415, 422):
        return "bad_request"
    if (status >= 500 and status != 501) or status in (408, 409, 425, 499):
        return "unavailable"
    return "misconfigured"


def unusable(
    failure: Failure,
    status: int | None,
    what: Said,
    *,
    html: bool = False,
    retry_after: float | None = None,
    request_id: str | None = None,
) -> Unusable:
    words = ", ".join(word for word in (what.type, what.code, what.param) if word)
    detail = f"the provider answered {status}" if status else "the provider reported an error"
    if html:
        detail += " with an HTML page: something between here and the model answered"
    elif words:
        detail += f" ({words[:120]})"
    if status not in (400, 413, 422) and what.message:
        detail += f": {scrub(what.message)}"
    shown = failure in ("bad_request", "context_length")
    return Unusable(
        failure,
        detail,
        retry_after=retry_after,
        status=status if shown and status is not None and 400 <= status < 500 else (400 if shown else None),
        message=what.message[:2000] if shown else "",
        param=what.param,
        request_id=request_id,
    )


def retry_after(headers: Headers, now: float) -> float | None:
    """Seconds to wait: ``retry-after-ms``, else ``Retry-After`` as seconds or as a date (RFC 9110, 10.2.3).

    A date is read against the answer's own ``Date``, so a skewed clock does no harm.  However absurd, it is
    returned as it is: whoever has the deadline decides.
    """
    ms = _number(header(headers, b"retry-after-ms"))
    if ms is not None:
        return ms / 1000
    value = header(headers, b"retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    until, since = _date(value), _date(header(headers, b"date"))
    if until is None:
        return None
    return max(0.0, until - (now if since is None else since))


def _date(value: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(value).timestamp() if value else None
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value else math.nan
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _google_delay(details: Any) -> float | None:
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str):
            return _number(delay.removesuffix("s"))
    return None


def _google_field(details: Any) -> str | None:
    """The first field that Google's ``BadRequest`` names, by its own name (``generation_config.top_k``)."""
    for detail in details if isinstance(details, list) else ():
        violations = detail.get("fieldViolations") if isinstance(detail, dict) else None
        first = violations[0] if isinstance(violations, list) and violations else None
        if isinstance(first, dict) and isinstance(first.get("field"), str) and first["field"]:
            return str(first["field"])[:200]
    return None


def _word(value: Any) -> str:
    return str(value)[:80] if isinstance(value, str | int) else ""


def _compact(value: Any) -> str:
    return msgspec.json.encode(value).decode()[:2000] if value else ""
