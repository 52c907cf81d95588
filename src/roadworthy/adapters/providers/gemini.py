"""Gemini's native API, at Google AI and at Vertex AI: answers and events in OpenAI's shape (requests:
``gemini_request``).

A stream has no terminal marker: it is whole when every choice has its ``finishReason`` and the body ends cleanly.
An error in mid-stream comes as an event, or as bare JSON between events.

Source: Gemini API reference (v1beta), "GenerateContentResponse", "Embeddings", "Troubleshooting"; Vertex AI reference
(v1); google-genai 3.4, ``types.py`` and ``_api_client.py``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from roadworthy.adapters.providers import gemini_shape as shape
from roadworthy.adapters.providers import refusals
from roadworthy.adapters.providers.common import BaseWire, chat_usage, invalid, reported, split_events
from roadworthy.adapters.providers.gemini_request import embedding, translate
from roadworthy.adapters.providers.openai import went_on
from roadworthy.adapters.providers.sse import EventSplitter
from roadworthy.formats.model import Inexpressible
from roadworthy.gateway.admission.body import with_messages
from roadworthy.gateway.ports import (
    ANY_MODEL,
    Answer,
    Chunk,
    EventReader,
    Fields,
    Headers,
    Operation,
    Outgoing,
    Unusable,
)
from roadworthy.gateway.verdict import says_nothing
from roadworthy.workflow.checks_of_targets import GEMINI_MODEL, gemini_auth, on_vertex
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Target

_LONGEST_ERROR = 64 * 1024
"""Bytes of bare JSON in a stream that may be an error."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class GeminiWire(BaseWire):
    """One target's wire (see ``gateway.ports.Wire``).

    ``mint``: an id for a function call that came without one.
    """

    def __init__(
        self,
        target: Target,
        base: bytes,
        secret: str | None,
        *,
        now: Callable[[], float] = time.time,
        mint: Callable[[], str] = lambda: f"call_{secrets.token_hex(12)}",
    ) -> None:
        self._vertex = on_vertex(target.endpoint)
        name, prefix = gemini_auth(target.endpoint)
        self._auth = (name.encode(), prefix)
        super().__init__(target, base, secret, now=now)
        self.speaks = frozenset(("chat",))
        self._mint = mint
        self._named = "" if target.model == ANY_MODEL else target.model
        """What an answer is told to come from that names no model."""

    def encode(self, operation: Operation, fields: Fields, *, stream: bool, forwarded: Headers = ()) -> Outgoing:
        model = self._model(fields)
        try:
            if operation == "chat":
                verb = b":streamGenerateContent?alt=sse" if stream else b":generateContent"
                body = translate(fields, model=model)
            elif operation == "embeddings" and not self._vertex:
                verb, body = b":batchEmbedContents", embedding(fields, model=model)
            else:
                where = "Vertex AI's native API" if operation == "embeddings" else "Gemini"
                raise Inexpressible("model", f"{where} has no {operation} here; use another target")
        except Inexpressible as error:
            raise Unusable.bad_request(str(error), error.param) from None
        except refusals.UNREADABLE as error:
            raise refusals.untranslatable("Gemini", error) from None
        return Outgoing(b"%b/%b%b" % (self._base, model.encode(), verb), self._fixed_headers(), _encode(body))

    def _model(self, fields: Fields) -> str:
        """``models/…``, as it stands in the path.  Raises ``Unusable`` for a name that could lead elsewhere."""
        model, asked = self._target.model, self._target.model == ANY_MODEL
        if asked:
            model = msgspec.json.decode(fields["model"])
        if not isinstance(model, str) or GEMINI_MODEL.fullmatch(model) is None:
            message = f"`model`: expected a Gemini model such as gemini-2.5-flash, found {str(model)[:80]!r}"
            if not asked:
                raise Unusable("misconfigured", f"target {self._target.name}: {message}")
            raise Unusable.bad_request(message, "model")
        return model if "/" in model else f"models/{model}"

    def answer(self, operation: Operation, headers: Headers, body: bytes) -> Answer:
        request_id = self.request_id(headers)
        try:
            if operation == "embeddings":
                return _embedded(shape.embeddings.decode(body), self._named, request_id)
            found = shape.response.decode(body)
            if found.error is not None:
                raise reported(found.error, request_id)
            if found.candidates is None and found.prompt_feedback is None:
                raise msgspec.ValidationError("no `candidates`")
        except refusals.UNREADABLE as error:
            raise invalid(body, error, request_id) from error
        return self._answer(found, request_id)

    def _answer(self, found: shape.Response, request_id: str | None) -> Answer:
        request_id = found.response_id or request_id
        candidates = shape.candidates_of(found)
        if any(one.finish_reason == shape.LOCKED_OUT for one in candidates):
            raise locked_out(request_id)
        said = [shape.said(one, self._mint) for one in candidates]
        finishes = tuple([shape.finish(one, each) for one, each in zip(candidates, said, strict=True)])
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", **shape.message(each)},
                "logprobs": shape.logprobs(one.logprobs_result),
                "finish_reason": finish,
            }
            for index, (one, each, finish) in enumerate(zip(candidates, said, finishes, strict=True))
        ]
        tokens = shape.tokens_of(found.usage_metadata)
        body = {
            "id": found.response_id or "",
            "object": "chat.completion",
            "created": int(self._now()),
            "model": found.model_version or self._named,
            "choices": choices,
        }
        if tokens is not None:
            body["usage"] = chat_usage(tokens)
        return Answer(
            body=_encode(body),
            tokens=tokens,
            model=found.model_version,
            request_id=request_id,
            finishes=finishes,
            empty=all(says_nothing(each.text) and not (each.calls or each.refusal) for each in said),
            refused=any(each.refusal for each in said),
        )

    def prefilled(self, fields: Fields, said: str) -> Fields:
        return {**fields, "messages": with_messages(fields, {"role": "assistant", "content": said})}

    def events(self, operation: Operation = "chat") -> EventReader:
        return GeminiEvents(int(self._now()), self._mint, self._named)


def locked_out(request_id: str | None) -> Unusable:
    detail = "Google limited or disabled the account for violations of its Prohibited Use Policy"
    return Unusable("misconfigured", detail, request_id=request_id)


def _embedded(found: shape.Embeddings, model: str, request_id: str | None) -> Answer:
    if found.error is not None:
        raise reported(found.error, request_id)
    if found.embeddings is None or any(not one.values for one in found.embeddings):
        raise msgspec.ValidationError("no `embeddings`")
    tokens = shape.tokens_of(found.usage_metadata)
    body: dict[str, Any] = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": one.values}
            for index, one in enumerate(found.embeddings)
        ],
        "model": model,
    }
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens.input, "total_tokens": tokens.input}
    return Answer(
        body=_encode(body),
        tokens=tokens,
        request_id=request_id,
        finishes=("stop",) * len(found.embeddings),
        empty=not found.embeddings,
        unpacked=True,
    )


class GeminiEvents:
    """Reads ``streamGenerateContent`` events into ``chat.completion.chunk`` (see ``gateway.ports.EventReader``)."""

    def __init__(self, created: int, mint: Callable[[], str], named: str) -> None:
        self.done = False
        self.failed: Unusable | None = None
        self.request_id: str | None = None
        self._splitter = EventSplitter(bare=True)
        self._mint = mint
        self._created = created
        self._named = named
        self._model: str | None = None
        self._calls: dict[int, int] = {}
        """Index of a choice that has begun → its calls so far."""
        self._finished: set[int] = set()

    def feed(self, data: bytes) -> list[Chunk]:
        if self.failed is not None:
            return []
        chunks: list[Chunk] = []
        for event in split_events(self._splitter, data):
            chunks += self._read(event)
            if self.failed is not None:
                return chunks
        if 0 < self._splitter.size <= _LONGEST_ERROR:
            self._look_for_error(self._splitter.rest.strip())
        return chunks

    def _look_for_error(self, rest: bytes) -> None:
        """An error that is the end of the body has no empty line behind it."""
        if rest[:1] not in (b"{", b"[") or rest[-1:] not in (b"}", b"]"):
            return
        try:
            found = _decode(rest)
        except refusals.UNREADABLE:
            return
        first = found[0] if isinstance(found, list) and found else found
        if isinstance(first, dict) and first.get("error") is not None:
            self.failed = reported(first["error"], self.request_id)

    def _read(self, event: bytes) -> list[Chunk]:
        """``failed`` is set where reading ends here."""
        if event.startswith(b"["):  # bare JSON: an error in a list
            event = event.strip()[1:-1]
        try:
            found = shape.response.decode(event)
        except refusals.UNREADABLE as error:
            what = "of another shape" if isinstance(error, msgspec.ValidationError) else "that is not JSON"
            self.failed = Unusable("invalid", f"the provider sent a stream event {what}")
            return []
        if found.error is not None:
            self.failed = reported(found.error, self.request_id)
            return []
        self.request_id = found.response_id or self.request_id
        self._model = found.model_version or self._model
        tokens = shape.tokens_of(found.usage_metadata)
        candidates = shape.candidates_of(found)
        chunks = [self._chunk(candidates, tokens)] if candidates else []
        if self.failed is None and tokens is not None and self._finished and len(self._finished) == len(self._calls):
            body = {**self._head(), "choices": [], "usage": chat_usage(tokens)}
            chunks.append(Chunk(_encode(body), tokens=tokens, usage=True, usage_only=True))
        return chunks

    def _chunk(self, candidates: Iterable[shape.Candidate], tokens: Tokens | None) -> Chunk:
        choices: list[dict[str, Any]] = []
        finishes: tuple[tuple[int, str], ...] = ()
        text = refused = reasons = False
        for one in candidates:
            index = one.index
            if one.finish_reason == shape.LOCKED_OUT:
                self.failed = locked_out(self.request_id)
            said = shape.said(one, self._mint)
            if (said.text or said.calls) and went_on(index, self._finished):
                self.failed = Unusable("invalid", "the provider went on after the end of a choice")
            delta = shape.delta(said, self._calls.get(index, 0))
            if index not in self._calls:
                delta = {"role": "assistant", **delta}
            self._calls[index] = before = self._calls.get(index, 0)
            self._calls[index] += len(said.calls)
            finish = shape.finish(one, said, called=before > 0) if index not in self._finished else None
            if finish is not None:
                self._finished.add(index)
                finishes += ((index, finish),)
            text = text or bool(said.text or said.calls or said.refusal)
            refused = refused or bool(said.refusal)
            reasons = reasons or bool(said.thoughts)
            logprobs = shape.logprobs(one.logprobs_result)
            choices.append({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish})
        return Chunk(
            _encode({**self._head(), "choices": choices}),
            text=text,
            refused=refused,
            finishes=finishes,
            tokens=tokens,
            model=self._model,
            reasons=reasons,
        )

    def _head(self) -> dict[str, Any]:
        ident, model = self.request_id or "", self._model or self._named
        return {"id": ident, "object": "chat.completion.chunk", "created": self._created, "model": model}
