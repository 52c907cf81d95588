"""The scorers that there are, and which of them judge a workflow.

A new one: a file beside this one, a line in ``SCORERS``, a row in ``workflow.scorer_kinds``, and, where examples ask
for it by themselves, a line in ``scorers_of``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from roadworthy.evals import rubric as rubrics
from roadworthy.evals.model import Examples
from roadworthy.evals.scorers.base import Asking, Pure, Scorer
from roadworthy.evals.scorers.contains import Contains
from roadworthy.evals.scorers.cost import Cost
from roadworthy.evals.scorers.edit_distance import EditDistance
from roadworthy.evals.scorers.embedding import Embedding
from roadworthy.evals.scorers.exact import Exact
from roadworthy.evals.scorers.http import Http
from roadworthy.evals.scorers.json_fields import JsonFields
from roadworthy.evals.scorers.json_schema import JsonSchema
from roadworthy.evals.scorers.judge import RubricJudge
from roadworthy.evals.scorers.latency import Latency
from roadworthy.evals.scorers.normalised import Normalised
from roadworthy.evals.scorers.number import Number
from roadworthy.evals.scorers.pairwise import Pairwise
from roadworthy.evals.scorers.python import Python
from roadworthy.evals.scorers.regex import Regex
from roadworthy.evals.scorers.set_overlap import SetOverlap
from roadworthy.evals.scorers.tool_calls import ToolCalls
from roadworthy.evals.scorers.valid_json import ValidJson
from roadworthy.workflow.digest import canonical
from roadworthy.workflow.model import EvalPlan, ScorerSpec

SCORERS: Final[dict[str, Any]] = {
    kind.word: kind
    for kind in (
        Exact, Normalised, Contains, Regex, Number, ValidJson, JsonSchema, JsonFields, SetOverlap, EditDistance,
        ToolCalls, Latency, Cost, Embedding, RubricJudge, Pairwise, Python, Http,
    )
}  # fmt: skip
"""Word → what makes one."""


class UnknownScorer(Exception):
    """What was recorded cannot be rebuilt by this version."""


class NotReady(Exception):
    """A declared scorer cannot be made as things are; the message says why and how to mend it."""


class World(msgspec.Struct, frozen=True):
    """What the declared scorers depend on beside their options."""

    frozen: Callable[[str], str] = lambda workflow: ""
    """Workflow → ``behaviour`` digest of its newest frozen release; empty: there is none."""
    rubric: str = ""
    """The judged workflow's, as applied."""


def scorers_for(plan: EvalPlan, examples: Examples, world: World | None = None) -> list[Scorer]:
    """The declared ones by name; where none is declared, those that the examples ask for by themselves.

    Raises ``NotReady``.
    """
    if not plan.scorers:
        return list(scorers_of(examples))
    return [made(name, plan.scorers[name], world or World()) for name in sorted(plan.scorers)]


def scorers_of(examples: Examples) -> list[Pure]:
    """Those that a set asks for: each field, the whole text, and whether the answer is JSON at all where it must be."""
    found: list[Pure] = [ValidJson()] if examples.fields else []
    found += [Exact(field) for field in examples.fields]
    if examples.whole:
        found.append(Exact())
    return found


def made(name: str, spec: ScorerSpec, world: World) -> Scorer:
    """A declared scorer, with the identity of what it asks.  Raises ``NotReady``."""
    kind = SCORERS.get(spec.kind)
    if kind is None:
        raise NotReady(f"evals.scorers.{name}: there is no scorer of kind '{spec.kind}'")
    options: dict[str, Any] = {**spec.options, "title": name}
    if "workflow" in options:
        options["behaviour"] = world.frozen(options["workflow"])
        if not options["behaviour"]:
            raise NotReady(
                f"evals.scorers.{name}: the workflow '{options['workflow']}' has no frozen release that could be "
                f"asked; freeze one: roadworthy freeze {options['workflow']}"
            )
    if kind in (RubricJudge, Pairwise):
        options |= _rubric(name, options, world, values=kind is RubricJudge)
        options.pop("criteria", None)
    try:
        scorer: Scorer = msgspec.convert(options, kind, strict=True)
    except msgspec.ValidationError as error:
        raise NotReady(f"evals.scorers.{name}: {error}; mend it in workflow.yaml and apply") from error
    return scorer


def _rubric(name: str, options: Mapping[str, Any], world: World, *, values: bool) -> dict[str, Any]:
    """What a judge judges by: its own ``criteria`` and ``values``, else the rubric and the values named in it."""
    text = options.get("criteria") or world.rubric
    found: dict[str, Any] = {"rubric": text}
    if not values:
        return found
    if "values" in options:
        return found | {"values": options["values"]}
    try:
        read = rubrics.read(text)
    except rubrics.Unusable as error:
        raise NotReady(
            f"evals.scorers.{name}: the rubric names no values that a judge could give: {error.problems[0]}"
        ) from error
    return found | {"values": {value.name: value.score for value in read.values}}


def lacking(scorers: Sequence[Scorer], examples: Examples) -> list[str]:
    """What the examples do not say that scorers need, in words: one line a scorer."""
    problems = []
    for scorer in scorers:
        keys = needed(scorer)
        missing = [each for each in examples.items if any(_lacks(each.expected, each.text, key) for key in keys)]
        if missing:
            what = " and ".join(f"'{key}'" if key else "a whole text" for key in keys)
            problems.append(
                f"{scorer.name}: {len(missing)} of {len(examples.items)} examples do not say what is expected "
                f"({what}), the first is {missing[0].label or missing[0].id}; import them with it, leave them out "
                "(roadworthy evals drop), or declare a scorer that needs nothing"
            )
    return problems


def needed(scorer: Scorer) -> list[str]:
    """Names of what an example must expect for this scorer to judge it; an empty one is the whole text."""
    if not scorer.expects or isinstance(scorer, RubricJudge | Pairwise):
        return []
    if isinstance(scorer, JsonFields):
        return list(scorer.fields)
    return [getattr(scorer, "expect", "") or getattr(scorer, "field", "")]


def _lacks(expected: Mapping[str, Any], text: str | None, key: str) -> bool:
    return key not in expected if key else text is None


def pure(scorers: Sequence[Scorer]) -> list[Pure]:
    return [each for each in scorers if isinstance(each, Pure)]


def asking(scorers: Sequence[Scorer]) -> list[Asking]:
    return [each for each in scorers if isinstance(each, Asking)]


def recorded(scorer: Scorer) -> dict[str, Any]:
    """Name, arguments and version, as JSON."""
    return {"scorer": scorer.word, "version": scorer.version, "arguments": msgspec.to_builtins(scorer)}


def rebuilt(record: Mapping[str, Any]) -> Scorer:
    """Raises ``UnknownScorer``."""
    kind = SCORERS.get(str(record.get("scorer")))
    if kind is None or kind.version != record.get("version"):
        raise UnknownScorer(f"there is no scorer {record.get('scorer')} of version {record.get('version')} here")
    try:
        scorer: Scorer = msgspec.convert(record.get("arguments", {}), kind)
    except msgspec.ValidationError as error:
        raise UnknownScorer(f"the arguments of the recorded scorer {kind.word} are none: {error}") from error
    return scorer


def hash_of(scorers: Sequence[Scorer]) -> str:
    """``scr_`` + 64 hex digits: another argument, version, function or judge gives another."""
    text = canonical([recorded(scorer) for scorer in sorted(scorers, key=lambda each: each.name)])
    return "scr_" + hashlib.sha256(text.encode("ascii")).hexdigest()
