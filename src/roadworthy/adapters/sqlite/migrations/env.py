"""Alembic's entry point.  The caller passes its connection in the configuration's attributes."""

from __future__ import annotations

from alembic import context

from roadworthy.adapters.sqlite.state_tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
