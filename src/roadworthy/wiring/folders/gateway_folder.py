"""The data folder of a gateway that joined: a journal, the last snapshot, and copies of two keys; no database.

``gateway.json`` tells it from the data folder of an install, which never has one.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.operations.gateways import Joined
from roadworthy.wiring.folders.data_folder import DATA_FOLDER_VERSION, GATEWAY_MARK, DataFolder, DataFolderError

MARK = GATEWAY_MARK


class Mark(msgspec.Struct):
    """``gateway.json``."""

    name: str
    control: str
    """Control's socket."""
    first: int | None = None
    """Number of its worker 0; ``None``: it has not joined yet."""


def mark_of(root: Path) -> Mark | None:
    """What the folder of a gateway says of itself; ``None``: it is none."""
    try:
        return msgspec.json.decode((root / MARK).read_bytes(), type=Mark)
    except (OSError, ValueError, RecursionError):
        return None


def nested(one: Path, other: Path) -> bool:
    """Are these the same folder, or is one inside the other?"""
    one, other = one.resolve(), other.resolve()
    return one == other or one in other.parents or other in one.parents


def vet_control(control: Path) -> None:
    """Is this the socket of a control of ours?  Raises ``DataFolderError``."""
    try:
        found = os.stat(control)
    except FileNotFoundError:
        raise DataFolderError(
            f"{control}: no such socket; start control with `roadworthy up`, and give the path of "
            "run/control.sock in its data folder with --control"
        ) from None
    except OSError as error:
        raise DataFolderError(
            f"{control}: cannot be looked at ({error.strerror}); run this as the user of control"
        ) from error
    if not stat.S_ISSOCK(found.st_mode):
        raise DataFolderError(f"{control}: is no socket; give the path of run/control.sock in control's data folder")
    if found.st_uid != os.geteuid():
        raise DataFolderError(
            f"{control}: belongs to uid {found.st_uid}, and this is uid {os.geteuid()}; run this as the user of control"
        )


def prepare(root: str, control: Path, name: str) -> tuple[DataFolder, Mark]:
    """Make the folder (0700), or open the one of an earlier run.  Raises ``DataFolderError`` and changes nothing."""
    folder = DataFolder(root)
    home = control.parent.parent
    if nested(folder.root, home):
        raise DataFolderError(
            f"{folder.root}: is control's own data folder {home}, or one is inside the other; "
            "give the gateway a folder of its own with --data"
        )
    if folder.root.exists() and not folder.root.is_dir():
        raise DataFolderError(f"{folder.root}: is a file, expected a folder; give another path with --data")
    known = mark_of(folder.root)
    if known is None and folder.root.exists() and os.listdir(folder.root):
        what = "the data folder of an install" if folder.version_file.exists() else "not empty"
        raise DataFolderError(f"{folder.root}: is {what}; give the path of a new or empty folder with --data")
    if known is not None and known.name != name:
        raise DataFolderError(
            f"{folder.root}: is the folder of the gateway {known.name!r}; start it with --name {known.name}, "
            "or give another folder with --data"
        )
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.root.chmod(0o700)
    for directory in (folder.snapshot.parent, folder.journal, folder.run):
        directory.mkdir(mode=0o700, exist_ok=True)
    mark = Mark(name, str(control), None if known is None else known.first)
    keep_mark(folder, mark)
    return folder, mark


def keep_mark(folder: DataFolder, mark: Mark) -> None:
    write_atomically(folder.root / MARK, msgspec.json.encode(mark))


def accept(folder: DataFolder, mark: Mark, joined: Joined) -> Mark:
    """Keep what control gave.  Raises ``DataFolderError`` when it is another install's; then nothing is changed."""
    key = bytes.fromhex(joined.hmac_key)
    if folder.hmac_key_file.exists() and folder.hmac_key() != key:
        raise DataFolderError(
            f"{folder.root}: belongs to another install (its hmac.key is not that of {mark.control}); "
            "give the path of a new folder with --data"
        )
    write_atomically(folder.hmac_key_file, key)
    keep_signing_pub(folder, joined.signing_pub)
    mark = Mark(mark.name, mark.control, joined.first)
    keep_mark(folder, mark)
    write_atomically(folder.version_file, f"{DATA_FOLDER_VERSION}\n".encode())
    return mark


def keep_signing_pub(folder: DataFolder, text: str) -> None:
    """Replace ``signing.pub`` when it is another."""
    path = folder.public_key_file
    if text and (not path.exists() or path.read_text() != text):
        write_atomically(path, text.encode())
