"""Examples that wait for the next version, answers captured from traffic, and the scores that people give."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "eval_waiting",
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("example", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("workflow", "example", name="pk_eval_waiting"),
    )
    op.create_table(
        "eval_captured",
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("example", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("workflow", "example", name="pk_eval_captured"),
    )
    op.create_table(
        "hand_score",
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("example", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("rubric", sa.Text, nullable=False),
        sa.Column("rater", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("workflow", "example", "answer", "rubric", "rater", name="pk_hand_score"),
    )
