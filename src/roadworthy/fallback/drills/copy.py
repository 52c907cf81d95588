"""A disposable install, in which several things may break at once: what a correlated drill's scene is written in.

The copy serves the same configuration and release, by a control and a gateway of its own in a temporary folder, and a
misbehaving server stands for every target.  Nothing of the live install is touched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from roadworthy.fallback.drills.exchange import Exchange
from roadworthy.fallback.drills.model import Seen
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Release

Fault = Callable[[Exchange], Awaitable[None]]


class Missed(Exception):
    """Something in a scene is not as it must be; ends the drill as failed."""

    def __init__(self, what: str, expected: str, found: str) -> None:
        super().__init__(f"{what}: expected {expected}, found {found}")


class Copy(Protocol):
    """Every method returns when what it does has happened."""

    release: Release

    @property
    def others(self) -> Sequence[str]:
        """Targets that answer customers, but for the first one."""
        ...

    async def ask(self, *, stream: bool = False) -> Seen:
        """One call as a customer makes it, with its record.  ``Seen.status`` 0: no answer came."""
        ...

    async def ask_many(self, count: int, *, stream: bool = False) -> list[Seen]:
        """So many calls at once, without their records."""
        ...

    def targets(self, fault: Fault | None, names: Sequence[str] = ()) -> None:
        """How the targets answer from now on; ``None``: well.  No ``names``: all of them."""
        ...

    async def begun(self, calls: int) -> None:
        """So many calls have been admitted since the worker began.  Raises ``Missed``."""
        ...

    async def kill_control(self) -> None:
        """``kill -9``; nobody starts it again."""
        ...

    async def kill_gateway(self) -> None:
        """``kill -9``, and a new worker in its place, as the supervisor does.  Raises ``Missed``: it does not serve."""
        ...

    async def lose_state(self) -> None:
        """The state database is garbage from now on; control goes on as it can."""
        ...

    async def fill_journal(self) -> None:
        """The disk is full: there is room for what the journal gives back of its own, and for no more."""
        ...

    async def jump_clock(self, seconds: float) -> None:
        """The gateway's wall clock moves; the monotonic one does not."""
        ...

    async def go_back(self) -> None:
        """Control writes a snapshot that is older than the one in force."""
        ...

    async def records(self) -> list[Inference]:
        """Every inference that the journal and the log of the copy hold; those of a dead worker are recovered."""
        ...


Scene = Callable[[Copy], Awaitable[Seen]]
"""Breaks things, looks, and returns the call that is scored like any drill's.  Raises ``Missed``."""
