"""The ``Launcher`` port on Linux: children in a process group of their own that the kernel ends with their parent.

A group of its own keeps the terminal's Ctrl-C away from a child: the supervisor alone decides the order of stopping.
"""

from __future__ import annotations

import asyncio
import asyncio.subprocess
import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1

_prctl = ctypes.CDLL(None, use_errno=True).prctl


class LinuxProcess:
    def __init__(self, inner: asyncio.subprocess.Process) -> None:
        self._inner = inner

    @property
    def pid(self) -> int:
        return self._inner.pid

    async def wait(self) -> int:
        return await self._inner.wait()

    def terminate(self) -> None:
        with suppress(ProcessLookupError):
            self._inner.terminate()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._inner.kill()


class LinuxLauncher:
    async def start(
        self,
        command: Sequence[str],
        *,
        log: Path | None = None,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        orphan_signal: int,
    ) -> LinuxProcess:
        output = None if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            inner = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=tuple(pass_fds),
                env=None if env is None else dict(env),
                process_group=0,
                preexec_fn=die_with(os.getpid(), orphan_signal),
            )
        finally:
            if output is not None:
                os.close(output)
        return LinuxProcess(inner)


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours with this very interpreter."""
    return [sys.executable, "-m", module, *arguments]


def die_with(parent: int, orphan_signal: int) -> Callable[[], None]:
    def in_child() -> None:
        _prctl(PR_SET_PDEATHSIG, orphan_signal, 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return in_child
