"""``sealed.log``: signed tokens, one a line, beside the database and never in it.

What was once said to be less, a revocation, a gate that failed, a stricter policy, stays said whatever becomes of the
database: an older copy that is put back, or a row that somebody removes.  Nothing in it is ever changed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


class FileSealedLog:
    """``SealedLog`` in a file.  One writer."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def tokens(self) -> Sequence[str]:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        return [line.decode("utf-8", "replace") for line in lines if line]

    def append(self, tokens: Sequence[str]) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            end = os.lseek(fd, 0, os.SEEK_END)
            torn = end > 0 and os.pread(fd, 1, end - 1) != b"\n"
            os.write(fd, b"\n" * torn + "".join(f"{token}\n" for token in tokens).encode())
            os.fsync(fd)
        finally:
            os.close(fd)
