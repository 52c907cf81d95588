"""Closed months and their corrections; a team on every row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cost_book",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("month", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cost_book"),
    )
    op.create_index("ix_cost_book_workflow_month", "cost_book", ["workflow", "month"])
