"""Configuration, releases, keys, logins, audit and the fencing epoch; a team on every row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = """
CREATE TRIGGER audit_never_{event} BEFORE {event} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
"""


def upgrade() -> None:
    op.create_table(
        "configuration",
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("applied_at", sa.Float, nullable=False),
        sa.Column("applied_by", sa.Text, nullable=False),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("configuration", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_configuration"),
    )
    op.create_table(
        "release",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_release"),
        sa.UniqueConstraint("workflow", "number", name="uq_release_workflow_number"),
    )
    op.create_table(
        "served",
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("workflow", name="pk_served"),
        sa.ForeignKeyConstraint(["digest"], ["release.digest"], name="fk_served_digest"),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.UniqueConstraint("hash", name="uq_api_key_hash"),
    )
    for name in ("login_code", "login_session"):
        op.create_table(
            name,
            sa.Column("hash", sa.Text, nullable=False),
            sa.Column("team", sa.Text, nullable=False),
            sa.Column("person", sa.Text, nullable=False),
            sa.Column("expires_at", sa.Float, nullable=False),
            sa.Column("record", sa.Text, nullable=False),
            sa.PrimaryKeyConstraint("hash", name=f"pk_{name}"),
        )
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )
    op.create_index("ix_audit_time", "audit", ["time"])
    op.create_table(
        "fencing",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_fencing"),
    )
    for event in ("UPDATE", "DELETE"):
        op.execute(APPEND_ONLY.format(event=event))
