"""The declared checks that a windowed stream can hold every span of its text against.

``roadworthy check`` refuses a window in which an enforced check cannot see what it must see at once (``span_of``), so
what is left out here is only recorded, when the answer is whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.fallback.checks.registry import TEXT_KINDS, build
from roadworthy.gateway.window import Window
from roadworthy.workflow.check_options import span_of
from roadworthy.workflow.inference import Failure
from roadworthy.workflow.model import CheckKind, CheckSpec

FROM_START: frozenset[CheckKind] = frozenset({"refusal", "markup"})
"""Kinds that judge a place by what stands before it: how an answer opens, whether it is inside code."""


class Span:
    """One check, in the context of one call."""

    __slots__ = ("_check", "_context", "failure", "from_start", "name")

    def __init__(self, name: str, failure: Failure, check: TextCheck, context: Context, *, from_start: bool) -> None:
        self.name = name
        self.failure = failure
        self.from_start = from_start
        self._check = check
        self._context = context

    def find(self, text: str) -> Finding | None:
        return self._check(text, self._context)


class Spans:
    """The checks of a release, compiled once."""

    def __init__(self, checks: Mapping[str, CheckSpec], hold: int) -> None:
        """``hold``: characters that the release holds back.  Raises ``ValueError`` for a pattern that is none."""
        self._hold = hold
        self._checks = [
            (name, spec, build(spec))
            for name, spec in checks.items()
            if spec.kind in TEXT_KINDS and not spec.record_only and span_of(spec) is not None
        ]

    def window(self, context: Context) -> Window:
        """A window for one stream."""
        spans = [
            Span(name, spec.failure, check, context, from_start=spec.kind in FROM_START)
            for name, spec, check in self._checks
        ]
        return Window(self._hold, spans)
