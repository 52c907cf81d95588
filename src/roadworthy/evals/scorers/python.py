"""``python``: the workflow's own function, in a process without keys, as checks have it."""

from __future__ import annotations

from typing import ClassVar

from roadworthy.evals.scorers.base import Asker, Base, Case, Mark, Needs, ScorerKind
from roadworthy.evals.scorers.verdicts import context_of, mark_of


class Python(Base, frozen=True, kw_only=True):
    """``scorers.MODULE:FUNCTION(answer, context)``.  The sources are arguments: other code is another scorer."""

    word: ClassVar[str] = "python"
    needs: ClassVar[Needs] = "python"

    python: str
    sources: dict[str, str]
    """Path beside workflow.yaml → text: all of ``scorers/``, for one file may import another."""
    labels: dict[str, float] = {}
    timeout: float = 10.0
    """Seconds."""
    gives: ScorerKind = "score"
    """As the function's return annotation says."""

    @property
    def kind(self) -> ScorerKind:
        return "label" if self.labels else self.gives

    @property
    def expects(self) -> bool:
        return False  # what it looks at is its own affair

    async def ask(self, case: Case, asker: Asker) -> Mark:
        given = await asker.call(self.sources, self.python, case.text, context_of(case), self.timeout)
        return mark_of(given, self.labels)
