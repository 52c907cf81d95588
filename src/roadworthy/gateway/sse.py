"""Server-sent events as OpenAI frames them: one ``data:`` line an event, ``[DONE]`` at the end of a good stream."""

from __future__ import annotations

import msgspec

from roadworthy.gateway.call import spliced
from roadworthy.gateway.canned import as_chunks

DONE = b"data: [DONE]\n\n"


def event(data: bytes) -> bytes:
    """One server-sent event; ``data`` is on one line."""
    return b"data: %b\n\n" % data


def last_events(held: list[bytes], extension: bytes | None) -> bytes:
    """The events held back, our object (if the key wants it) in the last of them, and ``[DONE]``."""
    if not held or extension is None:
        return b"".join(map(event, held)) + DONE
    return b"".join(map(event, held[:-1])) + event(spliced(held[-1], extension)) + DONE


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
