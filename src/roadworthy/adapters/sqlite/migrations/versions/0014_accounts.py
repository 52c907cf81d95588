"""Accounts, invitations and granted roles; a team on every row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("person", name="pk_account"),
    )
    op.create_table(
        "invitation",
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_invitation"),
    )
    op.create_index("ix_invitation_created_at", "invitation", ["created_at"])
    op.create_table(
        "role_grant",
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("person", "role", "scope", "workflow", name="pk_role_grant"),
    )
    op.create_index("ix_login_session_person", "login_session", ["person"])
