"""Calibrations of judges, what the judges said, and what scoring live answers cost a day; a team on every row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "judge_calibration",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("began", sa.Float, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_judge_calibration"),
    )
    op.create_table(
        "judge_mark",
        sa.Column("calibration", sa.Text, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("calibration", "item", name="pk_judge_mark"),
        sa.ForeignKeyConstraint(["calibration"], ["judge_calibration.id"], name="fk_judge_mark_calibration"),
    )
    op.create_table(
        "online_day",
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("day", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("usd", sa.Float, nullable=False),
        sa.Column("scored", sa.Integer, nullable=False),
        sa.Column("passed_over", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("workflow", "day", name="pk_online_day"),
    )
    op.create_index("ix_judge_calibration_workflow_began", "judge_calibration", ["workflow", "began"])
