"""The data folder: everything that an embedded install keeps, in one private directory.

Rule: a folder is created whole or not at all, carried forward by numbered migrations, and refused when a newer
Roadworthy made it.  Only who holds ``control.lock`` writes state; the lock is an ``flock``, so the kernel gives it
back when its holder dies, however it dies.  A gateway worker imports this module: standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from roadworthy.adapters.files import write_atomically

DATA_FOLDER_VERSION = 1

GATEWAY_MARK = "gateway.json"
"""A file that only the folder of a gateway has which joined an install."""

DEFAULT_DATA = "./.roadworthy"

Migration = Callable[["DataFolder"], None]

MIGRATIONS: Mapping[int, Migration] = {}
"""Version *n* → what carries a folder from *n* to *n + 1*.  Each must bear being run again after a crash."""


class DataFolderError(Exception):
    """The data folder cannot be used; the message says why and how to mend it."""


class DataFolderMissing(DataFolderError):
    """There is no data folder at that path."""


class DataFolderTooNew(DataFolderError):
    """A newer Roadworthy wrote the folder."""


class DataFolderHeld(DataFolderError):
    """Another process holds the lock.

    Attributes:
        pid: of the holder, ``None`` when it could not be read.
    """

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class DataFolder:
    """Paths of one data folder.  Building one touches no disk; ``create`` and ``open_folder`` do."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser().absolute()
        self.version_file = self.root / "VERSION"
        self.control_lock = self.root / "control.lock"
        self.supervisor_lock = self.root / "supervisor.lock"
        self.hmac_key_file = self.root / "hmac.key"
        self.signing_key_file = self.root / "signing.key"
        self.public_key_file = self.root / "signing.pub"
        self.seen_file = self.root / "seen.json"
        """What the gateways of this folder remember of snapshots and receipts."""
        self.sealed_log = self.root / "sealed.log"
        """Signed tokens that outlast the database: revocations, receipts, agreed policy."""
        self.head_file = self.root / "head.json"
        """How far the database had come when it was last published."""
        self.state_db = self.root / "state.db"
        self.log_db = self.root / "log.db"
        self.cold = self.root / "cold"
        self.snapshot = self.root / "snapshot" / "current.json"
        self.settings = self.root / "snapshot" / "settings.json"
        self.journal = self.root / "journal"
        self.run = self.root / "run"
        self.control_socket = self.run / "control.sock"
        self.seen_lock = self.run / "seen.lock"
        self.sessions_file = self.run / "sessions.bin"
        """Which side sessions began on, mapped by all workers."""
        self.endpoints = self.run / "endpoints.json"
        self.held_file = self.run / "held.txt"
        """Why control publishes nothing; missing: it does."""
        self.models = self.root / "models"

        self.parts_file = self.root / "parts.json"
        """This gateway's part of every budget, where there are several gateways."""

    def worker_socket(self, index: int) -> Path:
        return self.run / f"worker-{index}.sock"

    def spend_file(self, index: int) -> Path:
        """What a worker has spent and reserved."""
        return self.run / f"spend-w{index}.bin"

    def hmac_key(self) -> bytes:
        """32 random bytes under which API keys are hashed.  Raises ``DataFolderError`` when they are not there."""
        try:
            key = self.hmac_key_file.read_bytes()
        except OSError as error:
            raise DataFolderError(
                f"{self.hmac_key_file}: cannot be read ({error.strerror}); API keys cannot be checked without it; "
                "restore it from a backup, or create the keys anew in a new data folder"
            ) from error
        if len(key) != 32:
            raise DataFolderError(
                f"{self.hmac_key_file}: found {len(key)} bytes, expected 32; restore it from a backup"
            )
        return key

    def signing_key(self) -> bytes:
        """32 random bytes with which control signs; made when they are missing.  What another key signed counts for
        nothing: every receipt, waiver, ramp and agreement is made anew then.  Raises ``DataFolderError``."""
        try:
            if not self.signing_key_file.exists():
                write_atomically(self.signing_key_file, secrets.token_bytes(32))
            key = self.signing_key_file.read_bytes()
        except OSError as error:
            raise DataFolderError(
                f"{self.signing_key_file}: cannot be read or made ({error.strerror}); check its owner and mode"
            ) from error
        if len(key) != 32:
            raise DataFolderError(
                f"{self.signing_key_file}: found {len(key)} bytes, expected 32; remove it, control makes a new one"
            )
        return key

    def keep_public_key(self, key: str) -> None:
        """Have the gateways of this folder trust what this key signs, and nothing else.  Raises ``DataFolderError``."""
        try:
            if self.public_keys() != [key]:
                write_atomically(self.public_key_file, f"{key}\n".encode())
        except OSError as error:
            raise DataFolderError(
                f"{self.public_key_file}: cannot be written ({error.strerror}); check its owner and mode"
            ) from error

    def public_keys(self) -> list[str] | None:
        """Public keys that count, one a line; ``None``: no control has written any yet.

        Fails closed: a file that cannot be read trusts nobody.
        """
        try:
            return self.public_key_file.read_text().split()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            return []

    def vet_databases(self) -> None:
        """Raise ``DataFolderError`` when a database is gone that this folder had.

        Fails closed: in its place an empty one would be made, and an empty snapshot published over the last good one,
        which refuses every caller.
        """
        if not self.snapshot.exists():
            return
        for path in (self.state_db, self.log_db):
            if not path.exists():
                raise DataFolderError(
                    f"{path}: is gone, and {self.snapshot} says that it was there; put it back or restore a backup "
                    f"(`roadworthy restore-backup`); to go on without what it held: `touch {path}`"
                )

    def __repr__(self) -> str:
        return f"DataFolder({str(self.root)!r})"


def create_folder(root: str | os.PathLike[str]) -> DataFolder:
    """Make the folder (0700) or complete one whose making was cut short, then open it.

    ``VERSION`` is written last, so a folder that has one is whole.  Raises ``DataFolderError`` when the path holds
    something else.
    """
    folder = DataFolder(root)
    _vet_kind(folder)
    if folder.root.exists() and not folder.root.is_dir():
        raise DataFolderError(f"{folder.root}: is a file, expected a folder; give another path with --data")
    if not folder.version_file.exists():
        strangers = _strangers(folder)
        if strangers:
            raise DataFolderError(
                f"{folder.root}: is not a Roadworthy data folder and not empty (it holds {strangers[0]!r}); "
                "give the path of a new or empty folder with --data"
            )
        _make(folder)
    return open_folder(root)


def open_folder(
    root: str | os.PathLike[str],
    *,
    version: int = DATA_FOLDER_VERSION,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> DataFolder:
    """Open an existing folder, carried forward to ``version``.

    Raises ``DataFolderMissing``, ``DataFolderTooNew`` or ``DataFolderError`` (unreadable ``VERSION``).
    """
    folder = DataFolder(root)
    _vet_kind(folder)
    try:
        text = folder.version_file.read_text().strip()
    except FileNotFoundError:
        raise DataFolderMissing(
            f"{folder.root}: no Roadworthy data folder here; start one with `roadworthy up --data {root}` "
            "or name the right folder with --data"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataFolderError(f"{folder.version_file}: cannot be read ({error})") from error
    if not text.isdigit():
        raise DataFolderError(
            f"{folder.version_file}: found {text[:40]!r}, expected a number; is this a Roadworthy data folder?"
        )
    found = int(text)
    if found > version:
        raise DataFolderTooNew(
            f"{folder.root}: data-folder version {found} was written by a newer Roadworthy; this one reads up to "
            f"{version}; upgrade Roadworthy, or restore a backup made before the upgrade. Nothing was changed"
        )
    while found < version:
        migrations[found](folder)
        found += 1
        write_atomically(folder.version_file, f"{found}\n".encode())
    return folder


class FolderLock:
    """An ``flock`` on a file that says who holds it.  Use as a context manager or call ``release``."""

    def __init__(self, path: Path, *, purpose: str) -> None:
        """Take the lock without waiting.  Raises ``DataFolderHeld`` naming the holder's pid and purpose."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(self._fd)
            os.close(self._fd)
            pid = holder.get("pid")
            who = f"process {pid} ({holder.get('purpose', 'unknown')})" if pid else "another process"
            raise DataFolderHeld(
                f"{path.parent}: {who} holds {path.name}; only one may, so stop it first or use another data folder",
                pid if isinstance(pid, int) else None,
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps({"pid": os.getpid(), "purpose": purpose, "since": time.time()}).encode(), 0)

    def release(self) -> None:
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lock_holder(path: Path) -> int | None:
    """Pid of the live holder of a lock file, ``None`` when nobody holds it."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = _holder(fd).get("pid")
        return pid if isinstance(pid, int) else -1
    else:
        return None
    finally:
        os.close(fd)


def _vet_kind(folder: DataFolder) -> None:
    if (folder.root / GATEWAY_MARK).exists():
        raise DataFolderError(
            f"{folder.root}: is the folder of a gateway that joined an install; give the install's own folder with "
            "--data (`roadworthy gateway` runs the gateway)"
        )


def _make(folder: DataFolder) -> None:
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.root.chmod(0o700)
    for directory in (folder.snapshot.parent, folder.journal, folder.run, folder.cold, folder.models):
        directory.mkdir(mode=0o700, exist_ok=True)
    if not folder.hmac_key_file.exists():
        write_atomically(folder.hmac_key_file, secrets.token_bytes(32))
    write_atomically(folder.version_file, f"{DATA_FOLDER_VERSION}\n".encode())


def _strangers(folder: DataFolder) -> list[str]:
    """What a folder without ``VERSION`` holds that our own interrupted making does not explain."""
    if not folder.root.exists():
        return []
    keys = {"hmac.key", "signing.key", "signing.pub"}
    ours = {"snapshot", "journal", "run", "cold", "models", *keys, "control.lock", "supervisor.lock"}
    return sorted(
        name
        for name in os.listdir(folder.root)
        if name not in ours and not name.startswith((".hmac.key.", ".signing.key.", ".VERSION."))
    )


def _holder(fd: int) -> dict[str, object]:
    try:
        found = json.loads(os.pread(fd, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
