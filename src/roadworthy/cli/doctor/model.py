"""What a check finds, and what it may ask of the world."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from roadworthy.gateway.snapshot import Snapshot
from roadworthy.wiring.fleet.gateways import Known

Verdict = Literal["ok", "warn", "FAIL", "skip"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the report.  ``mend`` is empty when there is nothing to mend."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""


@dataclasses.dataclass(frozen=True)
class Reached:
    """How an endpoint answered: its status and its clock (``Date`` header, Unix seconds)."""

    status: int
    date: float | None


class NotReached(Exception):
    """An endpoint was not reached; ``kind`` is ``dns``, ``forbidden``, ``refused``, ``timeout``, ``tls``, ``proxy``
    or ``protocol``, the message says what was found."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclasses.dataclass(frozen=True)
class World:
    """Everything that a check looks at; tests give another world."""

    data: Path
    environ: Mapping[str, str]
    clock: Callable[[], float]
    snapshot: Snapshot | None
    """What the gateways serve from; ``None`` before the first apply."""
    snapshot_error: str
    listens: Mapping[str, str]
    """``listen`` and ``metrics`` → ``host:port`` of this install."""
    free: Callable[[Path], tuple[int, int]]
    """Path → free and total bytes of its file system."""
    reach: Callable[[str, str | None, Mapping[str, str], bool], Reached]
    """(URL, proxy, headers, may be private) → answer.  Raises ``NotReached``."""
    answers: Callable[[str], bool]
    """Does something listen on ``host:port``?"""
    healthy: Callable[[Path, str], bool]
    """(Unix socket, path) → did it answer 200?"""
    gateways: Sequence[Known]
    """That control knows, ``local`` first."""
    lock_holder: Callable[[Path], int | None]
    secret: Callable[[str], str]
    """Name of a secret → the secret.  Raises ``LookupError`` saying why there is none."""
