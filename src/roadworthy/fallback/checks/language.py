"""The language of an answer, told by CLD2 (docs/dependencies.md has the measurement).

Only an answer of which most is surely in a language that is not allowed is a finding: short texts, quotations, names,
addresses and code alarm nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pycld2  # loaded by the workers whose releases declare this check

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.workflow.check_options import option
from roadworthy.workflow.model import CheckSpec

SAMPLE = 8_000
"""Characters that are looked at, half from the beginning and half from the end."""
MOST = 70
"""Per cent of the text that must be in languages that are not allowed."""
MOST_NAMES = 0.65
"""Share of the letters."""

_ALIASES = {"iw": "he", "zh-Hant": "zh", "in": "id", "nb": "no", "nn": "no", "jw": "jv", "tl": "fil"}
_RELATIVES = ({"no", "da"}, {"id", "ms"}, {"hr", "sr", "bs"}, {"es", "gl"}, {"pt", "gl"})
"""Languages that a short text can be either of: where one is allowed, its relatives pass too."""

_NOISE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]{1,500}`|(?:https?://|www\.)\S{1,2000}|\S{1,64}@\S{1,255}|\{\{.{0,100}?\}\}|<[^<>\n]{1,200}>"
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U0010ffff]"
    "|[\U0001f000-\U0001ffff]",
    re.DOTALL,
)


class Language:
    def __init__(self, allowed: Iterable[str], fewest: int) -> None:
        named = tuple(allowed)
        self._named = ", ".join(named)
        self._allowed = set(named).union(*(group for group in _RELATIVES if group & set(named)))
        self._fewest = fewest

    def __call__(self, text: str, context: Context) -> Finding | None:
        if len(text) > SAMPLE:
            text = f"{text[: SAMPLE // 2]}\n{text[-SAMPLE // 2 :]}"
        said = _NOISE.sub(" ", text)
        letters = sum(map(str.isalpha, said))
        if letters < self._fewest * (0.4 if _dense(said) else 0.7) or _names(said, letters):
            return None
        try:
            sure, _, parts = pycld2.detect(said)
        except pycld2.error:  # what it cannot read is not for it to judge (``garbage`` does)
            return None
        if not sure:
            return None
        other = [(code, share) for _, code, share, _ in parts if not self._allows(code)]
        total = sum(share for _, share in other)
        if total < MOST:
            return None
        return Finding(f"is in '{other[0][0]}', allowed is {self._named}", total / 100)

    def _allows(self, code: str) -> bool:
        return code == "un" or _ALIASES.get(code, code) in self._allowed


def _names(text: str, letters: int) -> bool:
    """Is it mostly names and titles?  Even German writes more in small letters."""
    if text.isupper():
        return False
    return sum(len(word) for word in text.split() if word[0].isupper()) > MOST_NAMES * letters


def _dense(text: str) -> bool:
    """A script of which one character says as much as a syllable or word."""
    return any("\u3040" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3" for letter in text)


def build(spec: CheckSpec) -> TextCheck:
    return Language(option(spec, "allowed"), option(spec, "min_chars"))
