"""What reviews need of the state store; the same transaction object as ``workflow.ports.Transaction`` has it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from roadworthy.people.review.model import Review, ReviewKind, State
from roadworthy.workflow.ports import Transaction


class ReviewTransaction(Transaction, Protocol):
    def review(self, ident: str) -> Review | None: ...

    def reviews(
        self,
        *,
        workflow: str | None = None,
        kind: ReviewKind | None = None,
        state: State | None = None,
        limit: int = 50,
    ) -> Sequence[Review]:  # fmt: skip
        """The newest period first."""
        ...

    def put_review(self, review: Review) -> None:
        """Insert, or replace the one with the same id."""
        ...


class ReviewState(Protocol):
    def read(self) -> AbstractContextManager[ReviewTransaction]: ...

    def write(self) -> AbstractContextManager[ReviewTransaction]: ...
