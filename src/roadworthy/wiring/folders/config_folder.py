"""A configuration folder on disk → ``{relative path: text}``, the form in which it is checked and applied."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIXES = frozenset({".yaml", ".yml", ".json", ".md", ".txt"})
LARGEST_FILE = 1_000_000
"""Most bytes of one file; more is refused, not cut."""


class ConfigFolderError(Exception):
    """The folder, or a file in it, cannot be read."""


ROOT_FILES = ("roadworthy.yaml", "people.yaml")
FOLDERS = ("workflows", "simulations")
CODE = frozenset({"checks", "scorers"})
"""Folders of users' Python."""


def read_folder(root: str | os.PathLike[str]) -> dict[str, str]:
    """Text of the configuration files: ``roadworthy.yaml``, ``people.yaml``, what is in ``workflows/`` and
    ``simulations/``, the YAML files beside them that ``roadworthy.yaml`` names, and the calendars that ``people.yaml``
    does.  Python is read from the ``checks``
    and ``scorers`` folders of workflows only.

    Nothing else is read, so a configuration may live in an app's checkout.  Hidden files and folders are left out.
    Raises ``ConfigFolderError`` naming the file.
    """
    top = Path(root)
    if not top.is_dir():
        raise ConfigFolderError(f"{top}: no such folder; name the folder that holds roadworthy.yaml")
    files = {name: _read(top / name) for name in ROOT_FILES if (top / name).is_file()}
    named = files.get("roadworthy.yaml", "")
    for pattern, text in (("*.yaml", named), ("*.ics", files.get("people.yaml", ""))):
        for path in sorted(top.glob(pattern)):
            if path.name in text and not path.name.startswith("."):
                files[path.name] = _read(path)
    for part in FOLDERS:
        for folder, folders, names in os.walk(top / part):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder) / name
                code = path.suffix == ".py" and not CODE.isdisjoint(path.relative_to(top).parts)
                wanted = path.suffix in SUFFIXES or code
                if not name.startswith(".") and wanted:
                    files[path.relative_to(top).as_posix()] = _read(path)
    return files


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigFolderError(f"{path}: larger than {LARGEST_FILE:,} bytes; is it configuration?")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigFolderError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except OSError as error:
        raise ConfigFolderError(f"{path}: cannot be read ({error.strerror})") from error
