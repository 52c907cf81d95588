"""The ``roadworthy`` command whose gateway workers have short limits; everything else is the real thing.

Run as a script: ``impatient.py up DIR …``.  The supervisor then starts its workers through this file too.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

HEAD_TIME = BODY_TIME = 0.5
"""Seconds."""

COMMAND = (sys.executable, str(Path(__file__).resolve()))
_WORKER = "roadworthy.wiring.gateway"


def _worker(arguments: list[str]) -> int:
    from roadworthy.gateway.transports.limits import Limits
    from roadworthy.gateway.transports.protocol import Server
    from roadworthy.wiring import gateway

    limits = Limits(head_time=HEAD_TIME, body_time=BODY_TIME, idle_time=20.0, linger_time=0.5)
    gateway.Server = functools.partial(Server, limits=limits)  # type: ignore[assignment,misc]
    return gateway.main(arguments)


def _supervisor() -> None:
    from roadworthy.cli.main import main
    from roadworthy.wiring.processes import supervising

    python = supervising.python

    def command(module: str, *arguments: str) -> list[str]:
        return [*COMMAND, module, *arguments] if module == _WORKER else python(module, *arguments)

    supervising.python = command
    main()


if __name__ == "__main__":
    if sys.argv[1:2] == [_WORKER]:
        sys.exit(_worker(sys.argv[2:]))
    _supervisor()
