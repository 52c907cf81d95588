"""``set_overlap``: how much do what was listed and what should be have in common?"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from roadworthy.evals.scorers.base import Base, Case, ScorerKind
from roadworthy.evals.scorers.finding import as_text, found, wanted


class SetOverlap(Base, frozen=True):
    """Of two sets without order and repeats: lists of JSON, or texts cut at ``separator`` and at line ends."""

    word: ClassVar[str] = "set_overlap"

    field: str = ""
    expect: str = ""
    measure: Literal["f1", "jaccard", "precision", "recall"] = "f1"
    separator: str = ","
    case: bool = False

    @property
    def kind(self) -> ScorerKind:
        return "score"

    def score(self, case: Case) -> float:
        given, expected = self._sets(case)
        return overlap(given, expected, self.measure)

    def why(self, case: Case) -> str:
        given, expected = self._sets(case)
        missing, beside = sorted(expected - given), sorted(given - expected)
        parts = [f"lacks {', '.join(missing[:5])}"] if missing else []
        return "; ".join(parts + ([f"holds {', '.join(beside[:5])} beside"] if beside else []))

    def _sets(self, case: Case) -> tuple[frozenset[str], frozenset[str]]:
        return self._set(found(case, self.field)), self._set(wanted(case, self.field, self.expect))

    def _set(self, value: Any) -> frozenset[str]:
        if value is msgspec.UNSET or value is None:
            return frozenset()
        if isinstance(value, str):
            parts: list[Any] = [part for line in value.splitlines() for part in line.split(self.separator)]
        else:
            parts = value if isinstance(value, list) else [value]
        texts = (as_text(part).strip() for part in parts)
        return frozenset(text if self.case else text.casefold() for text in texts if text)


def overlap(given: frozenset[str], expected: frozenset[str], measure: str) -> float:
    """In [0, 1]; two empty sets are the same."""
    if not given and not expected:
        return 1.0
    both = len(given & expected)
    of = {
        "f1": (len(given) + len(expected)) / 2,
        "jaccard": len(given | expected),
        "precision": len(given),
        "recall": len(expected),
    }[measure]
    return both / of if of else 0.0
