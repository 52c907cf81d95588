"""Where the JSON of a workflow has room for words, so that a provider under drill can say something bad.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

ROOM = 150
"""Characters that a string must be able to hold: what drills say is shorter, or says it in the beginning."""
_BOUND = ("enum", "const", "pattern", "format")
_WORDS = "{words}"


class Frame(msgspec.Struct, frozen=True):
    """A good answer with a gap in it."""

    before: str
    after: str
    least: int = 0
    most: int | None = None

    def around(self, text: str) -> str:
        """The answer that says ``text``, cut to what its string may hold."""
        said = text[: self.most].ljust(self.least)
        return self.before + msgspec.json.encode(said).decode() + self.after


def has_room(schema: Mapping[str, Any]) -> bool:
    """Must every answer of this schema have a string that may say anything?"""
    return any(True for _ in _strings(schema, ()))


def frame(schema: Mapping[str, Any], good: Any) -> Frame | None:
    """``good``, a valid answer, with a gap for the roomiest string; ``None``: the schema has no room for words."""
    found = sorted(_strings(schema, ()), key=lambda each: each[0].get("maxLength", 1 << 30))
    if not found:
        return None
    spec, path = found[-1]
    before, after = msgspec.json.encode(_replaced(good, path)).decode().split(f'"{_WORDS}"')
    return Frame(before, after, spec.get("minLength", 0), spec.get("maxLength"))


def _strings(schema: Any, path: tuple[str, ...]) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...]]]:
    """Strings that every answer has and that nothing but their length bounds."""
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "string":
        if not any(bound in schema for bound in _BOUND) and schema.get("maxLength", ROOM) >= ROOM:
            yield schema, path
    elif schema.get("type") == "object":
        for name in schema.get("required", ()):
            yield from _strings(schema.get("properties", {}).get(name), (*path, name))


def _replaced(good: Any, path: tuple[str, ...]) -> Any:
    if not path:
        return _WORDS
    return {**good, path[0]: _replaced(good[path[0]], path[1:])}
