"""``embedding``: does it mean what a person expects, as an embeddings workflow sees it?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from roadworthy.evals.scorers.base import Asker, Base, CannotScore, Case, Judge, Mark, Needs, ScorerKind
from roadworthy.evals.scorers.finding import as_text, found, wanted


class Embedding(Base, frozen=True, kw_only=True):
    """Cosine of the two vectors, below 0 as 0; with ``least`` an assertion."""

    word: ClassVar[str] = "embedding"
    needs: ClassVar[Needs] = "workflow"

    workflow: str
    behaviour: str
    """Of the workflow's newest frozen release: another model is another scorer."""
    field: str = ""
    expect: str = ""
    least: float | None = None

    @property
    def kind(self) -> ScorerKind:
        return "score" if self.least is None else "assertion"

    async def ask(self, case: Case, asker: Asker) -> Mark:
        expected, given = as_text(wanted(case, self.field, self.expect)), as_text(found(case, self.field))
        if not given.strip():
            return Mark(0.0, reason="is empty")
        if not expected.strip():
            raise CannotScore("the example expects an empty text, which no model embeds")
        embedded = await asker.embed(Judge(self.workflow, self.behaviour), [given, expected])
        try:
            cosine = cosine_of(*embedded.vectors)
        except CannotScore as cannot:
            raise CannotScore(str(cannot), embedded.usd) from None
        value = cosine if self.least is None else float(cosine >= self.least)
        return Mark(value, reason=f"similarity {cosine:.3f}", usd=embedded.usd)


def cosine_of(one: Sequence[float], other: Sequence[float]) -> float:
    """In [0, 1].  Raises ``CannotScore`` for vectors that cannot be compared."""
    if len(one) != len(other) or not one:
        raise CannotScore(f"the vectors have {len(one)} and {len(other)} dimensions")
    long, wide = math.hypot(*one), math.hypot(*other)
    if not (0 < long < math.inf and 0 < wide < math.inf):
        raise CannotScore("a vector has no direction")
    return min(1.0, max(0.0, math.fsum((a / long) * (b / wide) for a, b in zip(one, other, strict=True))))
