"""``exact``: is it what a person expects, to the letter?"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from roadworthy.evals.scorers.base import Base, Case
from roadworthy.evals.scorers.finding import found, same, shown, wanted


class Exact(Base, frozen=True):
    """Compares one field of the JSON answer, or, without a field, the whole text but for space around it."""

    word: ClassVar[str] = "exact"

    field: str = ""
    expect: str = ""

    @property
    def name(self) -> str:
        return self.title or self.field or self.word

    def score(self, case: Case) -> bool:
        expected, given = wanted(case, self.field, self.expect), found(case, self.field)
        if not self.field and isinstance(expected, str):
            return bool(given.strip() == expected.strip())
        return given is not msgspec.UNSET and same(given, expected)

    def why(self, case: Case) -> str:
        return f"is {shown(found(case, self.field))}, expected {shown(wanted(case, self.field, self.expect))}"
