"""What a drill asks of a workflow, and what a good answer to it is.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from roadworthy.fallback.drills.breaking import breaking
from roadworthy.fallback.drills.exchange import Good
from roadworthy.fallback.drills.wording import frame
from roadworthy.workflow.model import Release
from roadworthy.workflow.prompt import Template

Example = Callable[[Any], Any]
"""JSON Schema → a value that satisfies it."""

USER_MESSAGE = "This is a drill: please answer as you always do."
GOOD_TEXT = "This is a good answer to a drill."
_LETTERS = "abcdefghijklmnop"
BEATS_IN_IDLE = 8
"""Signs of life that a slow provider gives while the idle clock runs once; at the usual clocks one a second."""


def question(release: Release, *, stream: bool, user: str) -> dict[str, Any]:
    """The request body, as an app of this workflow would send it; ``user``: on whose behalf."""
    behaviour = release.behaviour
    if behaviour.kind == "embeddings":
        return {"model": release.workflow, "input": USER_MESSAGE, "user": user}
    messages = [{"role": "user", "content": USER_MESSAGE}]
    body: dict[str, Any] = {"model": release.workflow, "user": user}
    prompt = behaviour.prompt
    if prompt is not None and prompt.mode == "managed":
        wanted = {name: USER_MESSAGE for name, spec in prompt.inputs.items() if spec.required}
        body["roadworthy"] = {"inputs": wanted}
    elif prompt is not None:
        template = Template.parse(prompt.system)
        filled = template.render(dict.fromkeys(template.holes, "drill"))
        messages.insert(0, {"role": "system", "content": filled})
    body["messages"] = messages
    if stream:
        body["stream"] = True
    return body


def good_answer(release: Release, target: str, example: Example) -> Good:
    """What ``target`` answers when all is well."""
    good = _good(release, target, example)
    return msgspec.structs.replace(good, beat=min(good.beat, release.handling.clocks.idle / BEATS_IN_IDLE))


def _good(release: Release, target: str, example: Example) -> Good:
    behaviour, handling = release.behaviour, release.handling
    if target in guards(release):
        return Good("safe")
    model = behaviour.targets[target].model if target in behaviour.targets else "drill"
    declared = handling.canned or handling.holding
    if behaviour.tools:
        function: Mapping[str, Any] = behaviour.tools[0]["function"]
        arguments = example(function.get("parameters") or {"type": "object"})
        return Good(msgspec.json.encode(arguments).decode(), model, tool=str(function["name"]))
    if behaviour.schema is not None:
        found = declared.json if declared is not None and declared.json is not None else example(behaviour.schema)
        around = frame(behaviour.schema, found)
        return Good(msgspec.json.encode(found).decode(), model, breaking=breaking(release), frame=around)
    text = declared.text if declared is not None else GOOD_TEXT
    return Good(f"{text} ({{nonce}})", model, breaking=breaking(release))


def guards(release: Release) -> frozenset[str]:
    """Targets that are asked by checks: they say that all is well."""
    asked = {spec.target for spec in release.handling.checks.values() if spec.target is not None}
    return frozenset(asked - {release.behaviour.target})


def nonce_of(bits: int) -> str:
    """Twelve letters: no digits, so that no check takes them for a number of somebody's."""
    return "".join(_LETTERS[(bits >> (4 * at)) & 15] for at in range(12))
