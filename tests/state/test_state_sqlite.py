"""What only the SQLite adapter promises: durability, migrations, an append-only trail."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from roadworthy.adapters.sqlite.state import SqliteState, StateUnavailable
from roadworthy.adapters.sqlite.state_migrations import HEAD, MIGRATIONS, SCHEMA, StateTooNew, sum_of_migrations
from roadworthy.adapters.sqlite.state_tables import metadata
from roadworthy.workflow import audit


def test_the_schema_equals_the_sum_of_its_migrations(tmp_path: Path) -> None:
    SqliteState(tmp_path / "state.db").close()
    with sa.create_engine(f"sqlite:///{tmp_path}/state.db").connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_new_database_is_made_from_the_sum_of_all_migrations(tmp_path: Path) -> None:
    assert SCHEMA.read_text() == sum_of_migrations(), "python -m roadworthy.adapters.sqlite.state_migrations writes it"
    code = (
        "import sys; from roadworthy.adapters.sqlite.state import SqliteState\n"
        f"SqliteState({str(tmp_path / 'state.db')!r}).close(); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_newest_migration_is_the_one_that_the_adapter_expects() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_every_table_has_a_team() -> None:
    assert [table.name for table in metadata.tables.values() if "team" not in table.columns] == []


def test_the_file_is_private(tmp_path: Path) -> None:
    SqliteState(tmp_path / "state.db").close()
    assert stat.S_IMODE((tmp_path / "state.db").stat().st_mode) == 0o600


def test_a_database_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    SqliteState(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(StateTooNew, match="revision 0999 was written by a newer Roadworthy"):
        SqliteState(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0999",)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database, but long enough to be looked at as one" * 50)
    with pytest.raises(StateUnavailable, match=r"state\.db: file is not a database"):
        SqliteState(path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailable, match="No such file or directory"):
        SqliteState(tmp_path / "gone" / "state.db")


def test_the_audit_trail_cannot_be_changed_or_shortened(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = SqliteState(path)
    with state.write() as tx:
        tx.append_audit(audit.chain(None, audit.Event("os:0", "a", "b"), 1.0))
    state.close()
    for statement in ("UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"):
        with sqlite3.connect(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)


def test_a_write_is_invisible_to_readers_until_it_commits(tmp_path: Path) -> None:
    state = SqliteState(tmp_path / "state.db")
    with state.write() as tx:
        tx.next_epoch()
        with state.read() as reader:
            assert reader.epoch() == 0
    with state.read() as reader:
        assert reader.epoch() == 1
    state.close()


def test_writers_in_many_threads_lose_no_update(tmp_path: Path) -> None:
    state = SqliteState(tmp_path / "state.db")

    def raise_it() -> None:
        for _ in range(10):
            with state.write() as tx:
                tx.next_epoch()

    threads = [threading.Thread(target=raise_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with state.read() as tx:
        assert tx.epoch() == 40
    state.close()


def test_a_commit_survives_the_death_of_its_process(tmp_path: Path) -> None:
    code = (
        "import os,signal;from roadworthy.adapters.sqlite.state import SqliteState\n"
        f"state = SqliteState({str(tmp_path / 'state.db')!r})\n"
        "with state.write() as tx: tx.next_epoch()\n"
        "with state.write() as tx:\n  tx.next_epoch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    state = SqliteState(tmp_path / "state.db")
    with state.read() as tx:
        assert tx.epoch() == 1
    state.close()


def test_opening_a_database_that_is_up_to_date_does_not_load_alembic(tmp_path: Path) -> None:
    SqliteState(tmp_path / "state.db").close()
    code = (
        "import sys;from roadworthy.adapters.sqlite.state import SqliteState\n"
        f"SqliteState({str(tmp_path / 'state.db')!r}).close()\n"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
