"""The data folder: private, whole or absent, carried forward, never opened by an older Roadworthy."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from roadworthy.wiring.folders.data_folder import (
    DataFolder,
    DataFolderError,
    DataFolderHeld,
    DataFolderMissing,
    DataFolderTooNew,
    FolderLock,
    create_folder,
    lock_holder,
    open_folder,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_private_and_whole(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "data")
    assert mode(folder.root) == 0o700
    assert mode(folder.hmac_key_file) == 0o600
    assert len(folder.hmac_key()) == 32
    assert folder.version_file.read_text() == "1\n"


def test_creating_twice_keeps_the_key(tmp_path: Path) -> None:
    first = create_folder(tmp_path / "data").hmac_key()
    assert create_folder(tmp_path / "data").hmac_key() == first


def test_a_making_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "data")
    folder.version_file.unlink()
    key = folder.hmac_key()
    assert create_folder(tmp_path / "data").hmac_key() == key


def test_a_folder_of_other_files_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DataFolderError, match=r"thesis\.tex"):
        create_folder(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["thesis.tex"]


def test_a_newer_folder_is_refused_untouched(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "data")
    folder.version_file.write_text("7\n")
    with pytest.raises(DataFolderTooNew, match="version 7 was written by a newer Roadworthy"):
        create_folder(tmp_path / "data")
    assert folder.version_file.read_text() == "7\n"


def test_a_missing_folder_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(DataFolderMissing, match="roadworthy up --data"):
        open_folder(tmp_path / "nothing")


def test_an_unreadable_version_is_named(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "data")
    folder.version_file.write_text("two\n")
    with pytest.raises(DataFolderError, match="found 'two', expected a number"):
        open_folder(folder.root)


def test_an_older_folder_is_carried_forward_step_by_step(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "data")
    steps: list[int] = []

    def step(number: int) -> None:
        steps.append(number)

    migrations = {1: lambda f: step(1), 2: lambda f: step(2)}
    open_folder(folder.root, version=3, migrations=migrations)
    assert steps == [1, 2]
    assert folder.version_file.read_text() == "3\n"


def test_a_migration_that_fails_is_run_again_next_time(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "data")
    steps: list[int] = []

    def breaks(_: DataFolder) -> None:
        steps.append(2)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        open_folder(folder.root, version=3, migrations={1: lambda f: steps.append(1), 2: breaks})
    assert folder.version_file.read_text() == "2\n"
    open_folder(folder.root, version=3, migrations={2: lambda f: steps.append(22)})
    assert steps == [1, 2, 22]


def test_a_damaged_hmac_key_is_said_aloud(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "data")
    folder.hmac_key_file.write_bytes(b"short")
    with pytest.raises(DataFolderError, match="found 5 bytes, expected 32"):
        folder.hmac_key()


def test_a_second_holder_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "data")
    with FolderLock(folder.control_lock, purpose="roadworthy up"):
        with pytest.raises(DataFolderHeld, match=rf"process {os.getpid()} \(roadworthy up\)") as refused:
            FolderLock(folder.control_lock, purpose="roadworthy apply")
        assert refused.value.pid == os.getpid()
        assert lock_holder(folder.control_lock) == os.getpid()
    assert lock_holder(folder.control_lock) is None
    FolderLock(folder.control_lock, purpose="again").release()


def test_a_killed_holder_leaves_no_lock_behind(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "data")
    code = (
        "import sys,os,signal;from pathlib import Path;from roadworthy.wiring.folders.data_folder import FolderLock\n"
        f"FolderLock(Path({str(folder.control_lock)!r}), purpose='doomed')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert lock_holder(folder.control_lock) is None
    FolderLock(folder.control_lock, purpose="next").release()
