"""What the state store keeps of evals: sealed tokens, with the facts by which they are found."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from roadworthy.evals.model import Answer, Examples, Publication, Run, Signature
from roadworthy.workflow.ports import Transaction


class EvalTransaction(Transaction, Protocol):
    """Who reads opens the tokens, and holds a set's content against its version.

    Ids are unique: one that is taken raises ``StateConflict``.
    """

    def add_eval_set(self, publication: Publication, examples: Examples, token: str) -> None: ...

    def eval_sets(self, workflow: str, limit: int = 1000) -> Sequence[str]:
        """Tokens of its publications, newest first."""
        ...

    def eval_set(self, version: str) -> Examples | None:
        """The content as it is kept: to be held against the version."""
        ...

    def add_rubric_signature(self, signature: Signature, token: str) -> None: ...

    def rubric_signatures(self, workflow: str) -> Sequence[str]:
        """Newest first."""
        ...

    def add_eval_run(self, run: Run, token: str) -> None: ...

    def eval_run(self, ident: str) -> str | None:
        """Its token."""
        ...

    def eval_runs(self, workflow: str, limit: int = 50) -> Sequence[str]:
        """Newest first."""
        ...

    def put_eval_answer(self, answer: Answer, token: str) -> None:
        """Insert, or replace what the run has for this example."""
        ...

    def eval_answers(self, run: str) -> Sequence[str]:
        """By example."""
        ...


class EvalState(Protocol):
    """The state store, as far as evals need it."""

    def read(self) -> AbstractContextManager[EvalTransaction]: ...

    def write(self) -> AbstractContextManager[EvalTransaction]: ...
