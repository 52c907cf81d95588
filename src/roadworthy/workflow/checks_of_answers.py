"""What must hold of how answers are checked and streamed: a check must see what it judges before the caller does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from roadworthy.workflow.check_options import GUARD_HOLES, option, python_problem, python_sources, span_of
from roadworthy.workflow.draft import Draft
from roadworthy.workflow.kinds import address_problem
from roadworthy.workflow.model import ASKING_CHECKS, CheckSpec
from roadworthy.workflow.problems import Problem
from roadworthy.workflow.prompt import Template, TemplateError


def _stream(draft: Draft) -> Iterator[Problem]:
    if draft.stream == "buffered" or draft.embeddings:
        return
    path = ("stream",)
    for key, words in (("output", "a schema"), ("tools", "tools, whose arguments are checked")):
        if draft.has(key):
            mend = "set 'stream: buffered': an answer can be checked only once it is whole"
            yield draft.problem(path, f"'{draft.stream}' with {words}", "buffered", mend)
    for name, spec in draft.enforced_checks.items():
        yield from _streamed_check(draft, name, spec)


def _streamed_check(draft: Draft, name: str, spec: CheckSpec) -> Iterator[Problem]:
    path = ("stream",)
    found = f"'{draft.stream}' with the check '{name}'"
    span = span_of(spec)
    if spec.kind in ASKING_CHECKS or span is None:
        mend = "set 'stream: buffered', or 'record_only: true' on the check"
        yield draft.problem(path, found, "buffered: the check needs the whole answer", mend)
    elif draft.stream == "passthrough":
        mend = "set 'stream: windowed' or 'buffered', or 'record_only: true' on the check"
        yield draft.problem(path, found, "text that is held back until it is checked", mend)
    elif span >= draft.window:
        mend = f"set 'stream: {{windowed: {span + 1}}}' or more, or 'buffered'"
        yield draft.problem(
            path, f"a window of {draft.window} characters", f"more than {span}: '{name}' looks at so many", mend
        )


def _continuation(draft: Draft) -> Iterator[Problem]:
    if not draft.keys.get("continuation"):
        return
    path = ("continuation",)
    if draft.embeddings:
        yield draft.problem(path, "a continuation", "none: embeddings are no stream", "remove it")
        return
    if draft.stream == "buffered":
        mend = "remove it: until a buffered answer is whole, the ladder can begin anew"
        yield draft.problem(path, "a continuation of a buffered stream", "passthrough or windowed", mend)
    for key in ("tools", "output"):
        if draft.has(key):
            yield draft.problem(path, f"a continuation with '{key}'", "plain text", "remove it")
    if draft.keys.get("parameters", {}).get("n", 1) != 1:
        yield draft.problem(path, "a continuation with 'n'", "one choice", "remove 'parameters.n' or the continuation")
    first = draft.first
    if first is not None and first.capabilities.prefill == "none":
        found = f"a continuation by target '{first.name}', which cannot go on from a begun answer"
        mend = f"set 'capabilities: {{prefill: native}}' (or prompted) of '{first.name}' in roadworthy.yaml"
        yield draft.problem(path, found, "a target that can", mend)


def _checks(draft: Draft) -> Iterator[Problem]:
    if draft.embeddings and draft.has("checks"):
        yield draft.problem(("checks",), "checks of the answer", "none: embeddings are numbers", "remove 'checks'")
        return
    for name, spec in draft.checks.items():
        match spec.kind:
            case "python":
                sources = python_sources(draft.files, draft.name)
                if found := python_problem(option(spec, "python"), sources):
                    expected = "checks.MODULE:FUNCTION, a function in a file of checks/ beside workflow.yaml"
                    yield draft.problem(("checks", name, "python"), found, expected, "write it, or mend the path")
            case "http":
                wrong = address_problem(option(spec, "http"), option(spec, "allow_private"))
                if wrong is not None:
                    yield draft.problem(("checks", name, "http"), *wrong)
            case "guard":
                yield from _guard(draft, name, spec)


def _canary(draft: Draft) -> Iterator[Problem]:
    """A mark in the prompt is of no use without the check that looks for it."""
    prompt = draft.prompt
    if prompt is None or not prompt.canary or any(spec.kind == "prompt_leak" for spec in draft.checks.values()):
        return
    mend = "add 'checks: {prompt_leak: {}}', or remove 'canary'"
    yield draft.problem(("prompt", "canary"), "a mark in the prompt", "a check that looks for it", mend, "warning")


def _guard(draft: Draft, name: str, spec: CheckSpec) -> Iterator[Problem]:
    template = option(spec, "template")
    if template is None:
        return
    path = ("checks", name, "template")
    try:
        holes = set(Template.parse(template).holes)
    except TemplateError as error:
        yield draft.problem(path, f"{error.found} on its line {error.line}", error.expected, "mend the template")
        return
    if "answer" not in holes or holes - GUARD_HOLES:
        found = f"the holes {', '.join(sorted(holes))}" if holes else "no hole"
        yield draft.problem(
            path, found, "{{ answer }}, and {{ question }} and {{ mark }} if it wants them", "mend the file"
        )


def _cache(draft: Draft) -> Iterator[Problem]:
    cache = draft.keys.get("cache")
    if cache is not None and cache.use == "step" and not _uses_cache(draft):
        mend = "add 'cache' to a ladder, set 'use: always', or remove it"
        yield draft.problem(("cache",), "a cache", "a ladder that takes from it", mend, "warning")


def _uses_cache(draft: Draft) -> bool:
    return any(step.kind == "cache" for steps in draft.ladder.values() for step in steps)


CHECKS: Final[tuple[Callable[[Draft], Iterator[Problem]], ...]] = (
    _stream,
    _continuation,
    _checks,
    _canary,
    _cache,
)
