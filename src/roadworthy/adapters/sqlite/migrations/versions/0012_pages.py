"""Mailed links and pages; a team on every row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "link",
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_link"),
    )
    op.create_table(
        "page",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("incident", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("made_at", sa.Float, nullable=False),
        sa.Column("hop", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float),
        sa.Column("sent_at", sa.Float),
        sa.Column("ended_at", sa.Float),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_page"),
    )
    for table, columns in (
        ("page", ("incident", "made_at")),
        ("page", ("due_at",)),
        ("page", ("person", "sent_at")),
        ("page", ("state", "made_at")),
    ):
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
