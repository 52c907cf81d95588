"""What the state store keeps of evals: sealed tokens, with the facts by which they are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from roadworthy.evals.model import Answer, Captured, Examples, HandScore, Publication, Run, Signature, Waiting
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
        """Insert, or replace what the run has in this slot."""
        ...

    def eval_answers(self, run: str) -> Sequence[str]:
        """By slot."""
        ...

    def put_waiting(self, waiting: Waiting, token: str) -> None:
        """Insert, or replace what waits under this example."""
        ...

    def waiting(self, workflow: str) -> Sequence[str]:
        """Oldest first."""
        ...

    def drop_waiting(self, workflow: str, examples: Sequence[str]) -> int: ...

    def put_captured(self, captured: Captured, token: str) -> None:
        """Insert, or replace the answer to this example."""
        ...

    def captured(self, workflow: str) -> Sequence[str]:
        """By slot."""
        ...

    def put_hand_score(self, score: HandScore, token: str) -> None:
        """Insert, or replace what the rater thought of this answer by this rubric."""
        ...

    def hand_scores(self, workflow: str, example: str = "") -> Sequence[str]:
        """Oldest first; ``example``: those of its answers alone."""
        ...

    def drop_hand_score(self, score: HandScore) -> None: ...

    # forgetting

    def eval_workflows(self) -> Sequence[str]:
        """Every workflow of which a set, a waiting example or a captured answer is kept, configured or not."""
        ...

    def eval_versions(self) -> Sequence[str]:
        """Of every set that is kept."""
        ...

    def replace_eval_set(self, version: str, examples: Examples, publications: Mapping[str, str]) -> None:
        """In place of a version: another, and the tokens (by id) of the publications that name it from now on."""
        ...

    def forget_examples(self, examples: Sequence[str]) -> int:
        """Delete what waits, was captured, answered and scored of these, in every workflow → rows."""
        ...


class EvalState(Protocol):
    """The state store, as far as evals need it."""

    def read(self) -> AbstractContextManager[EvalTransaction]: ...

    def write(self) -> AbstractContextManager[EvalTransaction]: ...
