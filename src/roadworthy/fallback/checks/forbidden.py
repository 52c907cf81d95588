"""What the workflow's own rules forbid, as RE2 patterns and as phrases."""

from __future__ import annotations

import re

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.fallback.checks.patterns import Patterns
from roadworthy.workflow.check_options import option
from roadworthy.workflow.model import CheckSpec

_LETTER = r"[\pL\pN_]"


class Forbidden:
    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns

    def __call__(self, text: str, context: Context) -> Finding | None:
        found = self._patterns.first(text)
        if found is None:
            return None
        rule, span = found
        return Finding(f"breaks the rule {rule}", span=span)


def phrase_pattern(phrase: str) -> str:
    """RE2 for a phrase as whole words: case, spacing, emphasis and the shape of apostrophes do not matter."""
    words = [re.sub(r"\\?['’‘`]", "['’‘`]", re.escape(word)) for word in phrase.split()]
    inside = r"[\s*_]+".join(words)
    before = r"(?:^|[^\pL\pN_])[*_]*" if phrase[:1].isalnum() else ""
    after = r"(?:$|[^\pL\pN_]|[*_])" if phrase.rstrip()[-1:].isalnum() else ""
    return rf"(?is){before}({inside}){after}"


def build(spec: CheckSpec) -> TextCheck:
    named = [(f"'{pattern[:100]}'", pattern) for pattern in option(spec, "patterns")]
    named += [(f"'{phrase[:100]}'", phrase_pattern(phrase)) for phrase in option(spec, "phrases") if phrase.strip()]
    return Forbidden(Patterns(named))
