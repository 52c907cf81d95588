"""Adoption: from an unchanged app, passed through and recorded, to a workflow of its own.

``derive`` is pure: observed request bodies → the files of a workflow that changes nothing for the app (app-held
prompt, the model it asks for, its constant parameters, tools and schema), and in words what could not be derived.
The prompt it writes matches every observed call.  ``Adoption`` does the reading and applying around it.
"""

from __future__ import annotations

import datetime
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from roadworthy.gateway.admission.prompting import FREE_FIELDS
from roadworthy.inference_log.model import Filter, Page
from roadworthy.operations.adoption.adopt_files import (
    AdoptRefused,
    dumped,
    passthrough_workflow,
    people_ids,
    printable,
    refuse_name,
    slug,
    with_person,
    with_target,
    workflow_path,
)
from roadworthy.operations.adoption.alignment import TooLong, derive_template
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Person, ProviderKind, Target
from roadworthy.workflow.problems import Problem, did_you_mean, hide_secrets, looks_secret
from roadworthy.workflow.prompt import Template, system_text
from roadworthy.workflow.service import Actor, Applied, Unknown, Workflows

FEWEST_CALLS: Final = 3
MOST_CALLS: Final = 200
"""The newest calls that are looked at."""
_LITTLE_IN_COMMON: Final = 0.3
_DEADLINES: Final = (60, 120, 300, 600)


class ObservedCall(msgspec.Struct, frozen=True):
    """One call as the app made it."""

    ts: float
    body: dict[str, Any]
    latency: float = 0.0


class Draft(msgspec.Struct, frozen=True):
    """Files to write, and what a person should know about them."""

    files: dict[str, str]
    """Only those that are new or changed."""
    notes: list[str]
    """What varied, what could not be derived."""
    calls: int
    """How many calls it was derived from."""
    problems: list[Problem] = []
    """What ``apply`` would say about these files."""


class Begun(msgspec.Struct, frozen=True):
    files: dict[str, str]
    """Only those that are new or changed."""
    applied: Applied


# The pure part


def derive(name: str, calls: Sequence[ObservedCall], passthrough: Target, owners: str) -> tuple[Draft, Target]:
    """Files of ``workflows/NAME/`` and the exact target that they name.

    ``owners`` is the line of the file that names them.  Raises ``AdoptRefused`` for fewer than three calls.
    """
    chats = [call for call in calls if isinstance(call.body.get("messages"), list)]
    vectors = [call for call in calls if "input" in call.body and "messages" not in call.body]
    kind = "embeddings" if len(vectors) > len(chats) else "chat"
    used = vectors if kind == "embeddings" else chats
    if len(used) < FEWEST_CALLS:
        raise AdoptRefused(
            f"{len(used)} recorded calls of {name}; expected at least {FEWEST_CALLS} to see what varies: "
            "send some more through the app and try again"
        )
    notes: list[str] = []
    if len(used) < len(calls):
        notes.append(
            f"{len(calls) - len(used)} of {len(calls)} calls are not {kind} calls: they need a workflow of their own"
        )
    target = _target(used, passthrough, notes)
    files: dict[str, str] = {}
    lines = [
        f"# Written by 'roadworthy adopt' from {len(used)} recorded calls. It changes nothing for the app.",
        f"description: {name}, adopted from a running app.",
        owners,
        "enforcement: observe   # served as before, at most 30 days; 'enforce': as far as its evidence goes",
        f"passthrough: {passthrough.name}",
    ]
    if kind == "embeddings":
        lines.append("kind: embeddings")
    else:
        lines += _prompt(name, used, files, notes)
    lines.append(f"target: {target.name}")
    fields, varying = _fields(used)
    lines += _tools(name, fields, varying, files, notes)
    lines += _schema(name, fields, varying, files, notes)
    if any(line.startswith(("tools:", "output:")) for line in lines) and any(call.body.get("stream") for call in used):
        notes.append("the app streams, and its answers are checked: once released they arrive whole, after the check")
    lines += _parameters(fields, varying, notes)
    files[workflow_path(name)] = "\n".join([*lines, *_handling(used)]) + "\n"
    _refuse_secrets(files)
    return Draft(files, notes, len(used)), target


def _target(calls: Sequence[ObservedCall], passthrough: Target, notes: list[str]) -> Target:
    asked = Counter(call.body["model"] for call in calls if isinstance(call.body.get("model"), str))
    if not asked:
        raise AdoptRefused("no recorded call names a model; expected 'model' in the request: mend the app")
    model, _count = asked.most_common(1)[0]
    if len(asked) > 1:
        each = ", ".join(f"{name} ({count})" for name, count in asked.most_common(5))
        notes.append(f"the calls ask for {len(asked)} models: {each}; the release names {model} only")
    if passthrough.model == model:
        return passthrough
    return msgspec.structs.replace(passthrough, name=f"{passthrough.name}-{slug(model)}"[:63], model=model, price=None)


def _prompt(name: str, calls: Sequence[ObservedCall], files: dict[str, str], notes: list[str]) -> list[str]:
    texts = [system_text(call.body["messages"]) for call in calls]
    without = texts.count(None)
    if without == len(texts):
        notes.append("the app sends no system message: prompt.md is empty, and stays so until it does")
    elif without:
        notes.append(f"{without} of {len(texts)} calls have no system message, so the prompt can be anything")
    held = [(text or "").rstrip("\n") for text in texts]
    try:
        template = derive_template(held, [_day(call.ts) for call in calls])
    except TooLong as error:
        notes.append(f"the prompt could not be derived: {error}; prompt.md accepts any text")
        template = Template.build(["", ""], ["prompt"])
    if not all(template.match(text or "") is not None for text in texts):
        raise AssertionError("the derived prompt does not match every observed call")
    literal = len(template.render(dict.fromkeys(template.holes, "")))
    longest = max(map(len, held))
    if template.holes and longest and literal < _LITTLE_IN_COMMON * longest:
        notes.append(
            f"only {literal} of {longest} characters of the prompts are the same in all calls: "
            "perhaps several features share this key; give each a key and a workflow"
        )
    files[workflow_path(name, "prompt.md")] = template.text + "\n"
    lines = [
        "prompt:",
        "  mode: app           # the app sends the prompt; it must match prompt.md",
        "  system: prompt.md",
    ]
    found = template.match(held[-1]) or {}
    if template.holes:
        lines.append("  inputs:              # what varied, with an example from the newest call")
        lines += [
            f"    {hole}: {{}}   # {hide_secrets(printable(json.dumps(found.get(hole, ''), ensure_ascii=False)))}"
            for hole in template.holes
        ]
        notes.append(
            f"the prompt varies in {_places(len(template.holes))}: {', '.join(template.holes)}; rename as you like"
        )
    return lines


def _fields(calls: Sequence[ObservedCall]) -> tuple[dict[str, Any], list[str]]:
    """Request fields with the same value in every call, and the names of those that vary or are not always there."""
    names = sorted({name for call in calls for name in call.body} - FREE_FIELDS - {"messages"})
    constant: dict[str, Any] = {}
    varying: list[str] = []
    for name in names:
        seen = {json.dumps(call.body.get(name), sort_keys=True) for call in calls}
        if seen == {"null"}:
            continue
        if len(seen) == 1:
            constant[name] = calls[0].body[name]
        else:
            varying.append(name)
    return constant, varying


def _places(count: int) -> str:
    return "1 place" if count == 1 else f"{count} places"


def _tools(name: str, fields: dict[str, Any], varying: list[str], files: dict[str, str], notes: list[str]) -> list[str]:
    if "tools" in varying:
        notes.append("the tools differ from call to call and could not be fixed")
    tools = fields.pop("tools", None)
    if not tools:
        return []
    if not all(isinstance(tool, dict) and tool.get("type") == "function" for tool in tools):
        varying.append("tools")
        notes.append("some tools are no functions and could not be fixed")
        return []
    files[workflow_path(name, "tools.json")] = json.dumps(tools, indent=2, ensure_ascii=False) + "\n"
    return ["tools: tools.json"]


def _schema(
    name: str, fields: dict[str, Any], varying: list[str], files: dict[str, str], notes: list[str]
) -> list[str]:
    wanted = fields.pop("response_format", None)
    if "response_format" in varying:
        notes.append("the response format differs from call to call: there is no schema to check answers against")
    if not isinstance(wanted, dict) or wanted.get("type") == "text":
        return []
    described = wanted.get("json_schema", {}) if wanted.get("type") == "json_schema" else {}
    schema = described.get("schema")
    if not isinstance(schema, dict):
        varying.append("response_format")
        notes.append("the app asks for JSON without a schema: write an output schema and answers will be checked")
        return []
    if described.get("strict") is not True or described.keys() - {"name", "schema", "strict"}:
        varying.append("response_format")  # a release asks for its schema strictly, which not every schema allows
        notes.append("the app's schema is not strict, so its response format stays the app's own; answers are checked")
    files[workflow_path(name, "output.schema.json")] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return ["output: {schema: output.schema.json}", "stream: buffered"]


def _parameters(fields: Mapping[str, Any], varying: list[str], notes: list[str]) -> list[str]:
    for legacy in ("functions", "function_call"):
        if legacy in fields:
            varying.append(legacy)
            notes.append(f"'{legacy}' is the old form of tools and could not be fixed")
    fixed = {name: value for name, value in fields.items() if name not in varying}
    lines = [f"parameters: {dumped(fixed)}"] if fixed else []
    if varying:
        lines.append(f"caller_overrides: {dumped(sorted(varying))}   # these stay the app's")
        notes.append(f"these request fields vary and stay the app's: {', '.join(sorted(varying))}")
    return lines


def _handling(calls: Sequence[ObservedCall]) -> list[str]:
    slowest = max(call.latency for call in calls)
    deadline = next((seconds for seconds in _DEADLINES if seconds >= 4 * slowest), math.ceil(4 * slowest))
    return [
        f"deadline: {deadline}s   # the slowest recorded call took {slowest:.1f} s",
        f"clocks: {{first_token: {deadline}s, idle: 60s, total: {deadline}s}}",
        "ladder:              # the OpenAI client would have retried twice; now the gateway does",
        "  unavailable: [retry: {times: 2}]",
        "  overlimit: [retry: {times: 2}]",
        "bypass: app",
    ]


def _day(ts: float) -> datetime.date:
    return datetime.datetime.fromtimestamp(ts, datetime.UTC).date()


def _refuse_secrets(files: Mapping[str, str]) -> None:
    for path, text in files.items():
        if looks_secret(text):
            raise AdoptRefused(
                f"{path}: the recorded calls hold what looks like a real key (not shown); expected none: "
                "revoke it, take it out of the app's prompt and adopt again"
            )


# The service


class Log(Protocol):
    """What adoption reads of the inference log (``inference_log.ports.LogStore`` has it)."""

    def find(self, where: Filter, limit: int = 50) -> Page: ...

    def get(self, inference: str) -> Any: ...


class Adoption:
    """Begins an adoption, and drafts its files once there are calls."""

    def __init__(self, workflows: Workflows, log: Log, *, price_known: Callable[[Target], bool]) -> None:
        self._workflows = workflows
        self._log = log
        self._price_known = price_known

    def begin(
        self,
        name: str,
        provider: ProviderKind,
        actor: Actor,
        *,
        endpoint: str | None = None,
        key: str | None = None,
        model: str = "*",
        owner: str | None = None,
        allow_private: bool = False,
        dry_run: bool = False,
    ) -> Begun:
        """Add a target and a passed-through workflow to the configuration in force, and apply it unless ``dry_run``.

        Raises ``AdoptRefused`` when the name is taken or nobody can own it; other mistakes are in
        ``applied.problems`` and nothing is applied.
        """
        refuse_name(name)
        applied = self._workflows.configuration()
        before = dict(applied.files) if applied is not None else {}
        if workflow_path(name) in before:
            raise AdoptRefused(f"there is a workflow '{name}' already; expected a new name, or calls to draft it from")
        target = Target(name, provider, model, endpoint, key, allow_private=allow_private)
        files = with_target(before, target, f"Where {name} is passed through to. '*': the model that the app asks for.")
        files, owner = _with_owner(files, name, owner)
        files[workflow_path(name)] = passthrough_workflow(name, target.name, owner)
        done = self._workflows.apply(files, actor, dry_run=dry_run, reason=f"adopt {name}")
        return Begun({path: text for path, text in files.items() if before.get(path) != text}, done)

    def draft(self, name: str) -> Draft:
        """Files derived from the newest recorded calls; nothing is applied.  Raises ``Unknown``, ``AdoptRefused``."""
        applied = self._workflows.configuration()
        workflows = applied.configuration.workflows if applied is not None else {}
        workflow = workflows.get(name)
        if applied is None or workflow is None:
            raise Unknown(f"no workflow '{name}': {did_you_mean(name, workflows)}")
        if workflow.passthrough is None:
            raise AdoptRefused(f"'{name}' has files of its own and is not passed through; expected an adopted workflow")
        if workflow.behaviour is not None:
            raise AdoptRefused(
                f"'{name}' is adopted already; expected a workflow without files of its own: edit workflows/{name}/, "
                f"then 'roadworthy apply' it and 'roadworthy freeze {name}'"
            )
        passthrough = applied.configuration.targets[workflow.passthrough]
        owners = f"owners: {dumped(msgspec.to_builtins(workflow.owners))}"
        made, target = derive(name, self._observed(name), passthrough, owners)
        notes = list(made.notes)
        files = with_target(applied.files, target, f"The model that {name} asks for.")
        if not self._price_known(target):
            notes.append(f"no price is known for {target.model}: add 'price: {{input: …, output: …}}' to {target.name}")
        files |= made.files
        changed = {path: text for path, text in files.items() if applied.files.get(path) != text}
        return Draft(changed, notes, made.calls, self._workflows.check(files))

    def _observed(self, name: str) -> list[ObservedCall]:
        """Oldest first, so that examples come from the newest."""
        page = self._log.find(Filter(workflow=name, route="passthrough"), limit=MOST_CALLS)
        calls = []
        for item in reversed(page.items):
            entry = self._log.get(item.id)
            call = None if entry is None else observed_call(entry.inference)
            if call is not None:
                calls.append(call)
        return calls


def observed_call(inference: Inference) -> ObservedCall | None:
    """The call as the app made it, or ``None`` when its body was not kept or cannot be read."""
    asked = inference.asked()
    if asked is None:
        return None
    try:
        body = msgspec.json.decode(asked)
    except (msgspec.DecodeError, RecursionError):  # it holds a number that no double can
        return None
    if not isinstance(body, dict):
        return None
    body.setdefault("model", inference.model_asked)
    return ObservedCall(inference.ts, body, inference.latency)


def _with_owner(files: dict[str, str], name: str, owner: str | None) -> tuple[dict[str, str], str]:
    people = people_ids(files)
    if owner is None and len(people) == 1:
        owner = people[0]
    if owner is None and people:
        raise AdoptRefused(f"no owner for '{name}'; expected one of {', '.join(people)}: name one with --owner")
    if owner is not None and people and owner not in people:
        raise AdoptRefused(f"the owner '{owner}'; expected a person in people.yaml: {did_you_mean(owner, people)}")
    if people:
        return files, str(owner)
    me = Person(id=owner or "owner", name=owner or "Owner", email="owner@example.com")
    return with_person(files, me, f"Answers for {name}. Put the real name and address here."), me.id
