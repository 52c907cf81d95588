"""The kinds of value that only Roadworthy has: ladder steps, bypasses, stream modes, RE2 patterns, parsed files."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from roadworthy.workflow.fields import INVALID, At, Field, ListOf, Section
from roadworthy.workflow.kinds import Choice, Duration, Number, Ref, Text, Url
from roadworthy.workflow.model import Bypass, Step
from roadworthy.workflow.problems import did_you_mean, hide_secrets, show
from roadworthy.workflow.source import SourceError, Value, parse_json, parse_yaml


def yaml_file(path: str, text: str, at: At) -> Any:
    try:
        return parse_yaml(path, text).plain()
    except SourceError as error:
        at.reading.problems.append(error.problem)
        return INVALID


def json_file(path: str, text: str, at: At) -> Any:
    try:
        return parse_json(path, text)
    except SourceError as error:
        at.reading.problems.append(error.problem)
        return INVALID


@dataclass(frozen=True)
class Timezone:
    says: str = "an IANA time zone such as Europe/Berlin"

    def read(self, value: Value, at: At) -> Any:
        known = zoneinfo.available_timezones() | {"UTC"}
        if not isinstance(value.data, str) or value.data not in known:
            return at.problem(value.line, show(value.data), self.says, did_you_mean(str(value.data), known))
        return value.data

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(frozen=True)
class Pattern:
    says: str = "a regular expression in RE2 syntax (no look-around, no back-references)"

    def read(self, value: Value, at: At) -> Any:
        import re2  # only control reads configuration: a gateway worker never loads it from here

        options = re2.Options()
        options.log_errors = False
        if not isinstance(value.data, str) or not value.data:
            return at.problem(value.line, show(value.data), self.says, "write the pattern in single quotes")
        try:
            compiled = re2.compile(value.data, options=options)
        except re2.error as error:
            why = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
            return at.problem(value.line, f"{show(value.data)} ({why})", self.says, "mend the pattern")
        if compiled.search("") is not None:
            return at.problem(
                value.line, f"{show(value.data)}, which matches nothing at all", self.says, "require a character"
            )
        return value.data

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True)
class BypassKind:
    says: str = "app, human, {canned: text} or {http: url}"

    def read(self, value: Value, at: At) -> Any:
        data = value.data
        if data in ("app", "human"):
            return Bypass(kind=data)
        if isinstance(data, dict) and len(data) == 1:
            (key, item), *_ = data.items()
            if key == "canned" and (text := Text("the text to answer").read(item, at.child(key))) is not INVALID:
                return Bypass(kind="canned", text=text)
            if key == "http" and (url := Url().read(item, at.child(key))) is not INVALID:
                return Bypass(kind="http", url=url)
            if key in ("canned", "http"):
                return INVALID
        found = hide_secrets(", ".join(data)) if isinstance(data, dict) else show(data)
        return at.problem(value.line, found, self.says, "'bypass: app' lets the app take its old path")

    def schema(self) -> dict[str, Any]:
        one = {"type": "object", "additionalProperties": False, "minProperties": 1}
        canned = one | {"properties": {"canned": {"type": "string", "minLength": 1}}}
        return {"anyOf": [{"enum": ["app", "human"]}, canned, one | {"properties": {"http": Url().schema()}}]}


STEP_SETTINGS: Final[Mapping[str, Section]] = {
    "retry": Section(
        "retry settings",
        {
            "times": Field(Number(1, 5, "a whole number of retries", whole=True), "How many retries", default="1"),
            "backoff": Field(
                Duration(0.0, 30.0), "Wait before the first; doubled each time, with full jitter", default="200ms"
            ),
        },
    ),
    "repair": Section(
        "repair settings",
        {"times": Field(Number(1, 3, "a whole number of repairs", whole=True), "How many repairs", default="1")},
    ),
    "cache": Section(
        "cache settings",
        {"max_age": Field(Duration(1.0), "Oldest answer that may be given", default="as the workflow's cache says")},
    ),
}
"""Step → what may be set on it."""

BARE_STEPS: Final = ("retry", "repair", "cache", "canned", "escalate", "drop")


@dataclass(frozen=True)
class StepKind:
    says: str = "retry, repair, cache (each alone or with settings), target: NAME, escalate, drop or canned"

    def read(self, value: Value, at: At) -> Any:
        data = value.data
        kind = data if isinstance(data, str) else next(iter(data), None) if isinstance(data, dict) else None
        if isinstance(data, str) and data in BARE_STEPS:
            return msgspec.convert({"kind": data}, Step)
        if isinstance(data, dict) and len(data) == 1:
            if isinstance(kind, str) and kind in STEP_SETTINGS:
                read = STEP_SETTINGS[kind].read(data[kind], at.child(kind))
                return INVALID if read is INVALID else msgspec.convert({"kind": kind, **read}, Step)
            if kind == "target":
                name = Ref("targets", "the name of a target").read(data[kind], at.child(kind))
                return INVALID if name is INVALID else Step(kind="target", target=name)
        mend = "one step an entry; " + did_you_mean(str(kind), (*BARE_STEPS, "target"))
        if kind in BARE_STEPS:
            mend = f"write it alone: {kind}"
        return at.problem(value.line, show(data if isinstance(data, str) else kind), self.says, mend)

    def schema(self) -> dict[str, Any]:
        one = {"type": "object", "additionalProperties": False, "minProperties": 1}
        settings = [one | {"properties": {kind: section.schema()}} for kind, section in STEP_SETTINGS.items()]
        target = one | {"properties": {"target": {"type": "string"}}}
        return {"anyOf": [{"enum": list(BARE_STEPS)}, *settings, target]}


@dataclass(frozen=True)
class StreamKind:
    """Reads as ``(mode, window in characters or None)``."""

    says: str = "passthrough, buffered, windowed or {windowed: CHARACTERS}"

    _window = Number(50, 20_000, "a whole number of characters", whole=True)

    def read(self, value: Value, at: At) -> Any:
        data = value.data
        if isinstance(data, dict) and list(data) == ["windowed"]:
            window = self._window.read(data["windowed"], at.child("windowed"))
            return INVALID if window is INVALID else ("windowed", window)
        word = Choice(("passthrough", "buffered", "windowed"))
        if isinstance(data, dict):
            return at.problem(value.line, show(data), self.says, "write for example {windowed: 400}")
        read = word.read(value, at)
        return INVALID if read is INVALID else (read, None)

    def schema(self) -> dict[str, Any]:
        windowed = {"type": "object", "additionalProperties": False, "required": ["windowed"]}
        windowed["properties"] = {"windowed": self._window.schema()}
        return {"anyOf": [{"enum": ["passthrough", "buffered", "windowed"]}, windowed]}


@dataclass(frozen=True)
class HedgeAfter:
    """Reads as seconds; ``None`` for ``auto``."""

    says: str = "auto (the observed p95) or a duration such as 800ms"

    _duration = Duration(0.01, 600.0)

    def read(self, value: Value, at: At) -> Any:
        return None if value.data == "auto" else self._duration.read(value, at)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"const": "auto"}, self._duration.schema()]}


@dataclass(frozen=True)
class Overrides:
    says: str = "refuse, ignore or a list of request fields that callers may set"

    def read(self, value: Value, at: At) -> Any:
        if value.data in ("refuse", "ignore"):
            return value.data
        if not isinstance(value.data, list):
            return at.problem(
                value.line, show(value.data), self.says, did_you_mean(str(value.data), ("refuse", "ignore"))
            )
        return ListOf(Text("the name of a request field")).read(value, at)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"enum": ["refuse", "ignore"]}, {"type": "array", "items": {"type": "string"}}]}
