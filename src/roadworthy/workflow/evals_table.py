"""How ``evals`` of workflow.yaml is read: scorers by name, what is scored online, how often a set is published."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from roadworthy.workflow.fields import INVALID, NAME, At, Field, ListOf, Section
from roadworthy.workflow.kinds import Choice, Duration, Number, ShareOrNone, Text
from roadworthy.workflow.model import EvalPlan, OnlineEvals, ScorerSpec
from roadworthy.workflow.problems import did_you_mean, show
from roadworthy.workflow.scorer_kinds import RESERVED, SCORER_KINDS
from roadworthy.workflow.source import Value

MOST_SCORERS: Final = 50

_OWN: Final = tuple(kind for kind, row in SCORER_KINDS.items() if row.own)
"""Kinds that a key of the same name announces."""

_COMMON: Final = {
    "kind": Field(Choice(tuple(SCORER_KINDS)), "Which scorer, where its name does not say it.", default="by its name"),
}
COMMON: Final = Section("a scorer: {} or its settings", _COMMON)
"""The keys of every scorer, whatever its kind."""

SECTIONS: Final[dict[str, Section]] = {
    kind: Section(f"a scorer of kind {kind}", {**_COMMON, **row.options}) for kind, row in SCORER_KINDS.items()
}


@dataclass(frozen=True)
class ScorersKind:
    says: str = "scorers by name: {topic: {kind: exact, field: topic}}"

    def read(self, value: Value, at: At) -> Any:
        if not isinstance(value.data, dict):
            return at.problem(value.line, show(value.data), self.says, "write one 'name: {…}' a line")
        if len(value.data) > MOST_SCORERS:
            return at.problem(value.line, f"{len(value.data)} scorers", f"at most {MOST_SCORERS}", "remove some")
        out: dict[str, ScorerSpec] = {}
        for name, item in value.data.items():
            here = at.child(name)
            if re.fullmatch(NAME, name) is None:
                here.problem(item.line, f"the name {show(name)}", "lower-case letters, digits, - and _", "rename it")
            elif name in RESERVED:
                here.problem(
                    item.line, f"the name '{name}'", "another: people give the score of that name", "rename it"
                )
            read = read_scorer(name, item, here)
            if read is not INVALID:
                out[name] = read
        return out

    def schema(self) -> dict[str, Any]:
        known = {kind: section.schema() for kind, section in SECTIONS.items() if kind not in _OWN}
        return {
            "type": "object",
            "properties": known,
            "additionalProperties": {"anyOf": [section.schema() for section in SECTIONS.values()]},
            "propertyNames": {"pattern": f"^{NAME}$"},
        }


def read_scorer(name: str, value: Value, at: At) -> Any:
    """One scorer: a ``ScorerSpec``, or ``INVALID`` after noting what is wrong."""
    if not isinstance(value.data, dict):
        return at.problem(value.line, show(value.data), COMMON.says, f"write '{name}: {{}}' if it needs no settings")
    kind = _kind(name, value, at)
    if kind is INVALID:
        return INVALID
    read = SECTIONS[kind].read(value, at)
    if read is INVALID:
        return INVALID
    return ScorerSpec(kind, {key: read[key] for key in SCORER_KINDS[kind].options if key in read})


def _kind(name: str, value: Value, at: At) -> Any:
    """The kind of a scorer: as it says, else by the key that only one kind has, else by its name."""
    if "kind" in value.data:
        return _COMMON["kind"].kind.read(value.data["kind"], at.child("kind"))
    for own in _OWN:
        if own in value.data:
            return own
    if name in SCORER_KINDS and name not in _OWN:
        return name
    expected = "the name of a kind, or 'kind:', 'python:' or 'http:'"
    return at.problem(
        value.line, f"a scorer '{name}' that says not what it does", expected, did_you_mean(name, SCORER_KINDS)
    )


EVALS: Final = Section(
    "evals: {scorers, online, publish_every, nightly, held_out}",
    {
        "scorers": Field(
            ScorersKind(),
            "How answers are scored; docs/scorers.md has them all.",
            default="what the examples expect, to the letter",
        ),
        "online": Field(
            Section(
                "online: {share, usd_per_day, scorers}",
                {
                    "share": Field(ShareOrNone(), "Share of live answers that is scored.", default="0%"),
                    "usd_per_day": Field(Number(0.0, 1e6, "US dollars"), "Most that it may cost a day.", default="1"),
                    "scorers": Field(
                        ListOf(Text("the name of a scorer"), MOST_SCORERS),
                        "Which scorers.",
                        default="all that need no expectation",
                    ),
                },
                lambda read: OnlineEvals(**read),
            ),
            "Live answers that are scored as they come (docs/online-evals.md).",
        ),
        "publish_every": Field(
            Duration(0.0, 365 * 86400.0), "Time between two published sets, at least.", default="30d"
        ),
        "nightly": Field(
            Number(0, 10_000, "a whole number of examples", whole=True),
            "Examples that the served release is asked every night; 0: none.",
            default="50",
        ),
        "held_out": Field(
            ShareOrNone(), "Share of a published set that nobody looks at while a prompt is worked on.", default="20%"
        ),
    },
    lambda read: EvalPlan(**read),
)
