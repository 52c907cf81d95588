"""A backup is whole, checked, and restored only where nothing is lost."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from roadworthy.inference_log.model import Batch, Filter
from roadworthy.operations.keys import Keys, KeySpec
from roadworthy.wiring.composition import Control
from roadworthy.wiring.folders.backup import BackupRefused, back_up, restore
from roadworthy.wiring.folders.data_folder import DataFolderTooNew, FolderLock, create_folder
from roadworthy.workflow.inference import Inference, new_inference_id
from roadworthy.workflow.model import Retention
from roadworthy.workflow.service import Actor

FILES = {"roadworthy.yaml": "version: 1\n", "workflows/a/prompt.md": "Hello.\n"}


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    made = Control(create_folder(tmp_path / "data"))
    Keys(made.state, made.folder.hmac_key(), clock=made.clock).create(KeySpec(name="app"), Actor("os:0"))
    yield made
    made.close()


@pytest.mark.parametrize("name", ["copy", "copy.tar.zst"])
def test_what_was_backed_up_while_it_ran_is_restored_whole(control: Control, tmp_path: Path, name: str) -> None:
    made = back_up(control.folder, tmp_path / name, FILES)
    assert "configuration/workflows/a/prompt.md" in made["files"]
    restored = restore(tmp_path / name, tmp_path / "restored")
    assert restored.hmac_key() == control.folder.hmac_key()
    again = Control(restored)
    try:
        with again.state.read() as tx, control.state.read() as original:
            assert tx.keys() == original.keys()
            assert tx.audit() == original.audit()
    finally:
        again.close()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_an_archive_is_private_and_warns_of_what_it_holds(control: Control, tmp_path: Path) -> None:
    back_up(control.folder, tmp_path / "copy.tar.zst", FILES)
    assert (tmp_path / "copy.tar.zst").stat().st_mode & 0o077 == 0
    back_up(control.folder, tmp_path / "copy", FILES)
    assert "hmac.key" in (tmp_path / "copy" / "READ-ME-FIRST.txt").read_text()
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0


def test_what_was_signed_counts_in_a_restore_for_the_key_goes_along_privately(control: Control, tmp_path: Path) -> None:
    back_up(control.folder, tmp_path / "copy", FILES)
    assert "signing.key" in (tmp_path / "copy" / "READ-ME-FIRST.txt").read_text()
    restored = restore(tmp_path / "copy", tmp_path / "restored")
    assert restored.signing_key() == control.folder.signing_key()
    assert restored.signing_key_file.stat().st_mode & 0o077 == 0


def test_a_backup_never_overwrites(control: Control, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("precious")
    with pytest.raises(BackupRefused, match="never overwrites"):
        back_up(control.folder, tmp_path / "copy", FILES)
    assert (tmp_path / "copy").read_text() == "precious"


def test_a_backup_that_fails_leaves_nothing(control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("roadworthy.wiring.folders.backup._pack", full)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(OSError, match="No space left"):
        back_up(control.folder, tmp_path / "copy.tar.zst", FILES)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_damaged_database_is_not_taken_for_a_backup(control: Control, tmp_path: Path) -> None:
    back_up(control.folder, tmp_path / "copy", FILES)
    database = tmp_path / "copy" / "state.db"
    database.write_bytes(b"\0" * database.stat().st_size)
    with pytest.raises(BackupRefused, match=r"state\.db: the copy is damaged"):
        restore(tmp_path / "copy", tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_restore_refuses_a_folder_that_holds_anything(control: Control, tmp_path: Path) -> None:
    back_up(control.folder, tmp_path / "copy", FILES)
    with pytest.raises(BackupRefused, match="not empty"):
        restore(tmp_path / "copy", control.folder.root)


def test_a_restore_refuses_a_folder_that_somebody_runs_on(control: Control, tmp_path: Path) -> None:
    back_up(control.folder, tmp_path / "copy", FILES)
    with (
        FolderLock(control.folder.control_lock, purpose="control"),
        pytest.raises(BackupRefused, match=f"process {os.getpid()} runs on it"),
    ):
        restore(tmp_path / "copy", control.folder.root)


def test_a_file_that_is_no_backup_is_named(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"\xff\xd8 not an archive")
    with pytest.raises(BackupRefused, match=r"holiday\.jpg: not a backup"):
        restore(tmp_path / "holiday.jpg", tmp_path / "restored")


def test_an_archive_that_reaches_outside_of_itself_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    with (
        (tmp_path / "evil.tar.zst").open("wb") as file,
        zstandard.ZstdCompressor().stream_writer(file) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        tar.add(outside, arcname="../escaped")
    with pytest.raises(BackupRefused, match="not a backup"):
        restore(tmp_path / "evil.tar.zst", tmp_path / "restored")
    assert not (tmp_path / "escaped").exists()


def test_a_backup_of_a_newer_roadworthy_is_refused(control: Control, tmp_path: Path) -> None:
    back_up(control.folder, tmp_path / "copy", FILES)
    (tmp_path / "copy" / "VERSION").write_text("9\n")
    with pytest.raises(DataFolderTooNew):
        restore(tmp_path / "copy", tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def called_by(unit: str, ts: float) -> Batch:
    return Batch(ends=[Inference(new_inference_id(ts, 7), ts, "default", "a", "answered", unit=unit)])


@pytest.mark.parametrize("given", ["data", "data/forgotten.jsonl"])
def test_who_was_forgotten_after_the_backup_stays_forgotten_in_its_restore(
    control: Control, tmp_path: Path, given: str
) -> None:
    control.store.ship(called_by("u-42", 1_700_000_000.0))
    back_up(control.folder, tmp_path / "copy", FILES)
    control.store.forget("u-42", 1_700_000_100.0)
    again = Control(restore(tmp_path / "copy", tmp_path / "restored", forgotten=tmp_path / given))
    try:
        assert again.store.find(Filter(unit="u-42"), limit=1).items == []
    finally:
        again.close()


def test_tombstones_of_another_install_are_refused(control: Control, tmp_path: Path) -> None:
    back_up(control.folder, tmp_path / "copy", FILES)
    Control(create_folder(tmp_path / "other")).close()
    with pytest.raises(BackupRefused, match="another install"):
        restore(tmp_path / "copy", tmp_path / "restored", forgotten=tmp_path / "other")
    assert not (tmp_path / "restored").exists()


def test_a_backup_without_a_day_that_its_log_counts_is_not_whole(control: Control, tmp_path: Path) -> None:
    control.store.ship(called_by("u-42", 1_700_000_000.0))
    control.store.expire(1_700_000_000.0 + 30 * 86400, Retention())
    back_up(control.folder, tmp_path / "copy", FILES)
    [day] = (tmp_path / "copy" / "cold").iterdir()
    day.unlink()
    with pytest.raises(BackupRefused, match="not whole"):
        restore(tmp_path / "copy", tmp_path / "restored")


@pytest.mark.parametrize(("at_backup", "since"), [("off", "on"), ("on", "off"), ("guarded", "off")])
def test_what_either_the_backup_or_its_install_stops_stays_stopped(
    control: Control, tmp_path: Path, at_backup: str, since: str
) -> None:
    kills = control.kill.kills
    owner = frozenset({"stop", "on_call", "owner"})

    def go(to: str) -> None:
        if to != "on":
            kills.press("*", to, "ada")  # type: ignore[arg-type]
        elif kills.switch("*").state != "on":
            kills.restore("*", "on", "ada", "mended", owner)  # type: ignore[arg-type]

    go(at_backup)
    back_up(control.folder, tmp_path / "copy", FILES)
    go(since)
    restored = restore(tmp_path / "copy", tmp_path / "restored", forgotten=control.folder.root)
    again = Control(restored)
    try:
        assert again.kill.kills.switch("*").state == "off"
        assert again.kill.kills.switch("*").seq >= kills.switch("*").seq
    finally:
        again.close()
