"""Example sets, rubric signatures, eval runs and their answers; a team on every row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "eval_set",
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_eval_set"),
    )
    op.create_table(
        "eval_publication",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_eval_publication"),
    )
    op.create_table(
        "rubric_signature",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rubric_signature"),
    )
    op.create_table(
        "eval_run",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("began", sa.Float, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_eval_run"),
    )
    op.create_table(
        "eval_answer",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("example", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run", "example", name="pk_eval_answer"),
        sa.ForeignKeyConstraint(["run"], ["eval_run.id"], name="fk_eval_answer_run"),
    )
    for table, column in (("eval_publication", "at"), ("rubric_signature", "at"), ("eval_run", "began")):
        op.create_index(f"ix_{table}_workflow_{column}", table, ["workflow", column])
