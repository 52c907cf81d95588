"""The processes of users' checks on Linux: no environment, bounded memory and files, dead with their worker."""

from __future__ import annotations

import asyncio
import asyncio.subprocess
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

from roadworthy.gateway.checks import user_checks_child
from roadworthy.wiring.processes.launcher import die_with

MOST_LINE = 64 * 1024
MEMORY = 2 * 1024**3
"""Bytes of address space."""
LIMITS = (
    (resource.RLIMIT_AS, MEMORY),
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_NOFILE, 64),
    (resource.RLIMIT_FSIZE, 16 * 1024**2),
)


class CheckProcess:
    """See ``gateway.checks.user_checks.Worker``."""

    def __init__(self, inner: asyncio.subprocess.Process) -> None:
        self._inner = inner

    @property
    def pid(self) -> int:
        return self._inner.pid

    async def send(self, line: bytes) -> None:
        assert self._inner.stdin is not None
        self._inner.stdin.write(line)
        await self._inner.stdin.drain()

    async def receive(self) -> bytes:
        assert self._inner.stdout is not None
        line = await self._inner.stdout.readline()
        return line if line.endswith(b"\n") else b""

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._inner.pid, signal.SIGKILL)


async def launch_checks() -> CheckProcess:
    """See ``gateway.checks.user_checks.Launch``."""
    inner = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-B", "-X", "utf8", user_checks_child.__file__,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
        cwd="/", limit=MOST_LINE, preexec_fn=_confined(die_with(os.getpid(), signal.SIGKILL)),
    )  # fmt: skip
    return CheckProcess(inner)


def _confined(bound: Callable[[], None]) -> Callable[[], None]:
    def in_child() -> None:
        bound()
        os.setpgid(0, 0)  # uvloop knows no ``process_group``
        for limit, most in LIMITS:
            hard = resource.getrlimit(limit)[1]
            allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(limit, (allowed, allowed))

    return in_child
