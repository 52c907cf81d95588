"""How ``checks`` of workflow.yaml is read: name → what kind of check, its settings and the options of its kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from roadworthy.workflow.check_fields import OPTION_FIELDS
from roadworthy.workflow.check_options import CHECK_KINDS, CheckRow
from roadworthy.workflow.fields import INVALID, NAME, At, Field, Section
from roadworthy.workflow.kinds import Boolean, Choice, Duration, Ref
from roadworthy.workflow.model import CheckKind, CheckSpec
from roadworthy.workflow.problems import did_you_mean, show
from roadworthy.workflow.source import Value

_OWN: Final[tuple[CheckKind, ...]] = ("python", "http")
"""Kinds that a key of the same name announces."""

_COMMON: Final = {
    "kind": Field(Choice(tuple(CHECK_KINDS)), "Which check, where its name does not say it.", default="by its name"),
    "failure": Field(
        Choice(("invalid", "refused", "unsafe")),
        "What an answer becomes that does not pass; the ladder goes on from there.",
        default="as docs/checks.md says for the kind",
    ),
    "on_error": Field(
        Choice(("pass", "fail")), "What counts when the check itself cannot be done in time.", default="fail"
    ),
    "timeout": Field(Duration(0.005, 60.0), "Time for the check.", default="as docs/checks.md says for the kind"),
    "record_only": Field(Boolean(), "Record the verdict and change nothing.", default="false"),
}
_TARGET: Final = {"target": Field(Ref("targets", "the name of a target"), "Target that judges.", True)}

COMMON: Final = Section("a check: {} or its settings", _COMMON)
"""The keys of every check, whatever its kind."""


def _section(kind: CheckKind) -> Section:
    row = CHECK_KINDS[kind]
    return Section(f"a check of kind {kind}", {**_COMMON, **OPTION_FIELDS[kind], **(_TARGET if row.target else {})})


SECTIONS: Final[dict[CheckKind, Section]] = {kind: _section(kind) for kind in CHECK_KINDS}


@dataclass(frozen=True)
class ChecksKind:
    says: str = "checks by name: {language: {allowed: [en]}}"

    def read(self, value: Value, at: At) -> Any:
        if not isinstance(value.data, dict):
            return at.problem(value.line, show(value.data), self.says, "write one 'name: {…}' a line")
        out: dict[str, CheckSpec] = {}
        for name, item in value.data.items():
            here = at.child(name)
            if re.fullmatch(NAME, name) is None:
                here.problem(item.line, f"the name {show(name)}", "lower-case letters, digits, - and _", "rename it")
            read = _check(name, item, here)
            if read is not INVALID:
                out[name] = read
        return out

    def schema(self) -> dict[str, Any]:
        own = {"anyOf": [section.schema() for section in SECTIONS.values()]}
        known = {kind: section.schema() for kind, section in SECTIONS.items() if kind not in _OWN}
        return {
            "type": "object",
            "properties": known,
            "additionalProperties": own,
            "propertyNames": {"pattern": f"^{NAME}$"},
        }


def _check(name: str, value: Value, at: At) -> Any:
    if not isinstance(value.data, dict):
        return at.problem(value.line, show(value.data), COMMON.says, f"write '{name}: {{}}' if it needs no settings")
    kind = _kind(name, value, at)
    if kind is INVALID:
        return INVALID
    row: CheckRow = CHECK_KINDS[kind]
    read = SECTIONS[kind].read(value, at)
    if read is INVALID:
        return INVALID
    if row.one_of and not any(option in value.data for option in row.one_of):
        return at.problem(value.line, "none of them", f"one of {', '.join(row.one_of)}", f"add '{row.one_of[0]}: …'")
    common = {key: read[key] for key in ("on_error", "record_only", "target") if key in read}
    return msgspec.convert(
        {
            "kind": kind,
            "failure": read.get("failure", row.failure),
            "timeout": read.get("timeout", row.timeout),
            "options": {key: read[key] for key in OPTION_FIELDS[kind] if key in read},
            **common,
        },
        CheckSpec,
    )


def _kind(name: str, value: Value, at: At) -> Any:
    """The kind of a check: as it says, else by the key that only one kind has, else by its name."""
    if "kind" in value.data:
        item = value.data["kind"]
        return _COMMON["kind"].kind.read(item, at.child("kind"))
    for own in _OWN:
        if own in value.data:
            return own
    if name in CHECK_KINDS and name not in _OWN:
        return name
    known = [kind for kind in CHECK_KINDS if kind not in _OWN]
    expected = "the name of a built-in check, or 'kind:', 'python:' or 'http:'"
    return at.problem(value.line, f"a check '{name}' that says not what it does", expected, did_you_mean(name, known))
