"""What every wire shares: its fixed headers, the mapping of refusals, and words for an answer that is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from roadworthy.adapters.providers import refusals
from roadworthy.adapters.providers.sse import EventSplitter, EventTooLarge
from roadworthy.formats import chat
from roadworthy.formats.model import Format
from roadworthy.gateway.ports import Fields, Headers, Outgoing, Unusable
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Target

_REQUEST_IDS = (b"x-request-id", b"apim-request-id", b"request-id", b"x-amzn-requestid", b"cf-ray")
"""Headers; the first of them that a provider sends counts."""

_STATUSES = {"rate_limit": 429, "overloaded": 529, "invalid_request": 400, "authentication": 401, "permission": 403}


class BaseWire:
    """``auth``: under which header and prefix the secret goes.

    ``now``: Unix seconds, read only for ``Retry-After`` dates without a ``Date`` beside them.
    """

    _auth: tuple[bytes, str] = (b"authorization", "Bearer ")
    stream_type = b"text/event-stream"

    def __init__(
        self, target: Target, base: bytes, secret: str | None, *, now: Callable[[], float] = time.time
    ) -> None:
        self._target = target
        self._base = base.rstrip(b"/")
        self._now = now
        self.speaks: frozenset[Format] = frozenset(target.capabilities.surfaces or ("chat",))
        self._headers, self._broken = request_headers(target, self._auth, secret, self.stream_type)

    @property
    def problem(self) -> str:
        """What keeps it from being called at all; empty: nothing."""
        return self._broken

    def _fixed_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Raises ``Unusable`` (``misconfigured``) when key or headers cannot be sent."""
        if self._broken:
            raise Unusable("misconfigured", self._broken)
        return self._headers

    def adapted(self, fields: Fields, surface: Format) -> Fields:
        return fields

    def counting(self, fields: Fields, forwarded: Headers = ()) -> Outgoing | None:
        return None

    def refusal(self, status: int, headers: Headers, body: bytes) -> Unusable:
        return refusals.refusal(status, headers, body, now=self._now(), request_id=self.request_id(headers))

    def request_id(self, headers: Headers) -> str | None:
        sent = dict(headers)
        for name in _REQUEST_IDS:
            if name in sent:
                return sent[name].decode("latin-1").strip() or None
        return None


def request_headers(
    target: Target, auth: tuple[bytes, str], secret: str | None, stream_type: bytes
) -> tuple[tuple[tuple[bytes, bytes], ...], str]:
    """Headers of every request (content type, the secret, the target's own), and what is wrong with them.

    A line end in a key or header would let it write headers of its own.
    """
    values = {b"content-type": "application/json", b"accept": f"application/json, {stream_type.decode()}"}
    if secret is not None and secret.strip():
        values[auth[0]] = auth[1] + secret.strip()
    values.update({name.lower().encode(): value for name, value in target.headers.items()})
    for name, value in values.items():
        if not value.isprintable() or not value.isascii():
            what = "key" if secret and secret.strip() in value else f"header {name.decode()}"
            return (), f"the {what} of target {target.name} holds a character that no HTTP header may hold"
    return tuple((name, value.encode()) for name, value in values.items()), ""


def invalid(body: bytes, error: Exception, request_id: str | None) -> Unusable:
    """A 2xx answer that is not what the API promises."""
    if not body.strip():
        what = "an empty body"
    elif refusals.looks_like_html(body):
        what = "an HTML page"
    elif isinstance(error, msgspec.ValidationError):
        what = f"JSON of another shape ({error})"
    else:
        what = "a body that is not JSON"
    return Unusable("invalid", f"the provider answered 200 with {what}", request_id=request_id)


def chat_usage(tokens: Tokens) -> dict[str, Any]:
    """``usage`` as a chat completion tells it."""
    return chat.usage(
        prompt=tokens.input + tokens.cache_read + tokens.cache_write, completion=tokens.output,
        cached=tokens.cache_read, written=tokens.cache_write, reasoning=tokens.reasoning,
    )  # fmt: skip


def split_events(splitter: EventSplitter, data: bytes) -> list[bytes]:
    """Data of the events that these bytes complete.

    Raises ``Unusable`` (``invalid``) for what is no event stream and for an event that is too large.
    """
    if not splitter.started:
        expect_events(data)
    try:
        return splitter.feed(data)
    except EventTooLarge as error:
        raise Unusable("invalid", "the provider sent one stream event of more than 4 MiB") from error


def expect_events(start: bytes) -> None:
    """Look at the first bytes of what should be an event stream.  Raises ``Unusable`` for a page or a JSON body."""
    first = start.lstrip()[:1]
    if first in (b"{", b"["):
        try:
            found = msgspec.json.decode(start)
        except refusals.UNREADABLE:
            found = None
        if isinstance(found, list) and found:  # Google's errors come in a list
            found = found[0]
        if isinstance(found, dict) and found.get("error") is not None:
            raise reported(found["error"], None)
    if first in (b"<", b"{", b"["):
        what = "an HTML page" if first == b"<" else "a JSON body"
        raise Unusable("invalid", f"the provider answered a call for a stream with {what}")


def reported(error: Any, request_id: str | None) -> Unusable:
    """An error that came with status 200, in a body or in a stream."""
    what = refusals.said({"error": error})
    status = int(what.code) if what.code.isdigit() and 400 <= int(what.code) < 600 else None
    failure = refusals.failure_of(status or _status_of(what), what)
    return refusals.unusable(failure, status, what, retry_after=what.retry_after, request_id=request_id)


def _status_of(what: refusals.Said) -> int:
    words = f"{what.type} {what.code}".lower()
    return next((status for word, status in _STATUSES.items() if word in words), 500)
