"""The in-memory twin of the example sets, signatures, eval runs and answers of the state store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TypeVar

from roadworthy.evals.examples import ID_LENGTH
from roadworthy.evals.model import Answer, Captured, Examples, HandScore, Publication, Run, Signature, Waiting
from roadworthy.workflow.ports import StateConflict

T = TypeVar("T")
Rows = dict[str, tuple[T, str]]
"""Id → (record, token)."""


@dataclass
class Trials:
    sets: dict[str, Examples] = field(default_factory=dict)
    publications: Rows[Publication] = field(default_factory=dict)
    signatures: Rows[Signature] = field(default_factory=dict)
    runs: Rows[Run] = field(default_factory=dict)
    answers: dict[tuple[str, str], str] = field(default_factory=dict)
    """(run, slot) → token."""
    waiting: dict[tuple[str, str], tuple[Waiting, str]] = field(default_factory=dict)
    """(workflow, example) → …"""
    captured: dict[tuple[str, str], str] = field(default_factory=dict)
    hand: dict[tuple[str, ...], tuple[HandScore, str]] = field(default_factory=dict)
    """(workflow, example, answer, rubric, rater) → …"""

    def copy(self) -> Trials:
        return Trials(**{each.name: dict(getattr(self, each.name)) for each in fields(self)})


class EvalTables:
    """Needs ``_trials`` and ``_trials_change`` of ``MemoryTransaction``."""

    @property
    def _trials(self) -> Trials:
        raise NotImplementedError

    @property
    def _trials_change(self) -> Trials:
        raise NotImplementedError

    def add_eval_set(self, publication: Publication, examples: Examples, token: str) -> None:
        self._trials_change.sets.setdefault(examples.version, examples)
        _add(self._trials_change.publications, publication.id, publication, token)

    def eval_sets(self, workflow: str, limit: int = 1000) -> Sequence[str]:
        mine = [row for row in self._trials.publications.values() if row[0].workflow == workflow]
        return [token for _, token in sorted(mine, key=lambda row: (row[0].at, row[0].id), reverse=True)][:limit]

    def eval_set(self, version: str) -> Examples | None:
        return self._trials.sets.get(version)

    def add_rubric_signature(self, signature: Signature, token: str) -> None:
        _add(self._trials_change.signatures, signature.id, signature, token)

    def rubric_signatures(self, workflow: str) -> Sequence[str]:
        mine = [row for row in self._trials.signatures.values() if row[0].workflow == workflow]
        return [token for _, token in sorted(mine, key=lambda row: (row[0].at, row[0].id), reverse=True)]

    def add_eval_run(self, run: Run, token: str) -> None:
        _add(self._trials_change.runs, run.id, run, token)

    def eval_run(self, ident: str) -> str | None:
        found = self._trials.runs.get(ident)
        return None if found is None else found[1]

    def eval_runs(self, workflow: str, limit: int = 50) -> Sequence[str]:
        mine = [row for row in self._trials.runs.values() if row[0].workflow == workflow]
        return [token for _, token in sorted(mine, key=lambda row: (row[0].began, row[0].id), reverse=True)][:limit]

    def put_eval_answer(self, answer: Answer, token: str) -> None:
        if answer.run not in self._trials.runs:
            raise StateConflict(f"there is no eval run {answer.run}")
        self._trials_change.answers[answer.run, answer.slot] = token

    def eval_answers(self, run: str) -> Sequence[str]:
        return [token for key, token in sorted(self._trials.answers.items()) if key[0] == run]

    def put_waiting(self, waiting: Waiting, token: str) -> None:
        self._trials_change.waiting[waiting.workflow, waiting.example.id] = waiting, token

    def waiting(self, workflow: str) -> Sequence[str]:
        mine = [row for key, row in self._trials.waiting.items() if key[0] == workflow]
        return [token for _, token in sorted(mine, key=lambda row: (row[0].at, row[0].example.id))]

    def drop_waiting(self, workflow: str, examples: Sequence[str]) -> int:
        rows = self._trials_change.waiting
        return sum(rows.pop((workflow, example), None) is not None for example in examples)

    def put_captured(self, captured: Captured, token: str) -> None:
        self._trials_change.captured[captured.workflow, captured.example] = token

    def captured(self, workflow: str) -> Sequence[str]:
        return [token for key, token in sorted(self._trials.captured.items()) if key[0] == workflow]

    def put_hand_score(self, score: HandScore, token: str) -> None:
        self._trials_change.hand[_key(score)] = score, token

    def hand_scores(self, workflow: str, example: str = "") -> Sequence[str]:
        rows = self._trials.hand.values()
        mine = [row for row in rows if row[0].workflow == workflow and example in ("", row[0].example)]
        return [token for _, token in sorted(mine, key=lambda row: (row[0].at, row[0].example, row[0].rater))]

    def drop_hand_score(self, score: HandScore) -> None:
        self._trials_change.hand.pop(_key(score), None)

    def eval_workflows(self) -> Sequence[str]:
        published = {publication.workflow for publication, _ in self._trials.publications.values()}
        return sorted(published | {key[0] for key in (*self._trials.waiting, *self._trials.captured)})

    def eval_versions(self) -> Sequence[str]:
        return sorted(self._trials.sets)

    def replace_eval_set(self, version: str, examples: Examples, publications: Mapping[str, str]) -> None:
        rows = self._trials_change
        rows.sets.setdefault(examples.version, examples)
        for ident, token in publications.items():
            rows.publications[ident] = rows.publications[ident][0], token
        rows.sets.pop(version, None)

    def forget_examples(self, examples: Sequence[str]) -> int:
        trials, count = self._trials_change, 0
        for name in ("waiting", "captured", "hand", "answers"):
            rows = getattr(trials, name)
            kept = {key: row for key, row in rows.items() if key[1][:ID_LENGTH] not in examples}
            count += len(rows) - len(kept)
            setattr(trials, name, kept)
        return count


def _key(score: HandScore) -> tuple[str, ...]:
    return score.workflow, score.example, score.answer, score.rubric, score.rater


def _add(rows: Rows[T], ident: str, record: T, token: str) -> None:
    if ident in rows:
        raise StateConflict(f"{ident} exists already")
    rows[ident] = record, token
