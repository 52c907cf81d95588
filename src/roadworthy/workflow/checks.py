"""What must hold between the keys of one workflow, beyond each key being well-formed.

Each check is a generator of problems over the keys as read (``Draft``); ``CHECKS`` is the list of them all.
Lines come from the YAML tree, so a problem points at the key that must change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from roadworthy.workflow.inference import FINAL_FAILURES, Failure
from roadworthy.workflow.model import Canned, InputSpec, Ladder, Prompt, StreamMode, Target
from roadworthy.workflow.problems import Problem, Severity, did_you_mean, nearest
from roadworthy.workflow.prompt import Template, TemplateError
from roadworthy.workflow.source import Value
from roadworthy.workflow.tables import WORKFLOW

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


@dataclass(frozen=True)
class Draft:
    """The keys of one workflow.yaml as read; what was invalid is missing here and already noted."""

    file: str
    root: Value
    keys: Mapping[str, Any]
    targets: Mapping[str, Target]

    def has(self, *path: str) -> bool:
        """Is the key written in the file, valid or not?"""
        value = self.root
        for key in path:
            if not isinstance(value.data, dict) or key not in value.data:
                return False
            value = value.data[key]
        return True

    def line(self, *path: str) -> int:
        """Line of the deepest part of ``path`` that is written."""
        value = self.root
        for key in path:
            if not isinstance(value.data, dict) or key not in value.data:
                break
            value = value.data[key]
        return value.line

    def problem(
        self, path: tuple[str, ...], found: str, expected: str, mend: str, severity: Severity = "error"
    ) -> Problem:
        return Problem(
            file=self.file,
            line=self.line(*path),
            field=".".join(path),
            found=found,
            expected=expected,
            mend=mend,
            severity=severity,
        )

    @property
    def embeddings(self) -> bool:
        return self.keys.get("kind") == "embeddings"

    @property
    def released(self) -> bool:
        """Is it meant to be frozen, rather than only passed through?"""
        return not self.has("passthrough") or any(self.has(key) for key in ("prompt", "target", "bypass", "output"))

    @property
    def schema(self) -> Any:
        return self.keys.get("output", {}).get("schema")

    @property
    def stream(self) -> StreamMode:
        mode: StreamMode = self.keys.get("stream") or ("buffered" if self.has("output") else "passthrough")
        return mode

    @property
    def prompt(self) -> Prompt | None:
        read = self.keys.get("prompt")
        if read is None or "system" not in read or "mode" not in read:
            return None
        inputs = {name: _input(spec) for name, spec in read.get("inputs", {}).items()}
        return Prompt(mode=read["mode"], system=prompt_text(read["system"]), inputs=inputs)


def prompt_text(text: str) -> str:
    """The prompt in a file: line ends as ``\\n``, without the newlines that end the file."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _input(read: dict[str, Any]) -> InputSpec:
    """An input with a default is optional unless it says otherwise."""
    return InputSpec(**({"required": "default" not in read} | read))


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
    if draft.stream != "buffered":
        mend = "set 'stream: buffered': an answer can be checked only once it is whole"
        yield draft.problem(("stream",), f"'{draft.stream}' with a schema", "buffered", mend)


def _canned(draft: Draft) -> Iterator[Problem]:
    canned: Canned | None = draft.keys.get("canned")
    if canned is None:
        return
    if draft.embeddings:
        mend = "remove 'canned': let the ladder name a target with the same model"
        yield draft.problem(("canned",), "a canned answer", "none: no text can stand for a vector", mend)
    elif canned.json is not None and not draft.has("output"):
        yield draft.problem(
            ("canned", "json"), "JSON", "only text: the workflow has no schema", "remove it, or add 'output'"
        )
    elif isinstance(draft.schema, dict) and canned.json is not None and not schema_error(draft.schema):
        if found := validation_error(draft.schema, canned.json):
            expected = "JSON that validates against the output schema"
            yield draft.problem(("canned", "json"), found, expected, "change it, so that no client breaks on it")
    elif draft.has("output") and canned.json is None:
        mend = "add 'canned.json' with an answer that validates; without it clients read a refusal"
        yield draft.problem(("canned",), "no 'json'", "one, as the workflow has a schema", mend, "warning")


def _ladder(draft: Draft) -> Iterator[Problem]:
    ladder: Ladder = draft.keys.get("ladder", {})
    for failure, steps in ladder.items():
        path = ("ladder", failure)
        kinds = [step.kind for step in steps]
        if failure in FINAL_FAILURES and "retry" in kinds:
            mend = "remove it; another target or 'canned' can help"
            yield draft.problem(path, "'retry'", "a step that can mend it: the same call fails again", mend)
        if "canned" in kinds[:-1]:
            yield draft.problem(
                path, "steps after 'canned'", "'canned' last: it always answers", "remove what follows it"
            )
        if "canned" in kinds and draft.embeddings:
            yield draft.problem(path, "'canned'", "a target with the same model", "remove it")
        elif "canned" in kinds and not draft.has("canned"):
            yield draft.problem(path, "'canned'", "a canned answer to give", "add 'canned: {text: …}' to the workflow")
        yield from _ladder_targets(draft, failure)


def _ladder_targets(draft: Draft, failure: Failure) -> Iterator[Problem]:
    first = draft.keys.get("target")
    for step in draft.keys["ladder"][failure]:
        if step.kind != "target":
            continue
        if step.target == first:
            yield draft.problem(
                ("ladder", failure), f"'target: {first}', the first target", "another one", "use 'retry' to try again"
            )
        one, other = draft.targets.get(str(first)), draft.targets.get(str(step.target))
        if draft.embeddings and one and other and one.model != other.model:
            found = f"target '{step.target}' with model {other.model}"
            expected = f"the model {one.model}: vectors of different models cannot be compared"
            yield draft.problem(("ladder", failure), found, expected, "name a target with the same model")


def _targets(draft: Draft) -> Iterator[Problem]:
    """A release needs exact models; a schema needs targets that obey one."""
    ladder: Ladder = draft.keys.get("ladder", {})
    named: list[tuple[tuple[str, ...], str | None]] = [(("target",), draft.keys.get("target"))]
    named += [(("ladder", failure), step.target) for failure, steps in ladder.items() for step in steps]
    for path, name in named:
        target = draft.targets.get(str(name))
        if target is None:
            continue
        if target.model == "*":
            found = f"target '{name}' with model '*'"
            yield draft.problem(path, found, "an exact model", f"set the model of '{name}' in roadworthy.yaml")
        if draft.keys.get("tools") and not target.capabilities.tools:
            yield draft.problem(path, f"target '{name}', which calls no tools", "one that does", "change the target")
        obeys = target.capabilities.response_schema or target.provider == "anthropic"  # its wire forces a tool
        if draft.has("output") and not obeys:
            found = f"target '{name}', which obeys no JSON schema"
            yield draft.problem(path, found, "one that does", "change the target, or remove 'output'")


def _bypass(draft: Draft) -> Iterator[Problem]:
    bypass = draft.keys.get("bypass")
    if bypass is not None and bypass.kind == "canned" and draft.embeddings:
        yield draft.problem(("bypass",), "a canned text", "app or http: no text can stand for a vector", "use 'app'")


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
    _canned,
    _ladder,
    _targets,
    _bypass,
    _clocks,
)


def schema_error(schema: Any) -> str:
    """Why this is not a JSON Schema that can be used (offline, linear patterns); empty when it is."""
    import jsonschema_rs

    try:
        jsonschema_rs.validator_for(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())
    except jsonschema_rs.ValidationError as error:
        where = "/".join(str(part) for part in error.instance_path)
        return f"{error.message[:200]}" + (f" at /{where}" if where else "")
    return ""


def validation_error(schema: Any, value: Any) -> str:
    """The first way in which ``value`` does not satisfy ``schema``; empty when it does."""
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())
    for error in validator.iter_errors(value):
        where = "/".join(str(part) for part in error.instance_path)
        return f"{error.message[:200]}" + (f" at /{where}" if where else "")
    return ""
