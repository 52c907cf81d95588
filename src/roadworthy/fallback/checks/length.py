"""Answers that are longer or shorter than the workflow can use."""

from __future__ import annotations

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.workflow.check_options import option
from roadworthy.workflow.model import CheckSpec


class Length:
    def __init__(self, fewest: int, most: int | None) -> None:
        self._fewest = fewest
        self._most = most

    def __call__(self, text: str, context: Context) -> Finding | None:
        count = len(text)
        if self._most is not None and count > self._most:
            return Finding(f"has {count:,} characters, more than {self._most:,}", span=(self._most, count))
        if count < self._fewest:
            return Finding(f"has {count:,} characters, fewer than {self._fewest:,}")
        return None


def build(spec: CheckSpec) -> TextCheck:
    return Length(option(spec, "min_chars"), option(spec, "max_chars"))
