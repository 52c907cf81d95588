"""Starting processes: the one port through which Roadworthy does it; wiring fills it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol


class Process(Protocol):
    """A child that was started."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int:
        """Exit code; negative: the signal that ended it."""
        ...

    def terminate(self) -> None:
        """Ask it to end in good order.  Does nothing when it has ended."""
        ...

    def kill(self) -> None: ...


class Launcher(Protocol):
    """Starts children that never outlive their parent, whatever ends it."""

    async def start(
        self,
        command: Sequence[str],
        *,
        log: Path | None = None,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        orphan_signal: int,
    ) -> Process:
        """``log`` takes stdout and stderr (appended); ``None``: they are ours.  ``env`` replaces the environment.

        ``orphan_signal`` is what the kernel sends the child when this process dies.  Raises ``OSError``.
        """
        ...
