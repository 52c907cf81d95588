"""``valid_json``: could a program read it?"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from roadworthy.evals.scorers.base import Case, ScorerKind, decoded
from roadworthy.workflow.json_schema import validation_error


class ValidJson(msgspec.Struct, frozen=True):
    """The answer is JSON, and satisfies the release's schema where there is one."""

    word: ClassVar[str] = "valid_json"
    version: ClassVar[int] = 1

    @property
    def name(self) -> str:
        return self.word

    @property
    def kind(self) -> ScorerKind:
        return "assertion"

    def score(self, case: Case) -> float:
        found = decoded(case.text)
        if found is msgspec.UNSET:
            return 0.0
        return float(case.schema is None or not validation_error(case.schema, found))

    def why(self, case: Case) -> str:
        found = decoded(case.text)
        return "is no JSON" if found is msgspec.UNSET else validation_error(case.schema or {}, found)
