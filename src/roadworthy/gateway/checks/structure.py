"""The structure of an answer, always checked: its JSON against a schema, its calls of tools against their parameters.

Compiled once a release.  Remote ``$ref``s are refused and regular expressions backtrack a bounded number of times, so a
schema cannot make the gateway call out or hang.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any
from urllib.parse import unquote

import msgspec

BACKTRACK_LIMIT = 100_000
MOST_ERRORS = 5
"""Of one answer that a repair is told; the first is enough for the record."""
MOST_CALLERS_TOOLS = 64
MOST_FOLLOWED = 5000
"""Parts of a caller's schema, references followed: a kilobyte of them can stand for billions."""
"""Sets of tools of callers that are kept compiled."""

SCHEMA_CHECK = "schema"
TOOLS_CHECK = "tools"


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with an answer's structure."""

    detail: str
    """For the record: quotes nothing of the answer."""
    said: str
    """For the model that wrote it: may quote."""


class RemoteReference(Exception):
    """A schema refers to another document."""


def _no_remote(uri: str) -> Any:
    raise RemoteReference(uri)


def _compiled(schema: Any) -> Any:
    """Raises ``ValueError`` for a schema that cannot be compiled, remote references included."""
    import jsonschema_rs  # loaded by the workers whose releases have a schema or tools

    return jsonschema_rs.validator_for(
        schema,
        retriever=_no_remote,
        pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT),
    )


def _faults(validator: Any, value: Any, root: str) -> list[Fault]:
    found = []
    for error in validator.iter_errors(value):
        where = "/".join(str(part) for part in error.instance_path)
        kind = "/".join(str(part) for part in error.schema_path)
        found.append(
            Fault(f"{where or root} does not satisfy {kind}"[:280], f"{where or root}: {str(error.message)[:280]}")
        )
        if len(found) == MOST_ERRORS:
            break
    return found


def is_bounded(schema: Any) -> bool:
    """Is checking against a caller's schema, on the event loop, sure to end soon?  Not where references refer to one
    another in a circle or multiply."""
    known: dict[str, float] = {}

    def parts(value: Any) -> float:
        if isinstance(value, list):
            return sum(map(parts, value))
        if not isinstance(value, dict):
            return 0.0
        found = 1.0 + sum(map(parts, value.values()))
        for name in ("$dynamicRef", "$recursiveRef"):
            found += inf if name in value else 0.0
        reference = value.get("$ref")
        return found + followed(reference) if isinstance(reference, str) else found

    def followed(reference: str) -> float:
        if reference not in known:
            known[reference] = inf  # until it is known: who comes here meanwhile goes in a circle
            known[reference] = parts(_referred(root, reference)) if reference.startswith("#/") else inf
        return known[reference]

    root = schema
    if isinstance(schema, dict) and isinstance(schema.get("function"), dict):  # a tool: its parameters are the root
        root = schema["function"].get("parameters")
    try:
        return parts(root) <= MOST_FOLLOWED
    except RecursionError:
        return False


def _referred(root: Any, reference: str) -> Any:
    """What a JSON pointer leads to; ``None``: nothing."""
    for part in reference.split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        root = root.get(name) if isinstance(root, dict) else root[int(name)] if _is_place(root, name) else None
    return root


def _is_place(value: Any, name: str) -> bool:
    return isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 9 and int(name) < len(value)


class SchemaCheck:
    """The content of an answer against the release's JSON Schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """Raises ``ValueError`` for a schema that cannot be compiled, remote references included."""
        self._validator = _compiled(schema)
        self.array = "array" in (schema.get("type") or ()) if "type" in schema else True
        """May the answer be a list?"""

    def faults(self, content: str) -> list[Fault]:
        """What is wrong; empty when it is valid."""
        try:
            value = msgspec.json.decode(content)
        except (msgspec.DecodeError, RecursionError):
            return [Fault("is not JSON", "the answer is not JSON: answer with the JSON alone, without prose or fences")]
        return _faults(self._validator, value, "the answer")


class ToolCheck:
    """Calls of tools against the tools that the model was given."""

    def __init__(self, tools: Iterable[Mapping[str, Any]]) -> None:
        """Raises ``ValueError`` for parameters that are no JSON Schema."""
        self._validators: dict[str, Any] = {}
        self._sets = False
        """Is there a set of tools whose members its provider alone can name?"""
        for tool in tools:
            function = tool.get("function")
            if isinstance(function, Mapping) and isinstance(function.get("name"), str):
                parameters = function.get("parameters")
                self._validators[function["name"]] = _compiled({"type": "object"} if parameters is None else parameters)
            elif isinstance(tool.get("name"), str):  # one of the provider's own: it knows what its arguments are
                self._validators[tool["name"]] = _compiled({"type": "object"})
            elif "toolset" in str(tool.get("type")):
                self._sets = True

    def faults(self, name: str, arguments: str) -> list[Fault]:
        """What is wrong with one call; empty when it can be carried out."""
        validator = self._validators.get(name)
        if validator is None and self._sets:
            return []
        if validator is None:
            known = ", ".join(self._validators) or "none"
            return [
                Fault("calls a tool that there is not", f"there is no tool '{name[:64]}'; the tools are: {known[:200]}")
            ]
        try:
            value = msgspec.json.decode(arguments or "{}")
        except (msgspec.DecodeError, RecursionError):
            return [Fault(f"the arguments of {name[:64]} are not JSON", f"the arguments of '{name[:64]}' are not JSON")]
        return _faults(validator, value, f"the arguments of {name[:64]}")


class CallersTools:
    """Tools that callers bring themselves, compiled once for as long as they come again."""

    def __init__(self) -> None:
        self._known: dict[bytes, ToolCheck | None] = {}

    def check(self, raw: bytes) -> ToolCheck | None:
        """``None`` for tools that cannot be read: their caller's to mend, and no fault of the answer."""
        if raw not in self._known:
            if len(self._known) >= MOST_CALLERS_TOOLS:
                self._known.pop(next(iter(self._known)))
            self._known[raw] = _callers_tools(raw)
        return self._known[raw]


def _callers_tools(raw: bytes) -> ToolCheck | None:
    try:
        tools = msgspec.json.decode(raw, type=list[dict[str, Any]])
        return ToolCheck(tools) if all(map(is_bounded, tools)) else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
