"""What a drill run needs of the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

from roadworthy.fallback.drills.host import Stand
from roadworthy.fallback.drills.model import DrillRun, Sent


class Faults(Protocol):
    """Misbehaving servers, of a process of their own."""

    async def begin(self, call: int, drill: str, nonce: str, targets: Mapping[str, Stand]) -> dict[str, str]:
        """Target → base URL of what stands for it.  Raises ``OSError``."""
        ...

    async def end(self, call: int) -> list[Sent]:
        """Stop the call's servers; what they sent."""
        ...


class FaultProcesses(Protocol):
    def open(self, ttl: float) -> AbstractAsyncContextManager[Faults]:
        """Start a process that ends with the block, with us, and after ``ttl`` seconds.  Raises ``OSError``."""
        ...


class DrillTransaction(Protocol):
    def put_drill_run(self, run: DrillRun) -> None:
        """Insert, or replace the run with the same id."""
        ...

    def drill_run(self, ident: str) -> DrillRun | None: ...

    def drill_runs(self, workflow: str, limit: int = 20) -> Sequence[DrillRun]:
        """Newest first."""
        ...

    def keep_drill_runs(self, workflow: str, most: int) -> None:
        """Delete all but the newest."""
        ...


class DrillState(Protocol):
    def read(self) -> AbstractContextManager[DrillTransaction]: ...

    def write(self) -> AbstractContextManager[DrillTransaction]: ...
