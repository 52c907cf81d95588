"""Files of examples → rows: JSON Lines, JSON, CSV, histories of OpenAI clients, promptfoo's YAML.  Pure.

A row is an object with the place that it stands at (``line 3``), so that whatever is wrong with it later can say where.
A history ``[…, user, assistant]`` becomes a question and, under ``assistant``, the answer that it had.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.source import SourceError, parse_yaml

Format = Literal["", "jsonl", "json", "csv", "promptfoo"]
"""Empty: by the name of the file."""

ANSWER: Final = "assistant"
"""Key under which a history's last answer stands."""
MOST_ROWS: Final = 100_000
LONGEST_CELL: Final = 1 << 20
_SUFFIXES: Final[dict[str, Format]] = {
    ".csv": "csv", ".tsv": "csv", ".json": "json", ".yaml": "promptfoo", ".yml": "promptfoo",
}  # fmt: skip
_DELIMITERS: Final = ",;\t|"


class Row(msgspec.Struct, frozen=True):
    place: str
    """``line 3``, ``item 3``."""
    data: dict[str, Any]


class Rows(msgspec.Struct, frozen=True):
    rows: list[Row]
    problems: list[str] = []
    """Rows that cannot be read, each with its place."""
    notes: list[str] = []
    """What the file says and an example cannot hold."""
    input: str = ""
    """Key of what is asked, where the format tells it."""


class BadRow(Exception):
    """One row cannot be read; the message says why."""


def rows_of(text: str, format: Format = "", name: str = "") -> Rows:
    """``name``: of the file, by whose ending the format is known when it is not said."""
    text = text.lstrip("\ufeff")
    word = format or next((kind for end, kind in _SUFFIXES.items() if name.lower().endswith(end)), "jsonl")
    readers = {"jsonl": _json_lines, "json": _json, "csv": _csv, "promptfoo": _promptfoo}
    found = readers[word](text)
    if len(found.rows) > MOST_ROWS:
        return Rows([], [f"the file has {len(found.rows):,} rows, expected at most {MOST_ROWS:,}; take a part of it"])
    return found


# --- JSON


def _json_lines(text: str) -> Rows:
    found = Rows([])
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            data = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            found.problems.append(f"{place}: is not JSON ({error}); expected one JSON object a line")
            continue
        _take(found, place, data)
    return found


def _json(text: str) -> Rows:
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) > 1 and lines[0].rstrip().endswith("}"):
            return _json_lines(text)  # JSON Lines under another name
        return Rows([], [f"the file is not JSON ({error}); expected a list of objects"])
    found = Rows([])
    items = data if isinstance(data, list) else [data]
    if items and all(isinstance(each, dict) and "role" in each for each in items):
        items = [{"messages": items}]  # one conversation
    for number, each in enumerate(items, 1):
        _take(found, f"item {number}", each)
    return found


def _take(found: Rows, place: str, data: Any) -> None:
    if not isinstance(data, dict):
        found.problems.append(f"{place}: holds {kind(data)}; expected a JSON object")
        return
    found.rows.append(Row(place, data))


# --- histories


def history(data: Mapping[str, Any], key: str) -> tuple[Any, str, dict[str, Any]]:
    """What a row asks under ``key``; the answer that it had, if any; and what else is known of the row.

    Knows messages as they are, fine-tuning rows (``messages`` that end with an answer), batch files (``body``) and
    logs of ``request`` and ``response``.
    """
    asked: Any = data.get(key)
    answer = ""
    if asked is None and key == "messages":
        asked = next((part["messages"] for part in _parts(data, "body", "request") if "messages" in part), None)
        answer = next((text for text in map(_choice, _parts(data, "response")) if text), "")
    if isinstance(asked, list) and len(asked) > 1 and _role(asked[-1]) == "assistant":
        answer, asked = _text(asked[-1].get("content")) or answer, asked[:-1]
    known: dict[str, Any] = {}
    if answer:
        known[ANSWER] = answer
        try:
            fields = msgspec.json.decode(answer)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            fields = None
        known |= fields if isinstance(fields, dict) else {}
    if "custom_id" in data:
        known["id"] = data["custom_id"]
    return asked, answer, {**known, **data}


def has_history(data: Mapping[str, Any]) -> bool:
    """Is the row a conversation as OpenAI's clients, fine-tuning or batches have it?"""
    return any(isinstance(part.get("messages"), list) for part in [data, *_parts(data, "body", "request")])


def _parts(data: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    return [part for part in (data.get(name) for name in names) if isinstance(part, dict)]


def _choice(response: Mapping[str, Any]) -> str:
    body = response.get("body") if isinstance(response.get("body"), dict) else response
    choices = body.get("choices") if isinstance(body, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    return _text(message.get("content")) if isinstance(message, dict) else ""


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _text(content: Any) -> str:
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


# --- CSV


def _csv(text: str) -> Rows:
    head = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    csv.field_size_limit(LONGEST_CELL)
    found = Rows([])
    try:
        names = [name.strip() for name in next(reader, [])]
        twice = [name for name, times in Counter(names).items() if times > 1 or not name]
        if twice:
            return Rows([], [f"line 1: the column '{twice[0]}' is there twice or has no name; give each its own"])
        for cells in reader:
            place = f"line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                found.problems.append(
                    f"{place}: has {len(cells)} cells, and the first line names {len(names)} columns; "
                    "quote a text that holds the delimiter or a line end"
                )
                continue
            found.rows.append(Row(place, {name: value(cell) for name, cell in zip(names, cells, strict=True) if cell}))
    except csv.Error as error:
        found.problems.append(f"line {reader.line_num}: is not CSV ({error})")
    return found


class Cell(str):
    """Text of a CSV, which may have meant a number."""

    __slots__ = ()


def value(cell: str) -> Cell:
    return Cell(cell)


def meant(found: Any) -> Any:
    """What a cell says when it is compared with a field of JSON: ``12`` is the number, ``true`` the truth."""
    if not isinstance(found, Cell):
        return found
    try:
        scalar = msgspec.json.decode(found.strip())
    except (msgspec.DecodeError, UnicodeEncodeError):
        return str(found)
    return scalar if isinstance(scalar, bool | int | float) else str(found)


# --- promptfoo


def _promptfoo(text: str) -> Rows:
    try:
        source = parse_yaml("the file", text)
    except SourceError as error:
        return Rows([], [str(error)])
    top = source.data if isinstance(source.data, dict) else {"tests": source}
    tests = top.get("tests")
    if tests is None or not isinstance(tests.data, list):
        if tests is not None and isinstance(tests.data, str):
            return Rows([], [f"tests: stand in another file ('{tests.data}'); import that one"])
        return Rows([], [f"has no list of 'tests', as promptfoo writes them; {did_you_mean('tests', top)}"])
    default = top["defaultTest"].plain() if "defaultTest" in top else None
    common = _vars(default) or {}
    found, unheld = Rows([]), Counter[str]()
    for each in tests.data:
        place, test = f"line {each.line}", each.plain()
        if _vars(test) is None:
            found.problems.append(f"{place}: holds {kind(test)}; expected a test with 'vars' and a text for each")
            continue
        found.rows.append(Row(place, _test(test, common, unheld)))
    names = {tuple(sorted(row.data["vars"])) for row in found.rows}
    only = next(iter(names)) if len(names) == 1 else ()
    if unheld:
        told = ", ".join(f"{word} ({times})" for word, times in sorted(unheld.items()))
        found.notes.append(f"asserted otherwise than by equality: {told}; declare these under evals: in workflow.yaml")
    return Rows(found.rows, found.problems, found.notes, only[0] if len(only) == 1 else "")


def _vars(test: Any) -> dict[str, Any] | None:
    found = test.get("vars", {}) if isinstance(test, dict) else None
    return found if isinstance(found, dict) else None


def _test(test: Mapping[str, Any], common: Mapping[str, Any], unheld: Counter[str]) -> dict[str, Any]:
    filled = {str(name): _said(each) for name, each in {**common, **test.get("vars", {})}.items()}
    row: dict[str, Any] = {**filled, "vars": filled}
    if test.get("description"):
        row["id"] = str(test["description"])
    tags = test.get("metadata")
    if isinstance(tags, dict):
        row["tags"] = {str(name): _said(each) for name, each in tags.items()}
    for each in test.get("assert") or []:
        said = each if isinstance(each, dict) else {}
        word = str(said.get("type", "?"))
        if word == "equals":
            wanted = said.get("value")
            row["expected"] = wanted
            row |= {name: each for name, each in wanted.items() if name not in row} if isinstance(wanted, dict) else {}
        else:
            unheld[word] += 1
    return row


def _said(found: Any) -> str:
    return found if isinstance(found, str) else msgspec.json.encode(found, enc_hook=str).decode()


def kind(found: Any) -> str:
    """What it is, in words."""
    names: Sequence[tuple[type, str]] = (
        (str, "text"), (bool, "true or false"), (int, "a number"), (float, "a number"), (list, "a list"),
        (dict, "an object"),
    )  # fmt: skip
    return next((word for each, word in names if isinstance(found, each)), "nothing")
