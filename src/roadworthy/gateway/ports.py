"""What the hot path needs of the outside, as small protocols.

``adapters/providers`` implements ``Wire`` (one file a wire format), ``http1`` the ``Upstream``; ``wiring/gateway.py``
joins them.  The core speaks one language, OpenAI's: a wire translates a request on its way out and an answer or
its events on their way back.

The caller's body reaches a wire as ``Fields``: every top-level field with its value as the caller's own bytes
(``msgspec.Raw``).  A wire of an OpenAI-compatible provider replaces ``model`` and encodes the mapping, which copies
those bytes untouched (2 µs for a request of 1.5 KB); only a translating wire decodes them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from roadworthy.formats.model import Format
from roadworthy.workflow.inference import Failure, Tokens
from roadworthy.workflow.model import Target

if TYPE_CHECKING:
    from roadworthy.http1.client import Ready
    from roadworthy.http1.messages import Clocks
    from roadworthy.http1.origin import Origin

Operation = Literal["chat", "embeddings", "moderation", "responses", "messages"]
"""``moderation`` is asked by checks only; no caller is served it.  ``responses`` and ``messages``: a request of that
format goes out as it is, and its answer comes back as it is; of a ``Call`` only ``chat`` or ``embeddings``."""

ANY_MODEL = "*"
"""``Target.model`` of a target that is passed through to: the wire sends the model that the caller asked for."""

Fields = dict[str, msgspec.Raw]
"""Top-level fields of an OpenAI request body → their JSON bytes.

Complete when a wire gets it: system messages spliced in, the release's parameters, tools and schema merged,
``roadworthy`` taken out, ``stream`` and ``stream_options`` set.  A wire never changes it in place.
"""

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case."""


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A request ready for the provider.

    ``path`` (with query) and ``headers`` must be equal on every call of one wire and operation: the core keeps
    the encoded head by them.  ``headers`` holds content type, authorization and the target's fixed headers,
    neither ``host`` nor ``content-length``.
    """

    path: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    signed: bool = False
    """The headers are of this request alone (a signature): its head is not kept."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole answer of the provider.  Judged by the core, not by the wire."""

    body: bytes
    """One JSON object: embeddings, or an answer in ``format``; the provider's own bytes where it speaks that."""
    tokens: Tokens | None = None
    """``None``: no usage reported."""
    model: str | None = None
    request_id: str | None = None
    finishes: tuple[str | None, ...] = ()
    """One a choice, in OpenAI's words (``stop, length, tool_calls, content_filter``); ``None``: not finished."""
    empty: bool = False
    """No choice carries content, a tool call or a refusal (or, for embeddings, there is no vector)."""
    refused: bool = False
    """A choice carries ``message.refusal``."""
    mended: bool = False
    """Its JSON was mended by a check; the body is not the provider's any more."""
    unpacked: bool = False
    """Embeddings as lists of numbers, whatever the caller asked for: the provider knows no other way."""
    format: Format = "chat"
    """Of ``body``; the other fields are in chat's words whatever it is."""


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream."""

    data: bytes
    """JSON on one line, without ``data: ``: a ``chat.completion.chunk``, or an event of the operation's format."""
    text: bool = False
    """Carries content, a tool call or a refusal (non-empty)."""
    refused: bool = False
    finishes: tuple[tuple[int, str], ...] = ()
    """(choice index, finish reason) of the choices that this chunk finishes."""
    tokens: Tokens | None = None
    """Usage as reported so far; the last one counts."""
    model: str | None = None
    usage: bool = False
    """Carries a usage object, however shaped; it is taken out for a caller that did not ask for it."""
    usage_only: bool = False
    """Carries nothing else: hidden as a whole from a caller that did not ask for it."""
    reasons: bool = False
    """Carries what the model thinks aloud: a sign of life, not yet the answer."""
    plain: bool = False
    """Carries text and nothing else that matters: no end, no usage, no refusal."""
    ends: bool = False
    """Of a native stream: this event and all after it leave only with the end (what ``finishes`` says of chat)."""


class Unusable(Exception):
    """The provider's answer (or this request for this provider) is not good enough, in our words.

    ``detail`` holds no secret and no prompt and at most 300 characters.  ``status`` and ``body`` are what the
    caller may be shown for ``bad_request`` and ``context_length``: the provider's 4xx and its message.
    """

    def __init__(
        self,
        failure: Failure,
        detail: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        message: str = "",
        param: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(failure, detail)
        self.failure: Failure = failure
        self.detail = detail[:300]
        self.retry_after = retry_after
        """Seconds to wait, from ``Retry-After`` (seconds or date) or a ``retry-after-ms`` header."""
        self.status = status
        self.message = message
        """The provider's own error message, for the caller of a ``bad_request``."""
        self.param = param
        self.request_id = request_id

    @classmethod
    def bad_request(cls, message: str, param: str | None = None) -> Unusable:
        """The request cannot be said to this target.  ``message``: for its caller; ``param``: the field."""
        return cls("bad_request", message, status=400, message=message, param=param)


class EventReader(Protocol):
    """Reads one event stream; made anew for every attempt."""

    done: bool
    """Saw the provider's terminal marker (``[DONE]``, ``message_stop``)."""
    failed: Unusable | None
    """The provider reported an error inside the stream; chunks before it were returned."""
    request_id: str | None
    """Where the provider tells it in the events (else it is read from the headers)."""

    def feed(self, data: bytes) -> list[Chunk]:
        """Bytes as they came from the network, cut anywhere, into whole events.

        Raises ``Unusable`` (``invalid``) for what is not an event stream of this provider, and when one event
        exceeds 4 MiB.
        """
        ...


class Wire(Protocol):
    """One target's wire format, bound to its model, base path, key and headers when the snapshot is loaded."""

    speaks: frozenset[Format]
    """Formats of requests that it takes as they are (operations ``responses``, ``messages``)."""
    stream_type: bytes
    """Media type in which its streams come, in lower case (``text/event-stream``)."""

    def encode(self, operation: Operation, fields: Fields, *, stream: bool, forwarded: Headers = ()) -> Outgoing:
        """``forwarded``: headers of the caller that its own format passes on (``anthropic-version``, ``-beta``).

        Raises ``Unusable`` (``bad_request``) where the provider cannot serve the request."""
        ...

    def adapted(self, fields: Fields, surface: Format) -> Fields:
        """A chat request that was translated from ``surface``, in the words that this endpoint knows: who asked chose
        none of them."""
        ...

    def counting(self, fields: Fields, forwarded: Headers = ()) -> Outgoing | None:
        """What asks for the input tokens of a Messages request; ``None``: this target counts none."""
        ...

    def answer(self, operation: Operation, headers: Headers, body: bytes) -> Answer:
        """A 2xx answer.  Raises ``Unusable`` (``invalid``) for HTML, non-JSON, or JSON of another shape."""
        ...

    def refusal(self, status: int, headers: Headers, body: bytes) -> Unusable:
        """A non-2xx answer in our words: 401-404 ``misconfigured``, 429 ``overlimit``, 5xx ``unavailable``, 400
        ``bad_request`` or ``context_length``."""
        ...

    def request_id(self, headers: Headers) -> str | None: ...

    def prefilled(self, fields: Fields, said: str) -> Fields:
        """``fields`` with ``said`` as the begun answer with which the model goes on (``prefill: native``)."""
        ...

    def events(self, operation: Operation = "chat") -> EventReader: ...


WireFactory = Callable[[Target, bytes, str | None], Wire]
"""(target, base path of its endpoint such as ``b"/v1"``, secret) → its wire."""


class Reply(Protocol):
    """A whole HTTP answer (``http1.Reply``)."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def body(self) -> bytes: ...
    @property
    def connected(self) -> float | None:
        """Seconds that obtaining the connection took; ``None`` on a reused one."""
        ...

    @property
    def first_byte(self) -> float:
        """Seconds from sending to the first byte of the answer."""
        ...


class StreamReply(Protocol):
    """An HTTP answer whose head has arrived (``http1.StreamReply``)."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def connected(self) -> float | None: ...
    @property
    def first_byte(self) -> float: ...
    @property
    def ended(self) -> bool:
        """The end of the body has arrived, read or not."""
        ...

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """Body as it comes; raises an ``Http1Error`` when it does not end cleanly."""
        ...

    async def read(self, max_body: int) -> bytes:
        """The rest of the body in one piece."""
        ...

    def abort(self) -> None:
        """Close the connection now; harmless after the end."""
        ...


class Upstream(Protocol):
    """What the core needs of ``http1.Client``."""

    async def fetch(
        self, origin: Origin, head: bytes, body: bytes, clocks: Clocks, *, max_body: int, ready: Ready | None = None
    ) -> Reply:
        """``ready`` is asked when a connection had to be waited for, just before the request is sent; what it raises
        ends the call."""
        ...

    async def open(
        self, origin: Origin, head: bytes, body: bytes, clocks: Clocks, *, ready: Ready | None = None
    ) -> StreamReply: ...


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump; deadlines are instants of it."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    def bits(self, count: int) -> int:
        """A random integer of ``count`` bits: ids, trace ids, jitter."""
        ...
