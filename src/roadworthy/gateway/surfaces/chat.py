"""The core's own tongue: chat completions, and embeddings beside them.  Nothing is translated, and it costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from roadworthy.formats.model import Broken, Fields, Format, Teller, Translated
from roadworthy.gateway.errors import Refused, error_body
from roadworthy.gateway.ports import Operation
from roadworthy.gateway.streaming.assemble import assemble
from roadworthy.gateway.streaming.sse import Recited, event, last_events
from roadworthy.gateway.surfaces.model import Recitation

if TYPE_CHECKING:
    from roadworthy.gateway.call import Call


class ChatTeller:
    """``formats.Teller`` of ``chat.completion.chunk`` events."""

    def chunk(self, data: bytes) -> bytes:
        return event(data)

    def end(self, held: list[bytes], extension: bytes | None) -> bytes:
        return last_events(held, extension)

    def broken(self, why: Broken, extension: bytes | None) -> bytes:
        refused = Refused(why.status, why.code, why.message, param=why.param)
        return event(error_body(refused, extension))


_TELLER = ChatTeller()


class ChatSurface:
    """See ``model.Surface``."""

    format: Format = "chat"
    native = None
    forced: frozenset[str] = frozenset()
    forwards: Sequence[bytes] = ()

    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    def take(self, fields: Fields) -> Translated:
        return Translated(fields)

    def name(self, param: str) -> str:
        return param

    def chat_request(self, body: bytes) -> bytes:
        return body

    def chat_answer(self, body: bytes, format: Format) -> bytes:
        return body

    def own_answer(self, call: Call, body: bytes, format: Format = "chat") -> bytes:
        return body

    def assembled(self, data: list[bytes], format: Format) -> bytes:
        return assemble(data)

    def recited(self, request: Fields, body: bytes, extension: bytes | None, *, usage: bool) -> Recitation:
        return Recited(body, usage=usage, extension=extension)

    def teller(self, call: Call, format: Format) -> Teller:
        return _TELLER

    def error(self, refused: Refused, extension: bytes | None, request: str) -> bytes:
        return error_body(refused, extension)


CHAT = ChatSurface("chat")
EMBEDDINGS = ChatSurface("embeddings")
