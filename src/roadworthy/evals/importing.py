"""Rows of a file → examples.  Pure: all or nothing, and every problem names its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from roadworthy.evals.examples import identified, question_of, set_of
from roadworthy.evals.formats import ANSWER, BadRow, Format, Row, has_history, history, kind, meant, rows_of
from roadworthy.evals.model import Example, Examples
from roadworthy.formats.messages import request as messages
from roadworthy.formats.model import Inexpressible
from roadworthy.formats.responses import request as responses
from roadworthy.workflow.digest import canonical
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.prompt import SYSTEM_ROLES

MOST_EXAMPLES: Final = 10_000
MOST_CHARACTERS: Final = 100_000
"""Of one example's input and expectation together."""
MOST_PROBLEMS: Final = 20
"""Shown at once."""
TAKEN: Final = frozenset({"valid_json", "exact"})
"""Names of scores that a field may not have."""
YES: Final = frozenset({"1", "true", "yes", "x", "critical"})
"""What a cell says of an example that is critical."""

_ITEMS: Final = frozenset(
    {"message", "input_text", "output_text", "input_image", "input_file", "reasoning", "function_call",
     "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)  # fmt: skip
"""Types that only a conversation of Responses has."""
_BLOCKS: Final = frozenset({"tool_use", "tool_result", "image", "document", "thinking", "redacted_thinking"})
"""Types that only a conversation of Messages has."""
_ANY, _ONE = msgspec.Raw(b'"any"'), msgspec.Raw(b"1")


class Columns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which keys of a row mean what."""

    input: str = ""
    """What is asked: text, or a list of messages as an OpenAI client sends them; empty: ``messages`` of a
    conversation, the one variable of promptfoo's tests, else ``message``."""
    expect: list[str] = []
    """Fields of the JSON answer, under the same key in the row or in the answer that it had."""
    expect_text: str = ""
    """Key of the whole answer that is expected; ``assistant``: the last answer of a conversation."""
    where: dict[str, str] = {}
    """Only rows with these values."""
    label: str = "id"
    """Key of what people call the example."""
    tags: list[str] = []
    """Keys whose values are slices."""
    critical: str = ""
    """Key that says yes for an example whose failure fails the gate."""
    user: str = ""
    """Key of the user on whose behalf it was asked: kept as a hash, by which they are forgotten."""
    keep_system: bool = True
    """Keep system messages; False where the release renders its own."""
    format: Format = ""


class Imported(msgspec.Struct, frozen=True):
    examples: Examples
    repeated: int
    """Rows left out because the same example came before."""
    passed_over: int
    """Rows left out by ``where``."""
    system_dropped: int = 0
    """Rows whose system message was left out."""
    notes: list[str] = []
    """What the file says and an example cannot hold."""


class NotImported(Exception):
    """The file is not taken; ``problems`` say why, with line numbers."""

    def __init__(self, problems: Sequence[str]) -> None:
        shown = list(problems[:MOST_PROBLEMS])
        if len(problems) > MOST_PROBLEMS:
            shown.append(f"… and {len(problems) - MOST_PROBLEMS} more")
        super().__init__("\n".join(shown))
        self.problems = list(problems)


class _Reader:
    """One file."""

    def __init__(self, columns: Columns, input_key: str, unit: Callable[[str], str]) -> None:
        self._columns = columns
        self._input = input_key
        self._unit = unit
        self.kept: dict[str, Example] = {}
        self.problems: list[str] = []
        self.repeated = self.passed_over = self.system_dropped = 0
        self._asked: dict[str, tuple[str, str]] = {}

    def take(self, row: Row) -> None:
        try:
            key = self._input or ("messages" if has_history(row.data) else "message")
            asked, _, data = history(row.data, key)
            if any(_shown(data.get(name)) != value for name, value in self._columns.where.items()):
                self.passed_over += 1
                return
            example = self._example(key, asked, data)
        except BadRow as bad:
            self.problems.append(f"{row.place}: {bad}")
            return
        except RecursionError:
            self.problems.append(f"{row.place}: is nested too deeply; make it flatter")
            return
        before = self._asked.setdefault(question_of(example), (row.place, example.id))
        if before[1] != example.id:
            self.problems.append(f"{row.place}: asks what {before[0]} asks and expects something else; keep one")
        self.repeated += example.id in self.kept
        self.kept.setdefault(example.id, example)

    def _example(self, key: str, asked: Any, data: Mapping[str, Any]) -> Example:
        columns = self._columns
        if asked is None:
            raise BadRow(f"has no '{key}' (--input); {did_you_mean(key, data)}")
        messages = self._messages(asked, key)
        expected = {name: meant(_of(data, name, "--expect")) for name in columns.expect}
        for name, value in expected.items():
            if isinstance(value, float) and value != value:
                raise BadRow(f"{name}: is no number")
        text = _expected_text(data, columns.expect_text)
        inputs = _texts(data, "inputs", "a text for each hole of the prompt")
        inputs = inputs or {name: value for name, value in _texts(data, "vars", "texts").items() if name != key}
        tags = _texts(data, "tags", "the value of each slice")
        tags |= {name: _shown(_of(data, name, "--tag"))[:100] for name in columns.tags}
        made = Example(
            "", messages, expected, text, inputs, _shown(data.get(columns.label, ""))[:100],
            critical=_shown(data.get(columns.critical, "")).strip().lower() in YES if columns.critical else False,
            tags=tags,
            cluster=self._unit(_shown(_of(data, columns.user, "--user"))) if columns.user else "",
        )  # fmt: skip
        if len(canonical([messages, expected, text, inputs])) > MOST_CHARACTERS:
            raise BadRow(f"is longer than {MOST_CHARACTERS:,} characters; shorten it")
        return identified(made)

    def _messages(self, found: Any, key: str) -> list[dict[str, Any]]:
        found = _as_chat(found, key)
        if isinstance(found, str):
            if not found.strip():
                raise BadRow(f"{key}: is empty; expected what a customer writes")
            return [{"role": "user", "content": str(found)}]
        if isinstance(found, list) and found and all(map(_said_by_somebody, found)):
            asked = [each for each in found if self._columns.keep_system or each["role"] not in SYSTEM_ROLES]
            self.system_dropped += len(asked) < len(found)
            if asked:
                return asked
            raise BadRow(f"{key}: holds nothing but system messages; expected what a customer writes")
        raise BadRow(f"{key}: holds {kind(found)}; expected text, or a list of messages with a role each")


def read_rows(
    text: str, columns: Columns, name: str = "", *, unit: Callable[[str], str] = lambda unit: "",
) -> Imported:  # fmt: skip
    """A file → examples.  ``name``: of the file; ``unit``: hash of a user.  Raises ``NotImported``."""
    for field in columns.expect:
        if field in TAKEN:
            raise NotImported([f"--expect {field}: is the name of a scorer; name the field otherwise"])
    found = rows_of(text, columns.format, name)
    reader = _Reader(columns, columns.input or found.input, unit)
    for row in found.rows:
        reader.take(row)
    problems = sorted([*found.problems, *reader.problems], key=_line)
    kept = list(reader.kept.values())
    if not problems and len(kept) > MOST_EXAMPLES:
        problems.append(f"{len(kept):,} examples, expected at most {MOST_EXAMPLES:,}; take a part with --where")
    if not problems and not kept:
        where = " and ".join(f"{key}={value}" for key, value in columns.where.items())
        problems.append(
            f"no row has {where}" if reader.passed_over else "the file holds no row; expected one example a row"
        )
    if problems:
        raise NotImported([_named(problem, name) for problem in problems])
    return Imported(set_of(kept), reader.repeated, reader.passed_over, reader.system_dropped, found.notes)


def _as_chat(found: Any, key: str) -> Any:
    """Turns as Responses or Messages have them → as chat completions has them; anything else as it is."""
    if not isinstance(found, list):
        return found
    turns = [turn for turn in found if isinstance(turn, dict)]
    parts = [part for turn in turns for part in turn.get("content") or () if isinstance(turn.get("content"), list)]
    kinds = {each.get("type") for each in [*turns, *parts] if isinstance(each, dict)}
    said = msgspec.Raw(msgspec.json.encode(found))
    try:
        if not _ITEMS.isdisjoint(kinds):
            made = responses.to_chat({"model": _ANY, "input": said})
        elif not _BLOCKS.isdisjoint(kinds):
            made = messages.to_chat({"model": _ANY, "max_tokens": _ONE, "messages": said})
        else:
            return found
    except Inexpressible as error:
        raise BadRow(f"{key}: {error}") from error
    if made.lost is not None:
        raise BadRow(
            f"{key}: {made.lost.param}: chat completions, as which examples are kept, cannot say this; leave it out"
        )
    return msgspec.json.decode(made.fields["messages"])


def _said_by_somebody(message: Any) -> bool:
    return isinstance(message, dict) and isinstance(message.get("role"), str) and bool(message["role"])


def _named(problem: str, name: str) -> str:
    """With the name of the file, where it is known and the problem is the file's."""
    if not name:
        return problem
    if problem.startswith("the file"):
        return name + problem.removeprefix("the file")
    return f"{name}, {problem}" if problem.startswith(("line ", "item ")) else problem


def _line(problem: str) -> int:
    """Problems stand in the order of the file."""
    number = problem.partition(":")[0].rpartition(" ")[2]
    return int(number) if number.isdigit() else 0


def _expected_text(data: Mapping[str, Any], key: str) -> str | None:
    if not key:
        return None
    if key == ANSWER and key not in data:
        raise BadRow("has no answer (--expect-text assistant): its conversation does not end with one")
    text = _of(data, key, "--expect-text")
    if not isinstance(text, str) or not text.strip():
        raise BadRow(f"{key}: holds {kind(text)}; expected the text of a whole answer")
    return str(text)


def _texts(data: Mapping[str, Any], key: str, what: str) -> dict[str, str]:
    found = data.get(key, {})
    if isinstance(found, str):
        return {}  # a column of a table that happens to be called so
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise BadRow(f"{key}: holds {kind(found)}; expected an object of texts, {what}")
    return dict(found)


def _of(data: Mapping[str, Any], key: str, option: str) -> Any:
    if data.get(key) is None:
        raise BadRow(f"has no '{key}' ({option}); {did_you_mean(key, data)}")
    return data[key]


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
