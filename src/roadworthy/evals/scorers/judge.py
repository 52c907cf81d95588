"""``judge``: a workflow of this install that reads the rubric and gives one of its values, with a reason."""

from __future__ import annotations

from typing import ClassVar, Final

from roadworthy.evals.scorers import judging
from roadworthy.evals.scorers.base import Asker, Base, CannotScore, Case, Judge, Mark, Needs, ScorerKind
from roadworthy.evals.scorers.finding import as_text
from roadworthy.evals.scorers.verdicts import question_of

TASK: Final = "Judge the answer by the rubric: decide which one of its values describes the answer."


class RubricJudge(Base, frozen=True, kw_only=True):
    """Shown: rubric, what was asked, the answer, and, with ``reference``, what a person expects.

    Its identity are its arguments: ``behaviour`` stands for model, prompt and parameters, ``rubric`` and ``values`` for
    what it judges by.
    """

    word: ClassVar[str] = "judge"
    needs: ClassVar[Needs] = "workflow"

    workflow: str
    behaviour: str
    """Digest of the newest frozen release of that workflow."""
    rubric: str
    """Text: the workflow's, or ``criteria``."""
    values: dict[str, float]
    """Named value → score."""
    reference: bool = False

    @property
    def kind(self) -> ScorerKind:
        return "label"

    @property
    def expects(self) -> bool:
        return self.reference

    @property
    def judge(self) -> Judge:
        return Judge(self.workflow, self.behaviour)

    async def ask(self, case: Case, asker: Asker) -> Mark:
        if not case.text.strip():
            worst = min(self.values, key=self.values.__getitem__)
            return Mark(self.values[worst], label=worst, reason="the answer is empty")
        values = list(self.values)
        parts = [
            ("rubric", self.rubric), ("question", question_of(case)), ("answer", case.text),
            ("reference", reference_of(case) if self.reference else ""),
        ]  # fmt: skip
        said = await asker.chat(self.judge, judging.message(TASK, parts, judging.wanted(values)))
        verdict = judging.read(said, values)
        return Mark(self.values[verdict.value], label=verdict.value, reason=verdict.reason, usd=said.usd)


def reference_of(case: Case) -> str:
    """What a person expects, as a judge reads it.  Raises ``CannotScore``."""
    if case.expected_text is not None:
        return case.expected_text
    if not case.expected:
        raise CannotScore("the example expects nothing that the judge could be shown as reference")
    return as_text(dict(case.expected))
