"""``latency``: did the whole answer come soon enough?"""

from __future__ import annotations

from typing import ClassVar

from roadworthy.evals.scorers.base import Base, CannotScore, Case


class Latency(Base, frozen=True, kw_only=True):
    word: ClassVar[str] = "latency"

    most: float
    """Seconds."""

    @property
    def expects(self) -> bool:
        return False

    def score(self, case: Case) -> bool:
        return self._seconds(case) <= self.most

    def why(self, case: Case) -> str:
        return f"took {self._seconds(case):.3g} s, at most {self.most:g} s"

    def _seconds(self, case: Case) -> float:
        if case.seconds is None:
            raise CannotScore("nobody knows how long it took")
        return case.seconds
