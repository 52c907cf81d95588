"""Calibrations of judges, what the judges said in them, and what scoring live answers cost, in ``state.db``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from roadworthy.adapters.sqlite import state_tables as t
from roadworthy.evals.calibration import Calibration
from roadworthy.evals.examples import ID_LENGTH


class JudgeRows:
    """Needs ``_connection`` and ``_change`` of ``SqliteTransaction``."""

    _connection: sa.Connection

    def _change(self, statement: Any) -> sa.CursorResult[Any]:
        raise NotImplementedError

    def put_calibration(self, calibration: Calibration, token: str) -> None:
        row = {
            "id": calibration.id, "team": calibration.team, "workflow": calibration.workflow,
            "began": calibration.began, "token": token,
        }  # fmt: skip
        statement = insert(t.judge_calibration).values(**row)
        self._change(statement.on_conflict_do_update(index_elements=["id"], set_={"token": token}))

    def calibration(self, ident: str) -> str | None:
        c = t.judge_calibration.c
        found = self._connection.scalar(sa.select(c.token).where(c.id == ident))
        return None if found is None else str(found)

    def calibrations(self, workflow: str = "", limit: int = 200) -> Sequence[str]:
        c = t.judge_calibration.c
        query = sa.select(c.token).order_by(c.began.desc(), c.id.desc()).limit(limit)
        return [
            str(token) for token in self._connection.scalars(query.where(c.workflow == workflow) if workflow else query)
        ]

    def put_judge_mark(self, calibration: str, item: str, token: str) -> None:
        c = t.judge_calibration.c
        team = sa.select(c.team).where(c.id == calibration).scalar_subquery()
        row = insert(t.judge_mark).values(calibration=calibration, item=item, team=team, token=token)
        self._change(row.on_conflict_do_update(index_elements=["calibration", "item"], set_={"token": token}))

    def judge_marks(self, calibration: str) -> Sequence[str]:
        c = t.judge_mark.c
        return [
            str(token)
            for token in self._connection.scalars(
                sa.select(c.token).where(c.calibration == calibration).order_by(c.item)
            )
        ]

    def forget_judged(self, examples: Sequence[str]) -> int:
        of = sa.func.substr(t.judge_mark.c.item, 1, ID_LENGTH)
        return sum(self._change(sa.delete(t.judge_mark).where(of == each)).rowcount for each in examples)

    def add_online(self, team: str, workflow: str, day: str, usd: float, scored: int, passed_over: int) -> None:
        c = t.online_day.c
        row = insert(t.online_day).values(
            team=team, workflow=workflow, day=day, usd=usd, scored=scored, passed_over=passed_over
        )
        more = {"usd": c.usd + usd, "scored": c.scored + scored, "passed_over": c.passed_over + passed_over}
        self._change(row.on_conflict_do_update(index_elements=["workflow", "day"], set_=more))

    def online(self, workflow: str, day: str) -> tuple[float, int, int]:
        c = t.online_day.c
        query = sa.select(c.usd, c.scored, c.passed_over).where(c.workflow == workflow, c.day == day)
        row = self._connection.execute(query).first()
        return (0.0, 0, 0) if row is None else (float(row[0]), int(row[1]), int(row[2]))
