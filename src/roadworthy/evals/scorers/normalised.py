"""``normalised``: is it what a person expects, but for case, spacing, punctuation and forms of letters?"""

from __future__ import annotations

import unicodedata
from typing import ClassVar

from roadworthy.evals.scorers.base import Base, Case
from roadworthy.evals.scorers.finding import as_text, found, shown, wanted


class Normalised(Base, frozen=True):
    """Unicode NFKC, case folded, runs of white space as one blank, punctuation (``P*``) as blanks, cut at both ends."""

    word: ClassVar[str] = "normalised"

    field: str = ""
    expect: str = ""
    punctuation: bool = False
    accents: bool = True

    def score(self, case: Case) -> bool:
        expected = as_text(wanted(case, self.field, self.expect))
        return self._plain(as_text(found(case, self.field))) == self._plain(expected)

    def why(self, case: Case) -> str:
        return f"is {shown(found(case, self.field))}, expected {shown(wanted(case, self.field, self.expect))}"

    def _plain(self, text: str) -> str:
        return plain(text, punctuation=self.punctuation, accents=self.accents)


def plain(text: str, *, punctuation: bool = False, accents: bool = True) -> str:
    """``accents`` false: they are dropped."""
    text = unicodedata.normalize("NFKC", text).casefold()
    if not accents:
        text = "".join(each for each in unicodedata.normalize("NFD", text) if unicodedata.category(each) != "Mn")
    if not punctuation:
        text = "".join(" " if unicodedata.category(each).startswith("P") else each for each in text)
    return " ".join(unicodedata.normalize("NFKC", text).split())
