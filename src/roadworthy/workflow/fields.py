"""Tables of fields: what a configuration file may hold, as data.

A kind of value has ``read`` (value with its line → Python value, or ``INVALID`` after noting a problem), ``says`` (the
words used for "expected" and in the docs) and ``schema`` (its JSON Schema).  A ``Section`` is a mapping described
by a table of fields; the three files of ``tables.py`` are sections, and so the parser, the published JSON
Schemas and docs/configuration.md cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from roadworthy.workflow.problems import Problem, Severity, did_you_mean, nearest, show
from roadworthy.workflow.source import Value

INVALID: Final[Any] = object()
"""What ``read`` returns after it has noted a problem."""

NAME: Final = r"[a-z0-9][a-z0-9_-]{0,62}"


@dataclass(frozen=True)
class Reference:
    """A name that must exist in another table once all files are read."""

    table: str
    name: str
    at: At
    line: int


@dataclass
class Reading:
    """What one reading of all files gathers."""

    files: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)


@dataclass(frozen=True)
class At:
    """Where a value stands: file, dotted path, and the reading to which problems are noted."""

    reading: Reading
    file: str
    path: str = ""

    def child(self, name: str | int) -> At:
        path = f"{self.path}[{name}]" if isinstance(name, int) else f"{self.path}.{name}".lstrip(".")
        return At(self.reading, self.file, path)

    def problem(self, line: int, found: str, expected: str, mend: str, severity: Severity = "error") -> Any:
        """Note a problem; returns ``INVALID``."""
        self.reading.problems.append(
            Problem(
                file=self.file, line=line, field=self.path, found=found, expected=expected, mend=mend, severity=severity
            )
        )
        return INVALID


class Kind(Protocol):
    @property
    def says(self) -> str: ...

    def read(self, value: Value, at: At) -> Any: ...

    def schema(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class ListOf:
    item: Kind
    most: int = 1000

    @property
    def says(self) -> str:
        return f"a list of {self.item.says}"

    def read(self, value: Value, at: At) -> Any:
        if not isinstance(value.data, list):
            return at.problem(value.line, show(value.data), self.says, "write it as a list: [a, b]")
        if len(value.data) > self.most:
            return at.problem(value.line, f"{len(value.data)} entries", f"at most {self.most}", "remove some")
        read = [self.item.read(item, at.child(index)) for index, item in enumerate(value.data)]
        return [item for item in read if item is not INVALID]

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema(), "maxItems": self.most}


@dataclass(frozen=True)
class MapOf:
    item: Kind
    says: str
    key: str = NAME
    key_says: str = "a name of lower-case letters, digits, - and _"

    def read(self, value: Value, at: At) -> Any:
        if not isinstance(value.data, dict):
            return at.problem(value.line, show(value.data), self.says, "write one 'name: …' a line")
        out = {}
        for name, item in value.data.items():
            here = at.child(name)
            if re.fullmatch(self.key, name) is None:
                here.problem(item.line, f"the name {show(name)}", self.key_says, "rename it")
            read = self.item.read(item, here)
            if read is not INVALID:
                out[name] = read
        return out

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": self.item.schema(),
            "propertyNames": {"pattern": f"^{self.key}$"},
        }


@dataclass(frozen=True)
class Field:
    """One key of a section."""

    kind: Kind
    doc: str
    required: bool = False
    default: str = ""
    """The default in words, for the docs."""


@dataclass(frozen=True)
class Section:
    """A mapping with known keys.  Reads as a dict of those present and valid, or as what ``build`` makes of it."""

    says: str
    fields: Mapping[str, Field]
    build: Callable[[dict[str, Any]], Any] | None = None
    partial: bool = False
    """Read on when a required key is missing (it is noted either way)."""

    def read(self, value: Value, at: At) -> Any:
        if not isinstance(value.data, dict):
            return at.problem(value.line, show(value.data), self.says, f"write its keys: {', '.join(self.fields)}")
        out: dict[str, Any] = {}
        complete = True
        for key, item in value.data.items():
            here = at.child(key)
            if key not in self.fields:
                here.problem(item.line, f"an unknown key {show(key)}", "a known key", did_you_mean(key, self.fields))
            elif item.data is None:
                here.problem(item.line, "nothing", self.fields[key].kind.says, "give it a value or remove the key")
                complete = complete and not self.fields[key].required
            elif (read := self.fields[key].kind.read(item, here)) is not INVALID:
                out[key] = read
            elif self.fields[key].required:
                complete = False
        meant = {nearest(key, self.fields) for key in value.data if key not in self.fields}
        for key, known in self.fields.items():
            if not known.required or key in value.data:
                continue
            complete = False
            if key not in meant:  # misspelt ones are noted already: one mistake is one problem
                mend = f"add '{key}:' ({known.doc.rstrip('.')})"
                at.child(key).problem(value.line, "no such key", known.kind.says, mend)
        if not complete and not self.partial:
            return INVALID
        return out if self.build is None else self.build(out)

    def schema(self) -> dict[str, Any]:
        properties = {}
        for key, known in self.fields.items():
            properties[key] = known.kind.schema() | {"description": known.doc}
            if known.default:
                properties[key]["description"] += f" Default: {known.default}."
        required = [key for key, known in self.fields.items() if known.required]
        out: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        return out | ({"required": required} if required else {})
