"""Overrides of on-call and readings of schedules kept elsewhere; a team on every row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "on_call_override",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("rotation", sa.Text, nullable=False),
        sa.Column("begins", sa.Float, nullable=False),
        sa.Column("ends", sa.Float, nullable=False),
        sa.Column("made_at", sa.Float, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_on_call_override"),
    )
    op.create_index("ix_on_call_override_rotation_ends", "on_call_override", ["rotation", "ends"])
    op.create_table(
        "on_call_reading",
        sa.Column("rotation", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("rotation", name="pk_on_call_reading"),
    )
