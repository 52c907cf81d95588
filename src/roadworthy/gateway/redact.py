"""Redaction: RE2 rules over the text of a body before anything is written.

Rules see JSON text with its ``\\u`` escapes resolved, so that an escaped e-mail address is an e-mail address.  When
a replacement leaves something that is no longer JSON, the body is left out rather than written unredacted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from roadworthy.workflow.model import RedactionRule


class Redactor:
    """The rules of one workflow, compiled.  Linear in the length of the text (RE2)."""

    def __init__(self, rules: Sequence[RedactionRule]) -> None:
        import re2  # loaded by the workers that redact

        self._rules: list[tuple[Any, str]] = [(re2.compile(rule.pattern), rule.replacement) for rule in rules]

    def text(self, text: str) -> str:
        for pattern, replacement in self._rules:
            text = pattern.sub(replacement, text)
        return text

    def json(self, body: bytes) -> bytes | None:
        """The redacted body, or ``None`` when it is not JSON any more."""
        if b"\\u" in body:
            body = msgspec.json.encode(msgspec.json.decode(body))
        redacted = self.text(body.decode()).encode()
        try:
            msgspec.json.decode(redacted, type=msgspec.Raw)
        except msgspec.DecodeError:
            return None
        return redacted


def redactor(names: Sequence[str], rules: Sequence[RedactionRule]) -> Redactor | None:
    """The rules called ``names``, in that order; ``None`` when there are none.

    Fails closed: raises ``KeyError`` for a name without a rule, so that such a snapshot is refused.
    """
    if not names:
        return None
    known = {rule.name: rule for rule in rules}
    return Redactor([known[name] for name in names])
