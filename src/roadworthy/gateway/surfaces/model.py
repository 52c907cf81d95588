"""A surface: one route that apps call, and all that differs between it and the others.

The core decides by chat completions whatever a caller speaks.  A surface brings a request into that shape on its way
in (``take``, once, by ``admission.admit``), and tells an answer in the caller's own format on its way out.

What a target is sent is decided for each attempt (``attempt.spoken_to``): one that speaks the caller's format gets the
caller's own request with what its release fixes put in (``own_request``), and its answer goes back untouched; every
other one gets chat completions (``Call.fields``), and its answer is translated back.  So is a stream that a window or
a continuation works on, whoever sends it: both need its text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from roadworthy.formats.model import Fields, Format, Teller, Translated
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.messages import Headers
from roadworthy.gateway.ports import Operation

if TYPE_CHECKING:
    from roadworthy.gateway.call import Call


class Recitation(Protocol):
    """A whole answer told as a stream."""

    body: bytes
    """The same as a caller without ``stream`` would have read it."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def __anext__(self) -> bytes: ...
    async def aclose(self) -> None: ...


class Native(Protocol):
    """Asks targets in a format that is not the core's."""

    def own_request(self, call: Call, *, stream: bool, repaired: bool) -> Fields:
        """What a target is sent that speaks this format.  Raises ``Unusable`` where the release's fields cannot be
        said in it."""
        ...


class Surface(Protocol):
    """Stateless: one of each serves every call."""

    format: Format
    operation: Operation
    """What its calls are to the core: ``chat`` or ``embeddings``."""

    @property
    def native(self) -> Native | None:
        """``None``: its format is the core's, and ``Call.fields`` is what its targets are sent."""
        ...

    forced: frozenset[str]
    """Parameters (in chat's names) that the format makes every caller send: no release refuses them."""
    forwards: Sequence[bytes]
    """Headers of the caller that a target of the same format is sent."""

    def take(self, fields: Fields) -> Translated:
        """A caller's body in chat's shape, and what that cannot say.  Raises ``Refused`` 400."""
        ...

    def name(self, param: str) -> str:
        """How callers of this surface know a field of chat completions."""
        ...

    def chat_request(self, body: bytes) -> bytes:
        """A caller's body, read before, in chat's shape, our object included."""
        ...

    def chat_answer(self, body: bytes, format: Format) -> bytes:
        """An answer that came in ``format``, in chat's shape.  Raises ``Unusable``."""
        ...

    def own_answer(self, call: Call, body: bytes, format: Format = "chat") -> bytes:
        """An answer as its caller reads it."""
        ...

    def assembled(self, data: list[bytes], format: Format) -> bytes:
        """The whole answer, in ``format``, that a stream's events amount to."""
        ...

    def recited(self, request: Fields, body: bytes, extension: bytes | None, *, usage: bool) -> Recitation:
        """A whole answer of its own format, told as a stream.  ``request``: the caller's fields; ``usage``: it asked
        for usage (where a format tells it only then)."""
        ...

    def teller(self, call: Call, format: Format) -> Teller:
        """Tells a stream that comes in ``format``."""
        ...

    def error(self, refused: Refused, extension: bytes | None, request: str) -> bytes:
        """The body of an error.  ``request``: the inference, empty where there is none."""
        ...


def ids_of(surface: Surface, ident: bytes) -> Headers:
    """An answer's id under each header name in which clients of this surface look for it."""
    if surface.format == "messages":
        return [(b"x-request-id", ident), (b"request-id", ident)]
    return [(b"x-request-id", ident)]


def forwarded(surface: Surface, headers: Mapping[bytes, bytes]) -> Headers:
    """Headers of a caller that go on to a target of the same format."""
    return [(name, headers[name]) for name in surface.forwards if name in headers]
