"""``json_schema``: does the answer satisfy a schema of its own?"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from roadworthy.evals.scorers.base import Base, Case, decoded
from roadworthy.evals.scorers.finding import found
from roadworthy.workflow.json_schema import validation_error


class JsonSchema(Base, frozen=True, kw_only=True):
    word: ClassVar[str] = "json_schema"

    schema: dict[str, Any]
    field: str = ""

    @property
    def expects(self) -> bool:
        return False

    def score(self, case: Case) -> bool:
        return not self.why(case)

    def why(self, case: Case) -> str:
        value = found(case, self.field) if self.field else decoded(case.text)
        if value is msgspec.UNSET:
            return "has no such field" if self.field else "is no JSON"
        return validation_error(self.schema, value)
