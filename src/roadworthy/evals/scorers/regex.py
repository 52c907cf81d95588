"""``regex``: does a pattern match?  RE2: linear in the text, whoever wrote the pattern."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

from roadworthy.evals.scorers.base import Base, Case
from roadworthy.evals.scorers.finding import as_text, found, printable


class Regex(Base, frozen=True, kw_only=True):
    """Somewhere in the text; ``whole``: all of it; ``absent``: nowhere."""

    word: ClassVar[str] = "regex"

    pattern: str
    field: str = ""
    whole: bool = False
    absent: bool = False

    @property
    def expects(self) -> bool:
        return False

    def score(self, case: Case) -> bool:
        compiled, text = _compiled(self.pattern), printable(as_text(found(case, self.field)))
        matches = (compiled.fullmatch(text) if self.whole else compiled.search(text)) is not None
        return matches is not self.absent

    def why(self, case: Case) -> str:
        return f"{'matches' if self.absent else 'does not match'} {self.pattern[:200]}"


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    """Raises ``re2.error``; whoever read the pattern has compiled it before."""
    import re2  # only by who scores

    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)
