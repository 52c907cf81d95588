"""A simulated answer on the surfaces beside chat completions: the same answer in other words.  Pure.

It is made as chat completions and told by the translators of ``formats``; what is here is what a provider of such a
surface does by itself: its errors, its marks, its odd events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadworthy.adapters.providers.simulated_answer import Asked
from roadworthy.formats.messages import answer as messages_answer
from roadworthy.formats.messages import events as messages_events
from roadworthy.formats.messages import request as messages_request
from roadworthy.formats.messages import upstream
from roadworthy.formats.model import Fields, Format, Teller, Translated
from roadworthy.formats.responses import answer as responses_answer
from roadworthy.formats.responses import events as responses_events
from roadworthy.formats.responses import request as responses_request

COUNT = "/v1/messages/count_tokens"
PATHS: Mapping[str, Format] = {"/v1/responses": "responses", "/v1/messages": "messages", COUNT: "messages"}
"""Where which surface is served, beside chat completions and embeddings."""

_encode = msgspec.json.Encoder().encode
_asked = msgspec.json.Decoder(Asked)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Own(msgspec.Struct, frozen=True):
    """A request of another surface than chat completions."""

    format: Format
    fields: Fields


class Oddities(msgspec.Struct, frozen=True):
    """Odd events of a stream, by surface."""

    half: bytes
    """An event that is not whole."""
    error: bytes
    padded: dict[str, Any]
    """An event that says nothing, to be made very long."""
    markers: int
    """Events at the end that carry nothing but the end."""


_SORRY = "The server had an error while processing."
ODD: Mapping[Format, Oddities] = {
    "responses": Oddities(
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"cut he\n\n',
        b'event: error\ndata: {"type":"error","code":"server_error","message":"%b","param":null,"simulated":true}\n\n'
        % _SORRY.encode(),
        {"type": "keepalive"},
        0,
    ),
    "messages": Oddities(
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_del\n\n',
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"%b"},"simulated":true}\n\n'
        % _SORRY.encode(),
        {"type": "ping"},
        1,
    ),
}


def read(path: str, body: bytes) -> tuple[Asked, Own]:
    """A request as a simulated target looks at it.  Raises ``msgspec.DecodeError`` or ``Inexpressible``."""
    own = Own(PATHS[path], _fields.decode(body))
    if path == COUNT:
        own.fields.setdefault("max_tokens", msgspec.Raw(b"1"))  # who only counts need not say it
    asked = _asked.decode(_encode(_translated(own).fields))
    asked.stream_options = {"include_usage": True}  # these surfaces always tell it
    return asked, own


def _translated(own: Own) -> Translated:
    if own.format == "responses":
        return responses_request.to_chat(own.fields)
    return messages_request.to_chat(own.fields)


def whole(own: Own, chat: bytes, *, ident: str, model: str, usage: bool) -> bytes:
    """A ``chat.completion`` as the surface says it, marked."""

    translate = responses_answer.from_chat if own.format == "responses" else messages_answer.from_chat
    said = _marked(translate(chat, asked=own.fields, ident=ident, model=model))
    return said if usage else _unmetered(said)


def stream(
    own: Own, chunks: list[tuple[int, bytes]], *, ident: str, model: str, created: int, usage: bool
) -> list[tuple[int, bytes]]:
    """Events for ``chat.completion.chunk`` events as (tokens that it took to make, bytes with their empty line)."""
    teller: Teller
    if own.format == "responses":
        teller = responses_events.Translating(own.fields, ident=ident, model=model, created=created)
    else:
        teller = messages_events.Translating(own.fields, ident=ident, model=model, created=created)
    told: list[tuple[int, bytes]] = []
    held: list[bytes] = []
    for tokens, event in chunks:
        data = event[len(b"data: ") :].rstrip()
        if held or b'"finish_reason":"' in data or b'"usage":' in data:
            held.append(data)
        else:
            told += _apart(tokens, teller.chunk(data), usage)
    told += _apart(0, teller.end(held, None), usage)
    return _counted_early(told) if own.format == "messages" and usage else told


def _counted_early(told: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Anthropic tells what a prompt amounts to with the first event, not only with the last."""
    name, _, data = told[0][1].partition(b"data: ")
    first = msgspec.json.decode(data)
    last = msgspec.json.decode(told[-2][1].partition(b"data: ")[2])
    first["message"]["usage"] = {**last["usage"], "output_tokens": min(1, last["usage"]["output_tokens"])}
    return [(told[0][0], b"%bdata: %b\n\n" % (name, _encode(first))), *told[1:]]


def _apart(tokens: int, events: bytes, usage: bool) -> list[tuple[int, bytes]]:
    """Each event by itself, marked; the first one takes the time."""
    found: list[tuple[int, bytes]] = []
    for event in events.split(b"\n\n"):
        if not event:
            continue
        name, _, data = event.rpartition(b"data: ")
        said = _marked(data) if usage or b'"usage"' not in data else _unmetered(_marked(data))
        found.append((0 if found else tokens, b"%bdata: %b\n\n" % (name, said)))
    return found


def _marked(body: bytes) -> bytes:
    """Everything that a simulated target says can be told from what a model says."""
    return body[: body.rindex(b"}")] + b',"simulated":true}'


def _unmetered(body: bytes) -> bytes:
    """Without what it says of tokens."""
    found = msgspec.json.decode(body)
    for holder in (found, found.get("message"), found.get("response")):
        if isinstance(holder, dict):
            holder.pop("usage", None)
    return _encode(found)


def error(status: int, message: str, wanted: str | None = None) -> tuple[int, bytes]:
    """(status, body) as Anthropic refuses; ``wanted``: which of its known refusals."""
    status, message = (400, upstream.WORDS[wanted]) if wanted is not None else (status, message)
    return status, _encode({**upstream.refusal(status, message), "request_id": "simulated", "simulated": True})
