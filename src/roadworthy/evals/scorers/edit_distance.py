"""``edit_distance``: how much would a person have to change?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar, Final, Literal

from roadworthy.evals.scorers.base import Base, CannotScore, Case, ScorerKind
from roadworthy.evals.scorers.finding import as_text, found, wanted

LONGEST: Final = 20_000
"""Units of either text: beyond them counting takes seconds."""


class EditDistance(Base, frozen=True):
    """``1 - distance / length of the longer``, Levenshtein's distance over characters or words."""

    word: ClassVar[str] = "edit_distance"

    field: str = ""
    expect: str = ""
    unit: Literal["characters", "words"] = "characters"
    case: bool = True

    @property
    def kind(self) -> ScorerKind:
        return "score"

    def score(self, case: Case) -> float:
        one, other = self._pair(case)
        longer = max(len(one), len(other))
        return 1 - distance(one, other) / longer if longer else 1.0

    def why(self, case: Case) -> str:
        one, other = self._pair(case)
        count = distance(one, other)
        return f"{count} {self.unit if count != 1 else self.unit[:-1]} would have to change"

    def _pair(self, case: Case) -> tuple[Sequence[str], Sequence[str]]:
        expected, given = as_text(wanted(case, self.field, self.expect)), as_text(found(case, self.field))
        one, other = self._units(given), self._units(expected)
        if max(len(one), len(other)) > LONGEST:
            raise CannotScore(f"is longer than {LONGEST:,} {self.unit}")
        return one, other

    def _units(self, text: str) -> Sequence[str]:
        text = text.strip() if self.case else text.strip().casefold()
        return text.split() if self.unit == "words" else text


def distance(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """Fewest insertions, deletions and replacements.  Bits of one large number stand for a column of the table
    (Myers 1999, in Hyyrö's form for whole texts, 2003), so a row costs a few operations on it."""
    begin, end = _shared(one, other)
    one, other = one[begin : len(one) - end], other[begin : len(other) - end]
    if len(one) < len(other):
        one, other = other, one
    if not other:
        return len(one)
    places: dict[Hashable, int] = {}
    for place, unit in enumerate(one):
        places[unit] = places.get(unit, 0) | 1 << place
    full, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    up, down, count = full, 0, len(one)
    for unit in other:
        equal = places.get(unit, 0)
        vertical = equal | down
        across = (((equal & up) + up) ^ up) | equal
        more, less = down | (full & ~(across | up)), up & across
        count += bool(more & last) - bool(less & last)
        more, less = (more << 1) | 1, less << 1
        up, down = (less | ~(vertical | more)) & full, more & vertical & full
    return count


def _shared(one: Sequence[Hashable], other: Sequence[Hashable]) -> tuple[int, int]:
    """Units that both begin and that both end with."""
    most, begin, end = min(len(one), len(other)), 0, 0
    while begin < most and one[begin] == other[begin]:
        begin += 1
    while end < most - begin and one[-1 - end] == other[-1 - end]:
        end += 1
    return begin, end
