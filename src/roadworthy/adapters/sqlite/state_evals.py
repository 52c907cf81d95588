"""Example sets, rubric signatures, eval runs and their answers in ``state.db``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.evals.model import Answer, Examples, Publication, Run, Signature


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
        row = insert(t.eval_answer).values(run=answer.run, example=answer.example, team=team, token=token)
        self._change(row.on_conflict_do_update(index_elements=["run", "example"], set_={"token": token}))

    def eval_answers(self, run: str) -> Sequence[str]:
        query = sa.select(t.eval_answer.c.token).where(t.eval_answer.c.run == run).order_by(t.eval_answer.c.example)
        return [str(token) for token in self._connection.scalars(query)]

    def _newest(self, table: sa.Table, at: sa.Column[Any], workflow: str, limit: int) -> list[str]:
        query = sa.select(table.c.token).where(table.c.workflow == workflow)
        query = query.order_by(at.desc(), table.c.id.desc()).limit(limit)
        return [str(token) for token in self._connection.scalars(query)]


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
