"""A gateway worker of a disposable copy: the ordinary one, but for a wall clock that a drill can move.

``python -m roadworthy.wiring.copy_worker --clock FILE -- ARGUMENTS OF THE WORKER``; the file holds the seconds by which
the clock is off.
"""

from __future__ import annotations

import sys
import time
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


def main() -> int:
    option, file, dashes, *arguments = sys.argv[1:]
    if (option, dashes) != ("--clock", "--"):
        sys.stderr.write("expected --clock FILE -- ARGUMENTS\n")
        return 2
    move_clock(Path(file))
    from roadworthy.wiring import gateway  # reads the clock when it is imported

    return gateway.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
