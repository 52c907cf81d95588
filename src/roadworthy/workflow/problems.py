"""What is wrong with configuration, in one shape: where, what was found, what was expected, how to mend it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec

Severity = Literal["error", "warning"]

_SECRETS: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:sk|rk|pk|xai|gsk|rw|rwt|pplx|tgp|fw|csk|nvapi|hf|r8|ghp|gho|glpat|xox[abp])[-_][A-Za-z0-9_\-]{16,}"
    r"|AIza[A-Za-z0-9_\-]{30,}|AKIA[A-Z0-9]{16}|eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{5,}"
    r"|[Bb]earer\s+[A-Za-z0-9_\-.]{20,}"
)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend.  ``line`` counts from 1; 0 means the file as a whole (it may not exist)."""

    file: str
    line: int
    field: str
    """Dotted path of the key, empty for the file."""
    found: str
    expected: str
    mend: str
    severity: Severity = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        field = f" {self.field}:" if self.field else ""
        return f"{where}:{field} found {self.found}; expected {self.expected}; {self.mend}"


def errors(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity == "error"]


def show(value: Any) -> str:
    """A found value for a message: short, and never a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = hide_secrets(repr(value) if isinstance(value, str) else str(value))
    return text if len(text) <= 60 else text[:57] + "…'"


def looks_secret(text: str) -> bool:
    """Does the text hold what looks like a real key (``sk-…``, ``AIza…``, a JWT, a bearer token)?"""
    return _SECRETS.search(text) is not None


def hide_secrets(text: str) -> str:
    return _SECRETS.sub("(a key, not shown)", text)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that ``word`` is probably a misspelling of."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` did you mean 'x'?`` or what exists; starts a ``mend`` sentence."""
    names = sorted(known)
    close = nearest(word, names)
    if close is not None:
        return f"did you mean '{close}'?"
    if not names:
        return "none is defined yet"
    listed = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"known: {listed}"
