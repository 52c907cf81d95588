"""Anthropic's Messages API: spoken as it is to callers of its own format, translated for all others.

Source: Anthropic API reference, "Messages", "Streaming messages", "Errors" (api version 2023-06-01).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from roadworthy.adapters.providers import anthropic_native as native
from roadworthy.adapters.providers import refusals
from roadworthy.adapters.providers.anthropic_events import AnthropicEvents
from roadworthy.adapters.providers.common import BaseWire, invalid, reported
from roadworthy.formats.messages import answer as messages_answer
from roadworthy.formats.messages import counting
from roadworthy.formats.messages import request as messages_request
from roadworthy.formats.messages.usage import counts as counts_of
from roadworthy.formats.model import Format, Inexpressible
from roadworthy.gateway.admission.body import with_messages
from roadworthy.gateway.ports import (
    ANY_MODEL,
    Answer,
    EventReader,
    Fields,
    Headers,
    Operation,
    Outgoing,
    Unusable,
)
from roadworthy.gateway.verdict import says_nothing
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Target

API_VERSION = "2023-06-01"
LONGEST_FORWARDED = 2048
"""Characters of one header of a caller's that goes on."""
_NATIVE: tuple[Format, ...] = ("messages",)
_encode = msgspec.json.Encoder().encode


class AnthropicWire(BaseWire):
    """One target's wire (see ``gateway.ports.Wire``)."""

    _auth = (b"x-api-key", "")

    def __init__(
        self, target: Target, base: bytes, secret: str | None, *, now: Callable[[], float] = time.time
    ) -> None:
        headers = {"anthropic-version": API_VERSION, **{name.lower(): value for name, value in target.headers.items()}}
        super().__init__(msgspec.structs.replace(target, headers=headers), base, secret, now=now)
        self._said = frozenset(self._headers)
        told = target.capabilities.surfaces or _NATIVE
        self.speaks = frozenset(known for known in told if known != "responses")
        self._path = self._base + b"/messages"
        self._replaced = {} if target.model == ANY_MODEL else {"model": msgspec.Raw(_encode(target.model))}

    def encode(self, operation: Operation, fields: Fields, *, stream: bool, forwarded: Headers = ()) -> Outgoing:
        if operation == "messages":
            return self._native(self._path, {**fields, **self._replaced}, forwarded)
        if operation != "chat":
            raise Unusable.bad_request(f"Anthropic has no {operation}; use another target", "model")
        return Outgoing(self._path, self._fixed_headers(), _encode(self._translated(fields, stream)))

    def counting(self, fields: Fields, forwarded: Headers = ()) -> Outgoing | None:
        """The request that counts the input tokens of a Messages request."""
        return self._native(self._path + b"/count_tokens", {**counting.counted(fields), **self._replaced}, forwarded)

    def _native(self, path: bytes, fields: Fields, forwarded: Headers) -> Outgoing:
        fixed = self._fixed_headers()
        if self._said.issuperset(forwarded):  # as by the official clients
            return Outgoing(path, fixed, _encode(fields))
        headers = _with_forwarded(fixed, forwarded)
        return Outgoing(path, headers, _encode(fields), signed=headers != fixed)

    def _translated(self, fields: Fields, stream: bool) -> dict[str, Any]:
        model = msgspec.json.decode({**fields, **self._replaced}["model"])
        enforce = self._target.capabilities.response_schema
        try:
            return messages_request.from_chat(fields, model=model, stream=stream, enforce_schema=enforce)
        except Inexpressible as error:
            raise Unusable.bad_request(str(error), error.param) from None
        except refusals.UNREADABLE as error:
            raise refusals.untranslatable("Anthropic", error) from None

    def answer(self, operation: Operation, headers: Headers, body: bytes) -> Answer:
        request_id = self.request_id(headers)
        try:
            if operation == "messages":
                return native.read(body, request_id)
            found = messages_answer.read(body)
            if found.error is not None:
                raise reported(found.error, request_id)
            if found.content is None:
                raise msgspec.ValidationError("no `content`")
        except refusals.UNREADABLE as error:
            raise invalid(body, error, request_id) from error
        return _told(found, request_id, int(self._now()))

    def prefilled(self, fields: Fields, said: str) -> Fields:
        return {**fields, "messages": with_messages(fields, {"role": "assistant", "content": said})}

    def events(self, operation: Operation = "chat") -> EventReader:
        return native.NativeEvents() if operation == "messages" else AnthropicEvents(int(self._now()))


def _told(found: messages_answer.Message, request_id: str | None, created: int) -> Answer:
    counts = counts_of(found.usage)
    told = messages_answer.told(found, counts, created)
    return Answer(
        body=told.body,
        tokens=None if counts is None else Tokens(*counts),
        model=found.model,
        request_id=request_id,
        finishes=(told.finish,),
        empty=says_nothing(told.text) and not (told.calls or told.refused),
        refused=told.refused,
    )


def _with_forwarded(fixed: Headers, forwarded: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """The caller's version replaces ours; its betas are added to the target's own.

    Raises ``Unusable`` (``bad_request``) for what no header may hold: it could write headers of its own.
    """
    headers = dict(fixed)
    for name, value in forwarded:
        told = value.decode("latin-1")
        if not (told.isascii() and told.isprintable()) or len(told) > LONGEST_FORWARDED:
            raise Unusable.bad_request(
                f"the header {name.decode()} must be at most {LONGEST_FORWARDED} printable ASCII characters",
                name.decode(),
            )
        own = headers.get(name)
        headers[name] = b"%b,%b" % (own, value) if own and name == b"anthropic-beta" else value
    return tuple(headers.items())
