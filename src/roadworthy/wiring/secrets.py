"""Secrets are named in configuration (``env:NAME``, ``file:/path``) and read where they are used, never stored."""

from __future__ import annotations

import os
from pathlib import Path


def find_secret(name: str) -> str | None:
    """The secret called ``env:NAME`` or ``file:/path``; ``None`` when it is not there or empty."""
    kind, _, place = name.partition(":")
    if kind == "env":
        return os.environ.get(place) or None
    if kind == "file":
        try:
            return Path(place).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None
    return None


class Secrets:
    """Finds secrets, and knows when a file that one was looked for in is another one than it was then: keys that live
    for an hour are renewed by whoever writes them there."""

    def __init__(self) -> None:
        self._marks: dict[str, tuple[int, int, int] | None] = {}

    def find(self, name: str) -> str | None:
        """As ``find_secret``."""
        kind, _, place = name.partition(":")
        if kind == "file":
            self._marks[place] = _mark(place)
        return find_secret(name)

    def changed(self) -> bool:
        return any(_mark(place) != mark for place, mark in self._marks.items())


def _mark(place: str) -> tuple[int, int, int] | None:
    """``None``: there is no such file."""
    try:
        status = os.stat(place)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
