"""What every scorer is given, and what it must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import msgspec


class Case(msgspec.Struct, frozen=True):
    """An answer that a model gave, and what was expected."""

    text: str
    expected: Mapping[str, Any] = {}
    expected_text: str | None = None
    schema: dict[str, Any] | None = None
    """Of the release's output."""


class Scorer(Protocol):
    """A frozen struct: its fields are its arguments, so that it can be rebuilt from what was recorded."""

    word: ClassVar[str]
    """In the registry."""
    version: ClassVar[int]
    """Raised with every change of what it would say; older gates are stale then."""

    @property
    def name(self) -> str:
        """Of its score: what a floor names."""
        ...

    def score(self, case: Case) -> float:
        """In [0, 1]; the same for the same case, always."""
        ...


def decoded(text: str) -> Any:
    """The JSON in a text; ``msgspec.UNSET``: it is none."""
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.UNSET
