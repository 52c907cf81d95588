"""What a run asks the gateway: an example as an app of the workflow would send it.  Pure."""

from __future__ import annotations

from typing import Any

from roadworthy.evals.model import Example
from roadworthy.workflow.model import Release
from roadworthy.workflow.prompt import SYSTEM_ROLES, Template


class CannotAsk(Exception):
    """The example does not fit the release; the message says what it lacks."""


def question(release: Release, example: Example) -> dict[str, Any]:
    """The body of the request.  Raises ``CannotAsk``."""
    behaviour = release.behaviour
    if behaviour.kind != "chat":
        raise CannotAsk(f"{release.workflow} answers with {behaviour.kind}; examples are scored on chat answers")
    messages = list(example.messages)
    body: dict[str, Any] = {"model": release.workflow, "user": f"eval-{example.id}", "messages": messages}
    prompt = behaviour.prompt
    if prompt is None:
        return body
    if prompt.mode == "managed":
        lacking = [name for name, spec in prompt.inputs.items() if spec.required and spec.default is None]
        lacking = [name for name in lacking if name not in example.inputs]
        if lacking:
            raise CannotAsk(
                f"the prompt asks for {', '.join(lacking)}; give it in 'inputs' of each row and import again"
            )
        if example.inputs:
            body["roadworthy"] = {"inputs": example.inputs}
    elif not any(message.get("role") in SYSTEM_ROLES for message in messages):
        template = Template.parse(prompt.system)
        if any(hole not in example.inputs for hole in template.holes):
            raise CannotAsk("the app fills holes of its prompt; put its system message into each row's messages")
        messages.insert(0, {"role": "system", "content": template.render(example.inputs)})
    return body
