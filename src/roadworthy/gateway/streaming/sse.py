"""Server-sent events as OpenAI frames them: one ``data:`` line an event, ``[DONE]`` at the end of a good stream."""

from __future__ import annotations

import msgspec

from roadworthy.formats.model import spliced
from roadworthy.gateway.answers.canned import as_chunks
from roadworthy.workflow.inference import Tokens

DONE = b"data: [DONE]\n\n"


def event(data: bytes) -> bytes:
    """One server-sent event; ``data`` is on one line."""
    return b"data: %b\n\n" % data


def last_events(held: list[bytes], extension: bytes | None) -> bytes:
    """The events held back, our object (if the key wants it) in the last of them, and ``[DONE]``."""
    if not held or extension is None:
        return b"".join(map(event, held)) + DONE
    return b"".join(map(event, held[:-1])) + event(spliced(held[-1], extension)) + DONE


def without_usage(data: bytes) -> bytes:
    """An event as a caller reads it who did not ask for usage."""
    chunk = msgspec.json.decode(data)
    chunk.pop("usage", None)
    chunk.pop("x_groq", None)
    return msgspec.json.encode(chunk)


def usage_chunk(last: bytes, tokens: Tokens) -> bytes:
    """The data of a chunk that tells ``tokens`` in OpenAI's words, as of the stream to which ``last`` belongs."""
    chunk = msgspec.json.decode(last)
    chunk.pop("roadworthy", None)
    prompt = tokens.input + tokens.cache_read + tokens.cache_write
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": tokens.output,
        "total_tokens": prompt + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cache_read},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }
    return msgspec.json.encode({**chunk, "choices": [], "usage": usage})


class Recited:
    """A whole answer told as a stream (buffered, canned or replayed); its record is in the journal already."""

    def __init__(self, body: bytes, *, usage: bool, extension: bytes | None) -> None:
        self.body = body if extension is None else spliced(body, extension)
        """The whole answer as a caller without ``stream`` would have read it."""
        chunks = as_chunks(body, usage=usage)
        last = last_events(chunks[-1:], extension)
        self._events = iter([event(data) for data in chunks[:-1]] + [last])

    def __aiter__(self) -> Recited:
        return self

    async def __anext__(self) -> bytes:
        for data in self._events:
            return data
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Nothing is under way."""


def stream_options(fields: dict[str, msgspec.Raw]) -> tuple[msgspec.Raw, bool]:
    """(``stream_options`` to send: usage is always asked for, did the caller ask for it).

    Raises ``msgspec.DecodeError`` unless the caller's is an object or null.
    """
    given = fields.get("stream_options")
    if given is None or bytes(given) == b"null":
        return _USAGE, False
    options = msgspec.json.decode(given, type=dict[str, msgspec.Raw])
    if bytes(options.get("include_usage", b"")) == b"true":
        return given, True
    return msgspec.Raw(msgspec.json.encode({**options, "include_usage": True})), False


_USAGE = msgspec.Raw(b'{"include_usage":true}')
