"""What killed makers of copies have left is removed by the next, also when two remove at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from roadworthy.wiring.copies import install

PREFIX = "roadworthy-swept-"
DEAD = 2**22 + 1
"""Above any process id that Linux gives."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(install.tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def test_only_the_folders_of_dead_makers_go(folder: Path) -> None:
    dead, mine, other = (folder / f"{PREFIX}{who}-abc" for who in (DEAD, os.getpid(), "nobody"))
    for one in (dead, mine, other):
        one.mkdir()
        (one / "file").touch()
    install.sweep(PREFIX)
    assert sorted(folder.iterdir()) == sorted([mine, other])


def test_a_folder_that_another_sweeper_has_just_removed_is_no_error(folder: Path) -> None:
    (folder / f"{PREFIX}{DEAD}-gone").symlink_to(folder / "nothing")  # listed, and not there when asked about
    left = folder / f"{PREFIX}{DEAD}-left"
    left.mkdir()
    install.sweep(PREFIX)
    assert not left.exists()
