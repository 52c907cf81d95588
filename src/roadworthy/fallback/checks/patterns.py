"""RE2 patterns: linear in the text, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import re2  # loaded by the workers whose releases have such checks

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


class Patterns:
    """Several patterns with names, tried in order."""

    def __init__(self, named: Iterable[tuple[str, str]]) -> None:
        """(name, RE2 pattern) each.  Raises ``ValueError`` naming the pattern that cannot be compiled."""
        self._compiled: list[tuple[str, Any]] = []
        for name, pattern in named:
            try:
                self._compiled.append((name, re2.compile(pattern, _OPTIONS)))
            except re2.error as error:
                why = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
                raise ValueError(f"the pattern {pattern[:100]!r} is not RE2: {why}") from error

    def first(self, text: str) -> tuple[str, tuple[int, int]] | None:
        """(name, span) of the first pattern that matches; the span is of its first group where it has one."""
        for name, pattern in self._compiled:
            found = pattern.search(text)
            if found is not None:
                return name, _span(found)
        return None

    def every(self, text: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
        """(name, matched text, span) of every match of every pattern."""
        for name, pattern in self._compiled:
            for found in pattern.finditer(text):
                begin, end = _span(found)
                yield name, text[begin:end], (begin, end)


def _span(found: Any) -> tuple[int, int]:
    if found.re.groups:
        begin, end = found.span(1)
        if begin >= 0:
            return begin, end
    begin, end = found.span()
    return begin, end
