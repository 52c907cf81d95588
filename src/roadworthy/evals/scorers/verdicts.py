"""What users' own scorers are told, and how their answers are read: strictly, for they decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from roadworthy.evals.scorers.base import LONGEST_REASON, CannotScore, Case, Mark
from roadworthy.evals.scorers.finding import finite

LONGEST_LABEL: Final = 100
_KEYS: Final = frozenset({"value", "label", "reason"})
_WANTED: Final = "true, false, a number from 0 to 1, a word of 'labels', or {value, label, reason}"


def context_of(case: Case) -> dict[str, Any]:
    """What a function or endpoint is told beside the answer."""
    return {
        "messages": list(case.messages),
        "inputs": dict(case.inputs),
        "question": question_of(case),
        "expected": dict(case.expected),
        "expected_text": case.expected_text,
        "tool_calls": list(case.tool_calls),
        "seconds": case.seconds,
        "usd": case.usd,
    }


def question_of(case: Case) -> str:
    """Text of the last message of a user, of the inputs where there is none."""
    for message in reversed(case.messages):
        if message.get("role") == "user":
            return content_of(message)
    return "\n".join(f"{name}: {value}" for name, value in case.inputs.items())


def content_of(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def mark_of(given: Any, labels: Mapping[str, float]) -> Mark:
    """``True`` or ``False``: an assertion; a number: a score; text: a label, worth what ``labels`` says.

    Raises ``CannotScore`` for anything else: what cannot be understood is no score.
    """
    if isinstance(given, dict):
        return _of_object(given, labels)
    if isinstance(given, bool):
        return Mark(float(given))
    if isinstance(given, str):
        return _labelled(given, labels)
    return Mark(_value(given))


def _of_object(given: Mapping[str, Any], labels: Mapping[str, float]) -> Mark:
    unknown = next((str(key)[:40] for key in given if key not in _KEYS), None)
    if unknown is not None:
        raise CannotScore(f"answered with the unknown key '{unknown}', expected {_WANTED}")
    reason = given.get("reason") or ""
    if not isinstance(reason, str):
        raise CannotScore(f"answered with a reason that is {_kind(reason)}, not text")
    value, label = given.get("value"), given.get("label")
    if value is None and label is None:
        raise CannotScore("answered without 'value' and without 'label'")
    if label is not None and not isinstance(label, str):
        raise CannotScore(f"answered with a label that is {_kind(label)}, not text")
    if isinstance(value, str):
        label, value = value, None
    made = Mark(None) if label is None else _labelled(label, labels if value is None else {})
    if value is not None:
        made = msgspec.structs.replace(made, value=float(value) if isinstance(value, bool) else _value(value))
    return msgspec.structs.replace(made, reason=reason[:LONGEST_REASON])


def _labelled(label: str, labels: Mapping[str, float]) -> Mark:
    """Without ``labels`` a word is kept and worth nothing."""
    found = label.strip()
    if not found or len(found) > LONGEST_LABEL:
        raise CannotScore(f"answered with a text of {len(label)} characters, not a word of at most {LONGEST_LABEL}")
    if labels and found not in labels:
        raise CannotScore(f"answered '{found}', which is none of {', '.join(labels)}")
    return Mark(labels.get(found), label=found)


def _value(given: Any) -> float:
    number = finite(given)
    if number is None or not 0 <= number <= 1:
        raise CannotScore(f"answered {_kind(given) if number is None else f'{number:g}'}, expected {_WANTED}")
    return number


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
