"""``number``: is the number in the answer near enough?"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final, Literal

from roadworthy.evals.scorers.base import Base, CannotScore, Case
from roadworthy.evals.scorers.finding import finite, found, shown, wanted

_POINT: Final = re.compile(r"(?<![\w.,])[-+−]?(?:\d{1,3}(?:[,  '’]\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,4})?")
_COMMA: Final = re.compile(r"(?<![\w.,])[-+−]?(?:\d{1,3}(?:[.  '’]\d{3})+(?!\d)|\d+)(?:,\d+)?(?:[eE][-+]?\d{1,4})?")
_SEPARATORS: Final = re.compile(r"[,.  '’]")
_LONGEST: Final = 20_000
"""Characters of a text in which numbers are looked for."""


class Number(Base, frozen=True):
    """``|found - expected| <= max(within, share * |expected|)``.  A text that holds several numbers says nothing unless
    ``which`` says which one counts."""

    word: ClassVar[str] = "number"

    field: str = ""
    expect: str = ""
    within: float = 0.0
    share: float = 0.0
    which: Literal["only", "first", "last"] = "only"
    decimal: Literal["point", "comma"] = "point"

    def score(self, case: Case) -> bool:
        expected, given = self._expected(case), self._number(found(case, self.field))
        if given is None:
            return False
        return abs(given - expected) <= max(self.within, self.share * abs(expected)) * (1 + 1e-12)

    def why(self, case: Case) -> str:
        given = self._number(found(case, self.field))
        if given is None:
            return f"holds no number, or several, in {shown(found(case, self.field))}"
        return f"is {given:g}, expected {self._expected(case):g}"

    def _expected(self, case: Case) -> float:
        expected = wanted(case, self.field, self.expect)
        number = self._number(expected)
        if number is None:
            raise CannotScore(f"the example expects {shown(expected)}, which is no number")
        return number

    def _number(self, value: Any) -> float | None:
        if not isinstance(value, str):
            return finite(value)
        numbers = numbers_in(value[:_LONGEST], self.decimal)
        if not numbers or (self.which == "only" and len(set(numbers)) > 1):
            return None
        return numbers[-1 if self.which == "last" else 0]


def numbers_in(text: str, decimal: Literal["point", "comma"] = "point") -> list[float]:
    """``1,234.5`` with a decimal point, ``1.234,5`` with a comma; blanks and apostrophes may part thousands too."""
    pattern, mark = (_POINT, ".") if decimal == "point" else (_COMMA, ",")
    numbers = []
    for match in pattern.finditer(text):
        whole, _, fraction = match[0].replace("−", "-").partition(mark)
        number = finite(float(_SEPARATORS.sub("", whole) + (f".{fraction}" if fraction else "")))
        if number is not None:
            numbers.append(number)
    return numbers
