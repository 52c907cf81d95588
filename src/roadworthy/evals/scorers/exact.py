"""``exact``: is it what a person expects, to the letter?"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from roadworthy.evals.scorers.base import Case, ScorerKind, decoded


class Exact(msgspec.Struct, frozen=True):
    """Compares one field of the JSON answer, or, without a field, the whole text but for space around it."""

    word: ClassVar[str] = "exact"
    version: ClassVar[int] = 1

    field: str = ""

    @property
    def name(self) -> str:
        return self.field or self.word

    @property
    def kind(self) -> ScorerKind:
        return "assertion"

    def score(self, case: Case) -> float:
        if not self.field:
            return float(case.text.strip() == (case.expected_text or "").strip())
        found = decoded(case.text)
        if not isinstance(found, dict) or self.field not in found:
            return 0.0
        return float(_same(found[self.field], case.expected.get(self.field)))

    def why(self, case: Case) -> str:
        return "is not what was expected, to the letter"


def _same(found: Any, expected: Any) -> bool:
    """As JSON has it: ``true`` is not 1."""
    return isinstance(found, bool) == isinstance(expected, bool) and bool(found == expected)
