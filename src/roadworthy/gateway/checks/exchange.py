"""What was asked and answered, as checks see it.  Nothing is decoded before a check wants it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from roadworthy.fallback.checks.model import Context
from roadworthy.gateway.admission.body import loosely
from roadworthy.workflow.prompt import SYSTEM_ROLES, content_text

if TYPE_CHECKING:
    from roadworthy.gateway.call import Call

_any = msgspec.json.Decoder()


class _Function(msgspec.Struct):
    name: str = ""
    arguments: Any = ""


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: Any = None
    tool_calls: list[_ToolCall] | None = None


class Choice(msgspec.Struct):
    message: _Message | None = None

    def text(self) -> str | None:
        """Its content; ``None``: it has none."""
        if self.message is None or self.message.content is None:
            return None
        return content_text(self.message.content)

    def calls(self) -> list[tuple[str, str]]:
        """(name, arguments) of every function that it calls."""
        made = []
        for call in (self.message.tool_calls or ()) if self.message is not None else ():
            if call.function is not None:
                given = call.function.arguments
                made.append((call.function.name, given if isinstance(given, str) else _json(given)))
        return made


class Read(msgspec.Struct):
    """As much of a ``chat.completion`` as checks need."""

    choices: list[Choice] = []

    def indexed(self) -> Iterator[tuple[int, str]]:
        """(index, text) of the choices that say something."""
        for index, choice in enumerate(self.choices):
            text = choice.text()
            if text:
                yield index, text

    def contents(self) -> list[str]:
        return [text for _, text in self.indexed()]

    def calls(self) -> list[tuple[str, str]]:
        return [call for choice in self.choices for call in choice.calls()]


_completion = msgspec.json.Decoder(Read)


def read(body: bytes) -> Read | None:
    """``None`` for what has another shape than a ``chat.completion``."""
    try:
        return _completion.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None


def with_contents(body: bytes, contents: dict[int, str]) -> bytes:
    """``body`` with other content in some of its choices (index → text)."""
    completion = _any.decode(body)
    for index, text in contents.items():
        completion["choices"][index]["message"]["content"] = text
    return msgspec.json.encode(completion)


def spoken(text: str) -> str:
    """The strings in a JSON answer, one a line: what its reader will be shown."""
    try:
        return "\n".join(_strings(_any.decode(text)))
    except (msgspec.DecodeError, RecursionError):
        return text


def _strings(value: Any) -> Iterator[str]:
    """In the order of the text, without the names of fields."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += reversed(item.values())
        elif isinstance(item, list):
            waiting += reversed(item)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class Conversation:
    """One call and its answer, for the checks (``asked.Exchange``)."""

    __slots__ = ("_call", "_request", "_target", "_texts")

    def __init__(self, call: Call, target: str = "", texts: list[str] | None = None) -> None:
        self._call = call
        self._target = target
        self._texts = texts or []
        self._request: dict[str, Any] | None = None

    def context_of(self, prompt: str, canary: str) -> Context:
        """For text checks."""
        return Context(self._sent, prompt=prompt, canary=canary)

    @property
    def text(self) -> str:
        """What the customer would read; several choices with a blank line between."""
        return "\n\n".join(self._texts)

    @property
    def question(self) -> str:
        """The caller's last message of the role ``user``."""
        for message in reversed(self._messages()):
            if message.get("role") == "user":
                return content_text(message.get("content"))
        return ""

    def context(self) -> dict[str, Any]:
        """For users' checks: see docs/checks.md.  Holds no key and no system prompt."""
        call, serving = self._call, self._call.serving
        extension = self._asked().get("roadworthy")
        inputs = extension.get("inputs") if isinstance(extension, dict) else None
        return {
            "workflow": serving.name if serving is not None else "",
            "release": serving.digest if serving is not None else None,
            "target": self._target,
            "question": self.question,
            "messages": [message for message in self._messages() if message.get("role") not in SYSTEM_ROLES],
            "inputs": inputs if isinstance(inputs, dict) else {},
            "tags": call.tags,
        }

    def _sent(self) -> str:
        """Every string that the caller sent."""
        asked = self._asked()
        return "\n".join(_strings(asked)) if asked else self._call.request.body.decode("utf-8", "replace")

    def _messages(self) -> list[dict[str, Any]]:
        messages = self._asked().get("messages")
        return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []

    def _asked(self) -> dict[str, Any]:
        if self._request is None:
            found = loosely(self._call.asked())
            self._request = found if isinstance(found, dict) else {}
        return self._request
