"""``cost``: was the answer cheap enough?"""

from __future__ import annotations

from typing import ClassVar

from roadworthy.evals.scorers.base import Base, CannotScore, Case


class Cost(Base, frozen=True, kw_only=True):
    word: ClassVar[str] = "cost"

    most: float
    """US dollars."""

    @property
    def expects(self) -> bool:
        return False

    def score(self, case: Case) -> bool:
        return self._usd(case) <= self.most

    def why(self, case: Case) -> str:
        return f"cost {self._usd(case):.6g} dollars, at most {self.most:g}"

    def _usd(self, case: Case) -> float:
        if case.usd is None:
            raise CannotScore("nobody knows what it cost: give its target a price")
        return case.usd
