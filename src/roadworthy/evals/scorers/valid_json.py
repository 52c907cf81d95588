"""``valid_json``: could a program read it?"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from roadworthy.evals.scorers.base import Base, Case, decoded
from roadworthy.workflow.json_schema import validation_error


class ValidJson(Base, frozen=True):
    """The answer is JSON, and satisfies the release's schema where there is one."""

    word: ClassVar[str] = "valid_json"

    @property
    def expects(self) -> bool:
        return False

    def score(self, case: Case) -> bool:
        return not self.why(case)

    def why(self, case: Case) -> str:
        found = decoded(case.text)
        if found is msgspec.UNSET:
            return "is no JSON"
        return "" if case.schema is None else validation_error(case.schema, found)
