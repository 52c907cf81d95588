"""What the generator's process is ordered to do and what it tells, one JSON object a line."""

from __future__ import annotations

import msgspec

from roadworthy.latency.model import Arrivals, Body

LONGEST_LINE = 4 * 1024 * 1024


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """When the generator ends a test by itself, whoever else is there to do it."""

    usd: float | None = None
    """Most that may be spent, with what is under way; ``None``: no price is known."""
    usd_each: float = 0.0
    """About what a call costs, for those under way."""
    errors: float = 0.2
    """Share of errors among the calls of the last ``stopping.WINDOW`` seconds."""
    slower_than: list[tuple[float, float]] = []
    """(seconds, share): no more than this share of all planned calls may take longer."""
    error_share: float | None = None
    """The objective's: no more than this share of all planned calls may fail."""
    planned: int = 0
    saturation: bool = True


class Job(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One stretch of calls."""

    url: str
    """Of the operation, whole."""
    token: str
    workflow: str
    questions: str
    """File with the bodies (JSON list), readable by nobody else."""
    samples: str
    """File into which what became of the calls is written (JSON list)."""
    stream: bool = True
    arrivals: Arrivals
    trace: list[tuple[float, int | None, int | None]] = []
    """``replay`` only."""
    most_under_way: int
    deadline: float
    """Seconds after which a call is given up."""
    limits: Limits = Limits()


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """Exactly one of them."""

    job: Job | None = None
    stop: str = ""
    """Why the stretch under way ends now."""
    cut: bool = False
    """Do not wait for calls under way."""


class Told(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where the stretch is."""

    seconds: float = 0.0
    planned: int = 0
    dropped: int = 0
    under_way: int = 0
    ended: int = 0
    answered: int = 0
    errors: int = 0
    usd: float = 0.0
    late: float = 0.0
    p50: float | None = None
    p95: float | None = None
    first_token: float | None = None
    done: bool = False
    stopped: str = ""
    """Why it ended before its plan; with ``done``."""
    error: str = ""
    """What the generator could not do at all; with ``done``."""


def questions_of(bodies: list[Body]) -> bytes:
    return msgspec.json.encode(bodies)
