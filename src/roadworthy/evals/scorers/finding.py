"""What of an answer is compared with what of an example."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from roadworthy.evals.scorers.base import CannotScore, Case, decoded


def wanted(case: Case, field: str = "", expect: str = "") -> Any:
    """What a person expects: under ``expect``, else under the name of the field, else the whole text.

    Raises ``CannotScore``: the example does not say.
    """
    key = expect or field
    if key:
        if key not in case.expected:
            raise CannotScore(f"the example expects nothing under '{key}'")
        return case.expected[key]
    if case.expected_text is None:
        raise CannotScore("the example holds no expected text: import it with --expect-text, or name it with 'expect:'")
    return case.expected_text


def found(case: Case, field: str = "") -> Any:
    """The field of the JSON answer, the whole text without one; ``msgspec.UNSET``: the answer has no such field.

    ``field``: a key, or a JSON Pointer (RFC 6901) when it begins with ``/``.
    """
    return pointed(decoded(case.text), field) if field else case.text


def pointed(value: Any, field: str) -> Any:
    if not field.startswith("/"):
        return value.get(field, msgspec.UNSET) if isinstance(value, dict) else msgspec.UNSET
    for part in field[1:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isascii() and key.isdigit() and len(key) < 8 and int(key) < len(value):
            value = value[int(key)]
        else:
            return msgspec.UNSET
    return value


def as_text(value: Any) -> str:
    """Text as it is, anything else as JSON; nothing where there is nothing."""
    if value is msgspec.UNSET or value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value, order="sorted").decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return str(value)


def same(one: Any, other: Any) -> bool:
    """As JSON has it: ``true`` is not 1, and 1 is 1.0."""
    try:
        return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
    except RecursionError:  # nested deeper than Python compares
        return False


def printable(text: str) -> str:
    """Without lone surrogates, which no other library takes."""
    return text.encode("utf-8", "replace").decode() if any("\ud800" <= letter <= "\udfff" for letter in text) else text


def finite(value: Any) -> float | None:
    """A number that is none of ``true``, infinity and NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def shown(value: Any, most: int = 80) -> str:
    """A value in a reason."""
    text = "nothing" if value is msgspec.UNSET else as_text(value)
    return f"'{text[:most]}…'" if len(text) > most else f"'{text}'"
