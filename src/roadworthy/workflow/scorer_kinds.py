"""The kinds of scorers as a table: what each is for, what it gives, and what it may be told.

The one table behind the parser of ``evals.scorers`` (``evals_table``), the published JSON Schema, docs/scorers.md and
``roadworthy evals scorers``.  The scorers themselves are structs in ``evals/scorers``, whose fields are these options;
a test holds the two together.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from roadworthy.workflow.fields import Field, ListOf, MapOf
from roadworthy.workflow.kinds import Boolean, Choice, Duration, File, Number, Ref, Secret, Share, Text, Url
from roadworthy.workflow.shapes import Pattern, json_file

Gives = Literal["assertion", "score", "label"]

RESERVED: Final = frozenset({"hand"})
"""Names that no scorer may have: ``hand`` is what people score."""


@dataclass(frozen=True)
class ScorerRow:
    """One kind of scorer."""

    doc: str
    """When the score is 1, or what it is."""
    gives: Gives
    options: Mapping[str, Field] = field(default_factory=dict)
    own: bool = False
    """The key of the same name announces it; its value is the first option."""
    asks: str = ""
    """Whom; empty: it can tell by itself."""
    example: str = ""
    """A line of ``evals.scorers`` that works."""


_FIELD: Final = Field(
    Text("a key, or a JSON Pointer such as /items/0/id"), "Field of the JSON answer that is looked at.",
    default="the whole text",
)  # fmt: skip
_EXPECT: Final = Field(
    Text("the name of an expectation"), "What of the example it is compared with.",
    default="as 'field', else the whole expected text",
)  # fmt: skip
COMPARED: Final[Mapping[str, Field]] = {"field": _FIELD, "expect": _EXPECT}
"""What scorers have that compare with an expectation."""
_CASE: Final = Field(Boolean(), "Does case count?", default="false")
_CASE_COUNTS: Final = Field(Boolean(), "Does case count?", default="true")
_LABELS: Final = Field(
    MapOf(Number(0.0, 1.0, "a score from 0 to 1"), "scores by word", r"[^\s:]{1,100}", "a word"),
    "What the words that it answers are worth.",
    default="words are kept and worth nothing",
)
_TIMEOUT: Final = Field(Duration(0.01, 300.0), "Time for one answer.", default="10s")
_TEXTS: Final = ListOf(Text("a text"), 200)
_RUBRIC: Final = Field(
    Text("what to judge by"), "What it judges by, instead of the workflow's rubric.", default="the rubric"
)


def _judge(kind: str) -> Field:
    return Field(Ref("workflows", "the name of a workflow"), f"Workflow of this install that {kind}.", required=True)


SCORER_KINDS: Final[Mapping[str, ScorerRow]] = {
    "exact": ScorerRow(
        "The field, or the whole text but for space around it, is what is expected, to the letter.",
        "assertion",
        COMPARED,
        example="topic: {kind: exact, field: topic}",
    ),
    "normalised": ScorerRow(
        "It is what is expected but for case, spacing, punctuation and forms of letters (Unicode NFKC).",
        "assertion",
        {
            **COMPARED,
            "punctuation": Field(Boolean(), "Does punctuation count?", default="false"),
            "accents": Field(Boolean(), "Do accents count?", default="true"),
        },
        example="city: {kind: normalised, field: city, accents: false}",
    ),
    "contains": ScorerRow(
        "The text holds all of 'all', one of 'any' and none of 'none'; without them, what is expected.",
        "assertion",
        {
            **COMPARED,
            "all": Field(_TEXTS, "Texts that must be there."),
            "any": Field(_TEXTS, "Texts of which one must be there."),
            "none": Field(_TEXTS, "Texts that may not be there."),
            "case": _CASE,
        },
        example="promises: {kind: contains, none: [full refund, money back]}",
    ),
    "regex": ScorerRow(
        "An RE2 pattern matches somewhere.",
        "assertion",
        {
            "pattern": Field(Pattern(), "RE2 pattern; '(?i)' in front ignores case.", True),
            "field": _FIELD,
            "whole": Field(Boolean(), "Must it match all of the text?", default="false"),
            "absent": Field(Boolean(), "Must it match nowhere?", default="false"),
        },
        example="ticket: {kind: regex, pattern: 'T-[0-9]{6}'}",
    ),
    "number": ScorerRow(
        "The number is within a tolerance of the expected one; of several in a text, 'which' says which counts.",
        "assertion",
        {
            **COMPARED,
            "within": Field(Number(0.0, 1e15, "a number, 0 or more"), "Largest difference.", default="0"),
            "share": Field(Share(), "Largest difference as a share of the expected number.", default="none"),
            "which": Field(Choice(("only", "first", "last")), "Which number of a text counts.", default="only"),
            "decimal": Field(Choice(("point", "comma")), "What stands before decimals in texts.", default="point"),
        },
        example="amount: {kind: number, field: amount, within: 0.01}",
    ),
    "valid_json": ScorerRow(
        "The answer is JSON and satisfies the release's schema, where it has one.",
        "assertion",
        example="valid_json: {}",
    ),
    "json_schema": ScorerRow(
        "The answer, or a field of it, satisfies a schema of its own.",
        "assertion",
        {
            "schema": Field(File("a JSON Schema file", json_file), "File with the JSON Schema.", True),
            "field": Field(_FIELD.kind, _FIELD.doc, default="the whole answer"),
        },
        example="shape: {kind: json_schema, schema: strict.schema.json}",
    ),
    "json_fields": ScorerRow(
        "Share of the expected values that are right, down to the innermost.",
        "score",
        {
            "fields": Field(ListOf(Text("the name of a field"), 200), "Only these fields.", default="all expected"),
            "extra": Field(Boolean(), "Does what nobody expects count as wrong?", default="false"),
            "case": _CASE_COUNTS,
            "within": Field(Number(0.0, 1e15, "a number, 0 or more"), "Largest difference of numbers.", default="0"),
        },
        example="order: {kind: json_fields, fields: [items, address], extra: true}",
    ),
    "set_overlap": ScorerRow(
        "How much two sets have in common: lists of JSON, or a text cut at a separator and line ends.",
        "score",
        {
            **COMPARED,
            "measure": Field(Choice(("f1", "jaccard", "precision", "recall")), "Which share.", default="f1"),
            "separator": Field(Text("a separator"), "Where texts are cut.", default="','"),
            "case": _CASE,
        },
        example="tags: {kind: set_overlap, field: tags, measure: jaccard}",
    ),
    "edit_distance": ScorerRow(
        "1 − Levenshtein's distance / length of the longer text (at most 20,000 units).",
        "score",
        {
            **COMPARED,
            "unit": Field(Choice(("characters", "words")), "What is counted.", default="characters"),
            "case": _CASE_COUNTS,
        },
        example="wording: {kind: edit_distance, unit: words}",
    ),
    "tool_calls": ScorerRow(
        "Every expected call of a tool is made once, and no other.",
        "assertion",
        {
            "expect": Field(
                Text("the name of an expectation"), "Where the example has its list.", default="tool_calls"
            ),
            "arguments": Field(
                Choice(("same", "given", "names")),
                "same: all arguments are as expected; given: those that are expected are; names: they do not count.",
                default="same",
            ),
            "ordered": Field(Boolean(), "Does their order count?", default="false"),
            "extra": Field(Boolean(), "May there be other calls?", default="false"),
            "partial": Field(Boolean(), "Give the share that is right, a score.", default="false"),
        },
        example="tools: {kind: tool_calls, arguments: given}",
    ),
    "latency": ScorerRow(
        "The whole answer came within a time.",
        "assertion",
        {"most": Field(Duration(0.001), "Longest time.", True)},
        example="soon: {kind: latency, most: 4s}",
    ),
    "cost": ScorerRow(
        "The answer cost no more than so much.",
        "assertion",
        {"most": Field(Number(0.0, 1e6, "US dollars"), "Most US dollars.", True)},
        example="cheap: {kind: cost, most: 0.002}",
    ),
    "embedding": ScorerRow(
        "Cosine of the answer's and the expected text's vectors, below 0 as 0.",
        "score",
        {
            "workflow": _judge("embeds (kind: embeddings)"),
            **COMPARED,
            "least": Field(Share(), "Similarity from which on it is right: an assertion.", default="none"),
        },
        asks="an embeddings workflow",
        example="meaning: {kind: embedding, workflow: embed, least: 80%}",
    ),
    "judge": ScorerRow(
        "The value of the rubric that a judge gives the answer, with a reason.",
        "label",
        {
            "workflow": _judge("judges"),
            "criteria": _RUBRIC,
            "values": Field(
                MapOf(Number(0.0, 1.0, "a score from 0 to 1"), "scores by value", r"[a-z][a-z0-9_-]{0,23}", "a word"),
                "Values that it may give, with 'criteria'.",
                default="those of the rubric",
            ),
            "reference": Field(Boolean(), "Is it shown what the example expects?", default="false"),
        },
        asks="a workflow that judges",
        example="quality: {kind: judge, workflow: judge}",
    ),
    "pairwise": ScorerRow(
        "better, tie or worse than another answer: a judge reads both orders, and must agree with itself.",
        "label",
        {
            "workflow": _judge("judges"),
            "criteria": _RUBRIC,
            "against": Field(
                Choice(("expected", "before")),
                "expected: what the example expects. before: the answer of the release that it is held against.",
                default="expected",
            ),
        },
        asks="a workflow that judges",
        example="preferred: {kind: pairwise, workflow: judge, against: before}",
    ),
    "python": ScorerRow(
        "Your own function in scorers/: true or false, a number from 0 to 1, or a word.",
        "score",
        {
            "python": Field(
                Text("the dotted path of a function such as scorers.tone:score"), "scorers.MODULE:FUNCTION", True
            ),
            "labels": _LABELS,
            "timeout": _TIMEOUT,
        },
        own=True,
        asks="your function",
        example="tone: {python: 'scorers.tone:score', timeout: 2s}",
    ),
    "http": ScorerRow(
        "Your own endpoint, which answers as a function would.",
        "score",
        {
            "http": Field(Url(), "Address that is sent {text, context}.", True),
            "key": Field(Secret(), "Name of a secret that is sent as bearer token.", default="none"),
            "allow_private": Field(Boolean(), "May the address be loopback or private?", default="false"),
            "labels": _LABELS,
            "timeout": _TIMEOUT,
        },
        own=True,
        asks="your endpoint",
        example="vendor: {http: 'https://scores.example.com/v1/tone', key: 'env:VENDOR_KEY'}",
    ),
}
"""Kind → what it is."""

_ANNOTATIONS: Final[Mapping[str, Gives]] = {"bool": "assertion", "float": "score", "int": "score", "str": "label"}


def gives(path: str, sources: Mapping[str, str]) -> Gives:
    """What a function gives, by its return annotation; ``score`` where it has none.  The code is parsed, never run."""
    module, _, function = path.partition(":")
    try:
        tree = ast.parse(sources.get(f"{module.replace('.', '/')}.py", ""))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "score"
    for part in tree.body:
        if isinstance(part, ast.FunctionDef) and part.name == function and isinstance(part.returns, ast.Name):
            return _ANNOTATIONS.get(part.returns.id, "score")
    return "score"
