"""One review as control keeps it.  Instants are Unix seconds, money US dollars, shares in [0, 1].

What was drafted is never changed: it is what the data said when the period ended.  A person adds what was decided.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

ReviewKind = Literal["weekly", "monthly", "quarterly"]
KINDS: tuple[ReviewKind, ...] = get_args(ReviewKind)
State = Literal["drafted", "signed"]

Unit = Literal["count", "share", "seconds", "usd", "score"]
Better = Literal["more", "less", ""]


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One figure of the period, beside that of the period before."""

    name: str
    unit: Unit
    now: float | None
    """``None``: not known."""
    before: float | None = None
    better: Better = ""
    """Which way is good; empty: neither."""
    against: str = ""
    """What it is held against: an objective, a budget, a forecast; in words."""
    missed: bool = False
    """It is on the wrong side of that."""


class Change(msgspec.Struct, frozen=True):
    """What is not as it was, with its size and what most likely caused it."""

    what: str
    cause: str = ""
    """Empty: the data do not say."""


class Table(msgspec.Struct, frozen=True):
    title: str
    columns: list[str]
    rows: list[list[str]]


class Series(msgspec.Struct, frozen=True):
    """A figure over the days of the period."""

    name: str
    unit: Unit
    days: list[str]
    """ISO dates."""
    values: list[float | None]
    limit: float | None = None
    """An objective or budget to draw beside it."""


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the data say of a period."""

    headline: str
    """One sentence."""
    figures: list[Figure] = []
    changes: list[Change] = []
    decide: list[str] = []
    """Questions that the data raise."""
    tables: list[Table] = []
    series: list[Series] = []
    gaps: list[str] = []
    """What could not be said, and why."""


class Review(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One look at one workflow."""

    id: str
    """``rev_`` + 16 hex digits of workflow, kind and period: drafting it again makes the same one."""
    team: str
    workflow: str
    kind: ReviewKind
    period: str
    """``2026-W47``, ``2026-11``, ``2026-Q4``."""
    since: float
    until: float
    drafted_at: float
    overdue_at: float
    """When it is overdue unless it is signed."""
    facts: Facts
    state: State = "drafted"
    decisions: list[str] = []
    """What the owner decided, in their words."""
    signed_by: str = ""
    signed_at: float | None = None

    def overdue(self, now: float) -> bool:
        return self.state == "drafted" and now >= self.overdue_at
