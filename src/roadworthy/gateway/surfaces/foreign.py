"""Surfaces that speak another format than the core: Responses and Messages, each by the translators of its pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from roadworthy.formats import model
from roadworthy.formats.model import Fields, Format, Inexpressible, Teller, Translated
from roadworthy.gateway.admission.body import parse_fields
from roadworthy.gateway.admission.prompting import FREE_FIELDS
from roadworthy.gateway.errors import Refused
from roadworthy.gateway.ports import Operation, Unusable
from roadworthy.gateway.streaming.assemble import assemble
from roadworthy.gateway.surfaces.model import Recitation

if TYPE_CHECKING:
    from roadworthy.gateway.call import Call

_TRUE = msgspec.Raw(b"true")
_NULL = msgspec.Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

ErrorBody = Callable[[Refused, bytes | None, str], bytes]


class Pair(NamedTuple):
    """The modules of ``formats/`` that translate between one format and chat completions."""

    request: ModuleType
    answer: ModuleType
    events: ModuleType


class ForeignRecited:
    """A whole answer told as the events of its format; its record is in the journal already."""

    def __init__(self, pair: Pair, request: Fields, body: bytes, extension: bytes | None) -> None:
        self.body = body if extension is None else model.spliced(body, extension)
        events: list[bytes] = pair.events.recited(body, request)
        teller: Teller = pair.events.Passing()
        # Messages end with two events, Responses with one; a teller knows which of those it is given hold our object
        self._events = iter([*map(teller.chunk, events[:-2]), teller.end(events[-2:], extension)])

    def __aiter__(self) -> ForeignRecited:
        return self

    async def __anext__(self) -> bytes:
        for data in self._events:
            return data
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Nothing is under way."""


class ForeignSurface:
    """See ``model.Surface``."""

    operation: Operation = "chat"

    def __init__(
        self,
        format: Format,
        pair: Pair,
        error: ErrorBody,
        *,
        names: Mapping[str, str],
        forced: frozenset[str] = frozenset(),
        forwards: Sequence[bytes] = (),
    ) -> None:
        """``names``: what callers call those fields of chat completions that are named otherwise here."""
        self.format: Format = format
        self.native = self
        self.forced = forced
        self.forwards = forwards
        self._names = names
        self._error = error
        self._request: Any = pair.request
        self._chats_alone = (FREE_FIELDS | names.keys()) - pair.request.OWN - {"roadworthy"}
        """What callers of chat completions may set and this format does not have, or calls otherwise: taken for theirs,
        it would change what is expected of an answer, or be dropped without a word where the target is asked
        natively."""
        self._answer: Any = pair.answer
        self._events: Any = pair.events
        self._pair = pair

    def take(self, fields: Fields) -> Translated:
        if not self._chats_alone.isdisjoint(fields):
            self._refuse_chats_alone(fields)
        ours = fields.get("roadworthy")
        try:
            made: Translated = self._request.to_chat(fields if ours is None else _without_ours(fields))
        except Inexpressible as error:
            raise Refused(400, "bad_request", f"{error}.", param=error.param, failure="bad_request") from None
        except _UNREADABLE as error:
            raise Refused(400, "invalid_type", f"The body is no request of {self.format}: {error}.") from None
        if ours is not None:
            made.fields["roadworthy"] = ours
        return made

    def _refuse_chats_alone(self, fields: Fields) -> None:
        for name in self._chats_alone & fields.keys():
            if fields[name] != _NULL:
                instead = f"use `{self._names[name]}`" if name in self._names else "leave it out"
                message = f"`{name}`: is a field of chat completions, not of {self.format}; {instead}."
                raise Refused(400, "bad_request", message, param=name, failure="bad_request")

    def name(self, param: str) -> str:
        return self._names.get(param, param)

    def own_request(self, call: Call, *, stream: bool, repaired: bool) -> Fields:
        made: Fields
        if call.serving is not None and call.serving.release is not None:
            made = self._request.with_parameters(call.own, self._fixed(call))
            if call.prompt is not None:
                made = self._request.with_prompt(made, call.prompt)
        else:
            made = _without_ours(call.own)
        if stream:
            made["stream"] = _TRUE
        else:
            made.pop("stream", None)
        if repaired and call.turns is not None:
            made = self._request.with_turns(made, call.turns.said, call.turns.asked)
        return made

    def _fixed(self, call: Call) -> Fields:
        """Parameters as the release fixes them, and as it lets the caller set them, in this format."""
        serving = call.serving
        assert serving is not None
        if call.overrides:
            asked = {name: raw for name, raw in call.fields.items() if name not in FREE_FIELDS}
            # what both formats call and write alike, and what nobody here knows, is said as the caller said it
            alike = {name: raw for name, raw in call.own.items() if asked.get(name) is raw}
            return self._own_parameters({name: raw for name, raw in asked.items() if name not in alike}) | alike
        kept = serving.own_released.get(self.format)
        if kept is None:
            put_in = {  # all but what the format makes its callers say, where the release leaves that to them
                name: raw
                for name, raw in serving.released.items()
                if call.fields.get(name) is raw and name not in FREE_FIELDS
            }
            kept = serving.own_released[self.format] = self._own_parameters(put_in)
        return kept

    def _own_parameters(self, parameters: Fields) -> Fields:
        try:
            made: Fields = self._request.parameters_from_chat(parameters)
        except Inexpressible as error:
            raise Unusable.bad_request(str(error), error.param) from None
        except _UNREADABLE as error:
            raise Unusable.bad_request(f"the request is none of {self.format}: {error}") from None
        return made

    def chat_request(self, body: bytes) -> bytes:
        return msgspec.json.encode(self.take(parse_fields(body)).fields)

    def chat_answer(self, body: bytes, format: Format) -> bytes:
        if format == "chat":
            return body
        try:
            made: bytes = self._answer.to_chat(body)
        except _UNREADABLE as error:
            raise Unusable("invalid", f"the answer is none of {format}: {error}") from None
        return made

    def own_answer(self, call: Call, body: bytes, format: Format = "chat") -> bytes:
        if format == self.format:
            return body
        made: bytes = self._answer.from_chat(body, asked=call.own, ident=call.id, model=call.model)
        return made

    def assembled(self, data: list[bytes], format: Format) -> bytes:
        if format == "chat":
            return assemble(data)
        made: bytes = self._events.assemble(data)
        return made

    def recited(self, request: Fields, body: bytes, extension: bytes | None, *, usage: bool) -> Recitation:
        return ForeignRecited(self._pair, _without_ours(request), body, extension)

    def teller(self, call: Call, format: Format) -> Teller:
        made: Teller
        if format == self.format:
            made = self._events.Passing(call.id)
        else:
            made = self._events.Translating(call.own, ident=call.id, model=call.model, created=int(call.ts))
        return made

    def error(self, refused: Refused, extension: bytes | None, request: str) -> bytes:
        return self._error(refused, extension, request)


def _without_ours(fields: Fields) -> Fields:
    made = dict(fields)
    made.pop("roadworthy", None)
    return made
