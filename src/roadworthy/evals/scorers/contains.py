"""``contains``: does the answer hold what it must, and nothing of what it must not?"""

from __future__ import annotations

from typing import ClassVar

from roadworthy.evals.scorers.base import Base, Case
from roadworthy.evals.scorers.finding import as_text, found, shown, wanted


class Contains(Base, frozen=True):
    """All of ``all``, one of ``any``, none of ``none``; with none of these, what the example expects."""

    word: ClassVar[str] = "contains"

    field: str = ""
    expect: str = ""
    all: list[str] = []
    any: list[str] = []
    none: list[str] = []
    case: bool = False

    @property
    def expects(self) -> bool:
        return not (self.all or self.any or self.none)

    def score(self, case: Case) -> bool:
        return not self.why(case)

    def why(self, case: Case) -> str:
        given = self._folded(as_text(found(case, self.field)))
        texts = self._expected(case) if self.expects else self.all
        for text in texts:
            if self._folded(text) not in given:
                return f"does not hold {shown(text)}"
        if self.any and not any(self._folded(text) in given for text in self.any):
            return f"holds none of {', '.join(map(shown, self.any))}"
        for text in self.none:
            if self._folded(text) in given:
                return f"holds {shown(text)}"
        return ""

    def _expected(self, case: Case) -> list[str]:
        expected = wanted(case, self.field, self.expect)
        return [as_text(each).strip() for each in (expected if isinstance(expected, list) else [expected])]

    def _folded(self, text: str) -> str:
        return text if self.case else text.casefold()
