"""Backup and restore of a data folder, taken while everything runs.

A backup is a folder, or one file when its name ends in ``.tar.zst``.  It holds the databases (SQLite's online backup:
a consistent picture), the cold days, the key under which API keys are hashed and the one that signs, the tombstones of
forgotten users, the kill switch, what is kept beside the database for good (``sealed.log``), and the configuration as
applied, in readable files.  It is opened and checked before it counts as made; until then it has a hidden name, so an
interrupted backup is never mistaken for one.

What is restored is older than what happened since: see ``lineage`` for how that is noticed.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import zstandard

from roadworthy.adapters.kill_files import FileKillStore
from roadworthy.kill_switch.model import Switch
from roadworthy.kill_switch.rules import stricter
from roadworthy.wiring.folders.data_folder import DataFolder, create_folder, lock_holder, open_folder

PAGES = 512
"""Pages copied at a time; writers go on in between."""

ARCHIVE = ".tar.zst"

WARNING = (
    "This backup holds hmac.key, signing.key and the bodies of inferences: whoever reads it can check guesses of API "
    "keys, sign receipts, and read prompts and answers. Keep it as safe as the data folder.\n"
)

_DATABASES = ("state.db", "log.db")
FORGOTTEN = "forgotten.jsonl"
KEPT = ("sealed.log", "kill.log")
"""Lines that are only ever added."""
NEWER = ("kill.json", "seen.json", "head.json")
"""Of the install that was backed up: what is newer there than in any backup."""
_FILES = ("VERSION", "hmac.key", "signing.key", "signing.pub", "kill.json", *KEPT, FORGOTTEN)

COPIES = 3
"""How often the log is copied again while its days move under the copy."""


class BackupRefused(Exception):
    """The backup cannot be made or restored; the message says why and how to mend it."""


def back_up(
    folder: DataFolder, destination: str | os.PathLike[str], configuration: Mapping[str, str]
) -> dict[str, Any]:
    """Write a backup to a path that does not exist.  Returns ``{path, bytes, files}``.

    Raises ``BackupRefused`` and ``OSError``; nothing is left behind then.
    """
    path = Path(destination)
    if path.exists():
        raise BackupRefused(f"{path}: exists already; a backup never overwrites, give a new path")
    if not path.parent.is_dir():
        raise BackupRefused(f"{path.parent}: no such folder; create it first")
    with _hidden(path.parent) as work:
        content = work / "content"
        content.mkdir(mode=0o700)
        _copy(folder, content, configuration)
        for _attempt in range(COPIES):
            if not _missing_days(content):
                break
            _copy_log(folder, content)  # retention wrote a day anew between the two copies
        _check(content)
        files = sorted(str(file.relative_to(content)) for file in content.rglob("*") if file.is_file())
        if path.name.endswith(ARCHIVE):
            archive = work / "archive"
            _pack(content, archive)
            os.link(archive, path)  # fails when the path came into being meanwhile; a rename would overwrite it
            size = path.stat().st_size
        else:
            size = sum(file.stat().st_size for file in content.rglob("*") if file.is_file())
            os.rename(content, path)
    return {"path": str(path), "bytes": size, "files": files}


def restore(
    source: str | os.PathLike[str], root: str | os.PathLike[str], *, forgotten: str | os.PathLike[str] | None = None
) -> DataFolder:
    """Restore a backup into a folder that is new or empty.

    ``forgotten``: the ``forgotten.jsonl`` of the install that was backed up, or its data folder; the log forgets them
    when it is opened first.  From a data folder also comes what was revoked, stopped and agreed since the backup, and
    what its gateways have seen, so that nothing older is published before somebody accepts it.  Raises
    ``BackupRefused`` and ``OSError``; the folder is as before then.
    """
    path, folder = Path(source), DataFolder(root)
    if folder.root.exists():
        holder = lock_holder(folder.control_lock)
        if holder is not None:
            raise BackupRefused(f"{folder.root}: process {holder} runs on it; restore into a new folder")
        if any(folder.root.iterdir()):
            raise BackupRefused(f"{folder.root}: not empty; restore into a new folder, nothing is ever overwritten")
    if not path.exists():
        raise BackupRefused(f"{path}: no such file or folder")
    folder.root.parent.mkdir(parents=True, exist_ok=True)
    with _hidden(folder.root.parent) as work:
        content = work / "content"
        content.mkdir(mode=0o700)
        if path.is_dir():
            shutil.copytree(path, content, dirs_exist_ok=True)
        else:
            _unpack(path, content)
        open_folder(content)
        _check(content)
        if forgotten is not None:
            _join_forgotten(Path(forgotten), content / FORGOTTEN)
            if Path(forgotten).is_dir():
                _take_along(Path(forgotten), content)
        shutil.rmtree(content / "configuration", ignore_errors=True)
        (content / "READ-ME-FIRST.txt").unlink(missing_ok=True)
        for directory in ("snapshot", "journal", "run", "cold", "models"):
            (content / directory).mkdir(mode=0o700, exist_ok=True)
        content.chmod(0o700)
        if folder.root.exists():
            folder.root.rmdir()
        os.rename(content, folder.root)
    return create_folder(root)


def _copy(folder: DataFolder, content: Path, configuration: Mapping[str, str]) -> None:
    if folder.state_db.exists():
        _copy_database(folder.state_db, content / folder.state_db.name)
    _copy_log(folder, content)
    for name in _FILES:
        if (folder.root / name).exists():
            shutil.copy2(folder.root / name, content / name)
    for name, text in configuration.items():
        file = content / "configuration" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (content / "READ-ME-FIRST.txt").write_text(WARNING)


def _copy_log(folder: DataFolder, content: Path) -> None:
    """The log and its cold days, in this order: a day that leaves the database meanwhile is in both, and the copy of
    the database says which counts."""
    if folder.log_db.exists():
        (content / "log.db").unlink(missing_ok=True)
        _copy_database(folder.log_db, content / "log.db")
    if folder.cold.is_dir():
        shutil.rmtree(content / "cold", ignore_errors=True)
        shutil.copytree(folder.cold, content / "cold")


def _missing_days(content: Path) -> list[str]:
    """Parquet days that the copied log counts and the copy does not hold."""
    if not (content / "log.db").exists():
        return []
    connection = apsw.Connection(str(content / "log.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        counted = [str(row[0]) for row in connection.execute("SELECT file FROM cold_day")]
    except apsw.SQLError:  # an older log has no such table
        return []
    finally:
        connection.close()
    return [name for name in counted if not (content / "cold" / name).exists()]


def _join_forgotten(given: Path, kept: Path) -> None:
    """Add the tombstones of ``given`` to those of the backup: who was forgotten since stays so."""
    source = given / FORGOTTEN if given.is_dir() else given
    try:
        lines = source.read_bytes().splitlines()
    except OSError as error:
        raise BackupRefused(
            f"{source}: cannot be read ({error.strerror}); name the {FORGOTTEN} to take along"
        ) from error
    held = kept.read_bytes().splitlines() if kept.exists() else lines[:1]
    if not lines or lines[0] != held[0]:
        raise BackupRefused(f"{source}: of another install than this backup (its salt differs)")
    kept.write_bytes(b"\n".join([*held, *(line for line in lines[1:] if line not in held)]) + b"\n")


def _take_along(old: Path, content: Path) -> None:
    """What happened since the backup and must not be undone by it."""
    stopped = FileKillStore(content).switches()
    for name in KEPT:
        if not (old / name).exists():
            continue
        lines = (content / name).read_bytes().splitlines() if (content / name).exists() else []
        more = (old / name).read_bytes().splitlines()
        (content / name).write_bytes(b"".join(line + b"\n" for line in dict.fromkeys([*lines, *more])))
        (content / name).chmod(0o600)
    for name in NEWER:
        if (old / name).exists():
            shutil.copy2(old / name, content / name)
    kills = FileKillStore(content)
    for name, switch in stopped.items():
        kills.keep(stricter(kills.switches().get(name, Switch(name)), switch))


def _copy_database(source: Path, destination: Path) -> None:
    inner = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
    outer = apsw.Connection(str(destination))
    try:
        inner.set_busy_timeout(5000)
        with outer.backup("main", inner, "main") as copying:
            while not copying.done:
                copying.step(PAGES)
        outer.execute("PRAGMA journal_mode=DELETE")
    except apsw.Error as error:
        raise BackupRefused(f"{source}: cannot be copied: {error}") from error
    finally:
        outer.close()
        inner.close()
    destination.chmod(0o600)


def _check(content: Path) -> None:
    """Open what a restore would open."""
    if not (content / "VERSION").exists() or not (content / "state.db").exists():
        raise BackupRefused(f"{content.name}: holds no VERSION and state.db: not a backup of Roadworthy")
    for name in _DATABASES:
        if not (content / name).exists():
            continue
        connection = apsw.Connection(str(content / name), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone() or ("no answer",)
        except apsw.Error as error:
            verdict = str(error)
        finally:
            connection.close()
        if verdict != "ok":
            raise BackupRefused(f"{name}: the copy is damaged: {verdict}")
    if missing := _missing_days(content):
        raise BackupRefused(f"cold/{missing[0]}: counted by log.db and not there; the backup is not whole")


def _pack(content: Path, archive: Path) -> None:
    with (
        os.fdopen(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        zstandard.ZstdCompressor(level=6).stream_writer(file) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for name in sorted(os.listdir(content)):
            tar.add(content / name, arcname=name)


def _unpack(path: Path, content: Path) -> None:
    try:
        with (
            path.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file) as unpacked,
            tarfile.open(fileobj=unpacked, mode="r|") as tar,
        ):
            tar.extractall(content, filter="data")
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise BackupRefused(f"{path}: not a backup ({error}); give what `roadworthy backup` wrote") from error


@contextmanager
def _hidden(parent: Path) -> Iterator[Path]:
    work = Path(tempfile.mkdtemp(prefix=".roadworthy-", dir=parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
