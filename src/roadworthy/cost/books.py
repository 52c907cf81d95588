"""What the state store keeps of closed months and their corrections: sealed tokens, with the facts to find them by."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from roadworthy.workflow.ports import Transaction


class BookTransaction(Transaction, Protocol):
    """Who reads opens the tokens."""

    def put_book(self, ident: str, team: str, workflow: str, month: str, at: float, token: str) -> None:
        """Add an entry.  An id that is taken raises ``StateConflict``; nothing is ever replaced."""
        ...

    def books(self, workflow: str, month: str) -> Sequence[str]:
        """Tokens of a workflow's month (``2026-11``), oldest first."""
        ...


class BookState(Protocol):
    def read(self) -> AbstractContextManager[BookTransaction]: ...

    def write(self) -> AbstractContextManager[BookTransaction]: ...
