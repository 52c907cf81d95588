"""Amazon Bedrock by its Converse API, signed with an AWS key (Signature Version 4) or with a Bedrock API key.

``POST /model/{modelId}/converse`` and ``/converse-stream``.  Requests: ``bedrock_request``; answers and events:
``bedrock_answer``; what a key may look like: ``bedrock_credentials``.

Source: Amazon Bedrock API reference, "Converse", "ConverseStream"; user guide, "Use an Amazon Bedrock API key".
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import msgspec

from roadworthy.adapters.providers import bedrock_refusals, refusals
from roadworthy.adapters.providers import bedrock_shape as shape
from roadworthy.adapters.providers.bedrock_answer import BedrockEvents, whole
from roadworthy.adapters.providers.bedrock_credentials import ApiKey, parse, region_of
from roadworthy.adapters.providers.bedrock_request import translate
from roadworthy.adapters.providers.common import BaseWire, invalid
from roadworthy.formats.model import Inexpressible
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
from roadworthy.http1.origin import Origin
from roadworthy.workflow.checks_of_targets import BEDROCK_MODEL
from roadworthy.workflow.model import Target

if TYPE_CHECKING:
    from roadworthy.adapters.providers.bedrock_signing import Signer

STREAM_TYPE = b"application/vnd.amazon.eventstream"
EXTRA = "pip install 'roadworthy[bedrock]'"
_encode = msgspec.json.Encoder().encode


class BedrockWire(BaseWire):
    """One target's wire (see ``gateway.ports.Wire``).

    ``now``: Unix seconds, by which requests are signed.  ``mint``: an id for an answer; Converse gives it none.
    """

    stream_type = STREAM_TYPE

    def __init__(
        self,
        target: Target,
        base: bytes,
        secret: str | None,
        *,
        now: Callable[[], float] = time.time,
        mint: Callable[[], str] = lambda: f"chatcmpl-{secrets.token_hex(12)}",
    ) -> None:
        self._signer: Signer | None = None
        self._expires: float | None = None
        why = ""
        try:
            bearer = self._credentials(target, secret)
        except ValueError as error:
            bearer, why = None, f"target {target.name}: {error}"
        super().__init__(target, base, bearer, now=now)
        self._broken = self._broken or why
        self.speaks = frozenset(("chat",))
        self._mint = mint

    def _credentials(self, target: Target, secret: str | None) -> str | None:
        """The bearer token, or ``None`` beside a signer.  Raises ``ValueError`` for what nobody can call with."""
        if target.endpoint is None:
            raise ValueError("has no endpoint; set https://bedrock-runtime.REGION.amazonaws.com")
        if secret is None or not secret.strip():
            raise ValueError("has no key; name one: a Bedrock API key, or an AWS access key")
        try:
            found = parse(secret)
        except ValueError as error:
            raise ValueError(f"its key {error}") from None
        if isinstance(found, ApiKey):
            return found.token
        host = urlsplit(target.endpoint).hostname or ""
        region = found.region or region_of(host, target.model)
        if region is None:
            raise ValueError(f"{host} names no region to sign for; write the key as JSON that holds one (region)")
        try:
            from roadworthy.adapters.providers.bedrock_signing import Signer
        except ImportError:
            raise ValueError(f"an AWS key signs by botocore, which is not installed here; run: {EXTRA}") from None
        origin = Origin.from_url(target.endpoint)
        authority = origin.authority.decode()
        self._signer = Signer(found, region, f"{origin.scheme}://{authority}", authority)
        self._expires = found.expires
        return None

    def encode(self, operation: Operation, fields: Fields, *, stream: bool, forwarded: Headers = ()) -> Outgoing:
        headers = self._fixed_headers()
        model = self._model(fields)
        try:
            if operation != "chat":
                raise Inexpressible("model", f"Bedrock's Converse has no {operation}; use another target")
            body = _encode(translate(fields, enforce_schema=self._target.capabilities.response_schema))
        except Inexpressible as error:
            raise Unusable.bad_request(str(error), error.param) from None
        except refusals.UNREADABLE as error:
            raise refusals.untranslatable("Bedrock", error) from None
        verb = b"converse-stream" if stream else b"converse"
        path = b"%b/model/%b/%b" % (self._base, quote(model, safe="-._~").encode(), verb)
        if self._signer is None:
            return Outgoing(path, headers, body)
        now = self._now()
        if self._expires is not None and now >= self._expires:
            raise Unusable("misconfigured", f"the key of target {self._target.name} has expired; put a new one there")
        return Outgoing(path, self._signer.sign(path, headers, body, now), body, signed=True)

    def _model(self, fields: Fields) -> str:
        """The ``modelId``.  Raises ``Unusable`` for a name that could lead elsewhere."""
        model, asked = self._target.model, self._target.model == ANY_MODEL
        if asked:
            model = msgspec.json.decode(fields["model"])
        if not isinstance(model, str) or BEDROCK_MODEL.fullmatch(model) is None:
            message = f"`model`: expected a model id, an inference profile or an ARN, found {str(model)[:80]!r}"
            if not asked:
                raise Unusable("misconfigured", f"target {self._target.name}: {message}")
            raise Unusable.bad_request(message, "model")
        return model

    def answer(self, operation: Operation, headers: Headers, body: bytes) -> Answer:
        request_id = self.request_id(headers)
        try:
            found = shape.response.decode(body)
            if found.output.message is None:
                raise msgspec.ValidationError("no `output.message`")
        except refusals.UNREADABLE as error:
            raise invalid(body, error, request_id) from error
        return whole(found, found.output.message.content, self._head(), request_id)

    def refusal(self, status: int, headers: Headers, body: bytes) -> Unusable:
        return bedrock_refusals.refusal(status, headers, body, now=self._now(), request_id=self.request_id(headers))

    def prefilled(self, fields: Fields, said: str) -> Fields:
        return {**fields, "messages": with_messages(fields, {"role": "assistant", "content": said})}

    def events(self, operation: Operation = "chat") -> EventReader:
        return BedrockEvents(self._head())

    def _head(self) -> dict[str, Any]:
        """Converse names no model; the target's is told, or nobody's where it serves whatever is asked for."""
        model = self._target.model
        return {"id": self._mint(), "created": int(self._now()), "model": "bedrock" if model == ANY_MODEL else model}
