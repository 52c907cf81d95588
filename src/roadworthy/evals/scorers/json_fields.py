"""``json_fields``: how much of the JSON is right, field by field?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from roadworthy.evals.scorers.base import Base, CannotScore, Case, ScorerKind, decoded
from roadworthy.evals.scorers.finding import finite, same, shown

Leaf = tuple[str, ...]
"""Keys and places on the way to a value that holds no other."""


class JsonFields(Base, frozen=True):
    """Share of the values that are expected and right, down to the innermost; nested objects and lists count by what
    is in them.  ``extra``: what nobody expects counts as wrong."""

    word: ClassVar[str] = "json_fields"

    fields: list[str] = []
    extra: bool = False
    case: bool = True
    within: float = 0.0

    @property
    def kind(self) -> ScorerKind:
        return "score"

    def score(self, case: Case) -> float:
        expected = dict(leaves(self._expected(case)))
        given = self._given(case)
        right = sum(key in given and self._right(given[key], value) for key, value in expected.items())
        beside = len(given.keys() - expected.keys()) if self.extra else 0
        return right / (len(expected) + beside)

    def why(self, case: Case) -> str:
        given = self._given(case)
        wrong = [
            f"{'.'.join(key)} is {shown(given.get(key, msgspec.UNSET), 40)}, expected {shown(value, 40)}"
            for key, value in leaves(self._expected(case))
            if key not in given or not self._right(given[key], value)
        ]
        return "; ".join(wrong[:5]) or "holds what nobody expects"

    def _expected(self, case: Case) -> dict[str, Any]:
        expected: Any = dict(case.expected)
        if not expected and case.expected_text is not None:
            expected = decoded(case.expected_text)
        if not isinstance(expected, dict) or not expected:
            raise CannotScore("the example expects no JSON object")
        missing = [name for name in self.fields if name not in expected]
        if missing:
            raise CannotScore(f"the example expects nothing under '{missing[0]}'")
        return {name: expected[name] for name in self.fields} if self.fields else expected

    def _given(self, case: Case) -> dict[Leaf, Any]:
        found = decoded(case.text)
        if not isinstance(found, dict):
            return {}
        return dict(leaves({name: found[name] for name in self.fields if name in found} if self.fields else found))

    def _right(self, given: Any, expected: Any) -> bool:
        if isinstance(given, str) and isinstance(expected, str) and not self.case:
            return given.casefold().strip() == expected.casefold().strip()
        one, other = finite(given), finite(expected)
        if one is not None and other is not None:
            return abs(one - other) <= self.within
        return same(given, expected)


def leaves(value: Any) -> Iterator[tuple[Leaf, Any]]:
    """An empty object or list is a leaf."""
    waiting: list[tuple[Leaf, Any]] = [((), value)]
    while waiting:
        way, here = waiting.pop()
        if isinstance(here, dict) and here:
            waiting += [((*way, key), inner) for key, inner in here.items()]
        elif isinstance(here, list) and here:
            waiting += [((*way, str(place)), inner) for place, inner in enumerate(here)]
        else:
            yield way, here
