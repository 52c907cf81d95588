"""What must hold of a workflow's ladder, its hedge and the texts that stand in for an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from roadworthy.workflow.draft import Draft
from roadworthy.workflow.inference import Failure, StepKind
from roadworthy.workflow.json_schema import schema_error, validation_error
from roadworthy.workflow.ladder import NEVER_RETRIED, REPAIRABLE, WITH_OUTPUT
from roadworthy.workflow.model import Canned, Hedge, Ladder, Step
from roadworthy.workflow.problems import Problem
from roadworthy.workflow.prompt import Template, TemplateError

_TEXTS: Final = {
    "canned": "a canned answer",
    "holding": "a holding answer",
    "blocked": "a blocked answer",
}
"""Key → the text that it holds in place of a model's answer."""

_NEEDS: Final[dict[StepKind, tuple[str, str]]] = {
    "canned": ("canned", "a canned answer to give"),
    "escalate": ("holding", "a holding answer for the customer to read meanwhile"),
    "cache": ("cache", "a cache to take it from"),
}
"""Step → the key that it needs, and for what."""

_ADD: Final = {"canned": "'canned: {text: …}'", "holding": "'holding: {text: …}'", "cache": "'cache: {max_age: 1h}'"}


def _texts(draft: Draft) -> Iterator[Problem]:
    for key, words in _TEXTS.items():
        text: Canned | None = draft.keys.get(key)
        if text is None:
            continue
        if draft.embeddings:
            mend = f"remove '{key}': let the ladder name a target with the same model"
            yield draft.problem((key,), words, "none: no text can stand for a vector", mend)
        elif text.json is not None and not draft.has("output"):
            expected, mend = "only text: the workflow has no schema", "remove it, or add 'output'"
            yield draft.problem((key, "json"), "JSON", expected, mend)
        elif isinstance(draft.schema, dict) and text.json is not None and not schema_error(draft.schema):
            if found := validation_error(draft.schema, text.json):
                expected = "JSON that validates against the output schema"
                yield draft.problem((key, "json"), found, expected, "change it, so that no client breaks on it")
        elif draft.has("output") and text.json is None:
            mend = f"add '{key}.json' with an answer that validates; without it clients read a refusal"
            yield draft.problem((key,), "no 'json'", "one, as the workflow has a schema", mend, "warning")


def _ladder(draft: Draft) -> Iterator[Problem]:
    ladder: Ladder = draft.keys.get("ladder", {})
    for failure, steps in ladder.items():
        yield from _hopeless(draft, failure, steps)
        yield from _order(draft, failure, steps)
        yield from _resources(draft, failure, steps)
        yield from _step_targets(draft, failure, steps)


def _hopeless(draft: Draft, failure: Failure, steps: Sequence[Step]) -> Iterator[Problem]:
    """Steps that cannot mend this failure."""
    path, kinds = ("ladder", failure), {step.kind for step in steps}
    if failure in NEVER_RETRIED and "retry" in kinds:
        mend = "remove it; another target or 'canned' can help"
        yield draft.problem(path, "'retry'", "a step that can mend it: the same call fails again", mend)
    if "repair" in kinds and draft.embeddings:
        yield draft.problem(path, "'repair'", "'retry' or a target: a vector cannot be repaired", "remove it")
    elif "repair" in kinds and failure not in REPAIRABLE:
        expected = "a step that can mend it: only an invalid answer can be sent back with what is wrong with it"
        yield draft.problem(path, "'repair'", expected, "remove it, or move it to 'invalid'")
    if "drop" in kinds and failure not in WITH_OUTPUT:
        expected = f"it only where there is an answer to drop: {', '.join(sorted(WITH_OUTPUT))}"
        yield draft.problem(path, "'drop'", expected, "remove it")


def _order(draft: Draft, failure: Failure, steps: Sequence[Step]) -> Iterator[Problem]:
    path, kinds = ("ladder", failure), [step.kind for step in steps]
    if "canned" in kinds[:-1]:
        yield draft.problem(path, "steps after 'canned'", "'canned' last: it always answers", "remove what follows it")
    for once in ("drop", "escalate"):
        if kinds.count(once) > 1:
            yield draft.problem(path, f"'{once}' twice", "it once: the second does nothing", "remove one")
    if "drop" in kinds and "repair" in kinds[kinds.index("drop") :]:
        expected = "'repair' before 'drop': what was dropped cannot be sent back"
        yield draft.problem(path, "'repair' after 'drop'", expected, "swap them, or remove one")


def _resources(draft: Draft, failure: Failure, steps: Sequence[Step]) -> Iterator[Problem]:
    """Steps whose text or cache is not declared; for embeddings there is none."""
    path, kinds = ("ladder", failure), dict.fromkeys(step.kind for step in steps)
    for kind in kinds:
        key, what = _NEEDS.get(kind, ("", ""))
        if not key:
            continue
        if draft.embeddings and kind != "cache":
            yield draft.problem(path, f"'{kind}'", "a target with the same model", "remove it")
        elif not draft.has(key):
            yield draft.problem(path, f"'{kind}'", what, f"add {_ADD[key]} to the workflow")


def _step_targets(draft: Draft, failure: Failure, steps: Sequence[Step]) -> Iterator[Problem]:
    first = draft.keys.get("target")
    for step in steps:
        if step.kind != "target":
            continue
        if step.target == first:
            found = f"'target: {first}', the first target"
            yield draft.problem(("ladder", failure), found, "another one", "use 'retry' to try again")
        yield from _same_model(draft, ("ladder", failure), step.target)


def _same_model(draft: Draft, path: tuple[str, ...], name: str | None) -> Iterator[Problem]:
    one, other = draft.first, draft.targets.get(str(name))
    if draft.embeddings and one and other and one.model != other.model:
        found = f"target '{name}' with model {other.model}"
        expected = f"the model {one.model}: vectors of different models cannot be compared"
        yield draft.problem(path, found, expected, "name a target with the same model")


def _hedge(draft: Draft) -> Iterator[Problem]:
    hedge: Hedge | None = draft.keys.get("hedge")
    if hedge is not None and hedge.target is not None:
        yield from _same_model(draft, ("hedge", "target"), hedge.target)


def _bypass(draft: Draft) -> Iterator[Problem]:
    bypass = draft.keys.get("bypass")
    if bypass is None:
        return
    if bypass.kind in ("canned", "human") and draft.embeddings:
        expected = "app or http: neither a text nor a human can stand for a vector"
        yield draft.problem(("bypass",), f"'{bypass.kind}'", expected, "use 'app'")
    elif bypass.kind == "human" and not draft.has("holding"):
        what = "a holding answer for the customer to read meanwhile"
        yield draft.problem(("bypass",), "'human'", what, f"add {_ADD['holding']} to the workflow")


def _repair_prompt(draft: Draft) -> Iterator[Problem]:
    if "repair_prompt" not in draft.keys:
        return
    path, text = ("repair_prompt",), draft.keys["repair_prompt"]
    try:
        holes = set(Template.parse(text).holes)
    except TemplateError as error:
        yield draft.problem(path, f"{error.found} on its line {error.line}", error.expected, "mend the template")
        return
    if holes != {"errors"}:
        found = f"the holes {', '.join(sorted(holes))}" if holes else "no hole"
        yield draft.problem(path, found, "the one hole '{{ errors }}', what is wrong with the answer", "mend the file")
    elif not any(step.kind == "repair" for steps in draft.ladder.values() for step in steps):
        mend = "add 'repair' to the ladder of 'invalid', or remove it"
        yield draft.problem(path, "a repair prompt", "a ladder that repairs", mend, "warning")


CHECKS: Final[tuple[Callable[[Draft], Iterator[Problem]], ...]] = (_texts, _ladder, _hedge, _bypass, _repair_prompt)
