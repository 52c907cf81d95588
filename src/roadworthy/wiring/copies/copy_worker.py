"""A gateway worker of a disposable copy: the ordinary one, but for a clock that a drill can move and a disk that it can
fill.

``python -m roadworthy.wiring.copies.copy_worker --clock FILE --disk FILE -- ARGUMENTS OF THE WORKER``; the first file
holds the seconds by which the clock is off, the second the bytes that a folder may hold and, on the next line,
the folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def move_clock(file: Path) -> None:
    """From now on ``time.time`` is off by what the file says."""
    real = time.time

    def moved() -> float:
        try:
            return real() + float(file.read_text() or 0)
        except (OSError, ValueError):
            return real()

    time.time = moved


def fill_disk(file: Path) -> None:
    """From now on no file of the folder that ``file`` names can grow beyond what all of them together may hold."""
    write, allocate = os.write, os.posix_fallocate

    def bounded_write(fd: int, data: bytes) -> int:
        _have_room(file, fd, len(data))
        return write(fd, data)

    def bounded_allocate(fd: int, offset: int, size: int) -> None:
        _have_room(file, fd, offset + size - os.fstat(fd).st_size)
        allocate(fd, offset, size)

    os.write, os.posix_fallocate = bounded_write, bounded_allocate  # type: ignore[assignment]


def _have_room(file: Path, fd: int, size: int) -> None:
    """Raises ``OSError`` (``ENOSPC``)."""
    try:
        capacity, _, folder = file.read_text().partition("\n")
    except FileNotFoundError:
        return
    if not os.readlink(f"/proc/self/fd/{fd}").startswith(folder):
        return
    used = 0
    for path in Path(folder).rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # shipped and removed meanwhile
            used += path.stat().st_size if path.is_file() else 0
    if used + size > int(capacity):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def prepared(arguments: Sequence[str]) -> list[str]:
    """Put the clock and the disk in place, before a module of the gateway is imported: some take them when they are.
    Returns the worker's own arguments."""
    first, clock, second, disk, dashes, *own = arguments
    if (first, second, dashes) != ("--clock", "--disk", "--"):
        raise SystemExit("expected --clock FILE --disk FILE -- ARGUMENTS")
    move_clock(Path(clock))
    fill_disk(Path(disk))
    return own


def main() -> int:
    own = prepared(sys.argv[1:])
    from roadworthy.wiring import gateway

    return gateway.main(own)


if __name__ == "__main__":
    sys.exit(main())
