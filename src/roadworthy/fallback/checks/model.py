"""What a check of an answer's text is given and what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec


class Finding(msgspec.Struct, frozen=True, gc=False):
    """Why a text does not pass."""

    detail: str
    """In words for the log; names the kind of thing that was found and never quotes it: it may be a secret."""
    score: float = 1.0
    """In (0, 1]; 1 is certainly bad."""
    span: tuple[int, int] | None = None
    """Characters of the text, [begin, end)."""


class Context:
    """What a check may know beside the text.  What is costly to find out is found out when it is asked for."""

    __slots__ = ("_read_sent", "_sent", "canary", "prompt")

    def __init__(self, sent: Callable[[], str] = str, *, prompt: str = "", canary: str = "") -> None:
        """``sent``: makes the text of all that the caller sent, messages and inputs."""
        self._read_sent = sent
        self._sent: str | None = None
        self.prompt = prompt
        """Text of the release's system prompt without what callers put into its holes."""
        self.canary = canary
        """Token that ends the prompt; empty: it has none."""

    @property
    def sent(self) -> str:
        """Text of all that the caller sent."""
        if self._sent is None:
            self._sent = self._read_sent()
        return self._sent


class TextCheck(Protocol):
    """One declared check, compiled.  Stateless: threads share it."""

    def __call__(self, text: str, context: Context) -> Finding | None:
        """``None``: the text passes.  Takes time linear in the text and raises nothing for any text."""
        ...
