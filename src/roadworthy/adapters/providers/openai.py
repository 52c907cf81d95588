"""Any OpenAI-compatible endpoint: OpenAI, Azure v1, Gemini's, Mistral, Groq, vLLM, Ollama, llama.cpp and ours.

The request's own bytes go out, ``model`` aside, and the answer's own bytes come back.  An answer is read as far
as ``openai_shape`` goes; what the provider adds stays in it.  A target that speaks Responses too is asked so by
callers of that format (``openai_responses``); one that speaks nothing else is asked so by all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import urlsplit

import msgspec

from roadworthy.adapters.providers import openai_responses as responses
from roadworthy.adapters.providers import openai_shape as shape
from roadworthy.adapters.providers import refusals
from roadworthy.adapters.providers.common import BaseWire, invalid, reported, split_events
from roadworthy.adapters.providers.openai_responses_chat import ResponsesAsChat
from roadworthy.adapters.providers.sse import EventSplitter
from roadworthy.formats.messages.marks import unmarked
from roadworthy.formats.model import Format, Inexpressible
from roadworthy.formats.responses import answer as responses_answer
from roadworthy.formats.responses import request as responses_request
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
from roadworthy.workflow.model import Target

_PATHS: dict[Operation, bytes] = {
    "chat": b"/chat/completions",
    "embeddings": b"/embeddings",
    "moderation": b"/moderations",
    "responses": b"/responses",
}
_encoder = msgspec.json.Encoder()

_PREFIXED = ("mistral.ai", "deepseek.com")
"""Hosts that go on with a last message of the assistant only where it says ``prefix: true`` (API references, "Prefix"
and "Chat prefix completion"), and refuse fields that they do not know."""

_MARKED = ("openrouter.ai", "aliyuncs.com")
"""Hosts that read ``cache_control`` on parts (documentation of OpenRouter and Model Studio, "Context cache"); others
cache by themselves, and OpenAI answers 400 to a field that it does not know."""

_GO_ON = {"add_generation_prompt": msgspec.Raw(b"false"), "continue_final_message": msgspec.Raw(b"true")}
"""What vLLM, SGLang and llama.cpp go by; servers that go on by themselves (Ollama, OpenRouter) leave it unread."""
_RESPONSES_TOO = ("openai.com", "openai.azure.com")
"""Hosts that serve Responses beside chat completions, and limit an answer by ``max_completion_tokens``; all others know
``max_tokens``, and many of them no other (Mistral refuses it, Ollama leaves it unread)."""

_UNSTORED = {"store": msgspec.Raw(b"false")}
"""OpenAI keeps what it is not told to forget; a caller of ours, who is promised that nothing is kept, need not say."""
_embeddings = msgspec.json.Decoder(shape.Embeddings)


class OpenAIWire(BaseWire):
    """One target's wire (see ``gateway.ports.Wire``)."""

    def __init__(
        self, target: Target, base: bytes, secret: str | None, *, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(target, base, secret, now=now)
        self._replaced = {} if target.model == ANY_MODEL else {"model": msgspec.Raw(_encoder.encode(target.model))}
        self._replaced_natively = {**_UNSTORED, **self._replaced}
        host = urlsplit(target.endpoint or "").hostname or ""
        self._prefixed = _is_of(host, _PREFIXED)
        self._reads_marks = _is_of(host, _MARKED)
        self._limits_all = _is_of(host, _RESPONSES_TOO)
        self.speaks = _spoken(target, host)
        self._chats = "chat" in self.speaks
        self._paths = {operation: self._base + path for operation, path in _PATHS.items()}

    def encode(self, operation: Operation, fields: Fields, *, stream: bool, forwarded: Headers = ()) -> Outgoing:
        replaced = self._replaced
        if operation == "responses":
            replaced = self._replaced_natively
        elif operation == "chat" and not self._chats:
            operation, fields = "responses", self._as_responses(fields, stream)
        return Outgoing(self._paths[operation], self._fixed_headers(), _encoder.encode({**fields, **replaced}))

    def adapted(self, fields: Fields, surface: Format) -> Fields:
        if surface == "messages" and not self._reads_marks:  # its clients set them unasked
            fields = unmarked(fields)
        if self._chats and not self._limits_all and "max_completion_tokens" in fields and "max_tokens" not in fields:
            fields = {**fields, "max_tokens": fields["max_completion_tokens"]}
            del fields["max_completion_tokens"]
        return fields

    def _as_responses(self, fields: Fields, stream: bool) -> Fields:
        model = msgspec.json.decode({**fields, **self._replaced}["model"])
        try:
            return responses_request.from_chat(fields, model=model, stream=stream)
        except Inexpressible as error:
            raise Unusable.bad_request(str(error), error.param) from None
        except refusals.UNREADABLE as error:
            raise refusals.untranslatable("the Responses API", error) from None

    def answer(self, operation: Operation, headers: Headers, body: bytes) -> Answer:
        request_id = self.request_id(headers)
        try:
            if operation == "embeddings":
                return _embedded(body, request_id)
            if operation != "responses" and self._chats:
                return _chatted(body, request_id)
            answer = responses.read(body, request_id)
            if operation == "chat":
                return msgspec.structs.replace(answer, body=responses_answer.to_chat(body), format="chat")
            return answer
        except refusals.UNREADABLE as error:
            raise invalid(body, error, request_id) from error

    def prefilled(self, fields: Fields, said: str) -> Fields:
        begun = {"role": "assistant", "content": said}
        if self._prefixed:
            return {**fields, "messages": with_messages(fields, {**begun, "prefix": True})}
        return {**fields, "messages": with_messages(fields, begun), **_GO_ON}

    def events(self, operation: Operation = "chat") -> EventReader:
        if operation == "responses":
            return responses.ResponsesEvents()
        return OpenAIEvents() if self._chats else ResponsesAsChat(int(self._now()))


def _spoken(target: Target, host: str) -> frozenset[Format]:
    told: list[Format] = [known for known in target.capabilities.surfaces or () if known != "messages"]
    if told:
        return frozenset(told)
    return frozenset({"chat", "responses"} if _is_of(host, _RESPONSES_TOO) else {"chat"})


def _is_of(host: str, known: tuple[str, ...]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in known)


def _chatted(body: bytes, request_id: str | None) -> Answer:
    found = shape.read(body)
    if found.choices is None:
        _raise_reported(found.error, request_id)
        raise msgspec.ValidationError("no `choices`")
    empty, refused = True, False
    for choice in found.choices:
        message = choice.message
        if message is None:
            continue
        if message.refusal:
            refused = True
        blank = isinstance(message.content, str) and says_nothing(message.content)
        if shape.carries(message) and not (blank and not message.tool_calls and not message.function_call):
            empty = False
    return Answer(
        body=body,
        tokens=shape.tokens_of(found.usage),
        model=found.model,
        request_id=request_id,
        finishes=tuple([choice.finish_reason or None for choice in found.choices]),
        empty=empty and not refused,
        refused=refused,
    )


def _embedded(body: bytes, request_id: str | None) -> Answer:
    found = _embeddings.decode(body)
    if found.data is None:
        _raise_reported(found.error, request_id)
        raise msgspec.ValidationError("no `data`")
    return Answer(
        body=body,
        tokens=shape.tokens_of(found.usage),
        model=found.model,
        request_id=request_id,
        finishes=("stop",) * len(found.data),
        empty=not found.data,
    )


def _raise_reported(error: Any, request_id: str | None) -> None:
    if error is not None:
        raise reported(error, request_id)


_PADDED = (b'"obfuscation":"', b'"obfuscation": "')


def told_twice(event: bytes) -> bool:
    """Is an event that is the same as the one before it that one again, and not the same word once more?"""
    return any(padding in event for padding in _PADDED)


def went_on(index: int, finished: Collection[int]) -> bool:
    """Does a choice go on that its provider has ended?"""
    return index in finished


class OpenAIEvents:
    """Reads ``chat.completion.chunk`` events (see ``gateway.ports.EventReader``).

    A malformed chunk, text after a choice's finish and an ``error`` event end the reading with ``failed``; chunks
    before it are returned.  A finish that is told twice counts once; nothing counts after ``[DONE]``.

    A chunk that came twice can be told from a word that was said twice only where the provider pads every chunk with
    random text (OpenAI's ``obfuscation``): then it is left out.  The protocol numbers nothing, so a loss or a change of
    order inside the text of one choice cannot be noticed.
    """

    def __init__(self) -> None:
        self.done = False
        self.failed: Unusable | None = None
        self.request_id: str | None = None
        self._splitter = EventSplitter()
        self._finished: set[int] = set()
        self._last = b""

    def feed(self, data: bytes) -> list[Chunk]:
        if self.done or self.failed is not None:
            return []
        events = split_events(self._splitter, data)
        chunks: list[Chunk] = []
        for event in events:
            if event == b"[DONE]":
                self.done = True
                break
            if event == self._last and told_twice(event):
                continue
            self._last = event
            chunk = self._chunk(event)
            if chunk is None:
                break
            chunks.append(chunk)
        else:
            if 0 < self._splitter.size < 20 and self._splitter.rest.strip() == b"data: [DONE]":
                self.done = True  # some servers leave out the last empty line
        return chunks

    def _chunk(self, data: bytes) -> Chunk | None:
        """``None``: reading ends here, ``failed`` says why."""
        try:
            found = shape.read(data)
            if found.choices is None and found.usage is None and found.error is None:
                raise msgspec.ValidationError("no `choices`")
        except refusals.UNREADABLE as error:
            if data.strip() == b"[DONE]":
                self.done = True
                return None
            what = "of another shape" if isinstance(error, msgspec.ValidationError) else "that is not JSON"
            self.failed = Unusable("invalid", f"the provider sent a stream event {what}")
            return None
        choices = found.choices
        if choices is not None and len(choices) == 1 and found.usage is None and found.error is None:
            choice = choices[0]
            delta = choice.delta
            if (  # a token of text, as most chunks are
                delta is not None
                and delta.content
                and choice.finish_reason is None
                and delta.refusal is None
                and not self._finished
                and b"\n" not in data
            ):
                return Chunk(data, True, model=found.model, plain=True)
        if found.error is not None:
            self.failed = reported(found.error, self.request_id)
            return None
        return self._judge(data if b"\n" not in data else msgspec.json.format(data, indent=-1), found)

    def _judge(self, data: bytes, found: shape.Body) -> Chunk | None:
        usage = found.usage or (found.x_groq.usage if found.x_groq is not None else None)
        text = refused = role = reasons = False
        finishes: tuple[tuple[int, str], ...] = ()
        for choice in found.choices or ():
            delta = choice.delta
            if delta is not None:
                speaks = shape.carries(delta)
                if delta.refusal:
                    refused = speaks = True
                if speaks:
                    text = True
                    if went_on(choice.index, self._finished):
                        self.failed = Unusable("invalid", "the provider went on after the end of a choice")
                        return None
                if delta.reasoning_content or delta.reasoning:
                    reasons = True
                if delta.role:
                    role = True
            if choice.finish_reason and choice.index not in self._finished:
                self._finished.add(choice.index)
                finishes += ((choice.index, choice.finish_reason),)
        return Chunk(
            data=data,
            text=text,
            refused=refused,
            finishes=finishes,
            tokens=shape.tokens_of(usage) if usage is not None else None,
            model=found.model,
            usage=usage is not None,
            usage_only=usage is not None and not (text or role or reasons or finishes),
            reasons=reasons,
        )
