"""In which wire format a drill's provider answers: the one in which it was asked.  Pure.

A fault is written in the words of chat completions.  Where the target speaks another format the same is said by the
translators of ``formats``; what a provider says by itself, its errors and its counts, is put in here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from roadworthy.fallback.drills.model import Wire
from roadworthy.formats.messages import answer as messages_answer
from roadworthy.formats.messages import events as messages_events
from roadworthy.formats.messages import request as messages_request
from roadworthy.formats.messages import upstream
from roadworthy.formats.model import Fields, Format, Inexpressible, Teller
from roadworthy.formats.responses import answer as responses_answer
from roadworthy.formats.responses import events as responses_events
from roadworthy.formats.responses import request as responses_request
from roadworthy.workflow.model import ProviderKind, Target

Json = dict[str, Any]

_SPOKEN: frozenset[ProviderKind] = frozenset({"openai", "anthropic", "local", "simulated"})
"""Providers whose own wire the misbehaving servers speak."""
_TOLD = frozenset({"id", "object", "created", "model", "choices", "usage"})
"""Members of a chat answer that a translator goes by."""
_NAMED = {"context_length_exceeded": "context_length", "content_filter": "content_filter"}
"""OpenAI's code → what a provider of Messages says instead (``upstream.WORDS``)."""

_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(Fields)


def spoken_to(target: Target) -> Target:
    """A target as a drill's lane asks what stands for it: by its own wire, or by OpenAI's where nobody here speaks
    its own."""
    if target.provider in _SPOKEN:
        return target
    plain = msgspec.structs.replace(target.capabilities, surfaces=None)
    return msgspec.structs.replace(target, provider="openai", capabilities=plain)


def played(target: Target) -> Wire:
    """By which wire the answers of what stands for a target are read."""
    return Wire(target.provider, _asked_in(target), target.provider in _SPOKEN)


def _asked_in(target: Target) -> Format:
    if target.provider == "anthropic":
        return "messages"
    told = spoken_to(target).capabilities.surfaces or ["chat"]
    if "chat" in told or target.provider == "local":
        return "chat"
    if "responses" in told:
        return "responses"
    return "messages" if target.provider == "simulated" else "chat"


class Speech(Protocol):
    """One answer in one format."""

    format: Format
    asked: Json
    """The request, as a chat completion's."""

    def whole(self, completion: Json) -> Json:
        """A ``chat.completion`` (a member that is missing is not told)."""
        ...

    def chunk(self, chunk: Json) -> bytes:
        """Events for a ``chat.completion.chunk``; empty where it says nothing in this format."""
        ...

    def ending(self, finish: Json, usage: Mapping[str, Any] | None) -> list[bytes]:
        """The events that end a stream: ``finish`` is the chunk with the finish reason.  The last one is the marker
        of the end."""
        ...

    def failure(self, message: str) -> bytes:
        """The event of an error after status 200."""
        ...

    def refusal(self, status: int, message: str, code: str | None, more: Mapping[str, Any]) -> Json:
        """The body of an error.  ``more``: members of its own that OpenAI's has."""
        ...


class ChatSpeech:
    """OpenAI's chat completions, embeddings and moderations."""

    format: Format = "chat"

    def __init__(self, raw: bytes) -> None:
        self.asked = _decoded(raw)

    def whole(self, completion: Json) -> Json:
        return completion

    def chunk(self, chunk: Json) -> bytes:
        return event(chunk)

    def ending(self, finish: Json, usage: Mapping[str, Any] | None) -> list[bytes]:
        counted = [] if usage is None else [event({**finish, "choices": [], "usage": usage})]
        return [event(finish), *counted, event("[DONE]")]

    def failure(self, message: str) -> bytes:
        return event({"error": {"type": "server_error", "message": message}})

    def refusal(self, status: int, message: str, code: str | None, more: Mapping[str, Any]) -> Json:
        return {"error": {"message": message, "type": "api_error", "param": None, "code": code, **more}}


class TranslatedSpeech:
    """Responses or Messages."""

    def __init__(self, own: Format, raw: bytes, nonce: str, model: str) -> None:
        """``nonce``: the mark of the call, which the answer's id carries."""
        self.format = own
        self._ident = nonce
        self._model = model
        self._fields = _fields_of(raw)
        self.asked = self._as_chat(raw)
        if own == "messages":  # the translators, too, tell a refusal in ``stop_details`` alone where JSON was asked for
            self._fields.setdefault("output_config", msgspec.Raw(b'{"format":{}}'))
        self._made: Teller | None = None

    def whole(self, completion: Json) -> Json:
        of = messages_answer if self.format == "messages" else responses_answer
        body = _encode({name: value for name, value in completion.items() if name != "usage"})
        found = _decoded(of.from_chat(body, asked=self._fields, ident=self._ident, model=self._model))
        self._count(found, completion.get("usage"))
        return {**found, **_more(completion)}

    def chunk(self, chunk: Json) -> bytes:
        return b"".join(self._told(self._teller.chunk(_encode(chunk)), None, chunk))

    def ending(self, finish: Json, usage: Mapping[str, Any] | None) -> list[bytes]:
        return self._told(self._teller.end([_encode(finish)], None), usage, finish)

    def failure(self, message: str) -> bytes:
        if self.format == "messages":
            return _named(upstream.refusal(500, message))
        return _named({"type": "error", "code": "server_error", "message": message, "param": None})

    def refusal(self, status: int, message: str, code: str | None, more: Mapping[str, Any]) -> Json:
        if self.format == "messages":
            return upstream.refusal(status, upstream.WORDS.get(_NAMED.get(code or "", ""), message))
        return ChatSpeech.refusal(self, status, message, code, more)  # type: ignore[arg-type]

    @property
    def _teller(self) -> Teller:
        if self._made is None:
            of = messages_events if self.format == "messages" else responses_events
            self._made = of.Translating(self._fields, ident=self._ident, model=self._model, created=1_700_000_000)
        return self._made

    def _told(self, events: bytes, usage: Mapping[str, Any] | None, chunk: Json) -> list[bytes]:
        told = []
        for made in events.split(b"\n\n"):
            if made:
                found = _decoded(made.partition(b"data: ")[2])
                self._count(found, usage)
                told.append(_named({**found, **_more(chunk)}))
        return told

    def _count(self, found: Json, usage: Mapping[str, Any] | None) -> None:
        """Say this usage, however odd, wherever one is told; without one say nothing of it."""
        for holder in (found, found.get("message"), found.get("response")):
            if isinstance(holder, dict) and "usage" in holder:
                del holder["usage"]
                if usage is not None:
                    holder["usage"] = self._counts(usage)

    def _counts(self, usage: Mapping[str, Any]) -> Json:
        counts = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
        return counts if self.format == "messages" else {**counts, "total_tokens": usage["total_tokens"]}

    def _as_chat(self, raw: bytes) -> Json:
        of = messages_request if self.format == "messages" else responses_request
        try:
            return _decoded(_encode(of.to_chat(self._fields).fields))
        except Inexpressible:
            return _decoded(raw)


def speech_of(path: str, raw: bytes, nonce: str, model: str) -> Speech:
    """How a request to ``path`` is answered."""
    if path.endswith("/messages"):
        return TranslatedSpeech("messages", raw, nonce, model)
    if path.endswith("/responses"):
        return TranslatedSpeech("responses", raw, nonce, model)
    return ChatSpeech(raw)


def event(data: Mapping[str, Any] | Sequence[Any] | str) -> bytes:
    """One server-sent event of chat completions."""
    return b"data: %b\n\n" % (data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)).encode()


def _named(data: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(data.get("type")).encode(), _encode(data))


def _more(told: Json) -> Json:
    return {name: value for name, value in told.items() if name not in _TOLD}


def _decoded(raw: bytes) -> Json:
    try:
        return msgspec.json.decode(raw, type=Json)
    except msgspec.MsgspecError:
        return {}


def _fields_of(raw: bytes) -> Fields:
    try:
        return _fields.decode(raw)
    except msgspec.MsgspecError:
        return {}
