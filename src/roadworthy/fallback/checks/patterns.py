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
        self._any = _together([pattern.pattern for _, pattern in self._compiled])

    def first(self, text: str) -> tuple[str, tuple[int, int]] | None:
        """(name, span) of the first pattern that matches; the span is of its first group where it has one."""
        if self._any is not None and self._any.search(text) is None:
            return None
        for name, pattern in self._compiled:
            found = pattern.search(text)
            if found is not None:
                return name, _span(found)
        return None

    def every(self, text: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
        """(name, matched text, span) of every match of every pattern."""
        if self._any is not None and self._any.search(text) is None:
            return
        for name, pattern in self._compiled:
            for found in pattern.finditer(text):
                begin, end = _span(found)
                yield name, text[begin:end], (begin, end)


def _together(patterns: list[str]) -> Any:
    """One pattern that matches where any of them does: nearly every text is done with it.  ``None``: not worth it."""
    if len(patterns) < 2:
        return None
    try:
        return re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), _OPTIONS)
    except re2.error:  # larger than RE2 allows a pattern to be
        return None


def _span(found: Any) -> tuple[int, int]:
    if found.re.groups:
        begin, end = found.span(1)
        if begin >= 0:
            return begin, end
    begin, end = found.span()
    return begin, end
