"""What must hold between the keys of one workflow, beyond each key being well-formed.

Each check is a generator of problems over the keys as read (``Draft``); ``CHECKS`` is the list of them all.
Lines come from the YAML tree, so a problem points at the key that must change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from roadworthy.workflow import checks_of_answers, checks_of_evals, checks_of_ladder, checks_of_policy
from roadworthy.workflow.draft import Draft, named_targets
from roadworthy.workflow.json_schema import schema_error, validation_error
from roadworthy.workflow.model import FORCING
from roadworthy.workflow.problems import Problem, did_you_mean, nearest
from roadworthy.workflow.prompt import Template, TemplateError
from roadworthy.workflow.workflow_table import WORKFLOW

SET_ELSEWHERE: Final[Mapping[str, str]] = {
    "model": "the target",
    "messages": "the prompt and the caller",
    "input": "the caller",
    "stream": "the caller",
    "stream_options": "the caller",
    "tools": "the key 'tools'",
    "functions": "the key 'tools'",
    "response_format": "the key 'output'",
    "user": "the caller",
    "roadworthy": "the caller",
}
"""Request fields that ``parameters`` may not set, and what sets them."""

_TOOLS_SCHEMA: Final[dict[str, Any]] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["type", "function"],
        "properties": {
            "type": {"const": "function"},
            "function": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
                    "description": {"type": "string"},
                    "parameters": {"type": "object"},
                    "strict": {"type": ["boolean", "null"]},
                },
            },
        },
    },
}


def check_workflow(draft: Draft) -> Iterator[Problem]:
    for check in CHECKS:
        yield from check(draft)


def _required(draft: Draft) -> Iterator[Problem]:
    if not draft.released or not isinstance(draft.root.data, dict):
        return
    needed = {
        "target": "'target: NAME', the target that answers first",
        "bypass": "'bypass: app' (the app takes its old path), a canned text or a URL",
    }
    if not draft.embeddings:
        needed["prompt"] = "'prompt: {mode: managed, system: prompt.md}'"
    misspelt = {nearest(key, WORKFLOW.fields) for key in draft.root.data if key not in WORKFLOW.fields}
    for key, mend in needed.items():
        if not draft.has(key) and key not in misspelt:
            yield draft.problem((key,), "no such key", "it in every workflow that is to be released", f"add {mend}")


def _prompt(draft: Draft) -> Iterator[Problem]:
    prompt = draft.prompt
    if prompt is None:
        return
    if draft.embeddings:
        yield draft.problem(("prompt",), "a prompt", "none: embeddings have no messages", "remove 'prompt'")
        return
    file = f"{draft.file.rpartition('/')[0]}/{draft.root.data['prompt'].data['system'].data}"
    try:
        holes = Template.parse(prompt.system).holes
    except TemplateError as error:
        mend = "close the hole, rename it, or escape it"
        yield Problem(file=file, line=error.line, field="", found=error.found, expected=error.expected, mend=mend)
        return
    if prompt.mode == "managed":
        if not prompt.system.strip():
            yield draft.problem(("prompt", "system"), "an empty file", "a system prompt", f"write one into {file}")
        for hole in holes:
            if hole not in prompt.inputs:
                place = prompt.system.find(hole)
                yield Problem(
                    file=file,
                    line=prompt.system.count("\n", 0, place) + 1,
                    field="",
                    found=f"the placeholder '{{{{ {hole} }}}}', which no input feeds",
                    expected=f"an input of that name in {draft.file}",
                    mend=f"add '{hole}: {{}}' under prompt.inputs; {did_you_mean(hole, prompt.inputs)}",
                )
    for name, spec in prompt.inputs.items():
        path = ("prompt", "inputs", name)
        if name not in holes:
            found = f"the input '{name}', which no placeholder uses"
            yield draft.problem(
                path, found, f"'{{{{ {name} }}}}' in {file}", f"use or remove it; {did_you_mean(name, holes)}"
            )
        if spec.default is not None and not isinstance(spec.default, str):
            yield draft.problem((*path, "default"), repr(spec.default)[:60], "text", "put it in quotes")
        elif spec.default is not None and spec.required:
            yield draft.problem(path, "'required: true' and a default", "one of them", "remove one")
    if prompt.canary and prompt.mode != "managed":
        found, mend = "'canary: true' of a prompt that the app holds", "remove it: only the app could add the mark"
        yield draft.problem(("prompt", "canary"), found, "'mode: managed'", mend)


def _parameters(draft: Draft) -> Iterator[Problem]:
    for name in draft.keys.get("parameters", {}):
        if name in SET_ELSEWHERE:
            found, expected = f"'{name}'", f"a request field that is not set by {SET_ELSEWHERE[name]}"
            yield draft.problem(("parameters", name), found, expected, "remove it")


def _tools(draft: Draft) -> Iterator[Problem]:
    tools = draft.keys.get("tools")
    if tools is None:
        return
    found = validation_error(_TOOLS_SCHEMA, tools)
    if found:
        expected = 'a list of {"type": "function", "function": {"name", "description", "parameters"}}'
        yield draft.problem(("tools",), found, expected, "mend the tools file")
        return
    for tool in tools:
        function = tool["function"]
        wrong = schema_error(function.get("parameters", {}))
        if wrong:
            found = f"parameters of the tool {function['name']!r} that are no schema: {wrong}"
            yield draft.problem(("tools",), found, "a JSON Schema without remote references", "mend the tools file")


def _schema(draft: Draft) -> Iterator[Problem]:
    schema = draft.schema
    if not draft.has("output", "schema") or schema is None:
        return
    path = ("output", "schema")
    if draft.embeddings:
        yield draft.problem(("output",), "a schema", "none: embeddings are numbers", "remove 'output'")
        return
    if not isinstance(schema, dict) or (wrong := schema_error(schema)):
        found = "no JSON object" if not isinstance(schema, dict) else f"an invalid schema: {wrong}"
        yield draft.problem(
            path, found, "a JSON Schema without remote references or look-around", "mend the schema file"
        )
        return


def _targets(draft: Draft) -> Iterator[Problem]:
    """A release needs exact models; a schema needs targets that obey one."""
    named = [(("target",), str(draft.keys.get("target"))), *named_targets(draft)]
    for path, name in named:
        target = draft.targets.get(name)
        if target is None:
            continue
        if target.model == "*":
            found = f"target '{name}' with model '*'"
            yield draft.problem(path, found, "an exact model", f"set the model of '{name}' in roadworthy.yaml")
        if path[0] == "checks":
            continue  # it judges answers, it writes none
        if draft.keys.get("tools") and not target.capabilities.tools:
            yield draft.problem(path, f"target '{name}', which calls no tools", "one that does", "change the target")
        obeys = target.capabilities.response_schema or target.provider in FORCING
        if draft.has("output") and not obeys:
            found = f"target '{name}', which obeys no JSON schema"
            yield draft.problem(path, found, "one that does", "change the target, or remove 'output'")


def _clocks(draft: Draft) -> Iterator[Problem]:
    clocks = draft.keys.get("clocks")
    if clocks is None:
        return
    for name in ("connect", "first_token", "idle"):
        seconds = getattr(clocks, name)
        if seconds > clocks.total and draft.has("clocks", name):
            found, expected = f"{seconds:g}s", f"at most clocks.total ({clocks.total:g}s)"
            yield draft.problem(("clocks", name), found, expected, "shorten it or raise clocks.total")


CHECKS: Final[tuple[Callable[[Draft], Iterator[Problem]], ...]] = (
    _required,
    _prompt,
    _parameters,
    _tools,
    _schema,
    _targets,
    _clocks,
    *checks_of_ladder.CHECKS,
    *checks_of_answers.CHECKS,
    *checks_of_policy.CHECKS,
    *checks_of_evals.CHECKS,
)
