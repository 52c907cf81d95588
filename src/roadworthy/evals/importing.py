"""Rows of JSON → a set of examples.  Pure: all or nothing, and every problem names its line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from roadworthy.evals.model import Example, Examples
from roadworthy.workflow.digest import canonical
from roadworthy.workflow.problems import did_you_mean

MOST_EXAMPLES: Final = 10_000
MOST_CHARACTERS: Final = 100_000
"""Of one example's input and expectation together."""
MOST_PROBLEMS: Final = 20
"""Shown at once."""
TAKEN: Final = frozenset({"valid_json", "exact"})
"""Names of scores that a field may not have."""


class Columns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which keys of a row mean what."""

    input: str = "message"
    """The customer's message: text, or a list of messages as an OpenAI client sends them."""
    expect: list[str] = []
    """Fields of the JSON answer, under the same key as in the row."""
    expect_text: str = ""
    """Key of the whole answer that is expected."""
    where: dict[str, str] = {}
    """Only rows with these values."""


class Imported(msgspec.Struct, frozen=True):
    examples: Examples
    repeated: int
    """Rows left out because the same example came before."""
    passed_over: int
    """Rows left out by ``where``."""


class NotImported(Exception):
    """The file is not taken; ``problems`` say why, with line numbers."""

    def __init__(self, problems: Sequence[str]) -> None:
        shown = list(problems[:MOST_PROBLEMS])
        if len(problems) > MOST_PROBLEMS:
            shown.append(f"… and {len(problems) - MOST_PROBLEMS} more")
        super().__init__("\n".join(shown))
        self.problems = list(problems)


class _Bad(Exception):
    """One row."""


def read_rows(text: str, columns: Columns) -> Imported:
    """JSON Lines → examples.  Raises ``NotImported``."""
    _vet(columns)
    problems: list[str] = []
    kept: dict[str, Example] = {}
    asked: dict[str, tuple[int, str]] = {}
    repeated = passed_over = 0
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = _row(line)
            if any(_shown(row.get(key)) != value for key, value in columns.where.items()):
                passed_over += 1
                continue
            example = _example(row, columns)
        except _Bad as bad:
            problems.append(f"line {number}: {bad}")
            continue
        question = canonical([example.messages, example.inputs])
        before = asked.setdefault(question, (number, example.id))
        if before[1] != example.id:
            problems.append(f"line {number}: asks what line {before[0]} asks and expects something else; keep one")
        repeated += example.id in kept
        kept.setdefault(example.id, example)
    if not problems and len(kept) > MOST_EXAMPLES:
        problems.append(f"{len(kept):,} examples, expected at most {MOST_EXAMPLES:,}; take a part with --where")
    if not problems and not kept:
        where = " and ".join(f"{key}={value}" for key, value in columns.where.items())
        problems.append(
            f"no row has {where}" if passed_over else "the file holds no row; expected one JSON object a line"
        )
    if problems:
        raise NotImported(problems)
    return Imported(set_of(list(kept.values())), repeated, passed_over)


def set_of(items: Sequence[Example]) -> Examples:
    """The set, with the version that its content has.  Labels are no part of it."""
    ordered = sorted(items, key=lambda each: each.id)
    text = "\n".join(each.id for each in ordered)
    return Examples("set_" + hashlib.sha256(text.encode("ascii")).hexdigest(), ordered)


def identity(example: Example) -> str:
    """The id that its content gives it."""
    content = [example.messages, example.expected, example.text, example.inputs]
    return "exm_" + hashlib.sha256(canonical(content).encode("ascii")).hexdigest()[:16]


def sound(examples: Examples) -> bool:
    """Has the set the version that its content gives it?  False for one that was changed where it is kept."""
    return examples.version == set_of(examples.items).version and all(
        identity(each) == each.id for each in examples.items
    )


def _vet(columns: Columns) -> None:
    if not columns.expect and not columns.expect_text:
        raise NotImported(
            ["nothing is expected of an answer; name a field (--expect FIELD) or the whole text (--expect-text KEY)"]
        )
    for name in columns.expect:
        if name in TAKEN:
            raise NotImported([f"--expect {name}: is the name of a scorer; name the field otherwise"])


def _row(line: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise _Bad(f"is not JSON ({error}); expected one JSON object a line") from error
    if not isinstance(found, dict):
        raise _Bad(f"holds {_kind(found)}; expected a JSON object")
    return found


def _example(row: Mapping[str, Any], columns: Columns) -> Example:
    messages = _messages(_of(row, columns.input, "--input"), columns.input)
    expected = {name: _of(row, name, "--expect") for name in columns.expect}
    for name, value in expected.items():
        if isinstance(value, float) and value != value:
            raise _Bad(f"{name}: is no number")
    text: str | None = None
    if columns.expect_text:
        text = _of(row, columns.expect_text, "--expect-text")
        if not isinstance(text, str) or not text.strip():
            raise _Bad(f"{columns.expect_text}: holds {_kind(text)}; expected the text of a whole answer")
    inputs = row.get("inputs", {})
    if not isinstance(inputs, dict) or not all(isinstance(value, str) for value in inputs.values()):
        raise _Bad(f"inputs: holds {_kind(inputs)}; expected an object of texts, one for each hole of the prompt")
    made = Example("", messages, expected, text, inputs, str(row.get("id", ""))[:100])
    if len(canonical([messages, expected, text, inputs])) > MOST_CHARACTERS:
        raise _Bad(f"is longer than {MOST_CHARACTERS:,} characters; shorten it")
    return msgspec.structs.replace(made, id=identity(made))


def _of(row: Mapping[str, Any], key: str, option: str) -> Any:
    if row.get(key) is None:
        raise _Bad(f"has no '{key}' ({option}); {did_you_mean(key, row)}")
    return row[key]


def _messages(found: Any, key: str) -> list[dict[str, Any]]:
    if isinstance(found, str):
        if not found.strip():
            raise _Bad(f"{key}: is empty; expected what a customer writes")
        return [{"role": "user", "content": found}]
    if isinstance(found, list) and found and all(isinstance(each, dict) and each.get("role") for each in found):
        return found
    raise _Bad(f"{key}: holds {_kind(found)}; expected text, or a list of messages with a role each")


def _kind(found: Any) -> str:
    names = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(found), "nothing")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
