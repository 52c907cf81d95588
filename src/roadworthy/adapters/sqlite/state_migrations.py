"""Carries ``state.db`` forward to the schema that this version reads.

Alembic is imported only when there is something to do, so an ordinary start does not pay for it.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect

HEAD = "0015"
"""Newest revision; a test compares it with the migration files."""

_ALEMBIC = threading.Lock()
"""Alembic keeps the migration under way in globals of its own, so a process migrates one database at a time."""

MIGRATIONS = Path(__file__).with_name("migrations")


class StateTooNew(Exception):
    """``state.db`` was migrated by a newer Roadworthy."""


def migrate(engine: Engine, path: str) -> None:
    """Bring the database to ``HEAD``, in one transaction.

    Raises ``StateTooNew`` when the database is at a revision that this version does not know; it is left untouched.
    """
    with engine.connect().execution_options(roadworthy_write=True) as connection, connection.begin():
        current = revision(connection)
        if current == HEAD:
            return
        if current is not None and not any((MIGRATIONS / "versions").glob(f"{current}_*.py")):
            raise StateTooNew(
                f"{path}: schema revision {current} was written by a newer Roadworthy; this one reads up to {HEAD}; "
                "upgrade Roadworthy, or restore a backup made before the upgrade. Nothing was changed"
            )
        _upgrade(connection)


def revision(connection: Connection) -> str | None:
    """The database's revision, ``None`` for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _ALEMBIC:
        command.upgrade(config, "head")
