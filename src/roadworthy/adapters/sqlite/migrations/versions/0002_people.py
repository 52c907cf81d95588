"""Escalations, messages out and in, incidents; a team on every row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "escalation",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("unit", sa.Text),
        sa.Column("drill", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("due_at", sa.Float),
        sa.Column("answer_by", sa.Float, nullable=False),
        sa.Column("closed_at", sa.Float),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_escalation"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("unit", sa.Text),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
    )
    op.create_table(
        "received",
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("sender", "id", name="pk_received"),
    )
    op.create_table(
        "incident",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
    )
    for table, columns in (
        ("escalation", ("state", "answer_by")),
        ("escalation", ("workflow", "opened_at")),
        ("escalation", ("due_at",)),
        ("escalation", ("unit",)),
        ("escalation", ("seq",)),
        ("delivery", ("state", "due_at")),
        ("delivery", ("about",)),
        ("delivery", ("unit",)),
        ("incident", ("key", "opened_at")),
        ("incident", ("seen_at",)),
    ):
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
