"""What must hold of ``evals``: functions and schemas that can be used, judges that there are, floors of real scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from roadworthy.workflow.check_options import python_problem, python_sources
from roadworthy.workflow.draft import SCORERS_FOLDER, Draft
from roadworthy.workflow.json_schema import schema_error
from roadworthy.workflow.kinds import address_problem
from roadworthy.workflow.model import EvalPlan, Policy, ScorerSpec
from roadworthy.workflow.problems import Problem, did_you_mean
from roadworthy.workflow.scorer_kinds import RESERVED

_SCORERS: Final = ("evals", "scorers")


def _options(draft: Draft) -> Iterator[Problem]:
    for name, spec in draft.evals.scorers.items():
        match spec.kind:
            case "python":
                yield from _function(draft, name, spec)
            case "http":
                wrong = address_problem(spec.options["http"], spec.options.get("allow_private", False))
                if wrong is not None:
                    yield draft.problem((*_SCORERS, name, "http"), *wrong)
            case "json_schema":
                yield from _schema(draft, name, spec)
            case "judge" | "pairwise" | "embedding":
                yield from _asked(draft, name, spec)


def _function(draft: Draft, name: str, spec: ScorerSpec) -> Iterator[Problem]:
    sources = python_sources(draft.files, draft.name, SCORERS_FOLDER)
    if found := python_problem(spec.options["python"], sources, SCORERS_FOLDER):
        expected = "scorers.MODULE:FUNCTION, a function in a file of scorers/ beside workflow.yaml"
        yield draft.problem((*_SCORERS, name, "python"), found, expected, "write it, or mend the path")


def _schema(draft: Draft, name: str, spec: ScorerSpec) -> Iterator[Problem]:
    schema = spec.options["schema"]
    if not isinstance(schema, dict) or (wrong := schema_error(schema)):
        found = "no JSON object" if not isinstance(schema, dict) else f"an invalid schema: {wrong}"
        expected = "a JSON Schema without remote references or look-around"
        yield draft.problem((*_SCORERS, name, "schema"), found, expected, "mend the schema file")


def _asked(draft: Draft, name: str, spec: ScorerSpec) -> Iterator[Problem]:
    path, options = (*_SCORERS, name), spec.options
    if options["workflow"] == draft.name:
        expected = "another: what answers does not judge itself"
        yield draft.problem((*path, "workflow"), "this very workflow", expected, "name a workflow made for judging")
    if spec.kind == "embedding":
        return
    if "criteria" not in options and not draft.has("rubric"):
        mend = "add 'rubric: rubric.md', or 'criteria:' to the scorer"
        yield draft.problem(path, "a judge without a rubric", "something to judge by", mend)
    if spec.kind == "judge" and ("criteria" in options) != ("values" in options):
        there, missing = ("criteria", "values") if "criteria" in options else ("values", "criteria")
        mend = f"add '{missing}:', or leave both out and name the values in the rubric"
        yield draft.problem(path, f"'{there}' without '{missing}'", "both of them, or neither", mend)
    elif len(options.get("values", "ab")) < 2:
        yield draft.problem((*path, "values"), "one value", "at least two", "add one")


def _online(draft: Draft) -> Iterator[Problem]:
    scorers = draft.evals.scorers
    for place, name in enumerate(draft.evals.online.scorers):
        path = ("evals", "online", f"scorers[{place}]")
        if name not in scorers:
            mend = did_you_mean(name, scorers)
            yield draft.problem(("evals", "online", "scorers"), f"'{name}'", "a scorer of evals.scorers", mend)
        elif needs_expectation(scorers[name]):
            found = f"'{name}', which compares with what an example expects"
            yield draft.problem(path, found, "one that can score a live answer", "leave it out")


def needs_expectation(spec: ScorerSpec) -> bool:
    """Can it only score examples that say what is right?"""
    options = spec.options
    match spec.kind:
        case "regex" | "valid_json" | "json_schema" | "latency" | "cost" | "python" | "http":
            return False
        case "contains":
            return not any(options.get(key) for key in ("all", "any", "none"))
        case "judge":
            return bool(options.get("reference", False))
        case _:
            return True


def _floors(draft: Draft) -> Iterator[Problem]:
    """Declared scorers are all that there are; without any, the examples say what is scored."""
    scorers = draft.evals.scorers
    policy = draft.keys.get("policy")
    if not scorers or not isinstance(policy, Policy):
        return
    for name in policy.gate.floors:
        if name not in scorers and name not in RESERVED:
            expected = f"a scorer of evals.scorers, or {', '.join(sorted(RESERVED))}"
            yield draft.problem(
                ("policy", "gate", "floors", name), f"a floor for '{name}'", expected, did_you_mean(name, scorers)
            )
        elif name in scorers and worthless(scorers[name]):
            mend = f"add 'labels: {{good: 1, bad: 0}}' to evals.scorers.{name}"
            yield draft.problem(
                ("policy", "gate", "floors", name), f"a floor for '{name}', whose words are worth nothing",
                "a score", mend,
            )  # fmt: skip
    primary = policy.gate.primary
    if primary is not None and primary not in scorers and primary not in RESERVED:
        yield draft.problem(
            ("policy", "gate", "primary"), f"'{primary}'", "a scorer of evals.scorers", did_you_mean(primary, scorers)
        )


def worthless(spec: ScorerSpec) -> bool:
    """A function that gives words, and nobody said what they are worth."""
    return spec.options.get("gives") == "label" and not spec.options.get("labels")


CHECKS: Final[tuple[Callable[[Draft], Iterator[Problem]], ...]] = (_options, _online, _floors)


def judges_problems(plans: Mapping[str, EvalPlan], kinds: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """(workflow, scorer, found, expected) of scorers that ask a workflow of the wrong kind.  ``kinds``: workflow → chat
    or embeddings."""
    for workflow, plan in plans.items():
        for name, spec in plan.scorers.items():
            asked = spec.options.get("workflow")
            needed = "embeddings" if spec.kind == "embedding" else "chat"
            if asked is not None and asked in kinds and kinds[asked] != needed:
                yield workflow, name, f"'{asked}', which answers with {kinds[asked]}", f"a workflow of kind {needed}"
