"""Alembic migrations of ``state.db``, shipped inside the package."""
