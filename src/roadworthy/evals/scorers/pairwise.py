"""``pairwise``: is it better than another answer?  Asked twice, in both orders: judges prefer what they read first."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from roadworthy.evals.scorers import judging
from roadworthy.evals.scorers.base import (
    LONGEST_REASON,
    Asker,
    Base,
    CannotScore,
    Case,
    Judge,
    Mark,
    Needs,
    Said,
    ScorerKind,
)
from roadworthy.evals.scorers.judge import reference_of
from roadworthy.evals.scorers.verdicts import question_of

TASK: Final = (
    "Compare the two answers by the rubric: decide which one is better. The order in which they stand says nothing."
)
CHOICES: Final = ("first", "second", "tie")
VALUES: Final = {"better": 1.0, "tie": 0.5, "worse": 0.0}


class Pairwise(Base, frozen=True, kw_only=True):
    """Against what a person expects, or against the answer of the release before.  Two judgements that do not agree
    make a tie."""

    word: ClassVar[str] = "pairwise"
    needs: ClassVar[Needs] = "workflow"

    workflow: str
    behaviour: str
    rubric: str = ""
    against: Literal["expected", "before"] = "expected"

    @property
    def kind(self) -> ScorerKind:
        return "label"

    @property
    def judge(self) -> Judge:
        return Judge(self.workflow, self.behaviour)

    async def ask(self, case: Case, asker: Asker) -> Mark:
        other = self._other(case)
        if case.text.strip() == other.strip():
            return Mark(VALUES["tie"], label="tie", reason="the two are the same")
        first, said = await self._asked(case, case.text, other, asker)
        try:
            second, again = await self._asked(case, other, case.text, asker)
        except CannotScore as cannot:
            raise CannotScore(str(cannot), judging.together(said.usd, cannot.usd)) from None
        usd = judging.together(said.usd, again.usd)
        label = _agreed(first.value, second.value)
        reason = f"{first.value} | {second.value}: {first.reason} | {second.reason}"
        return Mark(VALUES[label], label=label, reason=reason[:LONGEST_REASON], usd=usd)

    async def _asked(self, case: Case, one: str, two: str, asker: Asker) -> tuple[judging.Verdict, Said]:
        parts = [("rubric", self.rubric), ("question", question_of(case)), ("first", one), ("second", two)]
        said = await asker.chat(self.judge, judging.message(TASK, parts, judging.wanted(CHOICES)))
        return judging.read(said, CHOICES), said

    def _other(self, case: Case) -> str:
        if self.against == "expected":
            return reference_of(case)
        if case.other is None:
            raise CannotScore("the release before was not run on this example, so there is nothing to compare with")
        return case.other


def _agreed(first: str, second: str) -> Literal["better", "worse", "tie"]:
    """``first``: what was said while the answer stood first; ``second``: while it stood second."""
    if (first, second) == ("first", "second"):
        return "better"
    return "worse" if (first, second) == ("second", "first") else "tie"


def swapped(mark: Mark) -> tuple[str, str] | None:
    """What the judge chose while the answer stood first, and while it stood second; ``None``: it was not asked.

    A consistent judge chose ``first`` and ``second``, or ``second`` and ``first``, or twice ``tie``.
    """
    words = tuple(word.strip() for word in mark.reason.partition(":")[0].split("|"))
    return (words[0], words[1]) if len(words) == 2 and set(words) <= set(CHOICES) else None
