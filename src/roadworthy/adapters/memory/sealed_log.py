"""The in-memory twin of ``sealed.log``."""

from __future__ import annotations

from collections.abc import Sequence


class MemorySealedLog:
    """``SealedLog`` in memory."""

    def __init__(self) -> None:
        self._tokens: list[str] = []

    def tokens(self) -> Sequence[str]:
        return list(self._tokens)

    def append(self, tokens: Sequence[str]) -> None:
        self._tokens += tokens
