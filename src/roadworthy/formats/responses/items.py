"""Items of an answer under way: what has been told of each, as JSON that was never decoded."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.formats.responses import shapes
from roadworthy.formats.responses.words import Names


class Item:
    """An item of the output under way."""

    def __init__(self, ident: str, place: int) -> None:
        self.ident = ident
        self.place = place
        self.pieces: list[bytes] = []
        """Insides of JSON strings."""

    def text(self) -> msgspec.Raw:
        return msgspec.Raw(b'"%b"' % b"".join(self.pieces))

    def whole(self, status: str) -> dict[str, Any]:
        raise NotImplementedError


class Reasoning(Item):
    summary = False

    def whole(self, status: str) -> dict[str, Any]:
        return shapes.reasoning_item(self.ident, self.text(), summary=self.summary)


class Message(Item):
    """``pieces`` are of the part under way, ``parts`` those before it."""

    def __init__(self, ident: str, place: int) -> None:
        super().__init__(ident, place)
        self.parts: list[dict[str, Any]] = []
        self.kind = ""
        """``output_text`` or ``refusal`` while a part is under way."""
        self.logprobs: list[bytes] = []

    def part(self) -> dict[str, Any]:
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": self.text()}
        return shapes.text_part(self.text(), msgspec.Raw(b"[%b]" % b",".join(self.logprobs)))

    def whole(self, status: str) -> dict[str, Any]:
        parts = [*self.parts, self.part()] if self.kind else self.parts
        return shapes.message_item(self.ident, parts, status)


class Call(Item):
    """``added``: its first event has left, which waits for the name."""

    def __init__(self, ident: str, place: int, call: str, custom: bool, names: Names) -> None:
        super().__init__(ident, place)
        self.call = call
        self.custom = custom
        self.names = names
        self.name = ""
        self.added = False

    def whole(self, status: str) -> dict[str, Any]:
        make = shapes.custom_item if self.custom else shapes.call_item
        return make(self.ident, self.call, self.names.of(self.name), self.text(), status)
