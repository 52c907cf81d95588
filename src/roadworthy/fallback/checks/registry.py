"""Kind → check.  The module of a kind has its name and is loaded by the workers whose releases declare it."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from roadworthy.fallback.checks.model import TextCheck
from roadworthy.workflow.model import CheckKind, CheckSpec

TEXT_KINDS: Final[frozenset[CheckKind]] = frozenset(
    {
        "language", "refusal", "repetition", "forbidden", "personal_data", "secrets", "prompt_leak", "markup",
        "garbage", "length",
    }
)  # fmt: skip
"""Kinds that need only the text: each is a module here with ``build(spec) -> TextCheck``."""

LEAK_KINDS: Final[frozenset[CheckKind]] = frozenset({"personal_data", "secrets", "prompt_leak"})
"""Kinds that search the arguments of tool calls as well: what an app acts on is a way out, too."""


def build(spec: CheckSpec) -> TextCheck:
    """The check that ``spec`` declares, of one of ``TEXT_KINDS``.

    Raises ``ValueError`` for options that cannot be used (a pattern that is not RE2).
    """
    if spec.kind not in TEXT_KINDS:
        raise ValueError(f"a check of the kind {spec.kind} needs more than the text")
    made: TextCheck = import_module(f"roadworthy.fallback.checks.{spec.kind}").build(spec)
    return made
