"""What all translators share."""

from __future__ import annotations

from typing import Literal, NoReturn, Protocol

import msgspec

Format = Literal["chat", "responses", "messages"]
"""OpenAI's chat completions and Responses, Anthropic's Messages."""

Fields = dict[str, msgspec.Raw]
"""Top-level fields of a request body → their JSON bytes."""


HINTS = frozenset({"prompt_cache_key", "prompt_cache_retention"})
"""Where a provider may find again what it has read before: no part of what is asked, so one that knows no such hints is
not told them."""


class Lost(msgspec.Struct, frozen=True):
    """Something that a request says and another format cannot."""

    param: str
    """Where it is said (``tools[0].type``)."""
    why: str
    """A sentence's end for people: what is not expressed, and what to do instead."""


class Translated(msgspec.Struct, frozen=True):
    """A request in chat-completions shape."""

    fields: Fields
    """Top-level parameters without a counterpart keep their own name here, so that a release fixes them too."""
    lost: Lost | None = None
    """The first thing that ``fields`` cannot say; a target that speaks the caller's own format can be asked all the
    same, no other."""
    unknown: str | None = None
    """Where a turn, an item or a part has a member that we do not know: it may set anything at a provider that knows
    it, so no release lets it pass."""


class Inexpressible(Exception):
    """A request cannot be said in the other format, or is none of its own."""

    def __init__(self, param: str, why: str) -> None:
        super().__init__(f"`{param}`: {why}")
        self.param = param
        self.why = why


def refuse(param: str, why: str) -> NoReturn:
    raise Inexpressible(param, why)


class Broken(msgspec.Struct, frozen=True):
    """Why a stream ends without its end, for the caller."""

    code: str
    message: str
    type: str
    """OpenAI's error type."""
    param: str | None = None
    status: int = 503


class Teller(Protocol):
    """Tells one stream to its caller, as the bytes of server-sent events."""

    def chunk(self, data: bytes) -> bytes:
        """Events for one chunk (its JSON); empty where it says nothing to this caller."""
        ...

    def end(self, held: list[bytes], extension: bytes | None) -> bytes:
        """The chunks that were held back and the end of a good stream, ``extension`` (our object) in its last event."""
        ...

    def broken(self, why: Broken, extension: bytes | None) -> bytes:
        """The end of a stream that is not good."""
        ...


compact = msgspec.json.Encoder().encode
"""A value as JSON without white space."""


def spliced(body: bytes, extension: bytes) -> bytes:
    """``body`` (one JSON object) with ``"roadworthy": …`` as its last member."""
    end = body.rfind(b"}")
    comma = b"" if body[:end].rstrip().endswith(b"{") else b","
    return b'%b%b"roadworthy":%b}' % (body[:end], comma, extension)
