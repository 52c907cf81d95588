"""The kinds of value that only Roadworthy has: ladder steps, bypasses, overrides, RE2 patterns, parsed files."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from typing import Any, Final

from roadworthy.workflow.fields import INVALID, At, Field, ListOf, Section
from roadworthy.workflow.kinds import Duration, Number, Ref, Text, Url
from roadworthy.workflow.model import Bypass, Step
from roadworthy.workflow.problems import did_you_mean, hide_secrets, show
from roadworthy.workflow.source import SourceError, Value, parse_json, parse_yaml

NOT_BUILT_STEPS: Final = ("repair", "cache", "escalate", "drop")


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
    says: str = "app, {canned: text} or {http: url}"

    def read(self, value: Value, at: At) -> Any:
        data = value.data
        if data == "app":
            return Bypass(kind="app")
        if data == "human" or (isinstance(data, dict) and "human" in data):
            return at.problem(value.line, "'human', which is not built yet", self.says, "choose one that exists")
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
        return {"anyOf": [{"const": "app"}, canned, one | {"properties": {"http": Url().schema()}}]}


RETRY: Final = Section(
    "retry settings",
    {
        "times": Field(Number(1, 5, "a whole number of retries", whole=True), "How many retries", default="1"),
        "backoff": Field(
            Duration(0.0, 30.0), "Wait before the first; doubled each time, with full jitter", default="200ms"
        ),
    },
)


@dataclass(frozen=True)
class StepKind:
    says: str = "retry, retry: {times: 2}, target: NAME or canned"

    def read(self, value: Value, at: At) -> Any:
        data = value.data
        kind = data if isinstance(data, str) else next(iter(data), None) if isinstance(data, dict) else None
        if kind in NOT_BUILT_STEPS:
            return at.problem(value.line, f"the step '{kind}', which is not built yet", self.says, "use another step")
        if data in ("retry", "canned"):
            return Step(kind=data)
        if isinstance(data, dict) and len(data) == 1:
            if kind == "retry":
                read = RETRY.read(data[kind], at.child(kind))
                return INVALID if read is INVALID else Step(kind="retry", **read)
            if kind == "target":
                name = Ref("targets", "the name of a target").read(data[kind], at.child(kind))
                return INVALID if name is INVALID else Step(kind="target", target=name)
        mend = "one step an entry; " + did_you_mean(str(kind), ("retry", "target", "canned"))
        return at.problem(value.line, show(data if isinstance(data, str) else kind), self.says, mend)

    def schema(self) -> dict[str, Any]:
        one = {"type": "object", "additionalProperties": False, "minProperties": 1}
        retry = one | {"properties": {"retry": RETRY.schema()}}
        target = one | {"properties": {"target": {"type": "string"}}}
        return {"anyOf": [{"enum": ["retry", "canned"]}, retry, target]}


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
