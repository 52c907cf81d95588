"""Carries ``state.db`` forward to the schema that this version reads.

A new database is made from ``state_schema.sql``, the sum of all migrations, which a test holds to them; ``python -m
roadworthy.adapters.sqlite.state_migrations`` writes it anew.  Alembic is imported only when there is something to
migrate, so an ordinary start does not pay for it.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, inspect

HEAD = "0017"
"""Newest revision; a test compares it with the migration files."""

_ALEMBIC = threading.Lock()
"""Alembic keeps the migration under way in globals of its own, so a process migrates one database at a time."""

MIGRATIONS = Path(__file__).with_name("migrations")
SCHEMA = Path(__file__).with_name("state_schema.sql")
BETWEEN = ";\n\n"
"""Between two statements of ``SCHEMA``; a trigger's own end in ``;`` and a space."""


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
        if current is None and (schema := _schema()):
            for statement in schema:
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql("INSERT INTO alembic_version (version_num) VALUES (?)", (HEAD,))
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


def _schema() -> list[str]:
    """The statements of ``SCHEMA``; none while it is behind the migrations."""
    first, _, rest = SCHEMA.read_text().partition("\n")
    return rest.strip().removesuffix(";").split(BETWEEN) if first == _head_line() else []


def _head_line() -> str:
    return f"-- revision {HEAD}; written by python -m roadworthy.adapters.sqlite.state_migrations"


def dumped(connection: Connection) -> list[str]:
    """The statements that make a database like this one, in the order in which its parts were made."""
    rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
    return [str(row[0]).strip() for row in rows]


def sum_of_migrations() -> str:
    """What ``SCHEMA`` must hold."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection, connection.begin():
        _upgrade(connection)
        statements = dumped(connection)
    engine.dispose()
    return f"{_head_line()}\n{BETWEEN.join(statements)};\n"


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _ALEMBIC:
        command.upgrade(config, "head")


if __name__ == "__main__":
    SCHEMA.write_text(sum_of_migrations())
