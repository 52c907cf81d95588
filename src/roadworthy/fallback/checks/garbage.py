"""Characters that no reader should see: NUL, controls, replacement characters, private use, broken encodings."""

from __future__ import annotations

import re

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.workflow.model import CheckSpec

_KINDS = (
    ("a NUL", re.compile("\x00")),
    ("a control character", re.compile("[\x01-\x08\x0b\x0e-\x1f\x7f-\x9f]")),
    ("a replacement character", re.compile("\ufffd")),
    ("a broken surrogate", re.compile("[\ud800-\udfff]")),
    (
        "a character that Unicode assigns to nothing",
        re.compile("[\ue000-\uf8ff\ufdd0-\ufdef\ufff0-\ufff8\ufffe\uffff]"),
    ),
    ("a pile of combining marks", re.compile("[\u0300-\u036f\u0489]{9,}")),
    ("text in the wrong encoding", re.compile("(?:(?:Ã[\u0080-\u00bf]|â€[^A-Za-z\\s]).{0,200}?){2}")),
)

_SUSPECT = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u0300-\u036f\u0489\ud800-\uf8ff\ufdd0-\ufdef\ufff0-\uffff]|Ã|â€"
)
"""What every text has that one of the kinds is in; nearly no other has."""


class Garbage:
    def __call__(self, text: str, context: Context) -> Finding | None:
        if _SUSPECT.search(text) is None:
            return None
        for what, pattern in _KINDS:
            found = pattern.search(text)
            if found is not None:
                return Finding(f"holds {what}", span=found.span())
        return None


def build(spec: CheckSpec) -> TextCheck:
    return Garbage()
