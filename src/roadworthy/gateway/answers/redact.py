"""Redaction: RE2 rules over the text of a body before anything is written.

Rules see JSON text with its ``\\u`` escapes resolved, so that an escaped e-mail address is an e-mail address.  When
a replacement would break the JSON, the rules are applied to each of its strings and numbers instead; a body that
cannot be redacted is left out rather than written as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from roadworthy.workflow.model import RedactionRule

BUILT_IN: dict[str, RedactionRule] = {
    rule.name: rule
    for rule in (
        RedactionRule("email", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", "[email]"),
        RedactionRule(
            "phone",
            r"(^|[^0-9A-Za-z.])(?:\+[1-9][0-9]{0,2}[ ./-]?|0)(?:\(?[0-9]{1,5}\)?[ ./-]?){2,5}[0-9]{2,}\b",
            r"\1[phone]",
        ),
        RedactionRule("card", r"\b[2-6][0-9]{3}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}\b", "[card]"),
        RedactionRule("iban", r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", "[iban]"),
        RedactionRule("key", r"\b(?:sk|pk|rw|rwt|ghp|xox[abp]|AKIA)[-_]?[A-Za-z0-9_-]{16,}", "[key]"),
    )
}
"""The rules that every install has.  They err on the side of redacting."""


class Redactor:
    """The rules of one workflow, compiled.  Linear in the length of the text (RE2)."""

    def __init__(self, rules: Sequence[RedactionRule]) -> None:
        """Raises ``ValueError`` for a pattern that is not RE2 and a replacement that names a group it has not."""
        import re2  # loaded by the workers that redact

        self._rules: list[tuple[Any, str]] = []
        for rule in rules:
            try:
                pattern = re2.compile(rule.pattern)
                re2.compile("()" * pattern.groups).sub(rule.replacement, "")  # what else only a match would tell
            except (re2.error, IndexError, ValueError) as error:
                raise ValueError(f"redaction rule {rule.name} cannot be used: {error}") from error
            self._rules.append((pattern, rule.replacement))

    def text(self, text: str) -> str:
        for pattern, replacement in self._rules:
            text = pattern.sub(replacement, text)
        return text

    def json(self, body: bytes) -> bytes | None:
        """The redacted body, or ``None`` when it cannot be made JSON again."""
        try:
            if b"\\u" in body:
                body = msgspec.json.encode(msgspec.json.decode(body))
            redacted = self.text(body.decode()).encode()
            if not _is_json(redacted):  # a replacement fell on a number or on the syntax itself
                redacted = msgspec.json.encode(self._walk(msgspec.json.decode(body)))
        except (msgspec.DecodeError, RecursionError):  # of what was never read in full: a number out of range, nesting
            return None
        return redacted if _is_json(redacted) else None

    def _walk(self, value: Any) -> Any:
        """The same for every string and number by itself."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._walk(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self._walk(item) for name, item in value.items()}
        if isinstance(value, int | float) and not isinstance(value, bool):
            shown = str(value)
            redacted = self.text(shown)
            return value if redacted == shown else redacted
        return value


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def redactor(names: Sequence[str], rules: Sequence[RedactionRule]) -> Redactor | None:
    """The rules called ``names``, in that order; ``None`` when there are none.

    Fails closed: raises ``KeyError`` for a name without a rule, so that such a snapshot is refused.
    """
    if not names:
        return None
    known = BUILT_IN | {rule.name: rule for rule in rules}
    return Redactor([known[name] for name in names])
