"""Repairs: an answer that cannot be used goes back to the model with what is wrong with it.

The repaired request is the one that was sent before, system message included, with two messages more: the model's own
answer, and ours that lists what is wrong.  Both are spliced behind the caller's messages as bytes, so a managed and an
app-held prompt, parameters, tools and schema stay as they were.  A tool call goes back as text: its arguments may not
be JSON, and not every provider takes such a call as history.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from roadworthy.workflow.prompt import Template

MOST_ANSWER_CHARS = 32 * 1024
"""A longer answer is not sent back: reading it again would cost more than asking again."""
MOST_ERRORS = 20
MOST_ERROR_CHARS = 300

BUILT_IN = """Your last answer cannot be used:
{{ errors }}

Answer again, in full and in the format that was asked for. Mend what is wrong and say nothing about the mistake."""


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []


_completion = msgspec.json.Decoder(_Completion)


class RepairPrompt:
    """The message that asks for a repair, from a release's template or ours."""

    def __init__(self, template: str | None) -> None:
        """``template`` with the hole ``{{ errors }}``.  Raises ``ValueError`` for any other hole."""
        self._template = Template.parse(BUILT_IN if template is None else template)
        unknown = [name for name in self._template.holes if name != "errors"]
        if unknown:
            raise ValueError(f"the repair prompt has the hole '{unknown[0]}'; it may have 'errors' only")

    def asked(self, errors: Sequence[str]) -> str:
        """What the model is told about its answer."""
        shown = [f"- {error[:MOST_ERROR_CHARS]}" for error in errors[:MOST_ERRORS]]
        if len(errors) > MOST_ERRORS:
            shown.append(f"- and {len(errors) - MOST_ERRORS} more")
        return self._template.render({"errors": "\n".join(shown)})


def text_of(body: bytes) -> str | None:
    """What the model wrote in the first choice of a ``chat.completion``, its tool calls as text; ``None``: nothing."""
    try:
        choices = _completion.decode(body).choices
    except (msgspec.DecodeError, RecursionError):
        return None
    if not choices or choices[0].message is None:
        return None
    message = choices[0].message
    parts = [message.content] if message.content else []
    called = [call.function for call in message.tool_calls or () if call.function is not None]
    parts += [f"{function.name or 'unnamed tool'}({function.arguments or ''})" for function in called]
    return "\n".join(parts) or None
