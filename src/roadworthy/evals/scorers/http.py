"""``http``: an endpoint of the user's, guarded as every outbound address is."""

from __future__ import annotations

from typing import ClassVar

from roadworthy.evals.scorers.base import Asker, Base, Case, Mark, Needs, ScorerKind
from roadworthy.evals.scorers.verdicts import context_of, mark_of


class Http(Base, frozen=True, kw_only=True):
    """``POST {text, context}``, answered as a function would."""

    word: ClassVar[str] = "http"
    needs: ClassVar[Needs] = "http"

    http: str
    key: str = ""
    allow_private: bool = False
    labels: dict[str, float] = {}
    timeout: float = 10.0
    """Seconds."""

    @property
    def kind(self) -> ScorerKind:
        return "label" if self.labels else "score"

    @property
    def expects(self) -> bool:
        return False

    async def ask(self, case: Case, asker: Asker) -> Mark:
        body = {"text": case.text, "context": context_of(case)}
        given = await asker.post(self.http, body, key=self.key, private=self.allow_private, seconds=self.timeout)
        return mark_of(given, self.labels)
