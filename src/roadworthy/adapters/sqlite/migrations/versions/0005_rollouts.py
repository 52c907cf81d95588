"""Ramps, sealed; audit records are found by what they are about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rollout",
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("workflow", name="pk_rollout"),
    )
    op.create_index("ix_audit_target_seq", "audit", ["target", "seq"])
