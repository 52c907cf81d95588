"""What a chat completion says of itself: the few fields that a load test counts, whole or out of a stream."""

from __future__ import annotations

from typing import Final

import msgspec

from roadworthy.workflow.inference import Failure, Outcome

_MOST_LINE: Final = 4 * 1024 * 1024


class Usage(msgspec.Struct, gc=False):
    completion_tokens: int | None = None


class Told(msgspec.Struct, frozen=True, gc=False):
    """The ``roadworthy`` object."""

    inference: str = ""
    outcome: Outcome | None = None
    failure: Failure | None = None
    cost_usd: float | None = None


class Wrong(msgspec.Struct, gc=False):
    code: str | int | None = None
    type: str | None = None

    @property
    def word(self) -> str:
        return str(self.code if self.code is not None else self.type or "error")


class Said(msgspec.Struct, gc=False):
    content: object = None
    refusal: object = None
    tool_calls: object = None
    reasoning_content: object = None


class Choice(msgspec.Struct, gc=False):
    delta: Said | None = None
    finish_reason: str | None = None


class Answer(msgspec.Struct, gc=False):
    """A whole answer, a chunk of a stream, or an error."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Wrong | None = None
    roadworthy: Told = Told()

    @property
    def finished(self) -> bool:
        """Does every choice say why it ended?"""
        return bool(self.choices) and all(choice.finish_reason is not None for choice in self.choices)


_decode: Final = msgspec.json.Decoder(Answer).decode
NOT_UNDERSTOOD: Final = "not_understood"


def read(body: bytes) -> Answer:
    """A whole answer; one that cannot be read has the error ``not_understood``."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Answer(error=Wrong(NOT_UNDERSTOOD))


def not_understood(answer: Answer) -> bool:
    return answer.error is not None and answer.error.code == NOT_UNDERSTOOD


class Events:
    """Reads a stream of server-sent events, one ``data:`` line each, in whatever pieces it arrives."""

    __slots__ = ("_rest", "answer", "contents")

    def __init__(self) -> None:
        self._rest = b""
        self.answer = Answer()
        """What the stream has said so far."""
        self.contents = 0
        """Events that carried words, reasoning or a piece of a tool call."""

    def feed(self, piece: bytes) -> bool:
        """Read on; ``True`` when the piece brought content."""
        before = self.contents
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line.startswith(b"data:"):
                data = line[5:].strip()
                if data and data != b"[DONE]":
                    self._event(data)
        if len(self._rest) > _MOST_LINE:
            self.answer.error, self._rest = Wrong(NOT_UNDERSTOOD), b""
        return self.contents > before

    def _event(self, data: bytes) -> None:
        chunk, whole = read(data), self.answer
        if chunk.error is not None:
            whole.error = chunk.error
        if chunk.usage is not None:
            whole.usage = chunk.usage
        if chunk.roadworthy.outcome is not None:
            whole.roadworthy = chunk.roadworthy
        for choice in chunk.choices:
            said = choice.delta
            if said is not None and (said.content or said.refusal or said.tool_calls or said.reasoning_content):
                self.contents += 1
            if choice.finish_reason is not None:
                whole.choices = [choice]
