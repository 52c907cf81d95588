"""Configuration text → values that know their line.

A careful subset of YAML: only ``true``/``false`` are booleans (``no`` and ``on`` stay text), no dates, no
sexagesimals, no tags, no merge keys, no duplicate keys; aliases are allowed but bounded, so a few lines cannot
expand into millions.  JSON files are read as strictly, duplicate keys included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from roadworthy.workflow.problems import Problem

MAX_BYTES: Final = 262_144
"""Most characters of one YAML file."""
MAX_NODES: Final = 20_000
MAX_DEPTH: Final = 40


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar, ``list[Value]`` or ``dict[str, Value]``, with the line (from 1) of its key or of itself."""

    line: int
    data: Any

    def plain(self) -> Any:
        """The value without lines."""
        if isinstance(self.data, dict):
            return {key: value.plain() for key, value in self.data.items()}
        if isinstance(self.data, list):
            return [value.plain() for value in self.data]
        return self.data


class SourceError(Exception):
    """The text is not what it should be; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _Loader(yaml.SafeLoader):
    """Pure Python (a deep document raises instead of overflowing the C stack), with YAML 1.2's few plain types."""

    yaml_implicit_resolvers: dict[str, Any] = {}


_PREFIX: Final = "tag:yaml.org,2002:"
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(_PREFIX + _tag, re.compile(_pattern), list(_first))


def parse_yaml(file: str, text: str) -> Value:
    """The document of a YAML file.  Raises ``SourceError``; an empty file is an empty mapping."""
    if len(text) > MAX_BYTES:
        raise _error(
            file, 1, f"{len(text):,} characters", f"at most {MAX_BYTES:,}", "split it, or remove what it does not need"
        )
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
        if node is None:
            return Value(1, {})
        return _Builder(file).build(node, 1, 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        found = " ".join(part for part in (error.problem, error.context) if part).removeprefix("found ")
        raise _error(file, line, found, "YAML", "check indentation, quotes and the ':' after each key") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _error(file, line, "a character that YAML does not allow", "printable UTF-8 text", "remove it") from error
    except RecursionError as error:
        raise _error(file, 1, "nesting without end", f"at most {MAX_DEPTH} levels", "make it flatter") from error


def parse_json(file: str, text: str) -> Any:
    """The plain value of a JSON file.  Raises ``SourceError`` (also for duplicate keys, NaN and Infinity)."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in items:
            if key in out:
                line = next(_lines_of_key(text, key, skip=1), 1)
                raise _error(file, line, f"the key {key!r} twice", "each key once", "remove one of them")
            out[key] = value
        return out

    def constant(word: str) -> Any:
        raise _error(file, 1, word, "a number that JSON knows", f"replace {word}")

    try:
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise _error(file, error.lineno, f"{error.msg} (column {error.colno})", "JSON", "mend the syntax") from error
    except RecursionError as error:
        raise _error(file, 1, "nesting without end", "a JSON document of sane depth", "make it flatter") from error


class _Builder:
    def __init__(self, file: str) -> None:
        self._file = file
        self._nodes = 0

    def build(self, node: yaml.Node, line: int, depth: int) -> Value:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise _error(
                self._file,
                node.start_mark.line + 1,
                "too much once its aliases are followed",
                f"at most {MAX_NODES:,} values and {MAX_DEPTH} levels",
                "write the values out, or use fewer",
            )
        if isinstance(node, yaml.MappingNode):
            return Value(line, self._mapping(node, depth))
        if isinstance(node, yaml.SequenceNode):
            return Value(line, [self.build(item, item.start_mark.line + 1, depth + 1) for item in node.value])
        return Value(line, self._scalar(node))

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Value]:
        out: dict[str, Value] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if isinstance(key, bool | int | float):
                key = key_node.value
            if not isinstance(key, str):
                raise _error(self._file, line, "a key that is not text", "a text key", "quote it or write it as a name")
            if key == "<<":
                raise _error(self._file, line, "a merge key '<<'", "plain keys", "write the merged keys out")
            if key in out:
                first = out[key].line
                raise _error(
                    self._file, line, f"the key '{key}' twice (first on line {first})", "each key once", "remove one"
                )
            out[key] = self.build(value_node, line, depth + 1)
        return out

    def _scalar(self, node: yaml.Node) -> Any:
        text: str = node.value
        try:
            match node.tag.removeprefix(_PREFIX):
                case "str":
                    return text
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int" if len(text) <= 20:
                    return int(text)
                case "float" | "int":
                    return float(text)
        except ValueError:
            pass  # a tag that its text belies, such as !!int x: refused below with the other tags
        line = node.start_mark.line + 1
        raise _error(self._file, line, f"the tag {node.tag[:60]!r}", "plain values without tags", "remove the tag")


def _lines_of_key(text: str, key: str, skip: int) -> Iterator[int]:
    for count, place in enumerate(re.finditer(re.escape(json.dumps(key)) + r"\s*:", text)):
        if count >= skip:
            yield text.count("\n", 0, place.start()) + 1


def _error(file: str, line: int, found: str, expected: str, mend: str) -> SourceError:
    return SourceError(Problem(file=file, line=line, field="", found=found, expected=expected, mend=mend))
