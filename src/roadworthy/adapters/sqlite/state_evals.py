"""Example sets, rubric signatures, eval runs and their answers in ``state.db``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.evals.examples import ID_LENGTH
from roadworthy.evals.model import Answer, Captured, Examples, HandScore, Publication, Run, Signature, Waiting


class EvalRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def add_eval_set(self, publication: Publication, examples: Examples, token: str) -> None:
        content = {"version": examples.version, "team": publication.team, "record": _text(examples)}
        self._change(insert(t.eval_set).values(**content).on_conflict_do_nothing())
        row = {
            "id": publication.id, "team": publication.team, "workflow": publication.workflow, "at": publication.at,
            "version": examples.version, "token": token,
        }  # fmt: skip
        self._change(sa.insert(t.eval_publication).values(**row))

    def eval_sets(self, workflow: str, limit: int = 1000) -> Sequence[str]:
        return self._newest(t.eval_publication, t.eval_publication.c.at, workflow, limit)

    def eval_set(self, version: str) -> Examples | None:
        text = self._connection.scalar(sa.select(t.eval_set.c.record).where(t.eval_set.c.version == version))
        return None if text is None else msgspec.json.decode(text, type=Examples)

    def add_rubric_signature(self, signature: Signature, token: str) -> None:
        row = {
            "id": signature.id, "team": signature.team, "workflow": signature.workflow, "at": signature.at,
            "token": token,
        }  # fmt: skip
        self._change(sa.insert(t.rubric_signature).values(**row))

    def rubric_signatures(self, workflow: str) -> Sequence[str]:
        return self._newest(t.rubric_signature, t.rubric_signature.c.at, workflow, 1000)

    def add_eval_run(self, run: Run, token: str) -> None:
        row = {"id": run.id, "team": run.team, "workflow": run.workflow, "began": run.began, "token": token}
        self._change(sa.insert(t.eval_run).values(**row))

    def eval_run(self, ident: str) -> str | None:
        found = self._connection.scalar(sa.select(t.eval_run.c.token).where(t.eval_run.c.id == ident))
        return None if found is None else str(found)

    def eval_runs(self, workflow: str, limit: int = 50) -> Sequence[str]:
        return self._newest(t.eval_run, t.eval_run.c.began, workflow, limit)

    def put_eval_answer(self, answer: Answer, token: str) -> None:
        c = t.eval_run.c
        team = sa.select(c.team).where(c.id == answer.run).scalar_subquery()
        row = insert(t.eval_answer).values(run=answer.run, example=answer.slot, team=team, token=token)
        self._change(row.on_conflict_do_update(index_elements=["run", "example"], set_={"token": token}))

    def eval_answers(self, run: str) -> Sequence[str]:
        query = sa.select(t.eval_answer.c.token).where(t.eval_answer.c.run == run).order_by(t.eval_answer.c.example)
        return [str(token) for token in self._connection.scalars(query)]

    # --- the pool, captured answers, hand scores

    def put_waiting(self, waiting: Waiting, token: str) -> None:
        row = {
            "workflow": waiting.workflow, "example": waiting.example.id, "team": waiting.team, "at": waiting.at,
            "token": token,
        }  # fmt: skip
        self._put_row(t.eval_waiting, row)

    def waiting(self, workflow: str) -> Sequence[str]:
        return self._tokens_of(t.eval_waiting, workflow, t.eval_waiting.c.at, t.eval_waiting.c.example)

    def drop_waiting(self, workflow: str, examples: Sequence[str]) -> int:
        c = t.eval_waiting.c
        mine = sa.delete(t.eval_waiting).where(c.workflow == workflow)
        return sum(self._change(mine.where(c.example.in_(part))).rowcount for part in _parts(examples))

    def put_captured(self, captured: Captured, token: str) -> None:
        row = {"workflow": captured.workflow, "example": captured.example, "team": captured.team, "token": token}
        self._put_row(t.eval_captured, row)

    def captured(self, workflow: str) -> Sequence[str]:
        return self._tokens_of(t.eval_captured, workflow, t.eval_captured.c.example)

    def put_hand_score(self, score: HandScore, token: str) -> None:
        self._put_row(t.hand_score, {**_key(score), "team": score.team, "at": score.at, "token": token})

    def hand_scores(self, workflow: str, example: str = "") -> Sequence[str]:
        c = t.hand_score.c
        query = sa.select(c.token).where(c.workflow == workflow).order_by(c.at, c.example, c.rater)
        return [
            str(token) for token in self._connection.scalars(query.where(c.example == example) if example else query)
        ]

    def drop_hand_score(self, score: HandScore) -> None:
        where = [t.hand_score.c[name] == value for name, value in _key(score).items()]
        self._change(sa.delete(t.hand_score).where(*where))

    # --- forgetting

    def eval_workflows(self) -> Sequence[str]:
        columns = (t.eval_publication.c.workflow, t.eval_waiting.c.workflow, t.eval_captured.c.workflow)
        found = sa.union(*(sa.select(column.label("workflow")) for column in columns)).order_by("workflow")
        return [str(workflow) for workflow in self._connection.scalars(found)]

    def eval_versions(self) -> Sequence[str]:
        query = sa.select(t.eval_set.c.version).order_by(t.eval_set.c.version)
        return [str(version) for version in self._connection.scalars(query)]

    def replace_eval_set(self, version: str, examples: Examples, publications: Mapping[str, str]) -> None:
        team = sa.select(t.eval_set.c.team).where(t.eval_set.c.version == version)
        content = {
            "version": examples.version, "team": self._connection.scalar(team) or "", "record": _text(examples),
        }  # fmt: skip
        self._change(insert(t.eval_set).values(**content).on_conflict_do_nothing())
        for ident, token in publications.items():
            row = {"version": examples.version, "token": token}
            self._change(sa.update(t.eval_publication).where(t.eval_publication.c.id == ident).values(**row))
        self._change(sa.delete(t.eval_set).where(t.eval_set.c.version == version))

    def forget_examples(self, examples: Sequence[str]) -> int:
        tables = (t.eval_waiting, t.eval_captured, t.hand_score, t.eval_answer)
        return sum(
            self._change(sa.delete(table).where(sa.func.substr(table.c.example, 1, ID_LENGTH).in_(part))).rowcount
            for table in tables
            for part in _parts(examples)
        )

    # --- inside

    def _put_row(self, table: sa.Table, row: dict[str, Any]) -> None:
        keys = [column.name for column in table.primary_key]
        news = {name: value for name, value in row.items() if name not in keys}
        self._change(insert(table).values(**row).on_conflict_do_update(index_elements=keys, set_=news))

    def _tokens_of(self, table: sa.Table, workflow: str, *order: sa.Column[Any]) -> list[str]:
        query = sa.select(table.c.token).where(table.c.workflow == workflow).order_by(*order)
        return [str(token) for token in self._connection.scalars(query)]

    def _newest(self, table: sa.Table, at: sa.Column[Any], workflow: str, limit: int) -> list[str]:
        query = sa.select(table.c.token).where(table.c.workflow == workflow)
        query = query.order_by(at.desc(), table.c.id.desc()).limit(limit)
        return [str(token) for token in self._connection.scalars(query)]


def _key(score: HandScore) -> dict[str, str]:
    return {name: getattr(score, name) for name in ("workflow", "example", "answer", "rubric", "rater")}


def _parts(examples: Sequence[str], size: int = 500) -> list[Sequence[str]]:
    """As many as one statement takes."""
    return [examples[start : start + size] for start in range(0, len(examples), size)]


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
