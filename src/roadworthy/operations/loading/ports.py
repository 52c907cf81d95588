"""What leading a load test needs of the outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from roadworthy.evidence.kinds import LoadTest
from roadworthy.evidence.permit.model import Permit
from roadworthy.evidence.ports import Signer
from roadworthy.latency.model import Sample
from roadworthy.operations.loading.job import Job, Told
from roadworthy.operations.loading.model import Fit, Kill, LoadRun
from roadworthy.operations.loading.planning import Ready
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.service import Actor


class Generator(Protocol):
    """The child that makes the calls, one stretch at a time.  Every method raises ``OSError`` once it is gone."""

    async def play(self, job: Job, on_progress: Callable[[Told], None]) -> tuple[list[Sample], Told]:
        """(what became of each call, the last word).  Raises ``OSError`` also for what the child could not do."""
        ...

    def stop(self, why: str, *, cut: bool = False) -> None:
        """End the stretch under way; ``cut``: do not wait for its calls."""
        ...


class Generators(Protocol):
    def open(self, ttl: float) -> AbstractAsyncContextManager[Generator]:
        """Start one that ends with the block, with us, and after ``ttl`` seconds.  Raises ``OSError``."""
        ...


class Rehearsed(Protocol):
    """A disposable copy of the install in front of simulated targets."""

    @property
    def base_url(self) -> str: ...

    def token(self, permit: Permit) -> str:
        """The permit, for the copy's release and signed by the copy."""
        ...

    def records(self, permit: str) -> list[Inference]:
        """Of the calls of a permit.  Blocks."""
        ...

    async def kill(self) -> Kill:
        """Press the kill switch of the copy's workflow and see what comes after."""
        ...


class Kept(msgspec.Struct, frozen=True):
    """What became of a test as evidence."""

    id: str = ""
    """Empty: it is none, or it was refused."""
    judged: str = ""
    """In the words of readiness; empty: not judged."""
    allows: float | None = None
    """Largest share of traffic that it allows by itself; ``None``: it is none."""


class Ports(msgspec.Struct, frozen=True):
    """What wiring gives."""

    signer: Signer
    generators: Generators
    base_url: Callable[[], str]
    """Of the gateway, for clients on this machine."""
    publish: Callable[[], None]
    """So that gateways hold the release.  Blocks."""
    fit: Callable[[Ready], Fit]
    """Raises ``LoadRefused``.  Blocks."""
    copy: Callable[[Ready, Fit], AbstractAsyncContextManager[Rehearsed]]
    """Raises ``OSError``."""
    records: Callable[[str], list[Inference]]
    """Ship the journal, then look in the log for the calls of a permit.  Blocks."""
    press: Callable[[Actor], Kill]
    """Press the kill switch of Roadworthy's own drill workflows on every gateway.  Blocks for some seconds."""
    keep: Callable[[LoadRun, Ready, LoadTest | None], Kept]
    """Keep the evidence, where there is any."""
    scratch: Path
    """A private folder for what the generator reads and writes."""
    clock: Callable[[], float]


class LoadTransaction(Protocol):
    def put_load_run(self, run: LoadRun) -> None:
        """Insert, or replace the run with the same id."""
        ...

    def load_run(self, ident: str) -> LoadRun | None: ...

    def load_runs(self, workflow: str, limit: int = 20) -> Sequence[LoadRun]:
        """Newest first.  ``workflow`` empty: of all."""
        ...

    def keep_load_runs(self, workflow: str, most: int) -> None:
        """Delete all but the newest."""
        ...


class LoadState(Protocol):
    def read(self) -> AbstractContextManager[LoadTransaction]: ...

    def write(self) -> AbstractContextManager[LoadTransaction]: ...
