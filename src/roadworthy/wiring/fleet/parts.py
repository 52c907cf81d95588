"""``parts.json``: a gateway's part of every budget and limit.  Control decides it, the gateway's workers follow it.

There is none while an install has one gateway, which has everything.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from roadworthy.adapters.files import write_atomically
from roadworthy.cost.lending import EVERYTHING, Parts

log = logging.getLogger("roadworthy.parts")


class PartsFile:
    """As one process sees the file.  Fails closed where it cannot be read: nothing but what is lent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self.now: Parts = EVERYTHING
        self.look()

    def look(self) -> Parts:
        """The parts as they are now."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return self.now
        mark = found.st_mtime_ns, found.st_ino
        if mark != self._seen:
            self._seen = mark
            try:
                self.now = msgspec.json.decode(self._path.read_bytes(), type=tuple[tuple[float, int], ...])
            except (OSError, ValueError, RecursionError) as error:
                log.error("parts.json cannot be read", extra={"path": str(self._path), "error": str(error)})
                self.now = ()
        return self.now


def keep_parts(path: Path, parts: Parts) -> None:
    """Raises ``OSError``."""
    data = msgspec.json.encode(parts)
    if not path.exists() or path.read_bytes() != data:
        write_atomically(path, data)
